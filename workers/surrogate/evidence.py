"""What do the samples come to, once each has its weight: whole, in folds, resampled, under other kernel widths?

Sets of samples are sums of the same groups' moments. Folds and resamples are of whole groups, groups are of whole
clusters (what was drawn together stays together), and the example is in every set, as it is in every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.drawn import Drawn
from workers.surrogate.errors import Clusters
from workers.surrogate.gram import grouped, moments
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.weights import effective, kernel

FOLDS = 10
_GROUPS = 40
"""Four to a fold. A resample of 40 groups has the spread of one of single samples, less a fortieth."""
_LEAST = 8
"""Samples beside the example below which neither an error nor a fold says anything."""
_LEAST_EFFECTIVE = 4.0
"""Below so many samples' weight the fit is that of the example and a few others."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Samples with their weights under one kernel width.

    z: (n, K) and y: (n, L), about the example's own, which is the first row. weights: (n,). example: (K,), its z.
    values: (L,), f(x). clusters: of the others. example_sums: (D, D) and groups: (G, D, D), moments, D = 1 + K + L.
    """

    z: Floats
    y: Floats
    weights: Floats
    width: float
    example: Floats
    values: Floats
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
        weights = kernel(drawn.distances, width)
        if effective(weights) < _LEAST_EFFECTIVE:
            raise NoSurrogate(
                f"under the kernel width {width:.4g} the samples weigh as much as {effective(weights):.1f} would",
                "Ask for a larger kernel width, or for more samples.",
            )
        z, y = drawn.z - drawn.z[0], drawn.values - drawn.values[0]
        clusters = Clusters.of(drawn.cluster)
        count = min(_GROUPS, len(clusters))
        group = (drawn.cluster[1:] - 1) % count
        return cls(
            z, y, weights, width, drawn.z[0], drawn.values[0], clusters,
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

    def all(self) -> Floats:
        """(D, D): the moments of every sample."""
        return np.asarray(self.example_sums + self.groups.sum(axis=0))

    def folds(self) -> Floats:
        """(folds, D, D): the moments of each fold's samples, the example in none."""
        count = min(FOLDS, len(self.groups))
        return np.stack([self.groups[at::count].sum(axis=0) for at in range(count)])

    def resampled(self, repeats: int, seed: int) -> Floats:
        """(repeats, D, D): of as many groups drawn with replacement, and the example."""
        count = len(self.groups)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), repeats)
        return self.example_sums + np.tensordot(drawn.astype(np.float64), self.groups, axes=1)

    def under(self, width: float) -> Floats | None:
        """(D, D): the moments of the same samples under another kernel width; None where too few keep weight."""
        weights = self.weights ** ((self.width / width) ** 2)
        return moments(self.z, self.y, weights) if effective(weights) >= _LEAST_EFFECTIVE else None
