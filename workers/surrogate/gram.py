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
    rows = _weighted(z, y, weights)
    return np.asarray(rows.T @ rows)


def grouped(z: Floats, y: Floats, weights: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """(groups, 1 + K + L, 1 + K + L): the moments of each group's samples; group: (n,), below `groups`."""
    order = np.argsort(group, kind="stable")
    rows = _weighted(z, y, weights)[order]
    ends = np.searchsorted(group[order], np.arange(groups + 1))
    found = np.zeros((groups, rows.shape[1], rows.shape[1]))
    for at in range(groups):
        part = rows[ends[at] : ends[at + 1]]
        np.matmul(part.T, part, out=found[at])
    return found


def _weighted(z: Floats, y: Floats, weights: Floats) -> Floats:
    """(n, 1 + K + L), each row times the root of its weight: of a matrix and itself BLAS makes half the products."""
    rows, root = np.empty((len(z), 1 + z.shape[1] + y.shape[1])), np.sqrt(weights)
    rows[:, 0] = root
    np.multiply(z, root[:, None], out=rows[:, 1 : 1 + z.shape[1]])
    np.multiply(y, root[:, None], out=rows[:, 1 + z.shape[1] :])
    return rows


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
