"""Does a search that only sees whether an example is broken come as near as a formula says?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.workers.attack.query.made import SHAPES, any_space, black_box, illegal, network_for, space
from workers.attack.classes import Misclassified
from workers.attack.draws import Draws
from workers.attack.query.hopskipjump import hopskipjump
from workers.attack.space import Norm, Space


def half_space(numbers: int) -> tuple[nn.Module, Tensor]:
    """Two classes, split by a plane through points at a distance from zero, and its weights."""
    network = nn.Linear(numbers, 2)
    weights = torch.linspace(1.0, 2.0, numbers) * torch.tensor([1.0, -1.0]).repeat(numbers)[:numbers]
    network.weight.data = torch.stack([torch.zeros(numbers), weights])
    network.bias.data = torch.tensor([1.0, 0.0])
    return network, weights


def begun(weights: Tensor, examples: int) -> Tensor:
    """Far behind the plane, and not where it is nearest."""
    across = torch.randn(examples, len(weights), generator=torch.Generator().manual_seed(0))
    return across + (3.0 + (across @ weights).abs())[:, None] * weights / weights.square().sum()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_comes_near_the_margin_over_the_dual_norm_of_a_plane(norm: Norm) -> None:
    network, weights = half_space(10)
    start, x, goal = begun(weights, 8), torch.zeros(8, 10), Misclassified(torch.zeros(8, dtype=torch.int64))
    assert bool((network(start).argmax(1) == 1).all())
    made, asked = hopskipjump(
        black_box(network), goal, x, space(norm), torch.arange(8), start, 3000, Draws(range(8))
    )  # fmt: skip
    exact = 1 / (weights.norm() if norm == "l2" else weights.abs().sum()).item()
    distance = space(norm).distance(x, made)
    assert bool((distance >= exact * 0.999).all())
    assert distance.median().item() <= exact * 1.1
    assert bool((network(made).argmax(1) == 1).all())
    assert int(asked.max()) <= 3000


@pytest.mark.parametrize("queries", [0, 3, 20, 60, 200, 999])
def test_no_example_is_asked_more_often_than_it_may_be_and_all_asking_is_counted(queries: int) -> None:
    network, weights = half_space(10)
    victim, x = black_box(network, 50), torch.zeros(8, 10)
    made, asked = hopskipjump(
        victim, Misclassified(torch.zeros(8, dtype=torch.int64)), x, space("l2"), torch.arange(8),
        begun(weights, 8), queries, Draws(range(8)),
    )  # fmt: skip
    assert int(asked.max()) <= queries
    assert int(asked.sum()) == victim.asked.forwards
    assert bool((network(made).argmax(1) == 1).all())


def test_more_queries_come_nearer() -> None:
    network, weights = half_space(40)
    x, goal = torch.zeros(6, 40), Misclassified(torch.zeros(6, dtype=torch.int64))
    lengths = []
    for queries in (60, 600, 4000):
        made, _ = hopskipjump(
            black_box(network), goal, x, space("l2"), torch.arange(6), begun(weights, 6), queries, Draws(range(6))
        )
        lengths.append(made.norm(dim=1).mean().item())
    assert lengths[0] > lengths[1] * 1.2
    assert lengths[1] > lengths[2] * 1.05


def test_a_unit_per_column_turns_the_nearest_point() -> None:
    # x₁ + x₂ > 1 where a step of x₁ is ten times as long: nearly all of the way is x₁'s.
    network = nn.Linear(2, 2)
    network.weight.data, network.bias.data = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([1.0, 0.0])
    within = Space(
        norm="l2", low=torch.tensor(-9.0), high=torch.tensor(9.0), unit=torch.tensor([[10.0, 1.0]])
    )  # fmt: skip
    made, _ = hopskipjump(
        black_box(network), Misclassified(torch.tensor([0])), torch.zeros(1, 2), within, torch.tensor([0]),
        torch.tensor([[0.0, 5.0]]), 3000, Draws([1]),
    )  # fmt: skip
    assert within.distance(torch.zeros(1, 2), made).item() == pytest.approx(1 / 101**0.5, rel=0.05)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_found_for_an_example_is_the_same_whatever_stands_beside_it(norm: Norm) -> None:
    network, weights = half_space(10)
    network.double()
    start, x, goal = begun(weights, 8).double(), torch.zeros(8, 10).double(), Misclassified(torch.zeros(8).long())
    args = (space(norm), torch.arange(8), start, 400)
    whole, _ = hopskipjump(black_box(network), goal, x, *args, Draws(range(8)))
    again, _ = hopskipjump(black_box(network), goal, x, *args, Draws(range(8)))
    small, _ = hopskipjump(black_box(network, 7), goal, x, *args, Draws(range(8)))
    alone, _ = hopskipjump(
        black_box(network), goal, x, space(norm), torch.tensor([5]), start[5:6], 400, Draws(range(8))
    )
    assert torch.equal(whole, again)
    torch.testing.assert_close(whole, small, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(whole[5:6], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_point_is_legal_and_none_is_further_than_where_it_began_in_thousands_of_drawn_cases(norm: Norm) -> None:
    draw = torch.Generator().manual_seed(3)
    seen = 0
    for case in range(20):
        shape = SHAPES[case % len(SHAPES)]
        network = network_for(shape, case)
        within, x = any_space(norm, shape, 480, draw)
        start = torch.where(
            within.free, within.low + (within.high - within.low) * torch.rand(x.shape, generator=draw), x
        )
        start = torch.minimum(torch.maximum(start, within.low), within.high)
        goal = Misclassified(network(x).argmax(1))
        index = (network(start).argmax(1) != goal.labels).nonzero().flatten()
        if len(index) == 0:
            continue
        made, _ = hopskipjump(black_box(network, 8192), goal, x, within, index, start[index], 100, Draws(range(480)))
        legal = within.take(index)
        assert illegal(legal, x[index], made) == 0
        assert bool((network(made).argmax(1) != goal.labels[index]).all())
        assert bool((legal.distance(x[index], made) <= legal.distance(x[index], start[index]) * (1 + 1e-6)).all())
        seen += len(index)
    assert seen >= 2000
