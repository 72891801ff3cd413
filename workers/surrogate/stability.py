"""Would another run keep the same features and give them the same weights?

Visani, Bagli, Chesani, Poluzzi and Capuzzo 2020, "Statistical stability indices for LIME", arXiv:2001.11757. Their
repeats are runs with other seeds; ours are resamples, which cost no forward pass.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import Chosen


def membership(chosen: Chosen, features: int) -> Floats:
    """(B, L, K): 1 where a feature was chosen."""
    found = np.zeros((*chosen.shape[:2], features + 1))
    np.put_along_axis(found, chosen, 1.0, axis=2)
    return found[:, :, :features]


def features_index(kept: Floats) -> Floats:
    """VSI, (L,): the share of the features kept that two repeats have in common, the mean over pairs of repeats.

    kept: (repeats, L, K), as `membership` gives it. 1 where there is only one repeat.
    """
    repeats = len(kept)
    if repeats < 2:
        return np.ones(kept.shape[1])
    sizes = kept.sum(axis=2)
    common = np.einsum("alk,blk->lab", kept, kept)
    larger = np.maximum(sizes.T[:, :, None], sizes.T[:, None, :])
    shares = common / np.maximum(larger, 1.0)
    off = ~np.eye(repeats, dtype=np.bool_)
    return np.asarray(shares[:, off].mean(axis=1))


def values_index(kept: Floats, coefficients: Floats, errors: Floats, confidence: float) -> Floats:
    """CSI, (L,): the share of pairs of repeats whose intervals of a coefficient meet, over features kept in both; the
    mean over features. coefficients: (repeats, L, K). errors: (L, K), standard. 1 where no feature was kept twice.
    """
    repeats = len(kept)
    off = np.triu_indices(repeats, 1)
    met, pairs = np.zeros(kept.shape[1:]), np.zeros(kept.shape[1:])
    for one, other in zip(*off, strict=True):
        both = kept[one] * kept[other]
        meet = np.abs(coefficients[one] - coefficients[other]) <= 2 * confidence * errors
        met, pairs = met + both * meet, pairs + both
    known = pairs > 0
    shares = np.where(known, met / np.where(known, pairs, 1.0), 0.0)
    counted = known.sum(axis=1)
    return np.where(counted > 0, shares.sum(axis=1) / np.maximum(counted, 1), 1.0)
