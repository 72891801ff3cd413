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
from scipy.special import stdtrit

from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import solved

_LEAST_FREE = 0.05
"""Share of a residual that leverage leaves it, at least: where the surrogate passes through its samples, residuals say
nothing, and a division by nothing would say anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """What was drawn together: one or two samples in a row. The example, first of all samples, is left out.

    start: (clusters,), the first sample of each, in samples behind the example. two: the clusters with two; second: of
    those, the place of the second; first: of the same, that of the first.
    """

    start: NDArray[np.int64]
    two: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @classmethod
    def of(cls, cluster: NDArray[np.int64]) -> Clusters:
        """From the cluster of every sample, ascending, the example's first."""
        behind = cluster[1:]
        opens = np.ones(len(behind), dtype=np.bool_)
        opens[1:] = behind[1:] != behind[:-1]
        second = np.flatnonzero(~opens)
        return cls(np.flatnonzero(opens), np.cumsum(opens)[second] - 1, second - 1, second)

    def __len__(self) -> int:
        """How many."""
        return len(self.start)

    def summed(self, rows: Floats) -> Floats:
        """(clusters, ...), of (samples behind the example, ...)."""
        if len(self) == len(rows):
            return rows
        made = rows[self.start]
        made[self.two] += rows[self.second]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """What is the same for every label that is fitted to the same features.

    scaled: (n, k), each sample's centred features times the root of its weight. bread: (k, k), (zz + alpha)⁻¹. own,
    other: (n,), the leverage correction's factors of a residual and of its cluster's other one. root: (n,), of the
    weights.
    """

    clusters: Clusters
    scaled: Floats
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
        bread = solved(zz, np.eye(len(zz)), alpha)
        own, other = _corrections(clusters, scaled, scaled @ bread, root / np.sqrt(total))
        return cls(clusters, scaled, bread, root, own, other)

    def covariance(self, residual: Floats) -> Floats:
        """(k, k), of the coefficients. residual: (n,)."""
        weighted = self.root * residual
        corrected = self.own * weighted
        first, second = self.clusters.first, self.clusters.second
        corrected[first] += self.other[first] * weighted[second]
        corrected[second] += self.other[second] * weighted[first]
        moved = self.clusters.summed(self.scaled * corrected[:, None])
        moved -= moved.mean(axis=0)
        influence = moved @ self.bread
        return np.asarray((influence.T @ influence) * (len(moved) / (len(moved) - 1)))

    def freedom(self) -> Floats:
        """(k,): degrees of freedom of the coefficients' errors; Student's t with so many bounds an interval.

        As many as there are clusters that move a coefficient alike (Satterthwaite 1946, Biometrics Bulletin 2:110, for
        residuals of one size), less one for each number that is fitted; at least 1.
        """
        each = self.clusters.summed(np.square((self.scaled @ self.bread) * self.root[:, None]))
        squares = np.square(each).sum(axis=0)
        alike = np.square(each.sum(axis=0)) / np.where(squares > 0, squares, 1.0)
        return np.asarray(np.maximum(1.0, alike - each.shape[1] - 1))


def half_width(errors: Floats, freedom: Floats, level: float = 0.95) -> Floats:
    """Of an interval that holds the value that endlessly many samples give, at this level."""
    return np.asarray(errors * stdtrit(freedom, (1 + level) / 2))


def standard_errors(covariance: Floats) -> Floats:
    """(k,), of the coefficients. covariance: (k, k)."""
    return np.sqrt(np.maximum(np.diagonal(covariance), 0.0))


def _corrections(clusters: Clusters, scaled: Floats, hat: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """The rows of (1 - H)^(-1/2), H being the hat matrix of a cluster: on and off its diagonal. hat: scaled times the
    bread."""
    free = np.maximum(1 - np.einsum("nk,nk->n", scaled, hat) - np.square(mean), _LEAST_FREE)
    own, other = 1 / np.sqrt(free), np.zeros_like(free)
    i, j = clusters.first, clusters.second
    a, c = free[i], free[j]
    b = -np.einsum("nk,nk->n", scaled[i], hat[j]) - mean[i] * mean[j]
    root = np.sqrt(np.maximum(a * c - b * b, _LEAST_FREE**2))
    scale = root * np.sqrt(a + c + 2 * root)
    own[i], own[j] = (c + root) / scale, (a + root) / scale
    other[i] = other[j] = -b / scale
    return own, other
