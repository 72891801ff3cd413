"""How much does a sample count, being so far from the example?

The exponential kernel of lime 0.2.0.1, sqrt(exp(-d² / width²)); Ribeiro et al. 2016, section 3.4, without its root.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.neighbourhood import Floats


def kernel(distances: Floats, width: float) -> Floats:
    """(n,): 1 at the example itself. Raises ValueError unless the width is above zero."""
    if not width > 0:
        raise ValueError(f"a kernel's width lies above zero, not at {width}")
    with np.errstate(over="ignore"):  # of a width that leaves nothing any weight, a square may be infinite
        return np.sqrt(np.exp(-np.square(distances / width)))


def effective(weights: Floats) -> float:
    """How many samples of weight one would weigh as much: (Σw)² / Σw²; Kish 1965. 0 where nothing has weight."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
