"""Between which bounds does the quantity behind a sample lie, and at which level?

Proportions: Wilson 1927, JASA 22:209 (score interval). Means: Student's t. Anything else: the percentile bootstrap,
Efron and Tibshirani 1993, chapter 13, with a seed that comes from the content and never from a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import atan, cos, pi, sin, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds. `low` and `high` are None where n is too small for any bound."""

    value: float
    low: float | None
    high: float | None
    n: int
    level: float
    method: str


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The proportion successes / n with Wilson's interval. Raises ValueError unless 0 <= successes <= n and n >= 1."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    z = NormalDist().inv_cdf(0.5 + _checked(level) / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(p, low, high, n, level, "wilson")


def mean_t(values: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> Interval:
    """The mean of `values` (n,) with Student's t interval over the n - 1 degrees of freedom; no bounds for n = 1."""
    sample = _sample(values)
    n, mean = len(sample), float(sample.mean())
    if n == 1:
        return Interval(mean, None, None, 1, _checked(level), "student-t")
    half = t_quantile(_checked(level), n - 1) * float(sample.std(ddof=1)) / sqrt(n)
    return Interval(mean, mean - half, mean + half, n, level, "student-t")


def mean_of_sums_t(total: float, square_total: float, n: int, level: float = 0.95) -> Interval:
    """As `mean_t`, from the sum of n values and the sum of their squares."""
    mean = total / n
    if n == 1:
        return Interval(mean, None, None, 1, _checked(level), "student-t")
    variance = max(0.0, square_total - n * mean * mean) / (n - 1)
    half = t_quantile(level, n - 1) * sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, n, level, "student-t")


def bootstrap(
    values: Sequence[float] | NDArray[np.float64],
    seed: int,
    statistic: Statistic | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """A statistic of `values` (n,) with its percentile bootstrap interval.

    `statistic` maps (..., n) to (...) along the last axis; the mean when None. `seed` comes from the content
    (`determinism.seed_for`), so the same sample always gives the same bounds. No bounds for n = 1.
    """
    sample = _sample(values)
    measure = statistic if statistic is not None else _mean
    estimate = float(measure(sample))
    if len(sample) == 1:
        return Interval(estimate, None, None, 1, _checked(level), "bootstrap")
    draws = np.random.Generator(np.random.PCG64(seed))
    drawn = np.concatenate([measure(sample[rows]) for rows in _resampled(draws, len(sample), resamples)])
    tail = (1 - _checked(level)) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), len(sample), level, "bootstrap")


@cache
def t_quantile(level: float, dof: int) -> float:
    """The t for which Student's distribution with `dof` degrees of freedom puts the mass `level` in (-t, t).

    Bisection on the closed form for whole degrees of freedom: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1.0
    while _t_central_mass(high, dof) < _checked(level):
        low, high = high, 2 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        if _t_central_mass(middle, dof) < level:
            low = middle
        else:
            high = middle
    return high


def _t_central_mass(t: float, dof: int) -> float:
    """P(-t < T < t)."""
    angle = atan(t / sqrt(dof))
    square = cos(angle) ** 2
    odd = dof % 2 == 1
    term, total = (cos(angle), 0.0) if odd else (1.0, 0.0)
    for k in range(1, dof, 2) if odd else range(0, dof, 2):
        total += term
        term *= square * (k + 1) / (k + 2)
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


def _resampled(draws: np.random.Generator, n: int, resamples: int) -> list[NDArray[np.int64]]:
    """Index blocks (k, n) that together hold `resamples` draws; a block stays below about 8 MiB."""
    block = max(1, 1_000_000 // n)
    return [draws.integers(0, n, (min(block, resamples - at), n)) for at in range(0, resamples, block)]


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=-1))


def _sample(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError(f"an interval needs a flat sample of at least one value, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError("an interval over values that are not finite would hide them")
    return sample


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    return level
