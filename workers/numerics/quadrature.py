"""At which points of a path is an integral over [0, 1] evaluated, and with which weights?

Gauss-Legendre nodes are the roots of the Legendre polynomial P_n, found by Newton's iteration from Tricomi's
asymptotic guess (Press et al., Numerical Recipes, 3rd edition, section 4.6). Uniform nodes serve the trapezoid rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_NEWTON_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Quadrature:
    """Nodes in [0, 1], ascending, and weights that sum to one; both of length n, float64."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


@cache
def gauss_legendre(n: int) -> Quadrature:
    """n Gauss-Legendre points on [0, 1]: exact for polynomials of degree up to 2n - 1. Raises ValueError for n < 1."""
    if n < 1:
        raise ValueError(f"gauss_legendre needs at least one point, not {n}")
    roots, slopes = _legendre_roots(n)
    weights = 1.0 / ((1.0 - roots**2) * slopes**2)
    return Quadrature(tuple((0.5 * (1.0 + roots)).tolist()), tuple((weights / weights.sum()).tolist()))


@cache
def uniform(n: int) -> Quadrature:
    """n equally spaced points 0, 1/(n-1), ..., 1 with trapezoid weights. Raises ValueError for n < 2."""
    if n < 2:
        raise ValueError(f"uniform needs at least two points, not {n}")
    nodes = tuple(i / (n - 1) for i in range(n))
    inner = 1.0 / (n - 1)
    return Quadrature(nodes, (inner / 2, *(inner for _ in range(n - 2)), inner / 2))


def _legendre_roots(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The n roots of P_n in ascending order, and P_n' there."""
    k = np.arange(n, 0, -1, dtype=np.float64)
    x = np.cos(np.pi * (k - 0.25) / (n + 0.5))
    for _ in range(_NEWTON_LIMIT):
        value, slope = _legendre(n, x)
        step = value / slope
        x = x - step
        if np.abs(step).max() < 1e-15:
            break
    x = 0.5 * (x - x[::-1])  # the roots are symmetric about zero; rounding is not
    return x, _legendre(n, x)[1]


def _legendre(n: int, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P_n(x) and P_n'(x) by the three-term recurrence."""
    previous, current = np.ones_like(x), x
    for degree in range(2, n + 1):
        previous, current = current, ((2 * degree - 1) * x * current - (degree - 1) * previous) / degree
    return current, n * (x * current - previous) / (x**2 - 1.0)
