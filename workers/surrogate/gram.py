"""What must be known of weighted samples to fit every surrogate of them, for every label?

The moments of [1, z - z(x), y - y(x)], one symmetric matrix in float64. They add up, so that samples can be appended,
left out in folds and resampled in groups without a pass over the samples. Taken about the example x itself: a label
that is large and changes little loses no digits to the squares of its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.neighbourhood import Floats


def moments(z: Floats, y: Floats, weights: Floats) -> Floats:
    """(1 + K + L, 1 + K + L) of z (n, K), y (n, L), both about the example, and weights (n,)."""
    rows = np.concatenate([np.ones((len(z), 1)), z, y], axis=1)
    return np.asarray((rows * weights[:, None]).T @ rows)


def grouped(z: Floats, y: Floats, weights: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """(groups, 1 + K + L, 1 + K + L): the moments of each group's samples; group: (n,), below `groups`."""
    rows = np.concatenate([np.ones((len(z), 1)), z, y], axis=1)
    order = np.argsort(group, kind="stable")
    rows, weighted = rows[order], (rows * weights[:, None])[order]
    ends = np.searchsorted(group[order], np.arange(groups + 1))
    found = np.zeros((groups, rows.shape[1], rows.shape[1]))
    for at in range(groups):
        part = slice(ends[at], ends[at + 1])
        found[at] = weighted[part].T @ rows[part]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Centred:
    """Weighted means about the example, and sums of squares about those means, of B sets of samples.

    z: (B, K). y: (B, L). zz: (B, K, K). zy: (B, K, L). yy: (B, L).
    """

    z: Floats
    y: Floats
    zz: Floats
    zy: Floats
    yy: Floats

    @classmethod
    def of(cls, sums: Floats, features: int) -> Centred:
        """From moments (B, 1 + K + L, 1 + K + L), where K is `features`."""
        means = sums[:, 0, 1:] / sums[:, 0, :1]
        about = sums[:, 1:, 1:] - sums[:, 0, 1:, None] * means[:, None, :]
        zz, zy, yy = about[:, :features, :features], about[:, :features, features:], about[:, features:, features:]
        spread = np.maximum(np.diagonal(yy, axis1=1, axis2=2), 0.0)
        return cls(means[:, :features], means[:, features:], zz, zy, spread)

    @property
    def features(self) -> int:
        """K."""
        return int(self.zz.shape[1])

    @property
    def labels(self) -> int:
        """L."""
        return int(self.zy.shape[2])
