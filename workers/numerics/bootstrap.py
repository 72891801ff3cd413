"""How sure is a mean over examples that pass by once, block after block, and are not kept?

The Poisson bootstrap: in each replicate an example counts Poisson(1) times, which for many examples is the draw with
replacement of Efron's bootstrap (Hanley and MacGibbon 2006, Computer Methods and Programs in Biomedicine 83:57;
Chamandy et al. 2012, Estimating uncertainty for massive data streams). How often depends on the example's index and the
seed alone, so blocks, parts and shards change nothing but rounding, and one pass is enough.
"""

from __future__ import annotations

from functools import cache
from math import exp, factorial, sqrt
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.numerics.determinism import seed_for
from workers.numerics.intervals import Interval, mean_of_sums_t, t_quantile

_MOST_TIMES = 20  # Poisson(1) exceeds it once in 10**20 draws
_NORMAL_FROM = 10_000  # degrees of freedom from which Student's t is the normal to four digits


def poisson_weights(seed: int, start: int, stop: int, replicates: int) -> Tensor:
    """How often the examples start:stop count in each replicate: (stop - start, replicates), float64, whole numbers.

    By inversion of raw PCG64 words, which numpy promises to keep; its own Poisson sampler may change.
    """
    drawn = [_poisson(seed_for(f"bootstrap {seed}", index), replicates) for index in range(start, stop)]
    return torch.from_numpy(np.stack(drawn).astype(np.float64)) if drawn else torch.zeros(0, replicates).double()


def _poisson(seed: int, count: int) -> NDArray[np.int64]:
    words = np.random.PCG64(seed).random_raw(count)
    return np.searchsorted(_cumulative(), (words >> np.uint64(11)) * 2.0**-53, side="right")


@cache
def _cumulative() -> NDArray[np.float64]:
    """P(Poisson(1) <= k) for k = 0, 1, ..."""
    return np.cumsum([exp(-1) / factorial(k) for k in range(_MOST_TIMES)])


class StreamedMeans:
    """The means of `columns` quantities in each of `groups` groups of examples, with their intervals.

    It holds 8 · groups · ((replicates + 2) · columns + replicates) bytes, however many examples are added. Without
    replicates the intervals are Student's t. Adding in other blocks moves a mean by rounding, at most about 1e-15 of
    the magnitudes added.
    """

    def __init__(self, groups: int, columns: int, replicates: int) -> None:
        self._n = torch.zeros(groups, dtype=torch.int64)
        self._sums = torch.zeros(2, groups, columns, dtype=torch.float64)
        self._counts = torch.zeros(groups, replicates, dtype=torch.float64)
        self._weighted = torch.zeros(groups, replicates, columns, dtype=torch.float64)

    @staticmethod
    def bytes(groups: int, columns: int, replicates: int) -> int:
        """What one of these holds."""
        return 8 * groups * ((replicates + 2) * columns + replicates + 1)

    @property
    def n(self) -> Tensor:
        """(groups,): how many examples each group has had."""
        return self._n

    def add(self, values: Tensor, weights: Tensor, group: Tensor | None = None) -> None:
        """values: (examples, columns), float64. weights: (examples, replicates). group: (examples,) of group numbers,
        negative where an example belongs to none; None: all belong to group 0."""
        group = torch.zeros(len(values), dtype=torch.int64) if group is None else group
        for number in torch.unique(group[group >= 0]).tolist():
            rows = group == number
            some, drawn = values[rows], weights[rows]
            self._n[number] += len(some)
            self._sums[:, number] += torch.stack([some.sum(0), some.square().sum(0)])
            self._counts[number] += drawn.sum(0)
            self._weighted[number].addmm_(drawn.T, some)

    def mean(self, group: int = 0) -> Tensor:
        """(columns,), float64. Raises ValueError for a group without examples."""
        return self._sums[0, group] / self._known(group)

    def interval(self, column: int = 0, group: int = 0, level: float = 0.95) -> Interval:
        """The mean of one column of one group between its bounds.

        Percentiles of the replicates, set further apart by as much as Student's t is wider than the normal at n
        (expanded percentile, Hesterberg 2015, The American Statistician 69:371, section 5.3): plain percentiles of few
        examples are too narrow. Student's t itself where these lie beyond the outermost replicate; `method` says
        which. No bounds for n = 1. Of 200 replicates a bound is known within about a tenth of the half-width.
        """
        n = self._known(group)
        total, squares = (float(each) for each in self._sums[:, group, column])
        drawn, counts = self._weighted[group, :, column], self._counts[group]
        tail = _tail(n, level) if n > 1 else 0.0
        if tail * len(counts) < 1:
            return mean_of_sums_t(total, squares, n, level)
        means = (drawn / counts)[counts > 0].numpy()
        low, high = (float(bound) for bound in np.quantile(means, [tail, 1 - tail]))
        mean = total / n
        return Interval(mean, min(low, mean), max(high, mean), n, level, "poisson-bootstrap")

    def _known(self, group: int) -> int:
        n = int(self._n[group])
        if n == 0:
            raise ValueError("a mean needs at least one example")
        return n


@cache
def _tail(n: int, level: float) -> float:
    """The probability beyond each expanded percentile of n examples."""
    return NormalDist().cdf(-sqrt(n / (n - 1)) * t_quantile(level, min(n - 1, _NORMAL_FROM)))
