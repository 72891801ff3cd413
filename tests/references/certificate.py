"""The checks of an attribution as their papers write them: one example, one unit, one perturbation at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, sqrt

import torch
from torch import Tensor

Score = Callable[[Tensor], float]
"""From one example (1, ...) to the target."""


def ranks(values: Sequence[float]) -> list[float]:
    """From 1 in ascending order; equal values share the mean of the places they take."""
    below = [sum(other < each for other in values) for each in values]
    return [1 + less + (values.count(each) - 1) / 2 for less, each in zip(below, values, strict=True)]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's correlation of the ranks."""
    a, b = ranks(one), ranks(other)
    mean = (len(a) + 1) / 2
    top = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return top / sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))


def gini(values: Sequence[float]) -> float:
    """Σ_i Σ_j |x_i - x_j| / (2 n Σ x): half the relative mean difference."""
    gaps = sum(abs(a - b) for a in values for b in values)
    return gaps / (2 * len(values) * sum(values))


def effective_units(values: Sequence[float]) -> float:
    """exp of Shannon's entropy."""
    shares = [each / sum(values) for each in values if each > 0]
    return exp(-sum(share * log(share) for share in shares))


def infidelity(score: Score, x: Tensor, baseline: Tensor, attribution: Tensor, away: Sequence[Tensor]) -> float:
    """Yeh et al., definition 2.1, with I = (x - x') where `away` says so; attributions hold the factor x - x'."""
    total = 0.0
    for mask in away:
        step = torch.where(mask, x - baseline, 0.0)
        predicted = float((mask * attribution).sum())
        total += (predicted - (score(x) - score(x - step))) ** 2
    return total / len(away)


def deletion(score: Score, x: Tensor, baseline: Tensor, order: Sequence[int], steps: int) -> float:
    """The area under the target's curve while units go to the baseline in this order, by the trapezoid rule."""
    counts = [round(len(order) * step / steps) for step in range(steps + 1)]
    curve = []
    for count in counts:
        point = x.clone().flatten()
        for unit in order[:count]:
            point[unit] = baseline.flatten()[unit]
        curve.append(score(point.reshape(x.shape)))
    shares = [count / len(order) for count in counts]
    return sum(
        (curve[i] + curve[i + 1]) / 2 * (shares[i + 1] - shares[i]) for i in range(steps)
    )  # fmt: skip
