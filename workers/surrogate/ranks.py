"""Is it clear which features come first?

lime ranks by |coefficient times the example's z|, of the surrogate on all features. How far that order is chance is
read from the covariance of the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.errors import standard_errors
from workers.surrogate.neighbourhood import Floats

_NEGLIGIBLE = 0.01
"""Share of the largest weight below which the order of two features is of no interest: where three features matter and
ten are asked for, no number of samples puts the others in an order."""
_SHRINK = 2.0
"""Squared errors by which a squared coefficient is too large for its true value, at least among those that chance put
in front. Between 1 (all features) and 4 (the first of many zeros); agreement with fresh runs is tested."""
_ROUNDING = 1e-9
"""Of a feature's variance: what is added, so that those of features that are each other's combinations have a root."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two features next to each other in rank: the last that is kept, and the first other.

    error: of the difference, standard. last, last_error: of the last kept itself. largest: of all.
    """

    size: float
    error: float
    last: float
    last_error: float
    largest: float

    def clear(self, confidence: float) -> bool:
        """Whether it exceeds so many standard errors, or lies among features that surely do not matter."""
        surely = self.last + confidence * self.last_error
        return self.size > confidence * self.error or surely <= _NEGLIGIBLE * self.largest


def gap(
    whole: Floats, covariance: Floats, example: Floats, count: int, known: NDArray[np.bool_] | None = None
) -> Gap | None:
    """Between the ranks `count` and `count` + 1. whole, example: (K,). covariance: (K, K), of `whole`. known: (K,),
    whether a feature's error is; where one of both is not, neither is the gap's.

    None where no feature is left out.
    """
    if count >= len(whole):
        return None
    effects = whole * example
    order = np.argsort(-np.abs(effects), kind="stable")
    last, other = pair = order[count - 1 : count + 1]
    signed = example[pair] * np.where(effects[pair] >= 0, 1.0, -1.0)
    combined = np.array([[1.0, -1.0], [1.0, 0.0]]) * signed  # their difference, and the last alone
    errors = standard_errors(combined @ covariance[np.ix_(pair, pair)] @ combined.T)
    if known is not None:
        errors = np.where([known[last] and known[other], known[last]], errors, np.inf)
    sizes = np.abs(effects)
    return Gap(
        float(sizes[last] - sizes[other]), float(errors[0]), float(sizes[last]), float(errors[1]), float(sizes.max())
    )


def overlap(whole: Floats, covariance: Floats, example: Floats, count: int, draws: Floats) -> float:
    """The share of the first `count` features that two runs are expected to have in common.

    Pairs of runs are drawn, normal about coefficients that are shrunk by their errors: those that came first came first
    by chance as well. draws: (2 · pairs, K), standard normal.
    """
    if count >= len(whole):
        return 1.0
    excess = _SHRINK * np.square(standard_errors(covariance))
    squares = np.square(whole)
    shrunk = whole * np.sqrt(np.maximum(0.0, 1 - excess / np.where(squares > 0, squares, 1.0)))
    runs = np.abs((shrunk + draws @ _root(covariance)) * example)
    first = np.zeros_like(runs)
    np.put_along_axis(first, np.argsort(-runs, axis=1, kind="stable")[:, :count], 1.0, axis=1)
    return float((first[::2] * first[1::2]).sum(axis=1).mean() / count)


def _root(covariance: Floats) -> Floats:
    """(K, K), of which the transpose times itself is the covariance; what does not vary stays exactly as it is."""
    errors = standard_errors(covariance)
    scale = np.where(errors > 0, errors, 1.0)
    correlation = covariance / scale / scale[:, None]
    lower = np.linalg.cholesky(correlation + np.diag(np.where(errors > 0, _ROUNDING, 1.0)))
    return np.asarray((lower * errors[:, None]).T)
