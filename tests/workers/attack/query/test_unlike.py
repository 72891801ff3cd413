"""Is the nearest row of another answer found, and is the boundary on the way to it?"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workers.attack.query.made import SHAPES, any_space, black_box, illegal, network_for, space
from workers.attack.classes import Misclassified
from workers.attack.numbers import Hidden
from workers.attack.query.unlike import nearest_unlike
from workers.attack.space import Norm, Space


class First(nn.Module):
    """The first number of a row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


ABOVE = Hidden(0.5, raised=True)


@pytest.mark.parametrize("shape", [(3, 3), (0, 2), (2,)])
def test_rows_of_another_shape_or_none_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no neighbours"):
        nearest_unlike(black_box(First()), ABOVE, torch.zeros(1, 2), space("l2"), torch.tensor([0]), torch.zeros(shape))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_boundary_is_where_the_line_to_the_nearest_row_crosses_it(norm: Norm) -> None:
    x, data = torch.zeros(1, 2), torch.tensor([[0.4, 0.0], [9.0, 0.0], [1.0, 0.0], [0.0, 0.2], [torch.nan, 0.0]])
    made, found = nearest_unlike(black_box(First()), ABOVE, x, space(norm), torch.tensor([0]), data)
    assert found.tolist() == [True]
    assert made[0, 1].item() == 0.0
    assert 0.5 < made[0, 0].item() < 0.5002


def test_where_the_nearest_are_all_of_one_answer_rows_further_off_are_asked_too() -> None:
    x, data = torch.zeros(1, 2), torch.linspace(0.1, 4.0, 1000)[:, None].repeat(1, 2)
    made, found = nearest_unlike(black_box(First()), ABOVE, x, space("l2"), torch.tensor([0]), data, most=16)
    assert found.tolist() == [True]
    assert 0.5 < made[0, 0].item() < 0.5002


def test_of_many_rows_few_are_asked() -> None:
    x, data = torch.zeros(1, 2), torch.linspace(0.1, 0.4, 1000)[:, None].repeat(1, 2)
    victim = black_box(First())
    made, found = nearest_unlike(victim, ABOVE, x, space("l2"), torch.tensor([0]), data, most=16)
    assert found.tolist() == [False]
    assert torch.equal(made, x)
    assert 14 <= victim.asked.forwards <= 16


def test_the_example_itself_is_no_neighbour_and_a_column_that_may_not_change_is_kept() -> None:
    x, data = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 3.0], [0.8, 7.0], [2.0, 3.0]])
    free = torch.tensor([[True, False]])
    within = Space(norm="l2", low=torch.tensor(-9.0), high=torch.tensor(9.0), unit=torch.tensor(1.0), free=free)
    victim = black_box(First())
    made, found = nearest_unlike(victim, ABOVE, x, within, torch.tensor([0]), data)
    assert found.tolist() == [True]
    assert made[0, 1].item() == 3.0
    assert 0.5 < made[0, 0].item() < 0.5002
    assert victim.asked.forwards == 2 + 14 + 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_neighbour_is_legal_and_breaks_its_example_in_thousands_of_drawn_cases(norm: Norm) -> None:
    draw = torch.Generator().manual_seed(2)
    some = 0
    for case in range(40):
        shape = SHAPES[case % len(SHAPES)]
        network = network_for(shape, case)
        within, x = any_space(norm, shape, 30, draw)
        goal, index = Misclassified(network(x).argmax(1)), torch.randperm(30, generator=draw)[:25]
        data = torch.randn(40, *shape, generator=draw) * 2
        made, found = nearest_unlike(black_box(network, 64), goal, x, within, index, data)
        assert illegal(within.take(index), x[index], made) == 0
        assert torch.equal(network(made).argmax(1) != goal.labels[index], found)
        some += int(found.sum())
    assert some > 200
