"""Readings of an output, on numbers that fit on a line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.workers.sweep.conftest import run
from workers.sweep.completeness import completeness
from workers.sweep.entered import entered
from workers.sweep.refusals import BadTarget
from workers.sweep.target import Beside, Target

MAP = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]]])
"""(1, 2 classes, 2, 2)"""


def numbers(made: Tensor) -> list[float]:
    return made.tolist()


def test_a_class_has_a_logit_and_a_probability():
    output = torch.tensor([[0.0, torch.log(torch.tensor(3.0))]])
    assert numbers(Target.classes(1).select(output, 1)) == pytest.approx([1.0986123])
    assert numbers(Target.classes(1, "probability").select(output, 1)) == pytest.approx([0.75])


def test_the_probability_at_a_position_is_over_the_classes_that_lie_last():
    output = torch.log(torch.tensor([[[1.0, 3.0], [1.0, 1.0]]]))  # (1, 2 positions, 2 classes)
    target = Target("probability", torch.tensor([[0, 1]]), axis=2)
    assert numbers(target.select(output, 1)) == pytest.approx([0.75])


def test_a_region_is_the_sum_of_its_class_over_its_places():
    labels = torch.tensor([[[1, -1], [-1, 1]]])
    assert numbers(Target.over_places(labels).select(MAP, 1)) == [50.0]


def test_each_place_may_name_its_own_class():
    assert numbers(Target.over_places(torch.tensor([[[0, 1], [1, -1]]])).select(MAP, 1)) == [1 + 20 + 30]


def test_places_follow_the_examples_step_after_step():
    two = torch.cat([MAP, 2 * MAP, 3 * MAP, 4 * MAP])  # two steps of two examples
    labels = torch.tensor([[[0, -1], [-1, -1]], [[-1, -1], [-1, 1]]])
    assert numbers(Target.over_places(labels).select(two, 4)) == [1.0, 80.0, 3.0, 160.0]


def test_classes_that_lie_last_are_summed_over_the_places_before_them():
    output = MAP.permute(0, 2, 3, 1)
    assert numbers(Target.over_places(torch.tensor([[[1, -1], [-1, 1]]]), axis=3).select(output, 1)) == [50.0]


def test_what_lies_outside_a_region_may_be_anything():
    broken = MAP.clone()
    broken[0, 1, 0, 1] = torch.nan
    broken.requires_grad_()
    made = Target.over_places(torch.tensor([[[1, -1], [-1, 1]]])).select(broken, 1)
    made.sum().backward()
    assert numbers(made) == [50.0]
    assert numbers(broken.grad.flatten()) == [0, 0, 0, 0, 1, 0, 0, 1]


def test_a_score_is_the_sum_of_all_numbers_of_an_example():
    assert numbers(Target.total().select(torch.cat([MAP, -MAP]), 2)) == [110.0, -110.0]


def test_an_error_is_the_mean_squared_difference_and_both_sides_move():
    output, given = torch.tensor([[1.0, 5.0]], requires_grad=True), torch.tensor([[3.0, 4.0]], requires_grad=True)
    made = Target.error().select(Beside(output, given), 1)
    made.sum().backward()
    assert numbers(made) == [2.5]
    assert numbers(output.grad[0]) == [-2.0, 1.0]
    assert numbers(given.grad[0]) == [2.0, -1.0]


def test_a_fixed_error_compares_every_step_with_the_example():
    output = torch.tensor([[1.0, 5.0], [0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])  # two steps of two examples
    fixed = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert numbers(Target.error(fixed).select(output, 4)) == [2.5, 0.0, 0.0, 0.5]


def test_an_output_with_nothing_beside_it_has_no_error():
    with pytest.raises(BadTarget, match="does not give that beside it"):
        Target.error().select((MAP, MAP), 1)


def test_another_output_is_read_by_its_place_and_what_stands_beside_is_no_output():
    given = Beside({"a": MAP, "b": (torch.ones(1, 2), 3)}, torch.zeros(1, 2))
    assert numbers(Target("sum", output=1).select(given, 1)) == [2.0]
    with pytest.raises(BadTarget, match="gives 2 tensors"):
        Target("sum", output=2).select(given, 1)


@pytest.mark.parametrize(
    ("target", "shape", "words"),
    [
        (Target.value(), (4, 3), "3 numbers per example"),
        (Target.classes(3), (4, 3), "lies outside"),
        (Target.classes([0, 1]), (4, 3), "2 targets for 4 examples"),
        (Target.element(0, 0), (4, 3), "the index has shape"),
        (Target.over_places(torch.zeros(1, 2, 2)), (4, 3, 2, 3), "the index has shape"),
        (Target.over_places(torch.full((1, 2), 3)), (4, 3, 2), "lies outside"),
        (Target.over_places(torch.full((1, 2), -2)), (4, 3, 2), "lies outside"),
        (Target.classes(0, "probability"), (4,), "no classes"),
        (Target.error(torch.zeros(4, 6)), (4, 5), "is compared with"),
        (Target.error(torch.zeros(3, 5)), (4, 5), "3 targets for 4 examples"),
    ],
)
def test_a_target_that_the_output_does_not_have_is_refused(target, shape, words):
    with pytest.raises(BadTarget, match=words):
        target.check(shape, 4)


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        (Target.total(), (4, 3, 2)), (Target.error(), (4, 3)), (Target.error(torch.zeros(4, 2, 3)), (4, 6)),
        (Target.over_places(torch.zeros(4, 2)), (4, 3, 2)), (Target.over_places(torch.zeros(1, 2), axis=2), (4, 2, 3)),
    ],
)  # fmt: skip
def test_a_target_that_the_output_has_is_taken(target, shape):
    target.check(shape, 4)


def test_targets_of_some_examples_are_cut_and_taken_whatever_they_name():
    places = Target.over_places(torch.arange(6).reshape(3, 2) % 2)
    assert numbers(places.of(1, 3).index) == [[0, 1], [0, 1]]
    assert numbers(Target.classes([5, 6, 7]).take(torch.tensor([2, 0])).index) == [[7], [5]]
    fixed = Target.error(torch.tensor([[1.0], [2.0]])).of(1, 2)
    assert (numbers(fixed.index), fixed.compares, fixed.count) == ([[2.0]], False, 1)
    assert Target.error().compares


def test_all_that_any_example_names_is_seen_by_the_probe():
    output = MAP.repeat(2, 1, 1, 1).requires_grad_()
    Target.over_places(torch.tensor([[[0, -1], [-1, -1]], [[1, -1], [-1, 0]]])).every(output).backward()
    assert numbers(output.grad[1].flatten()) == [1, 0, 0, 1, 1, 0, 0, 0]


class Coder(nn.Module):
    """Reconstructs (N, 2) by half of it, through a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.code.weight)
        self.code.weight.data.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.code(x)


