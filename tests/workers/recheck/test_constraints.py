"""Does the independent checker let every legal row of a table through, and find each that breaks a rule?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.recheck.constraints import Declared, Linear, forbidden, unlawful

Array = NDArray[Any]

NAMES = ("age", "income", "debt", "red", "blue", "region")
ROW = np.array([[30.0, 2000.0, 500.0, 1.0, 0.0, 2.0]])


def declared(**changes: Any) -> Declared:
    """Six columns: a whole number, two numbers, a one-hot pair, a category of three."""
    given: dict[str, Any] = {
        "names": NAMES, "low": np.array([18.0, 0, 0, 0, 0, 0]), "high": np.array([100.0, 9000, 9000, 1, 1, 2]),
        "unit": np.array([10.0, 1000, 300, 1, 1, 1]), "steps": {"age": 1.0}, "codes": {"region": (0, 1, 2)},
        "one_hot": (("red", "blue"),), "most_categories": 1,
        "relations": (Linear(weights={"debt": 1.0, "income": -1.0}, sense="at_most", bound=0.0),),
    }  # fmt: skip
    return Declared(**given | changes)


def verdict(rules: Declared, epsilon: float = 1.0, **changes: float) -> str | None:
    """Of `ROW` with some columns changed."""
    made = ROW.copy()
    for name, value in changes.items():
        made[0, NAMES.index(name)] = value
    return forbidden(rules, ROW, made, np.array([epsilon]))[0]


def test_a_row_that_did_not_change_is_allowed():
    assert verdict(declared()) is None


def test_numbers_may_move_by_their_budget_and_no_further():
    assert verdict(declared(), income=3000.0) is None
    assert "budget" in str(verdict(declared(), income=3000.1))
    assert "budget" in str(verdict(declared(), epsilon=0.5, age=36.0))


def test_whole_numbers_move_by_whole_steps():
    assert verdict(declared(), age=33.0) is None
    assert "multiple of 1" in str(verdict(declared(), age=33.5))


def test_bounds_hold_whatever_the_budget():
    assert "above its highest" in str(verdict(declared(), epsilon=100.0, income=9001.0))
    assert "below its lowest" in str(verdict(declared(), epsilon=100.0, debt=-1.0))


def test_immutable_columns_stay_to_the_last_bit():
    assert "may not change" in str(verdict(declared(immutable=("income",)), income=np.nextafter(2000.0, 3000.0)))


def test_a_group_stays_whole_when_one_of_it_is_immutable():
    assert "may not change" in str(verdict(declared(immutable=("red",)), red=0.0, blue=1.0))


def test_directions_are_kept():
    assert verdict(declared(only_up=("income",)), income=2500.0) is None
    assert "raised" in str(verdict(declared(only_up=("income",)), income=1500.0))
    assert "lowered" in str(verdict(declared(only_down=("income",)), income=2500.0))


def test_groups_have_exactly_one_one():
    assert verdict(declared(), red=0.0, blue=1.0) is None
    assert "exactly one" in str(verdict(declared(), blue=1.0))
    assert "exactly one" in str(verdict(declared(), red=0.0))


def test_categories_are_of_those_declared_and_no_more_change_than_may():
    assert verdict(declared(), region=0.0) is None
    assert "none of its categories" in str(verdict(declared(), region=1.5))
    assert "2 categories changed" in str(verdict(declared(), region=0.0, red=0.0, blue=1.0))
    assert verdict(declared(most_categories=2), region=0.0, red=0.0, blue=1.0) is None


def test_relations_hold_at_their_bound_and_not_beyond():
    rules = declared()
    assert verdict(rules, epsilon=100.0, debt=2000.0) is None
    assert "must be at most" in str(verdict(rules, epsilon=100.0, debt=2001.0))
    equal = declared(relations=(Linear(weights={"debt": 1, "income": 1}, sense="equal", bound=2500.0),))
    assert verdict(equal, debt=600.0, income=1900.0) is None
    assert "must be equal to" in str(verdict(equal, debt=600.0))


def test_what_is_no_number_is_refused():
    assert "not a finite number" in str(verdict(declared(), income=float("nan")))
    assert unlawful(declared(), np.array([[30.0, np.inf, 0, 1, 0, 0]]))[0] is not None


def test_a_column_without_a_unit_stays():
    unit = np.array([10.0, 0.0, 300, 1, 1, 1])
    assert "may not change" in str(verdict(declared(unit=unit), income=2000.5))


def test_it_refuses_rows_that_do_not_belong_together():
    with pytest.raises(ValueError, match="made of"):
        forbidden(declared(), ROW, ROW[:, :5], np.array([1.0]))


# --- drawn


def drawn(draws: np.random.Generator, n: int) -> tuple[Declared, Array, Array, Array]:
    """Random rules, and rows changed by hand within them."""
    numbers = int(draws.integers(1, 7))
    dtype = (np.float32, np.float64)[int(draws.integers(2))]
    scale = 10.0 ** draws.integers(-2, 4, numbers)
    low, high = -5 * scale, 5 * scale
    unit = scale * draws.uniform(0.5, 2, numbers)
    epsilon = draws.uniform(0.05, 2.0, n)
    x = draws.uniform(low / 2, high / 2, (n, numbers))
    names = [f"n{at}" for at in range(numbers)]
    steps = {name: float(scale[at] / 4) for at, name in enumerate(names) if draws.random() < 0.3}
    kinds = draws.choice(["free", "up", "down", "fixed"], numbers, p=[0.5, 0.15, 0.15, 0.2])
    share = draws.uniform(-1, 1, (n, numbers))
    share[:, kinds == "up"] = np.abs(share[:, kinds == "up"])
    share[:, kinds == "down"] = -np.abs(share[:, kinds == "down"])
    share[:, kinds == "fixed"] = 0.0
    change = share * epsilon[:, None] * unit
    for name, size in steps.items():
        at = names.index(name)
        x[:, at] = np.round(x[:, at] / size) * size
        change[:, at] = np.trunc(change[:, at] / size) * size
    original = x.astype(dtype)
    made = np.clip((original + change).astype(dtype), low.astype(dtype), high.astype(dtype))
    for name, size in steps.items():
        at = names.index(name)
        there = original[:, at] + change[:, at]
        away = np.clip(there, low[at] + size, high[at] - size) != there
        made[away, at] = original[away, at]
    codes = draws.integers(0, 4, (n, 2))
    rules = Declared(
        names=(*names, "colour", "a", "b", "c"), low=np.concatenate([low, np.zeros(4)]),
        high=np.concatenate([high, [3, 1, 1, 1]]), unit=np.concatenate([unit, np.ones(4)]), steps=steps,
        codes={"colour": (0, 1, 2, 3)}, one_hot=(("a", "b", "c"),),
        immutable=tuple(name for name, kind in zip(names, kinds, strict=True) if kind == "fixed"),
        only_up=tuple(name for name, kind in zip(names, kinds, strict=True) if kind == "up"),
        only_down=tuple(name for name, kind in zip(names, kinds, strict=True) if kind == "down"), most_categories=2,
    )  # fmt: skip
    ones = [np.eye(3)[draws.integers(0, 3, n)] for _ in range(2)]
    whole = [
        np.concatenate([rows, codes[:, [at]].astype(dtype), ones[at].astype(dtype)], axis=1)
        for at, rows in enumerate((original, made))
    ]
    return rules, whole[0], whole[1], epsilon


def _budget(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    plain = [name for name in rules.names if name.startswith("n") and name not in {*rules.immutable, *rules.steps}]
    if not plain:
        return None
    at = rules.names.index(str(draws.choice(plain)))
    sign = -1 if rules.names[at] in rules.only_down else 1
    made[:, at] = x[:, at] + sign * 1.001 * epsilon * rules.unit[at]
    return made


def _fixed(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    if not rules.immutable:
        return None
    at = rules.names.index(rules.immutable[0])
    made[:, at] = x[:, at] + 1e-4 * rules.unit[at]
    return made


def _against(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    if not rules.only_up:
        return None
    at = rules.names.index(rules.only_up[0])
    made[:, at] = x[:, at] - 1e-4 * rules.unit[at]
    return made


def _half_step(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    if not rules.steps:
        return None
    name, size = next(iter(rules.steps.items()))
    made[:, rules.names.index(name)] = x[:, rules.names.index(name)] + 0.5 * size
    return made


def _group(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    made[:, -3:] = draws.choice([0.0, 1.0])
    return made


def _code(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    made[:, rules.names.index("colour")] = float(draws.choice([-1.0, 0.5, 4.0]))
    return made


def _outside(rules: Declared, x: Array, made: Array, epsilon: Array, draws: np.random.Generator) -> Array | None:
    made[:, 0] = rules.high[0] * 1.001
    return made


SPOILS: tuple[Callable[..., Array | None], ...] = (_budget, _fixed, _against, _half_step, _group, _code, _outside)
ROWS, TIMES = 40, 320


@pytest.mark.slow
def test_of_more_than_ten_thousand_drawn_rows_the_legal_pass_and_the_spoilt_are_all_found():
    draws = np.random.Generator(np.random.PCG64(7))
    legal = spoilt = 0
    for turn in range(TIMES):
        rules, x, made, epsilon = drawn(draws, ROWS)
        wronged = [why for why in forbidden(rules, x, made, epsilon) if why]
        assert not wronged, wronged[0]
        legal += len(made)
        spoil = SPOILS[turn % len(SPOILS)]
        wrong = spoil(rules, x, made.copy(), epsilon, draws)
        if wrong is not None:
            assert None not in forbidden(rules, x, wrong, epsilon), spoil.__name__
            spoilt += len(wrong)
    assert legal + spoilt > 20_000
    assert spoilt > 8_000


def test_the_relations_of_drawn_rows_are_judged_by_their_sums():
    draws = np.random.Generator(np.random.PCG64(11))
    for _ in range(60):
        rules, x, made, epsilon = drawn(draws, ROWS)
        weights = {name: float(w) for name, w in zip(rules.names, draws.normal(size=len(rules.names)), strict=True)}
        sums = made.astype(np.float64) @ np.array(list(weights.values()))
        bound = float(np.median(sums))
        verdicts = forbidden(
            replace(rules, relations=(Linear(weights=weights, sense="at_most", bound=bound),)), x, made, epsilon
        )
        size = np.abs(made.astype(np.float64) * np.array(list(weights.values()))).sum(1) + abs(bound)
        for why, total, room in zip(verdicts, sums, size, strict=True):
            if abs(total - bound) > 1e-4 * room:
                assert (why is not None) == (total > bound)
