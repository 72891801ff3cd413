"""Deletion and insertion against random orders: by hand, and by the papers step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests import networks
from tests.planted import prepared
from tests.references import certificate as reference
from tests.workers.certificate.conftest import gradient_x_input, linear
from workers.certificate.deletion import _places, deletion
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

SEED = 5


def made(ready: Prepared, attributions: dict[str, Tensor], **changes: object) -> list:
    return deletion(ready, attributions, **{"steps": 10, "orders": 20, "seed": SEED, "rows": 256, **changes})


def sums(*weights: float, n: int = 6) -> Prepared:
    return prepared(linear(*weights), torch.ones(n, len(weights), dtype=torch.float64), target=Target.value())


def test_of_two_units_one_of_which_is_everything_deleting_it_first_gains_a_quarter():
    """The curve of the right order is 1, 0, 0 with area 1/4, of the wrong one 3/4; random orders lie between them."""
    ready = sums(1.0, 0.0)
    first, last = made(ready, gradient_x_input(ready), orders=2000)
    assert first.value == pytest.approx(0.25, abs=0.01)
    assert last.value == pytest.approx(0.25, abs=0.01)
    assert first.verdict == "passed"


def test_the_reverse_of_a_right_ranking_fails():
    ready = sums(5.0, 4.0, 3.0, -2.0, 1.0, -1.0, 0.5, 0.2)
    wrong = {"input": -gradient_x_input(ready)["input"]}
    first, last = made(ready, wrong)
    assert (first.verdict, last.verdict) == ("failed", "failed")
    assert first.value < 0 > last.value
    assert "ahead of 0%" in first.because


def test_gains_are_those_of_the_papers_step_by_step():
    x = networks.points(3, 6)
    ready = prepared(networks.mlp(), x, target=Target.classes([0, 2, 1]))
    ours = gradient_x_input(ready)["input"]
    scale = sum(abs(score(ready, i, x[i : i + 1]) - score(ready, i, 0 * x[:1])) for i in range(3)) / 3
    first, last = made(ready, {"input": ours}, steps=3, orders=4)

    def area(which: int, i: int) -> float:
        order = _places(ours.flatten(1), which, SEED)[i].argsort().tolist()
        return reference.deletion(lambda point: score(ready, i, point), x[i : i + 1], 0 * x[:1], order, 3)

    random = [sum(area(2 + order, i) for order in range(4)) / 4 for i in range(3)]
    assert first.value == pytest.approx(sum(random[i] - area(0, i) for i in range(3)) / 3 / scale, rel=1e-10)
    assert last.value == pytest.approx(sum(area(1, i) - random[i] for i in range(3)) / 3 / scale, rel=1e-10)


def score(ready: Prepared, i: int, x: Tensor) -> float:
    return float(ready.model(x).detach()[0, ready.target.index[i, 0]])


def test_the_highest_go_first_and_in_the_second_order_last():
    values = torch.tensor([[3.0, 1.0, 2.0]])
    assert _places(values, 0, SEED).tolist() == [[0, 2, 1]]
    assert _places(values, 1, SEED).tolist() == [[2, 0, 1]]
    assert sorted(_places(values, 2, SEED)[0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_how_many_rows_run_at_once_changes_rounding_alone(rows: int):
    ready = prepared(networks.cnn(), networks.points(3, 1, 12, 12), target=Target.classes([0, 2, 1]))
    ours = gradient_x_input(ready)
    for one, other in zip(made(ready, ours, orders=3), made(ready, ours, orders=3, rows=rows), strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-10)


def test_the_units_of_a_group_are_taken_away_together():
    ready = prepared(networks.lstm(), networks.points(4, 7, 5))
    steps = {"input": torch.arange(7).repeat_interleave(5).reshape(7, 5)}
    first, _ = made(ready, gradient_x_input(ready), groups=steps, steps=7)
    assert first.value is not None
    assert first.value != made(ready, gradient_x_input(ready))[0].value


def test_what_cannot_be_checked_says_why():
    ready = sums(1.0, 2.0)
    assert "of layers" in made(ready, {"head": torch.ones(6, 3)})[0].because
    flat = sums(1.0, -1.0)
    assert "the same at the inputs" in made(flat, gradient_x_input(flat))[0].because
    single = sums(2.0)
    assert "one feature" in made(single, gradient_x_input(single))[0].because
    alone = sums(1.0, 2.0, n=1)
    first, _ = made(alone, gradient_x_input(alone))
    assert first.verdict == "not applicable"
    assert first.value is not None
