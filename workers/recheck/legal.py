"""Is an adversarial example one that its attack was allowed to make? Distance, bounds and what may not be touched.

Written down a second time on purpose, with numpy alone and in float64, so that no error of the attack is shared.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Norm = Literal["linf", "l2"]

TOLERANCE = 1e-5
"""Of the budget. Beside it each number may be off by one step of its own precision, which no attack can do without."""


def illegal(
    original: Array,
    made: Array,
    epsilon: Array,
    norm: Norm,
    low: Array,
    high: Array,
    unit: Array | None = None,
    free: Array | None = None,
) -> list[str | None]:
    """For each of n examples why it is not legal, or None.

    original, made: (n, ...), raw units, of one dtype. epsilon: (n,), in units of `unit`, above zero. low, high, unit,
    free: what broadcasts to `made`; a unit is 1 and everything is free where they are None. Raises ValueError where
    shapes do not fit or a unit is not above zero.
    """
    if original.shape != made.shape or epsilon.shape != made.shape[:1]:
        raise ValueError(f"{made.shape} made of {original.shape} within {epsilon.shape} budgets")
    units = np.asarray(1.0 if unit is None else unit, dtype=np.float64)
    if not (np.isfinite(units) & (units > 0)).all():
        raise ValueError("a unit of epsilon must be above zero and finite")
    finite = _every(np.isfinite(made))
    touched = ~np.ones((), bool) if free is None else ~np.asarray(free, bool)
    touched = _any(np.broadcast_to(touched, made.shape) & (made != original))
    below, above = (_any(outside) for outside in (made < low.astype(made.dtype), made > high.astype(made.dtype)))
    far = distance(original, made, norm, units)
    return [
        _first(finite[at], touched[at], below[at], above[at], float(far[at]), float(epsilon[at]))
        for at in range(len(made))
    ]


def distance(original: Array, made: Array, norm: Norm, unit: Array) -> Array:
    """How far each is at least from its original, float64 (n,), in units of epsilon: rounding counted in its favour."""
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.abs(made.astype(np.float64) - original.astype(np.float64))
        step = np.spacing(np.maximum(np.abs(made), np.abs(original))).astype(np.float64)
        scaled = np.where(change <= step, 0.0, change - step) / unit
        rows = scaled.reshape(len(made), -1)
        return np.asarray(rows.max(1, initial=0.0) if norm == "linf" else np.sqrt((rows * rows).sum(1)))


def eight_bit(made: Array, low: Array, high: Array) -> Array:
    """What is left of 8 bits a number: the nearest of 256 values from `low` to `high`, in the dtype of `made`."""
    levels = np.rint((made.astype(np.float64) - low) / (high - low) * 255)
    return np.asarray(low + levels / 255 * (high - low)).astype(made.dtype)


def _first(finite: bool, touched: bool, below: bool, above: bool, far: float, epsilon: float) -> str | None:
    if not finite:
        return "it holds numbers that are not finite"
    if not (np.isfinite(epsilon) and epsilon > 0):
        return f"its budget is {epsilon:g}, and not above zero"
    if touched:
        return "it differs where it may not be changed"
    if below or above:
        return f"it lies {'below the lowest' if below else 'above the highest'} legal value"
    if not far <= epsilon * (1 + TOLERANCE):
        return f"it is {far:.8g} from the example, further than its budget of {epsilon:.8g}"
    return None


def _any(where: Array) -> Array:
    return np.asarray(where.reshape(len(where), -1).any(1))


def _every(where: Array) -> Array:
    return np.asarray(where.reshape(len(where), -1).all(1))
