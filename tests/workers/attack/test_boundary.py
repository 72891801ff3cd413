"""Does a walk along the boundary find what lies outside the reach of a climb within the ball?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.workers.attack import cases
from workers.attack.boundary import to_plane, walk
from workers.attack.classes import Misclassified
from workers.attack.ranks import among_least
from workers.attack.space import Space
from workers.attack.standing import Standing


def bisected(x: Tensor, value: Tensor, slope: Tensor, space: Space) -> Tensor:
    """The same by bisection on the multiplier."""
    low, high = torch.zeros(len(x)), torch.full((len(x),), 1e6)
    weight = slope * space.unit
    if space.free is not None:
        weight = torch.where(space.free, weight, 0.0)
    towards = -weight.sign() * value.sign()[:, None]

    def moved(multiplier: Tensor) -> Tensor:
        pace = torch.ones_like(weight) if space.norm == "linf" else weight.abs()
        made = x + towards * (multiplier[:, None] * pace) * (weight != 0) * space.unit
        return made.clamp(min=space.low, max=space.high) - x

    for _ in range(200):
        middle = (low + high) / 2
        enough = (value + (slope * moved(middle)).sum(1)).sign() != value.sign()
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return moved(high)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_plane_is_reached_by_the_smallest_change_within_the_bounds(norm):
    draws = torch.Generator().manual_seed(3)
    x = torch.rand(60, 7, generator=draws, dtype=torch.float64)
    slope = torch.randn(60, 7, generator=draws, dtype=torch.float64)
    slope[:, 3] = 0
    value = torch.randn(60, generator=draws, dtype=torch.float64)
    unit = 0.5 + torch.rand(1, 7, generator=draws, dtype=torch.float64)
    free = torch.tensor([[True, True, False, True, True, True, True]])
    space = Space(norm=norm, low=torch.zeros(1, 7), high=torch.ones(1, 7), unit=unit, free=free)
    ours = to_plane(x, value, slope, space)
    exact = bisected(x, value, slope, space)
    torch.testing.assert_close(ours, exact, atol=1e-6, rtol=1e-6)
    left = value + (slope * ours).sum(1)
    assert int((left.abs() < 1e-9).sum()) > 30
    assert torch.equal(ours[:, 2], torch.zeros(60, dtype=torch.float64))


class _FlatNearby(nn.Module):
    """Two classes apart at a sphere of radius 1 about the middle, with no slope within 0.9 of it."""

    def forward(self, x: Tensor) -> Tensor:
        far = (x - 0.5).flatten(1).norm(dim=1)
        gap = torch.where(far < 0.9, torch.ones_like(far), (1 - far) * 10)
        return torch.stack([gap, torch.zeros_like(gap)], 1)


def test_a_walk_draws_near_from_a_linear_model_in_one_step():
    network = cases.linear([[1.0, 2.0], [0.0, 0.0]], [-1.0, 0.0])
    x = torch.tensor([[0.9, 0.9]])  # 1.7 from the plane, by the norm sqrt(5): 0.760
    standing = Standing(
        cases.victim(network), Misclassified(torch.tensor([0])), x, cases.space("l2", -9, 9),
        cases.settings(0.7, 0.77, 1.0, norm="l2"),
    )  # fmt: skip
    standing.stage("boundary", lambda: walk(standing, 60, lambda _: None))
    assert standing.found().at.tolist() == [1]
    assert float(standing.found().distance[0]) >= 1.7 / 5**0.5 - 1e-6


def test_where_nothing_slopes_a_walk_stays_and_ends():
    x = torch.full((3, 4), 0.5)
    standing = Standing(
        cases.victim(_FlatNearby()), Misclassified(torch.zeros(3, dtype=torch.int64)), x, cases.space("l2", -2, 2),
        cases.settings(1.5, norm="l2"),
    )  # fmt: skip
    standing.stage("boundary", lambda: walk(standing, 10, lambda _: None))
    assert standing.found().at.tolist() == [1, 1, 1]
    assert standing.stages[0].asked.gradients == 30


def test_the_least_of_each_example_are_kept_and_the_earlier_of_two_equal_ones():
    index = torch.tensor([0, 1, 0, 1, 0, 1])
    value = torch.tensor([3.0, 1.0, 1.0, 1.0, 2.0, 5.0])
    assert among_least(index, value, 2).tolist() == [False, True, True, True, True, False]
    assert among_least(index, value, 1).tolist() == [False, True, True, False, False, False]
