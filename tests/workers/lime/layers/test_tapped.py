"""Are the numbers read in one pass those that separate runs give, layer by layer, and is the network left as it was?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests import networks
from tests.workers import subjects
from tests.workers.facts import model_facts
from tests.workers.subjects import answer, subject
from workers.analyses.lime_layers import KIND
from workers.lime.layers.case import Case
from workers.lime.layers.parameters import LayersParameters
from workers.lime.layers.reading import Read
from workers.lime.layers.tapped import Tapped
from workers.sweep.tree import mapped, tensors

SUBJECTS = {
    "an in-place residual network": subjects.images,
    "a recurrent layer that gives three tensors": subjects.series,
    "attention": subjects.attends,
    "time first": lambda: subject(
        networks.ready(networks.StateReader()).float(), networks.points(3, 7, 5).float(), torch.arange(3)
    ),
    "tokens folded into the batch": lambda: subject(
        networks.ready(networks.Positions()).float(), networks.points(3, 6, 8).float(), torch.arange(3)
    ),
}  # fmt: skip


def case_of(of, **parameters):
    given = {"readings": ("direction", "norm"), "precision": "float64", "examples": 2, "fill": "colour", **parameters}
    return Case.of(of, LayersParameters(**given))


def some(case: Case, index: int, count: int = 9) -> tuple[Tensor, ...]:
    around = case.at(index)
    return around.inputs(around.stream(3, paired=True).take(count))


def outputs_of(network: nn.Module, read: Read, row: tuple[Tensor, ...]) -> Tensor:
    """What the tap gives of one row, run on its own, seen by a plain hook."""
    seen: list[Tensor] = []
    hook = network.get_submodule(read.tap.module).register_forward_hook(
        lambda _module, _inputs, output: seen.append(tensors(output)[read.tap.position].clone())
    )
    with torch.no_grad():
        network(*(each.clone() for each in row))
    hook.remove()
    return seen[read.tap.call].flatten()


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_is_read_in_blocks_is_what_each_row_gives_alone(name):
    case = case_of(SUBJECTS[name]())
    found, _ = case.read(1)
    inputs = some(case, 1)
    with Tapped(case.predicting, 1, found) as tapped:
        values = tapped(inputs)[:, 1:]
    network = case.predicting.network
    own = tuple(each[1:2] for each in case.predicting.x)
    for column, read in enumerate(found):
        base = outputs_of(network, read, own)
        rows = [outputs_of(network, read, tuple(each[at : at + 1] for each in inputs)) for at in range(len(inputs[0]))]
        if read.weights is None:
            expected = [float(row.norm() / base.norm()) for row in rows]
        else:
            expected = [float((row - base) @ read.weights) for row in rows]
        assert values[:, column] == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9), read.tap.key


@pytest.mark.parametrize("name", [name for name in SUBJECTS if "residual" not in name])  # it has kinks at zero
def test_the_direction_is_the_slope_of_the_target(name):
    """A small step of a layer's output along its direction moves the target by its squared length, for any layer."""
    case = case_of(SUBJECTS[name]())
    found, _ = case.read(0)
    own = tuple(each[:1] for each in case.predicting.x)
    network, predict = case.predicting.network, case.predicting.at(0)
    before = predict(own)[0, 0]
    for read in (each for each in found if each.weights is not None):
        assert read.weights is not None
        step = 1e-6 / float(read.weights.norm())
        calls = iter(range(100))

        def moved(_module, _inputs, output, read=read, step=step, calls=calls):
            if next(calls) != read.tap.call:
                return None
            counted = iter(range(100))
            return mapped(
                output,
                lambda t: t + step * read.weights.reshape(t.shape) if next(counted) == read.tap.position else t,
            )

        hook = network.get_submodule(read.tap.module).register_forward_hook(moved)
        after = predict(own)[0, 0]
        hook.remove()
        slope = (after - before) / step
        assert slope == pytest.approx(float(read.weights.square().sum()), rel=1e-3), read.tap.key


