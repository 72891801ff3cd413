"""Is the order of the features clear at the last one kept?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.surrogate.errors import standard_errors
from workers.surrogate.neighbourhood import Floats


@dataclass(frozen=True, slots=True)
class Gap:
    """Between two features next to each other in rank, and the standard error of that difference."""

    size: float
    error: float

    def clear(self, confidence: float) -> bool:
        """Whether it exceeds so many standard errors."""
        return self.size > confidence * self.error


def gap(whole: Floats, influence: Floats, example: Floats, count: int) -> Gap | None:
    """Between the features of rank `count` and `count` + 1 by |coefficient times the example's z|, lime's rank.

    whole: (K,). influence: (clusters, K). example: (K,). None where no feature is left out.
    """
    if count >= len(whole):
        return None
    effects = whole * example
    last, other = np.argsort(-np.abs(effects), kind="stable")[count - 1 : count + 1]
    signed = np.where(effects >= 0, 1.0, -1.0) * example
    moved = influence[:, last] * signed[last] - influence[:, other] * signed[other]
    return Gap(float(abs(effects[last]) - abs(effects[other])), float(standard_errors(moved[:, None])[0]))
