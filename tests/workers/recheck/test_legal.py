"""Does the checker call every legal adversarial legal, and find each that is not, over shapes, bounds and budgets?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from workers.attack.space import Space
from workers.recheck.legal import Norm, distance, eight_bit, illegal

Array = NDArray[Any]

SHAPES = ((1,), (2,), (7,), (30,), (4, 3), (1, 4, 4), (3, 5, 2))
COMBINATIONS, EXAMPLES = 420, 26


@dataclass(frozen=True)
class Case:
    """Adversarials of one space."""

    norm: Norm
    original: Array
    made: Array
    epsilon: Array
    low: Array
    high: Array
    unit: Array
    free: Array | None

    def verdicts(self) -> list[str | None]:
        """What the checker says."""
        return illegal(
            self.original, self.made, self.epsilon, self.norm, self.low, self.high, self.unit, self.free
        )  # fmt: skip


def drawn(draws: np.random.Generator) -> Case:
    """Examples within random bounds, moved at random and projected as attacks do it."""
    shape = SHAPES[draws.integers(len(SHAPES))]
    norm: Norm = ("linf", "l2")[int(draws.integers(2))]
    channels = (1, shape[0], *[1] * (len(shape) - 1)) if draws.random() < 0.5 else ()
    scale = 10.0 ** draws.integers(-3, 4)
    low = np.asarray(draws.normal(size=channels) * scale, dtype=np.float32)
    high = np.asarray(low + scale * draws.uniform(0.1, 2, size=channels), dtype=np.float32)
    unit = np.asarray(10.0 ** draws.uniform(-1, 1, size=channels), dtype=np.float32)
    free = draws.random((EXAMPLES, *shape)) < 0.7 if draws.random() < 0.5 else None
    original = np.clip(low + (high - low) * draws.random((EXAMPLES, *shape)), low, high).astype(np.float32)
    epsilon = scale / unit.mean() * 10.0 ** draws.uniform(-3, 1, size=EXAMPLES)
    space = Space(
        norm=norm, low=torch.from_numpy(low), high=torch.from_numpy(high), unit=torch.from_numpy(unit),
        free=None if free is None else torch.from_numpy(free),
    )  # fmt: skip
    x = torch.from_numpy(original)
    moved = x + torch.from_numpy((draws.normal(size=original.shape) * scale).astype(np.float32))
    made = space.project(x, moved, torch.from_numpy(epsilon)).numpy()
    return Case(norm, original, made, epsilon, low.astype(np.float64), high.astype(np.float64), unit, free)


CASES = [drawn(np.random.default_rng(seed)) for seed in range(COMBINATIONS)]


def test_none_of_ten_thousand_random_adversarials_is_refused() -> None:
    assert COMBINATIONS * EXAMPLES >= 10_000
    assert [why for case in CASES for why in case.verdicts() if why is not None] == []


def _too_far(case: Case, at: int) -> Array | None:
    """Further than the budget by a thousandth, along its own change, as far as bounds leave room."""
    change = case.made[at].astype(np.float64) - case.original[at]
    length = float(distance(case.original[at : at + 1], case.made[at : at + 1], case.norm, case.unit)[0])
    if length == 0:
        return None
    moved = (case.original[at] + change * (case.epsilon[at] / length) * 1.001).astype(np.float32)
    legal = ((moved >= case.low) & (moved <= case.high)).all()
    step = float(np.spacing(np.abs(moved)).max() / case.unit.min())
    return moved if legal and case.epsilon[at] * 1e-3 > 20 * step * np.sqrt(moved.size) else None


def _outside(case: Case, at: int) -> Array:
    """One number beyond its highest."""
    moved = case.made[at].copy()
    place = (0,) * moved.ndim
    high = np.broadcast_to(case.high.astype(np.float32), (1, *moved.shape))[0]
    moved[place] = np.nextafter(high[place], np.float32(np.inf))
    return moved


def _touched(case: Case, at: int) -> Array | None:
    """One number, by the least there is, that may not be changed."""
    places = [] if case.free is None else np.argwhere(~case.free[at])
    if not len(places):
        return None
    moved, place = case.made[at].copy(), tuple(places[0])
    moved[place] = np.nextafter(moved[place], np.float32(0))
    return moved


def _no_number(case: Case, at: int) -> Array:
    moved = case.made[at].copy()
    moved.flat[-1] = np.nan
    return moved


CORRUPTIONS: dict[str, tuple[Callable[[Case, int], Array | None], tuple[str, ...]]] = {
    "too far": (_too_far, ("further than its budget",)),
    "outside": (_outside, ("above the highest", "may not be changed")),
    "touched": (_touched, ("may not be changed",)),
    "no number": (_no_number, ("not finite",)),
}


@pytest.mark.parametrize("how", CORRUPTIONS)
def test_each_corrupted_adversarial_is_found_for_its_reason_and_no_other_is(how: str) -> None:
    corrupt, reasons = CORRUPTIONS[how]
    spoilt = 0
    for number, case in enumerate(CASES):
        at = number % EXAMPLES
        moved = corrupt(case, at)
        if moved is None:
            continue
        spoilt += 1
        made = case.made.copy()
        made[at] = moved
        verdicts = replace(case, made=made).verdicts()
        assert any(reason in str(verdicts[at]) for reason in reasons), (number, verdicts[at])
        assert [why for other, why in enumerate(verdicts) if other != at and why is not None] == []
    assert spoilt >= 60


def test_a_budget_is_met_exactly_in_floats_and_exceeded_by_two_in_a_hundred_thousand() -> None:
    original, bounds = np.zeros((2, 3)), (np.asarray(-1.0), np.asarray(1.0))
    made = np.asarray([[0.3, -0.3, 0.3], [0.300006, 0.0, 0.0]])
    verdicts = illegal(original, made, np.asarray([0.3, 0.3]), "linf", *bounds)
    assert verdicts[0] is None
    assert "0.300006" in str(verdicts[1])


def test_distances_count_units_and_leave_one_step_of_precision_to_rounding() -> None:
    original, made = np.asarray([[1.0, 2.0]]), np.asarray([[4.0, 6.0]])
    assert distance(original, made, "l2", np.asarray([1.0, 2.0])) == pytest.approx([13**0.5], rel=1e-12)
    assert distance(original, np.nextafter(original, 9), "linf", np.asarray(1e-9)) == [0.0]


def test_a_budget_that_is_no_number_confirms_nothing() -> None:
    x = np.zeros((2, 1))
    verdicts = illegal(x, x, np.asarray([np.nan, 0.0]), "l2", np.asarray(-1.0), np.asarray(1.0))
    assert all("budget" in str(why) for why in verdicts)


def test_a_unit_of_zero_is_refused_as_nothing_could_be_measured_in_it() -> None:
    x = np.zeros((1, 1))
    with pytest.raises(ValueError, match="above zero"):
        illegal(x, x, np.ones(1), "l2", np.asarray(-1.0), np.asarray(1.0), unit=np.zeros(1))


def test_eight_bits_keep_256_values_between_the_bounds() -> None:
    kept = eight_bit(np.asarray([0.0, 0.3, 16.0, 8.04]), np.asarray(0.0), np.asarray(16.0))
    assert kept == pytest.approx([0.0, 5 * 16 / 255, 16.0, 128 * 16 / 255], abs=1e-12)
