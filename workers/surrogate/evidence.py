"""What do the samples come to, once each has its weight?

Sets of samples (all, folds, resamples) are sums of the same groups' moments. A group is of whole clusters, so what was
drawn together stays together, and the example is in every set, as it is in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.drawn import Drawn
from workers.surrogate.errors import Clusters
from workers.surrogate.gram import grouped, moments
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.weights import effective, kernel

_FOLDS = 10
_GROUPS = 40
"""Four to a fold. A resample of 40 groups has the spread of one of single samples, less a fortieth."""
_FEWER_GROUPS = 20
_MOST_NUMBERS = 8 << 20
"""Numbers that the groups' moments hold together; where features are many there are fewer groups, two to a fold."""
_AT_ONCE = 2 << 20
"""Numbers that the matrices of the sets in hand hold together: 16 MiB."""
_LEAST = 8
"""Samples beside the example below which neither an error nor a fold says anything."""
_LEAST_EFFECTIVE = 4.0
"""Below so many samples' weight the fit is that of the example and a few others."""
_NO_SPREAD = 1e-12
"""Share of its squares about the example below which a feature's variance is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Samples with their weights under one kernel width.

    z: (n, K) and y: (n, L), about the example's own, which is the first row. weights: (n,). example: (K,), its z.
    values: (L,), f(x). other: (n,), whether a sample is other than the example. known: (K,), whether a feature varies
    beside the example in samples enough for a coefficient to have an error. clusters: of the others. example_sums:
    (D, D) and groups: (G, D, D), moments, D = 1 + K + L.
    """

    z: Floats
    y: Floats
    weights: Floats
    width: float
    example: Floats
    values: Floats
    other: NDArray[np.bool_]
    known: NDArray[np.bool_]
    clusters: Clusters
    example_sums: Floats
    groups: Floats

    @classmethod
    def of(cls, drawn: Drawn, width: float) -> Evidence:
        """Raises NoSurrogate where too little is left to fit."""
        if len(drawn.z) <= _LEAST or drawn.distinct < 2:
            raise NoSurrogate(
                f"{len(drawn.z)} samples, {drawn.distinct} of them different, are too few for a surrogate",
                "Ask for more samples, or for more features to vary.",
            )
        z, y, weights = drawn.z - drawn.z[0], drawn.values - drawn.values[0], kernel(drawn.distances, width)
        other = np.asarray((z != 0).any(axis=1))
        told = _told(weights, other)
        if told < _LEAST_EFFECTIVE:
            raise NoSurrogate(
                f"under the kernel width {width:.4g} the samples weigh as much as {told:.1f} would",
                "Ask for a larger kernel width, or for more samples.",
            )
        clusters = Clusters.of(drawn.cluster)
        count = min(_groups(1 + z.shape[1] + y.shape[1]), len(clusters))
        group = (drawn.cluster[1:] - 1) % count
        return cls(
            z, y, weights, width, drawn.z[0], drawn.values[0], other, _known(z[1:], weights[1:]), clusters,
            moments(z[:1], y[:1], weights[:1]), grouped(z[1:], y[1:], weights[1:], group, count),
        )  # fmt: skip

    @property
    def features(self) -> int:
        """K."""
        return int(self.z.shape[1])

    @property
    def labels(self) -> int:
        """L."""
        return int(self.y.shape[1])

    @property
    def total(self) -> float:
        """Σw."""
        return float(self.weights.sum())

    def all(self) -> Floats:
        """(1, D, D): the moments of every sample."""
        return np.asarray((self.example_sums + self.groups.sum(axis=0))[None])

    def folds(self) -> Floats:
        """(folds, G): each group in one fold."""
        count = min(_FOLDS, len(self.groups))
        of = np.arange(len(self.groups)) % count
        return np.asarray(of == np.arange(count)[:, None], dtype=np.float64)

    def resampled(self, repeats: int, seed: int) -> Floats:
        """(repeats, G): how often each group is in a resample of as many."""
        count = len(self.groups)
        draws = np.random.default_rng(seed)
        return draws.multinomial(count, np.full(count, 1 / count), repeats).astype(np.float64)

    def moments(self, members: Floats) -> Floats:
        """(B, D, D): of sets that have each group so many times, members (B, G); the example not among them."""
        return np.asarray(np.tensordot(members, self.groups, axes=1))

    def parts(self, sets: int, kept: int) -> Iterator[slice]:
        """Of so many sets, each to be fitted with `kept` features, as many at a time as memory is meant to hold."""
        each = (1 + self.features + self.labels) ** 2 + self.labels * kept * (kept + self.features)
        step = max(1, _AT_ONCE // each)
        return (slice(start, start + step) for start in range(0, sets, step))

    def under(self, width: float) -> Floats | None:
        """(1, D, D): the moments of all samples under another kernel width; None where too few keep weight."""
        weights = self.weights ** ((self.width / width) ** 2)
        return moments(self.z, self.y, weights)[None] if _told(weights, self.other) >= _LEAST_EFFECTIVE else None


def _known(z: Floats, weights: Floats) -> NDArray[np.bool_]:
    """(K,), of samples beside the example.

    A category or bin that the background does not have is the row's own alone: its coefficient is what the surrogate
    misses of the example, and no other run would say otherwise.
    """
    total = weights.sum()
    mean = weights @ z / total
    about = z - mean
    sums = weights @ np.square(about, out=about)
    squares = np.square(weights) @ np.square(about, out=about)
    some = sums > _NO_SPREAD * (sums + total * np.square(mean))
    return np.asarray(some & (np.square(sums) >= _LEAST * squares))


def _told(weights: Floats, other: NDArray[np.bool_]) -> float:
    """How many samples weigh as much; copies of the example, of which few features make many, tell nothing. other:
    (n,), which are no copies."""
    return min(effective(weights), effective(weights[other]))


def _groups(side: int) -> int:
    return max(_FEWER_GROUPS, min(_GROUPS, _MOST_NUMBERS // side**2))
