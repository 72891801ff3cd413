"""Which features does the surrogate keep?

lime 0.2.0.1's modes with its penalties, its order and its ties, from moments instead of samples: forward selection
grows one pivoted Cholesky factor for each set of samples and label, where lime fits a regression for each candidate.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path_gram

from workers.surrogate.gram import Centred
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ridge import Chosen, on_all
from workers.surrogate.settings import Selection

_FORWARD_UP_TO = 6
"""lime's "auto" selects forward up to so many features."""
_HIGHEST_ALPHA = 0.01
"""lime's penalty where it ranks weights, whatever that of the final fit."""
_COLLINEAR = 1e-10
"""A candidate that keeps less of its variance beside those chosen is a combination of them and gains nothing."""


def select(sums: Centred, example: Floats, selection: Selection, count: int, samples: int) -> Chosen:
    """The features of every set of samples and label. example: (K,), its z. samples: in each set, by which scikit-learn
    scales the lasso's penalty."""
    kept = min(count, sums.features)
    if selection == "none":
        every = np.arange(sums.features, dtype=np.int64)
        return np.broadcast_to(every, (len(sums.zz), sums.labels, sums.features))
    if selection == "lasso_path":
        return _lasso_path(sums, kept, samples)
    if selection == "forward_selection" or (selection == "auto" and count <= _FORWARD_UP_TO):
        return _forward(sums, kept)
    return _highest(on_all(sums, _HIGHEST_ALPHA) * example, kept)


def _highest(weights: Floats, count: int) -> Chosen:
    return np.argsort(-np.abs(weights), axis=2, kind="stable")[..., :count].astype(np.int64)


def _forward(sums: Centred, count: int) -> Chosen:
    """Least squares, one feature more at a time: that which raises R² most, the first of equals."""
    at, label = np.ogrid[: len(sums.zz), : sums.labels]
    covariance = sums.zy.swapaxes(1, 2).copy()
    variance = np.broadcast_to(np.diagonal(sums.zz, axis1=1, axis2=2)[:, None], covariance.shape).copy()
    floor = _COLLINEAR * variance
    factor = np.zeros((*covariance.shape[:2], count, sums.features))
    chosen = np.empty((*covariance.shape[:2], count), dtype=np.int64)
    taken = np.zeros(covariance.shape, dtype=np.bool_)
    for step in range(count):
        free = variance > floor
        gain = np.where(free, np.square(covariance) / np.where(free, variance, 1.0), 0.0)
        best = np.where(taken, -1.0, gain).argmax(axis=2)
        chosen[..., step], taken[at, label, best] = best, True
        pivot, usable = variance[at, label, best], free[at, label, best]
        root = np.sqrt(np.where(usable, pivot, 1.0))
        before = factor[:, :, :step]
        column = sums.zz[at, :, best] - np.einsum("blsk,bls->blk", before, before[at, label, :, best])
        column = np.where(usable[..., None], column / root[..., None], 0.0)
        covariance -= column * (covariance[at, label, best] / root)[..., None]
        variance -= np.square(column)
        factor[:, :, step] = column
    return chosen


def _lasso_path(sums: Centred, count: int, samples: int) -> Chosen:
    """Those that are in the model at the last step of the path that has at most `count`."""
    chosen = np.full((len(sums.zz), sums.labels, count), -1, dtype=np.int64)
    for at in range(len(sums.zz)):
        for label in range(sums.labels):
            found = _on_path(sums.zz[at], sums.zy[at, :, label], float(sums.yy[at, label]), count, samples)
            chosen[at, label, : len(found)] = found
    return chosen


def _on_path(zz: Floats, zy: Floats, yy: float, count: int, samples: int) -> NDArray[np.intp]:
    """Ascending. Of a constant label the first ones, as the other modes have it."""
    if yy <= 0:
        return np.arange(count)
    path = _path(zz, zy, samples)
    if path.shape[1] == 1:
        # Below 1e-7 scikit-learn takes a label for constant, and lime then keeps all features; the scale is no reason.
        path = _path(zz, zy / np.sqrt(yy / samples), samples)
    few = [step for step in path.T[1:] if np.count_nonzero(step) <= count]
    return np.flatnonzero(few[-1]) if few else np.arange(0)


def _path(zz: Floats, zy: Floats, samples: int) -> Floats:
    """(K, steps)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # collinear features leave the path early, as in lime
        found = lars_path_gram(zy.copy(), zz.copy(), n_samples=samples, method="lasso")
    return np.asarray(found[2])
