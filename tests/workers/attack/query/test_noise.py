"""Do random changes stay within their budget, and are those that break an example counted?"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workers.attack.query.made import SHAPES, any_space, black_box, illegal, network_for, space
from workers.attack.classes import Misclassified
from workers.attack.draws import Draws
from workers.attack.numbers import Hidden
from workers.attack.query.noise import drawn, noise
from workers.attack.space import Norm


def threshold() -> nn.Module:
    """The mean of a row."""

    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).mean(1)

    return Mean()


@pytest.mark.parametrize(("draws", "seeds"), [(0, [0]), (3, [0, 1])])
def test_no_draw_or_a_wrong_number_of_seeds_is_refused(draws: int, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="seed"):
        noise(black_box(threshold()), Hidden(0.0), torch.ones(1, 2), space("l2"), torch.ones(1), draws, seeds)


def test_every_draw_that_breaks_an_example_is_counted_and_paid_for() -> None:
    # One number at 0, changed by at most 1: it lies above 2 never, above -2 always.
    x, epsilon = torch.zeros(2, 1), torch.tensor([1.0, 1.0])
    victim = black_box(threshold())
    never = noise(victim, Hidden(2.0, raised=True), x, space("linf"), epsilon, 20, [0, 1])
    assert (never.broke.tolist(), never.found.tolist(), never.asked.forwards) == ([0, 0], [False, False], 40)
    assert torch.equal(never.made, x)
    always = noise(victim, Hidden(-2.0, raised=True), x, space("linf"), epsilon, 20, [0, 1])
    assert (always.broke.tolist(), always.found.tolist()) == ([20, 20], [True, True])
    some = noise(victim, Hidden(0.0, raised=True), x, space("linf"), epsilon, 400, [0, 1])
    assert all(140 <= count <= 260 for count in some.broke.tolist())
    assert bool((some.made > 0).all())


def test_a_corner_is_the_whole_budget_up_or_down_everywhere() -> None:
    x = torch.zeros(3, 50)
    corner = drawn(Draws([0, 1, 2]), torch.arange(3), x, space("linf"), torch.tensor([0.1, 0.2, 0.3]), corner=True)
    torch.testing.assert_close(corner.abs(), torch.tensor([[0.1], [0.2], [0.3]]).expand(3, 50))
    assert bool((corner > 0).any(1).all())
    assert bool((corner < 0).any(1).all())


def test_half_of_what_is_drawn_in_a_ball_of_two_numbers_lies_within_a_root_of_a_half() -> None:
    x = torch.zeros(1000, 2)
    inside = drawn(Draws(range(1000)), torch.arange(1000), x, space("l2"), torch.ones(1000), corner=False)
    share = (inside.norm(dim=1) < 0.5**0.5).double().mean().item()
    assert 0.45 < share < 0.55
    sphere = drawn(Draws(range(1000)), torch.arange(1000), x, space("l2"), torch.ones(1000), corner=True)
    torch.testing.assert_close(sphere.norm(dim=1), torch.ones(1000))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_drawn_for_an_example_hangs_on_its_seed_alone(norm: Norm) -> None:
    network = network_for((4,))
    x, epsilon = torch.rand(5, 4), torch.full((5,), 0.3)
    goal = Misclassified(network(x).argmax(1))
    whole = noise(black_box(network), goal, x, space(norm), epsilon, 30, [3, 4, 5, 6, 7])
    small = noise(black_box(network, rows=2), goal, x, space(norm), epsilon, 30, [3, 4, 5, 6, 7])
    alone = noise(black_box(network), Misclassified(goal.labels[3:4]), x[3:4], space(norm), epsilon[3:4], 30, [6])
    assert torch.equal(whole.broke, small.broke)
    assert torch.equal(whole.made, small.made)
    assert torch.equal(whole.made[3:4], alone.made)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_point_is_legal_in_thousands_of_drawn_cases(norm: Norm) -> None:
    draw = torch.Generator().manual_seed(1)
    for case in range(40):
        within, x = any_space(norm, SHAPES[case % len(SHAPES)], 60, draw)
        epsilon = torch.rand(60, generator=draw) * 2 + 1e-3
        for corner in (False, True):
            made = drawn(Draws(range(60)), torch.arange(60), x, within, epsilon, corner=corner)
            assert illegal(within, x, made, epsilon) == 0
