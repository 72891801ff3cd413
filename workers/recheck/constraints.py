"""Is a changed row of a table one that the rules of its columns allow? Types, directions, steps, groups, relations.

Written down a second time on purpose, in numpy and from the names that the asker gave, so that no error of the attack
is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-5
"""Of a budget, of a step, and of the sum of the sizes of a relation's terms. Beside it each number may be off by one
step of its own precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """The weighted sum of columns is at most, or equal to, a bound."""

    weights: Mapping[str, float]
    sense: Literal["at_most", "equal"]
    bound: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Declared:
    """What was declared of a table of F inputs.

    names: of the inputs, in order. low, high, unit: (F,), raw; a unit that is zero has no budget to count: the input
    must stay. steps: by name, whole numbers having 1. codes: by name the legal values of a category. one_hot: groups
    of inputs of which one is 1. most_categories: categories and groups that may change in a row.
    """

    names: Sequence[str]
    low: Array
    high: Array
    unit: Array
    steps: Mapping[str, float] = field(default_factory=dict)
    codes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    one_hot: Sequence[Sequence[str]] = ()
    immutable: Sequence[str] = ()
    only_up: Sequence[str] = ()
    only_down: Sequence[str] = ()
    relations: Sequence[Linear] = ()
    most_categories: int = 0

    @property
    def category(self) -> Array:
        """Bool (F,): inputs that are, or belong to, a category."""
        own = {*self.codes, *(name for group in self.one_hot for name in group)}
        return np.array([name in own for name in self.names], dtype=bool)


def unlawful(declared: Declared, rows: Array) -> list[str | None]:
    """For each row (n, F) which rule it breaks by itself, or None: what any row of the table must keep to."""
    wide = rows.astype(np.float64)
    return [_alone(declared, wide[at], rows.dtype) for at in range(len(rows))]


def forbidden(declared: Declared, original: Array, made: Array, epsilon: Array) -> list[str | None]:
    """For each changed row why it is not allowed, or None. original, made: (n, F), raw. epsilon: (n,), in units.

    Raises ValueError where shapes do not fit.
    """
    if original.shape != made.shape or made.shape[1:] != (len(declared.names),) or epsilon.shape != made.shape[:1]:
        raise ValueError(f"{made.shape} made of {original.shape} within {epsilon.shape} budgets")
    alone = unlawful(declared, made)
    return [
        alone[at] or _changed(declared, original[at], made[at], float(epsilon[at])) for at in range(len(made))
    ]  # fmt: skip


def _alone(declared: Declared, row: Array, dtype: np.dtype[Any]) -> str | None:
    if not np.isfinite(row).all():
        return f"{_first(declared, ~np.isfinite(row))} is not a finite number"
    slack = np.spacing(np.abs(row).astype(dtype)).astype(np.float64)
    below, above = row < declared.low - slack, row > declared.high + slack
    if (below | above).any():
        side = "below its lowest" if below.any() else "above its highest"
        return f"{_first(declared, below if below.any() else above)} is {side} legal value"
    at = {name: place for place, name in enumerate(declared.names)}
    for name, codes in declared.codes.items():
        if row[at[name]] not in np.asarray(codes, dtype=np.float64):
            return f"{name!r} has {row[at[name]]:g}, which is none of its categories"
    for group in declared.one_hot:
        own = row[[at[name] for name in group]]
        if not (np.isin(own, (0.0, 1.0)).all() and own.sum() == 1):
            return f"of the group {group[0]!r} ... {group[-1]!r} not exactly one is 1"
    return next((said for each in declared.relations if (said := _unrelated(each, row, at))), None)


def _unrelated(relation: Linear, row: Array, at: Mapping[str, int]) -> str | None:
    terms = np.array([weight * row[at[name]] for name, weight in relation.weights.items()])
    excess = float(terms.sum()) - relation.bound
    room = TOLERANCE * (float(np.abs(terms).sum()) + abs(relation.bound)) + 1e-12
    if excess > room or (relation.sense == "equal" and excess < -room):
        written = " + ".join(f"{weight:g} {name}" for name, weight in relation.weights.items())
        sense = "at most" if relation.sense == "at_most" else "equal to"
        return f"{written} is {float(terms.sum()):.8g}, and must be {sense} {relation.bound:g}"
    return None


def _changed(declared: Declared, original: Array, made: Array, epsilon: float) -> str | None:
    moved = made != original
    change = made.astype(np.float64) - original.astype(np.float64)
    whole = {name for group in declared.one_hot if set(group) & set(declared.immutable) for name in group}
    fixed = np.isin(np.array(declared.names, dtype=object), [*declared.immutable, *whole])
    category = declared.category
    fixed |= (np.asarray(declared.unit) <= 0) & ~category
    if (moved & fixed).any():
        return f"{_first(declared, moved & fixed)} may not change"
    for only, wrong, way in ((declared.only_up, change < 0, "raised"), (declared.only_down, change > 0, "lowered")):
        against = wrong & np.isin(np.array(declared.names, dtype=object), list(only))
        if against.any():
            return f"{_first(declared, against)} may only be {way}"
    changed = sum(bool(moved[list(declared.names).index(name)]) for name in declared.codes)
    changed += sum(any(moved[list(declared.names).index(name)] for name in group) for group in declared.one_hot)
    if changed > declared.most_categories:
        return f"{changed} categories changed, and {declared.most_categories} may"
    step = np.spacing(np.maximum(np.abs(made), np.abs(original))).astype(np.float64)
    return _off_step(declared, change, step) or _too_far(declared, change, step, category, epsilon)


def _off_step(declared: Declared, change: Array, precision: Array) -> str | None:
    for name, size in declared.steps.items():
        place = list(declared.names).index(name)
        rest = abs(change[place] - round(change[place] / size) * size)
        if rest > TOLERANCE * size + 2 * precision[place]:
            return f"{name!r} changed by {change[place]:.8g}, which is no multiple of {size:g}"
    return None


def _too_far(declared: Declared, change: Array, precision: Array, category: Array, epsilon: float) -> str | None:
    if not (np.isfinite(epsilon) and epsilon >= 0):
        return f"its budget is {epsilon:g}"
    size = np.maximum(np.abs(change) - precision, 0.0)
    far = np.where(category, 0.0, size / np.where(np.asarray(declared.unit) > 0, declared.unit, 1.0))
    if (far > epsilon * (1 + TOLERANCE)).any():
        worst = int(far.argmax())
        return f"{declared.names[worst]!r} moved by {far[worst]:.8g} units, further than the budget of {epsilon:.8g}"
    return None


def _first(declared: Declared, where: Array) -> str:
    return repr(declared.names[int(np.flatnonzero(where)[0])])
