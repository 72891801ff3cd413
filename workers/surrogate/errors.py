"""How far would a surrogate's coefficients move if other samples were drawn?

The sandwich covariance of a weighted ridge regression: White 1980, Econometrica 48:817, with the leverage correction
CR2 of Bell and McCaffrey 2002, Survey Methodology 28:169. It needs no surrogate that fits: what the surrogate misses
is what moves the coefficients. What was drawn together (a sample and its mirror image) is one cluster. The example is
in every run, so it adds no error. The errors are about the value that the same penalty per sample has in the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import solved

_LEAST_FREE = 0.05
"""Share of a residual that leverage leaves it, at least: where the surrogate passes through its samples, residuals say
nothing, and a division by nothing would say anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What was drawn together: one or two samples in a row. The example, first of all samples, is left out.

    start: (clusters,), the first sample of each, in samples behind the example. second: of those with two, the place of
    the second; first: of the same, that of the first.
    """

    start: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @classmethod
    def of(cls, cluster: NDArray[np.int64]) -> Clusters:
        """From the cluster of every sample, ascending, the example's first."""
        behind = cluster[1:]
        opens = np.ones(len(behind), dtype=np.bool_)
        opens[1:] = behind[1:] != behind[:-1]
        second = np.flatnonzero(~opens)
        return cls(np.flatnonzero(opens), second - 1, second)

    def __len__(self) -> int:
        """How many."""
        return len(self.start)

    def summed(self, rows: Floats) -> Floats:
        """(clusters, ...), of (samples behind the example, ...)."""
        if len(self) == len(rows):
            return rows
        return np.asarray(np.add.reduceat(rows, self.start, axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """What is the same for every label that is fitted to the same features.

    bread: (n, k), each sample's centred features times (zz + alpha)⁻¹ and the root of its weight. own, other: (n,),
    the leverage correction's factors of a residual and of its cluster's other one. root: (n,), of the weights.
    """

    clusters: Clusters
    bread: Floats
    root: Floats
    own: Floats
    other: Floats

    @classmethod
    def of(cls, clusters: Clusters, z: Floats, weights: Floats, zz: Floats, alpha: float, total: float) -> Sandwich:
        """z: (n, k), about its weighted mean, and weights, of the samples behind the example. zz: (k, k), weighted, and
        total: Σw, of all samples."""
        root = np.sqrt(weights)
        scaled = z * root[:, None]
        bread = solved(zz, scaled.T, alpha).T
        own, other = _corrections(clusters, scaled, bread, root / np.sqrt(total))
        return cls(clusters, bread, root, own, other)

    def influence(self, residual: Floats) -> Floats:
        """(clusters, k): how each cluster moved the coefficients; they add up to nothing. residual: (n,)."""
        weighted = self.root * residual
        corrected = self.own * weighted
        first, second = self.clusters.first, self.clusters.second
        corrected[first] += self.other[first] * weighted[second]
        corrected[second] += self.other[second] * weighted[first]
        moved = self.clusters.summed(self.bread * corrected[:, None])
        return np.asarray(moved - moved.mean(axis=0))


def standard_errors(influence: Floats) -> Floats:
    """(k,), of influences (clusters, k), or of any linear combination of their columns."""
    clusters = len(influence)
    return np.asarray(np.sqrt(np.square(influence).sum(axis=0) * clusters / (clusters - 1)))


def _corrections(clusters: Clusters, scaled: Floats, bread: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The rows of (1 - H)^(-1/2), H being the hat matrix of a cluster: on and off its diagonal."""
    free = np.maximum(1 - (scaled * bread).sum(1) - np.square(mean), _LEAST_FREE)
    own, other = 1 / np.sqrt(free), np.zeros_like(free)
    i, j = clusters.first, clusters.second
    a, c = free[i], free[j]
    b = -(scaled[i] * bread[j]).sum(1) - mean[i] * mean[j]
    root = np.sqrt(np.maximum(a * c - b * b, _LEAST_FREE**2))
    scale = root * np.sqrt(a + c + 2 * root)
    own[i], own[j] = (c + root) / scale, (a + root) / scale
    other[i] = other[j] = -b / scale
    return own, other
