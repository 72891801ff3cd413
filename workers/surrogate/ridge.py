"""Which weights does ridge regression give the features: all of them, or those chosen?

As scikit-learn's Ridge(alpha, fit_intercept=True) with sample weights: the intercept is not penalised. Every set of
samples and every label at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats

_SINGULAR = 1e-12
"""Directions with a smaller share of the largest eigenvalue hold rounding: without a penalty they get no weight."""

Chosen = NDArray[np.int64]
"""(B, L, k): columns of z by set of samples and label, in the order of choice; -1 where fewer were chosen."""


def on_all(sums: Centred, alpha: float) -> Floats:
    """(B, L, K): coefficients of the surrogate on all features."""
    return solved(sums.zz, sums.zy, alpha).swapaxes(1, 2)


def solved(zz: Floats, right: Floats, alpha: float) -> Floats:
    """(zz + alpha)⁻¹ right, for (..., K, K) and (..., K, m); of shortest length where alpha is 0 and zz singular."""
    if alpha == 0:
        return np.asarray(np.linalg.pinv(zz, rcond=_SINGULAR, hermitian=True) @ right)
    return np.asarray(np.linalg.solve(zz + alpha * np.eye(zz.shape[-1]), right), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Surrogates on the features chosen, of B sets of samples and L labels.

    kept: (B, L, K), 1 where a feature was chosen. coefficients: (B, L, K), 0 where it was not. at_example: (B, L), what
    the surrogate says of the example, less f(x). r2: (B, L), weighted, on the samples it was fitted to; 1 where the
    label is constant, as scikit-learn has it.
    """

    chosen: Chosen
    kept: Floats
    coefficients: Floats
    at_example: Floats
    r2: Floats

    @classmethod
    def joined(cls, parts: Sequence[Fitted]) -> Fitted:
        """Of all sets of the parts, in their order."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))

    def ordered(self, label: int) -> tuple[int, ...]:
        """The features that the first set's surrogate keeps, largest coefficient first, equals in order of choice."""
        chosen = self.chosen[0, label][self.chosen[0, label] >= 0]
        sizes = np.abs(self.coefficients[0, label, chosen])
        return tuple(int(each) for each in chosen[np.argsort(-sizes, kind="stable")])


def on_chosen(sums: Centred, chosen: Chosen, alpha: float) -> Fitted:
    """The ridge regression of every label on its own features."""
    there = chosen >= 0
    at = np.arange(len(chosen))[:, None, None]
    label = np.arange(sums.labels)[None, :, None]
    both = there[..., :, None] & there[..., None, :]
    zz = np.where(both, sums.zz[at[..., None], chosen[..., :, None], chosen[..., None, :]], 0.0)
    zy = np.where(there, sums.zy[at, chosen, label], 0.0)
    empty = np.where(there, 0.0, 1.0)[..., None] * np.eye(chosen.shape[2])  # what was not chosen gets exactly 0
    coefficients = solved(zz + empty, zy[..., None], alpha)[..., 0]
    residual = sums.yy - 2 * (coefficients * zy).sum(2) + np.einsum("blj,bljk,blk->bl", coefficients, zz, coefficients)
    means = np.where(there, sums.z[at, chosen], 0.0)
    return Fitted(
        chosen,
        _spread(chosen, np.ones_like(coefficients), sums.features),
        _spread(chosen, coefficients, sums.features),
        sums.y - (coefficients * means).sum(2),
        explained(residual, sums.yy),
    )


def _spread(chosen: Chosen, values: Floats, features: int) -> Floats:
    """(B, L, K), from (B, L, k) in the order of choice."""
    found = np.zeros((*chosen.shape[:2], features + 1))
    np.put_along_axis(found, chosen, values, axis=2)  # -1 is the column behind the last
    return found[:, :, :features]


def explained(residual: Floats, total: Floats) -> Floats:
    """R²: the share of a sum of squares that is not residual. 1 where nothing is to be explained."""
    known = total > 0
    return np.where(known, 1 - residual / np.where(known, total, 1.0), 1.0)
