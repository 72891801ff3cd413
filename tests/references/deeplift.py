"""Shrikumar et al., arXiv:1704.02685: multipliers by the chain rule, number by number, for one example.

    m_{Δx Δt} = C_{Δx Δt} / Δx          (equation 2)
    m_{Δx_i Δt} = Σ_j m_{Δx_i Δy_j} m_{Δy_j Δt}          (equation 3)

A network is a list of parts, each a function of a vector and a function from both of its ends to the multipliers
m_{Δx_i Δy_j} as a matrix of Python numbers. The linear rule of section 3.5.1 and the rescale rule are written out; the
target is one number of the last vector. Nothing is shared with the engine: no autograd, no batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Vector = list[float]
Matrix = list[list[float]]


@dataclass(frozen=True)
class Part:
    """forward: from a vector to the next. multipliers: (x, x') -> [i][j], of input i for output j."""

    forward: Callable[[Vector], Vector]
    multipliers: Callable[[Vector, Vector], Matrix]


def contributions(parts: Sequence[Part], x: Vector, origin: Vector, target: int) -> list[Vector]:
    """m_i (h_i - h'_i) for the vector before each part, and for the last one."""
    here, there = [x], [origin]
    for part in parts:
        here.append(part.forward(here[-1]))
        there.append(part.forward(there[-1]))
    arriving = [1.0 if j == target else 0.0 for j in range(len(here[-1]))]
    found = [_shares(arriving, here[-1], there[-1])]
    for part, h, g in zip(reversed(parts), here[-2::-1], there[-2::-1], strict=True):
        table = part.multipliers(h, g)
        arriving = [sum(table[i][j] * arriving[j] for j in range(len(arriving))) for i in range(len(h))]
        found.append(_shares(arriving, h, g))
    return found[::-1]


def _shares(multipliers: Vector, h: Vector, g: Vector) -> Vector:
    return [m * (a - b) for m, a, b in zip(multipliers, h, g, strict=True)]


def linear(weight: Matrix, bias: Vector) -> Part:
    """y_j = Σ_i w_ji x_i + b_j."""

    def forward(x: Vector) -> Vector:
        return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]

    return Part(forward, lambda x, _: [[row[i] for row in weight] for i in range(len(x))])


def elementwise(function: Callable[[float], float]) -> Part:
    """The rescale rule, Δy / Δx; no unit may stay as it is."""

    def multipliers(x: Vector, origin: Vector) -> Matrix:
        slopes = [(function(a) - function(b)) / (a - b) for a, b in zip(x, origin, strict=True)]
        return [[slopes[i] if i == j else 0.0 for j in range(len(x))] for i in range(len(x))]

    return Part(lambda x: [function(v) for v in x], multipliers)


def halves_multiplied() -> Part:
    """y_j = a_j b_j of the two halves of x: Δ(ab) = ½ (b + b') Δa + ½ (a + a') Δb."""

    def forward(x: Vector) -> Vector:
        half = len(x) // 2
        return [x[j] * x[half + j] for j in range(half)]

    def multipliers(x: Vector, origin: Vector) -> Matrix:
        half = len(x) // 2
        table = [[0.0] * half for _ in x]
        for j in range(half):
            table[j][j] = (x[half + j] + origin[half + j]) / 2
            table[half + j][j] = (x[j] + origin[j]) / 2
        return table

    return Part(forward, multipliers)


def softmax() -> Part:
    """Δp_j = μ_j (Δz_j - Σ_i w_i Δz_i): μ the logarithmic mean of p and p', w = μ / Σμ."""

    def forward(z: Vector) -> Vector:
        total = sum(math.exp(v) for v in z)
        return [math.exp(v) / total for v in z]

    def multipliers(z: Vector, origin: Vector) -> Matrix:
        p, q = forward(z), forward(origin)
        means = [(a - b) / (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True)]
        total = sum(means)
        return [
            [means[j] * ((1.0 if i == j else 0.0) - means[i] / total) for j in range(len(z))] for i in range(len(z))
        ]

    return Part(forward, multipliers)


def layer_norm(epsilon: float) -> Part:
    """y = c / s: c = x - mean, v = mean c², s = √(v + ε), each by its own rule, one after the other.

    The product c = y s has Δc = ½(s + s') Δy + ½(y + y') Δs, which is solved for Δy.
    """

    def parts(x: Vector) -> tuple[Vector, float]:
        mean = sum(x) / len(x)
        centred = [v - mean for v in x]
        return centred, (sum(v * v for v in centred) / len(x) + epsilon) ** 0.5

    def multipliers(x: Vector, origin: Vector) -> Matrix:
        n, (c, r), (d, s) = len(x), parts(x), parts(origin)
        slope = (r - s) / (r * r - s * s)
        of_centred = [  # m_{Δc_k Δy_j}: of c itself, and through the variance and s
            [((j == k) - (c[j] / r + d[j] / s) / 2 * slope * (c[k] + d[k]) / n) / ((r + s) / 2) for j in range(n)]
            for k in range(n)
        ]
        return [
            [sum(((1.0 if i == k else 0.0) - 1 / n) * of_centred[k][j] for k in range(n)) for j in range(n)]
            for i in range(n)
        ]

    def forward(x: Vector) -> Vector:
        centred, s = parts(x)
        return [v / s for v in centred]

    return Part(forward, multipliers)


def largest() -> Part:
    """y = max x. With M the larger of y and y': M - y' to the winner at x, y - M to the winner at x'."""

    def multipliers(x: Vector, origin: Vector) -> Matrix:
        high, low = max(x), max(origin)
        most = max(high, low)
        table = [[0.0] for _ in x]
        for at, share in ((x.index(high), most - low), (origin.index(low), high - most)):
            table[at][0] += share / (x[at] - origin[at])
        return table

    return Part(lambda x: [max(x)], multipliers)
