"""What do several attacks say together? Per example the worst of them, and how near the nearest adversarial is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import comb

import torch
from torch import Tensor

from workers.attack.found import Found, Stage
from workers.attack.minimum.search import Minimum
from workers.attack.space import SLACK, Space

_TAIL = 0.025


def together(found: Found, name: str, stage: Stage, made: Tensor, distance: Tensor, broken: Tensor) -> Found:
    """`found`, with what another attack broke at smaller budgets, or nearer within the same.

    made: (N, ...), distance: float64 (N,), broken: bool (N,), whether it broke the example at that distance.
    """
    epsilons = torch.tensor(found.epsilons, dtype=torch.float64) * (1 + SLACK)
    at = torch.bucketize(distance.cpu().double(), epsilons)  # the first budget that is no smaller
    usable = broken.cpu() & found.clean & (at < len(found.epsilons))
    lower = usable & (at < found.at)
    nearer = usable & (at == found.at) & (distance.cpu().double() < found.distance)
    places = torch.arange(len(found.epsilons))
    broke = (lower[:, None] & (at[:, None] <= places) & (found.at[:, None] > places)).sum(0)
    taken = lower | nearer
    where = taken.to(found.made.device).reshape(-1, *[1] * (found.made.ndim - 1))
    return replace(
        found,
        at=torch.where(lower, at, found.at),
        made=torch.where(where, made, found.made),
        distance=torch.where(taken, distance.cpu().double(), found.distance),
        by=torch.where(taken, len(found.stages), found.by),
        stages=(*found.stages, replace(stage, name=name, broke=tuple(broke.tolist()))),
    )


def with_minimum(found: Found, nearest: Minimum) -> Found:
    """`found`, with the nearest adversarials."""
    stage = Stage(name="minimum", asked=nearest.asked, broke=())
    reached = nearest.found & nearest.clean
    distance = torch.where(reached.cpu(), nearest.distance.cpu(), torch.inf)
    return together(found, "minimum", stage, nearest.made, distance, reached)


def with_each(found: Found, name: str, others: Sequence[Found], x: Tensor, space: Space) -> Found:
    """`found`, with what one attack broke at each budget on its own."""
    for other in others:
        (stage,) = other.stages
        distance = space.distance(x.double(), other.made.double()).cpu()
        found = together(found, name, stage, other.made, distance, other.clean & (other.at == 0))
    return found


def robust_alone(others: Sequence[Found]) -> Tensor:
    """What one attack leaves unbroken at each budget on its own: counts, int64 (E,).

    Balls lie in each other, so that what it breaks at one budget is broken at larger ones.
    """
    held = torch.cat([other.robust() for other in others], dim=1)
    return held.to(torch.int64).cummin(1).values.sum(0)


def median(distances: Sequence[float]) -> tuple[float, float, float]:
    """The median with the 95 % interval of order statistics, by the binomial; infinite for what is beyond.

    Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2.
    """
    ordered = sorted(distances)
    n = len(ordered)
    mass, below = 0.0, -1  # how many of n lie below the median is binomial (n, 1/2)
    while below + 1 < n and mass + comb(n, below + 1) / 2**n <= _TAIL:
        below += 1
        mass += comb(n, below) / 2**n
    low, high = (ordered[below], ordered[n - 1 - below]) if below >= 0 else (ordered[0], ordered[-1])
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n % 2 == 0 else ordered[n // 2], low, high
