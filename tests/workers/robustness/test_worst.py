"""Is the worst of several attacks per example what is told, and are medians those of the textbook?"""

from __future__ import annotations

from math import inf

import pytest
import torch

from workers.attack.found import Found, Stage
from workers.attack.victim import Asked
from workers.robustness.worst import median, robust_alone, together

EPSILONS = (0.1, 0.2, 0.4)


def stage(name: str) -> Stage:
    return Stage(name=name, asked=Asked(forwards=1, gradients=1), broke=(0, 0, 0))


def found(at: list[int], epsilons: tuple[float, ...] = EPSILONS) -> Found:
    """Examples at 0 of one number, moved to the budget that broke them."""
    places = torch.tensor(at)
    budgets = torch.tensor([*epsilons, 0.0])
    made = torch.where(places >= 0, budgets[places.clamp(min=0)], 0.0)[:, None]
    return Found(
        epsilons=epsilons, clean=places >= 0, at=places, made=made, distance=made[:, 0].double(),
        by=torch.where((places >= 0) & (places < len(epsilons)), 0, -1), stages=(stage("first"),),
    )  # fmt: skip


def test_what_another_attack_breaks_at_a_smaller_budget_counts_and_is_its_own() -> None:
    made = torch.tensor([[0.15], [0.15], [0.15], [0.15]])
    distance = made[:, 0].double()
    broken = torch.tensor([True, True, False, True])
    joined = together(found([2, 0, 2, -1]), "second", stage("x"), made, distance, broken)
    assert joined.at.tolist() == [1, 0, 2, -1]  # 0.15 needs the budget 0.2; not clean stays not clean
    assert joined.by.tolist() == [1, 0, 0, -1]
    assert joined.stages[1].name == "second"
    assert joined.stages[1].broke == (0, 1, 0)
    assert joined.made[:, 0].tolist() == pytest.approx([0.15, 0.1, 0.4, 0.0])


def test_within_one_budget_the_nearer_adversarial_is_kept() -> None:
    made = torch.tensor([[0.15]])
    joined = together(found([1]), "second", stage("x"), made, made[:, 0].double(), torch.tensor([True]))
    assert joined.at.tolist() == [1]
    assert float(joined.distance[0]) == pytest.approx(0.15)
    assert joined.stages[1].broke == (0, 0, 0)


def test_what_lies_on_its_budget_but_for_rounding_is_within_it() -> None:
    distance = torch.tensor([0.2 * (1 + 5e-7)], dtype=torch.float64)
    joined = together(found([3]), "second", stage("x"), torch.tensor([[0.2]]), distance, torch.tensor([True]))
    assert joined.at.tolist() == [1]


def test_what_is_beyond_the_largest_budget_breaks_nothing() -> None:
    distance = torch.tensor([0.5], dtype=torch.float64)
    joined = together(found([3]), "second", stage("x"), torch.tensor([[0.5]]), distance, torch.tensor([True]))
    assert joined.at.tolist() == [3]
    assert joined.by.tolist() == [-1]


def test_an_attack_on_its_own_never_holds_more_at_a_larger_budget() -> None:
    """Balls lie in each other: the first example is broken at 0.1, though the run at 0.2 missed it."""
    one, two = found([0, 1], (0.1,)), found([1, 0], (0.2,))
    assert robust_alone([one, two]).tolist() == [1, 0]


def test_the_interval_of_a_median_is_that_of_the_binomial() -> None:
    # n = 10: P(at most 1 below the median) = 11 / 1024 <= 0.025 < P(at most 2) = 56 / 1024: the 2nd and the 9th
    assert median([float(x) for x in range(10, 0, -1)]) == (5.5, 2.0, 9.0)


def test_a_median_of_fewer_than_six_has_no_interval() -> None:
    assert median([3.0]) == (3.0, None, None)
    assert median([1.0, 2.0, 4.0, 5.0, 6.0]) == (4.0, None, None)
    assert median([1.0, 2.0, 4.0, 5.0, 6.0, 7.0]) == (4.5, 1.0, 7.0)


def test_what_is_censored_lies_above() -> None:
    assert median([1.0, 2.0, 3.0, 4.0, 5.0, inf]) == (3.5, 1.0, inf)
    assert median([1.0, inf, inf])[0] == inf
