"""Would another run keep the same features and give them the same weights?

Visani, Bagli, Chesani, Poluzzi and Capuzzo 2020, "Statistical stability indices for LIME", arXiv:2001.11757. Their
repeats are runs with other seeds; ours are resamples, which cost no forward pass.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.neighbourhood import Floats


def features_index(kept: Floats) -> Floats:
    """VSI, (L,): the share of the features kept that two repeats have in common, the mean over pairs of repeats.

    kept: (repeats, L, K), 1 where a repeat keeps a feature. 1 where there is only one repeat.
    """
    repeats = len(kept)
    if repeats < 2:
        return np.ones(kept.shape[1])
    common = kept.transpose(1, 0, 2) @ kept.transpose(1, 2, 0)
    sizes = kept.sum(axis=2).T
    larger = np.maximum(sizes[:, :, None], sizes[:, None, :])
    shares = np.where(larger > 0, common / np.maximum(larger, 1.0), 1.0)
    return np.asarray(shares[:, ~np.eye(repeats, dtype=np.bool_)].mean(axis=1))


def values_index(kept: Floats, coefficients: Floats, errors: Floats, confidence: float) -> Floats:
    """CSI, (L,): the share of pairs of repeats whose intervals of a coefficient meet, of features that both keep; the
    mean over features. coefficients: (repeats, L, K). errors: (L, K), standard. 1 where no feature was kept twice.
    """
    met, pairs = np.zeros(kept.shape[1:]), np.zeros(kept.shape[1:])
    for one in range(len(kept) - 1):
        both = kept[one] * kept[one + 1 :]
        meet = np.abs(coefficients[one] - coefficients[one + 1 :]) <= 2 * confidence * errors
        met, pairs = met + (both * meet).sum(axis=0), pairs + both.sum(axis=0)
    known = pairs > 0
    shares = np.where(known, met / np.maximum(pairs, 1.0), 0.0).sum(axis=1)
    counted = known.sum(axis=1)
    return np.where(counted > 0, shares / np.maximum(counted, 1), 1.0)