def test_the_answer_of_the_network_is_the_same_to_the_last_bit_and_no_hook_is_left():
    case = case_of(subjects.images(), precision="float32")
    found, _ = case.read(0)
    inputs = some(case, 0, 40)
    plain = case.predicting.at(0)(inputs)
    with Tapped(case.predicting, 0, found) as tapped:
        read = tapped(inputs)
    assert plain.tobytes() == read[:, :1].tobytes()
    assert not any(module._forward_hooks for module in case.predicting.network.modules())


def test_the_example_itself_reads_as_itself_exactly():
    case = case_of(subjects.images(), precision="float32")
    found, _ = case.read(0)
    with Tapped(case.predicting, 0, found) as tapped:
        values = tapped(tuple(each[:1].repeat(5, *[1] * (each.ndim - 1)) for each in case.predicting.x))
    expected = [1.0 if each.weights is None else 0.0 for each in found]
    assert (values[:, 1:] == np.array(expected)).all()


class OneSize(nn.Module):
    """Takes four rows, and no other number; `last` gives the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 4:
            raise ValueError(f"{len(x)} rows")
        return self.last(torch.tanh(self.first(x)))


def test_a_network_of_one_batch_size_is_read_as_any_other():
    torch.manual_seed(0)
    network = OneSize().eval()
    rows = networks.points(8, 6).float()
    fixed = case_of(subject(network, rows, torch.arange(8) % 3, model_facts((6,)), batch=4))
    free = nn.Sequential(network.first, nn.Tanh(), network.last)
    other = case_of(subject(free, rows, torch.arange(8) % 3, model_facts((6,))))
    inputs = some(fixed, 1, 7)
    made = []
    for case, keys in ((fixed, ("first", "last")), (other, ("0", "2"))):
        found = [each for each in case.read(1)[0] if each.tap.key in keys]
        with Tapped(case.predicting, 1, found) as tapped:
            made.append(tapped(inputs))
    assert made[0] == pytest.approx(made[1], rel=1e-12, abs=1e-12)
    assert made[0].shape == (7, 5)


def test_whole_analyses_of_a_network_of_one_batch_size_pass_their_controls():
    of = subject(OneSize().eval(), networks.points(8, 6).float(), torch.arange(8) % 3, model_facts((6,)), batch=4)
    made = answer(KIND, of, samples=300, examples=2)
    assert {run.name: run.passed for run in made.controls} == dict.fromkeys(
        ("planted layers", "read and unread", "the output as a layer", "once more", "other blocks"), True
    )


def test_a_network_without_parameters_is_read():
    network = nn.Sequential(nn.Tanh(), nn.Softplus())
    case = case_of(subject(network.eval(), networks.points(4, 3).float(), torch.arange(4) % 3), precision="float32")
    found, _ = case.read(0)
    with Tapped(case.predicting, 0, found) as tapped:
        assert tapped(some(case, 0)).shape == (9, 1 + 4)


class Sometimes(nn.Module):
    """`extra` runs only where some input is negative."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.extra, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(h + (self.extra(h) if bool((x < 0).any()) else 0))


def test_a_layer_that_does_not_run_for_some_samples_is_told_and_costs_the_others_nothing():
    network = Sometimes().eval()
    rows = torch.tensor([[-1.0, 2.0, 3.0, 4.0], [1.0, -2.0, 3.0, 4.0]])
    case = case_of(subject(network, rows, torch.tensor([0, 1]), model_facts((4,), classes=2)), precision="float32")
    found, _ = case.read(0)
    with Tapped(case.predicting, 0, found) as tapped:
        values = tapped((torch.ones(2, 4),))
    unfit = [found[at].tap.key for at in tapped.unfit]
    assert set(unfit) == {"extra"}
    assert all("what runs depends on the values" in why for why in tapped.unfit.values())
    assert np.isfinite(values).all()