X, ZERO = torch.tensor([[2.0, 4.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)


def test_of_a_moving_error_the_input_is_a_cut_and_a_layer_is_not():
    made = entered(Coder().double().eval(), (X,), (ZERO,), giving=0)
    swept = run(made.model, made.x, made.origin, Target.error(), rule="trapezoid")
    # E = mean((x - x/2)^2) = (x1^2 + x2^2) / 8
    assert swept["input"][0].tolist() == pytest.approx([0.5, 2.0])
    assert swept.ends.difference.item() == pytest.approx(2.5)
    assert (swept.probe.tap("input").cut, swept.probe.tap("code").cut) == (True, False)
    # the layer's part of the way: ∫ -(x - x/2) d(x/2) = -x^2 / 8 per number
    assert swept["code"][0].tolist() == pytest.approx([-0.5, -2.0])


def test_of_a_fixed_error_every_layer_of_a_chain_is_a_cut():
    made = entered(Coder().double().eval(), (X,), (ZERO,))
    swept = run(made.model, made.x, made.origin, Target.error(X), rule="trapezoid")
    assert swept.ends.output.item() == pytest.approx(2.5)
    assert swept.ends.baseline_output.item() == pytest.approx(10.0)
    assert (swept.probe.tap("input").cut, swept.probe.tap("code").cut) == (True, True)
    assert completeness(swept.totals.signed("code"), swept.ends).worst < 1e-12
    assert swept["code"][0].tolist() == pytest.approx([-1.5, -6.0])


def test_several_targets_read_one_output():
    output = MAP.repeat(2, 1, 1, 1)
    read = [
        each.select(output, 2).tolist()
        for each in (Target.total(), Target.over_places(torch.zeros(1, 2, 2)), Target.element(1, 1, 1))
    ]
    assert read == [[110.0, 110.0], [10.0, 10.0], [40.0, 40.0]]
