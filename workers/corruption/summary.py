"""What do the values of all examples say together, and how sure is that?

Shares of examples have Wilson's interval, and their paired differences that of Agresti and Min 2005, Statistics in
Medicine 24:729: half an example is added to each cell of the 2x2 table. Means of shares (over severities, over places)
are held likewise: two examples of 1 and two of 0 are added (Agresti and Coull 1998, The American Statistician 52:119),
to their differences half an example each of +1 and -1, and one of 0. So no interval shrinks to a point where few
examples agree, as that of a bootstrap or of Student's t would. Numbers without bounds have the bootstrap over examples.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from workers.numerics.intervals import Interval, bootstrap, mean_t, wilson

Floats = NDArray[np.float64]

LEVEL = 0.95
_Z = 1.959963984540054
_MOST_RESAMPLED = 2000
"""Of more examples the mean is normal, and Student's t gives the same bounds in no time."""


def share(values: Floats) -> Interval:
    """The mean of `values` (n,), each in [0, 1]; Wilson's interval where each is 0 or 1."""
    if bool(((values == 0) | (values == 1)).all()):
        return wilson(int(values.sum()), len(values), LEVEL)
    return _held(values, (1.0, 0.0), (2.0, 2.0), (0.0, 1.0), "agresti-coull")


def lost(clean: Floats, corrupted: Floats) -> Interval:
    """The mean of clean - corrupted, (n,) each and each in [0, 1], paired by example."""
    return _held(clean - corrupted, (1.0, -1.0, 0.0), (0.5, 0.5, 1.0), (-1.0, 1.0), "agresti-min")


def mean(values: Floats, seed: int) -> Interval:
    """The mean of `values` (n,) that have no bounds; no interval for n = 1."""
    if len(values) > _MOST_RESAMPLED:
        return mean_t(values, LEVEL)
    found = bootstrap(values, seed, level=LEVEL)
    if found.low is None or found.high is None:
        return found
    return _around(found.value, found.low, found.high, found.n, found.method)


def _held(
    values: Floats, added: tuple[float, ...], weights: tuple[float, ...], bounds: tuple[float, float], method: str
) -> Interval:
    """The normal interval of the sample with `added` values of these weights, cut to what a mean can be."""
    n = len(values) + sum(weights)
    centre = (values.sum() + sum(w * v for w, v in zip(weights, added, strict=True))) / n
    square = ((values**2).sum() + sum(w * v * v for w, v in zip(weights, added, strict=True))) / n
    half = _Z * sqrt(max(0.0, square - centre**2) / n)
    low, high = max(bounds[0], float(centre - half)), min(bounds[1], float(centre + half))
    return _around(float(values.mean()), low, high, len(values), method)


def _around(value: float, low: float, high: float, n: int, method: str) -> Interval:
    """The interval, stretched to hold its value in spite of rounding."""
    return Interval(value, min(low, value), max(high, value), n, LEVEL, method)
