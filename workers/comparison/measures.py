"""How much is kept, lost or shifted? Rankings by nDCG, answers in pairs, distributions against chance.

nDCG: Järvelin and Kekäläinen 2002 (ACM TOIS 20:422), with the earlier absolute attribution as the gain and log2(rank +
1) as the discount. Paired shares: Agresti and Min 2005 (Statistics in Medicine 24:729) and McNemar's exact test.
Population stability: its critical value is (1/n + 1/m) times the chi-squared quantile of B - 1 degrees of freedom
(Yurdakul 2018), which the usual limits of 0.1 and 0.25 leave out of account.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from workers.numerics.intervals import Interval

Floats = NDArray[np.float64]
_Z = 1.959963984540054
LEVEL = 0.99
LEAST_SHARE = 1e-6
"""A bin that one sample leaves empty counts as holding this share of it: the index is a logarithm."""


def ndcg(earlier: Floats, later: Floats) -> float | None:
    """How much of the earlier ranking's gain the later ranking collects, (units,) each; 1.0 is all of it.

    Units of equal later attribution share the mean of their discounts. None where nothing was attributed before.
    """
    if not earlier.any():
        return None
    discounts = 1 / np.log2(np.arange(len(earlier)) + 2.0)
    best = float(np.sort(earlier)[::-1] @ discounts)
    _, place, counts = np.unique(-later, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    sums = np.concatenate([[0.0], np.cumsum(discounts)])
    shared = (sums[ends] - sums[ends - counts]) / counts
    return float(earlier @ shared[place]) / best


def by_chance(earlier: Floats) -> float:
    """What a random ranking collects on average: the mean discount times the whole gain."""
    discounts = 1 / np.log2(np.arange(len(earlier)) + 2.0)
    return float(earlier.sum() * discounts.mean()) / float(np.sort(earlier)[::-1] @ discounts)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two answers to the same examples: the difference of their accuracies, who was right where, and how sure it is."""

    difference: Interval
    gained: int
    lost: int
    p: float


def paired(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Paired:
    """Later less earlier accuracy, (n,) right or wrong each."""
    n = len(before)
    gained, lost = int((~before & after).sum()), int((before & ~after).sum())
    value = (gained - lost) / n
    b, c, total = gained + 0.5, lost + 0.5, n + 2.0
    centre = (b - c) / total
    half = _Z * sqrt((b + c) / total - centre**2) / sqrt(total)
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    p = 1.0 if gained + lost == 0 else float(binomtest(gained, gained + lost).pvalue)
    return Paired(Interval(value, min(low, value), max(high, value), n, 0.95, "agresti-min"), gained, lost, p)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far two samples of one score lie apart."""

    index: float
    critical: float
    bins: int
    n: int
    m: int

    @property
    def ratio(self) -> float:
        """The index over what chance exceeds once in a hundred families of tests; above 1 is more than chance."""
        return self.index / self.critical


def shift(before: Floats, after: Floats, bins: int, tests: int) -> Shift | None:
    """Of one of `tests` scores. Bins of equal mass of the earlier sample; None where that has one value only."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    count = len(edges) + 1
    if count < 2 or before.min() == before.max():
        return None
    shares = [
        np.maximum(np.bincount(np.searchsorted(edges, each, side="left"), minlength=count) / len(each), LEAST_SHARE)
        for each in (before, after)
    ]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    level = 1 - (1 - LEVEL) / tests
    critical = (1 / len(before) + 1 / len(after)) * float(chi2.ppf(level, count - 1))
    return Shift(index, critical, count, len(before), len(after))
