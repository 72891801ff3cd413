"""What do several attacks say together? Per example the worst of them, and how near the nearest adversarial is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import comb

import torch
from torch import Tensor

from workers.attack.found import Found, Stage
from workers.attack.goal import Goal
from workers.attack.minimum.draw_in import drawn_in
from workers.attack.minimum.search import Minimum
from workers.attack.space import SLACK, Space, per_row
from workers.attack.victim import Asked, Victim

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


def with_minimum(found: Found, nearest: Minimum, victim: Victim, goal: Goal, x: Tensor, space: Space) -> Found:
    """`found`, with what the nearest adversarials break at smaller budgets.

    Those lie at the boundary, where rounding undoes them; each is moved on to the end of its budget where that breaks
    the example too.
    """
    epsilons = torch.tensor(found.epsilons, dtype=torch.float64)
    at = torch.bucketize(nearest.distance.cpu(), epsilons * (1 + SLACK))
    lower = (nearest.found.cpu() & found.clean & (at < found.at)).nonzero().flatten()
    if len(lower) == 0:
        stage = Stage(name="minimum", asked=nearest.asked, broke=())
        return together(found, "minimum", stage, found.made, found.distance, torch.zeros_like(found.clean))
    rows, around = lower.to(x.device), space.take(lower)
    ends = (epsilons[at[lower]] / nearest.distance.cpu()[lower]).to(x)
    further = x[rows] + per_row(ends, x) * (nearest.made[rows] - x[rows])
    further = around.project(x[rows], further, epsilons[at[lower]].to(x.device))
    breaks = goal.broken(victim.outputs(further, rows), rows)
    made = nearest.made.clone()
    made[rows] = torch.where(per_row(breaks, x).bool(), further, nearest.made[rows])
    distance = torch.full_like(found.distance, torch.inf)
    distance[lower] = around.distance(x[rows].double(), made[rows].double()).cpu()
    stage = Stage(name="minimum", asked=nearest.asked, broke=())
    return together(found, "minimum", stage, made, distance, torch.isfinite(distance))


def to_boundary(victim: Victim, goal: Goal, x: Tensor, space: Space, found: Found) -> tuple[Tensor, Asked]:
    """How near each adversarial can be drawn in, float64 (N,), -1 where there is none; and what that cost."""
    asked, nearest = victim.whose(), torch.full_like(found.distance, -1.0)
    index = (found.clean & (found.at < len(found.epsilons))).nonzero().flatten()
    if len(index):
        rows = index.to(x.device)
        near = drawn_in(victim, goal, x, space, rows, found.made[rows])
        nearest[index] = space.take(index).distance(x[rows].double(), near.double()).cpu()
    return nearest, asked


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


def median(distances: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The median with the 95 % interval of order statistics, by the binomial; infinite for what is beyond.

    Fewer than six distances tell no such interval.
    Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2.
    """
    ordered = sorted(distances)
    n = len(ordered)
    mass, below = 0.0, -1  # how many of n lie below the median is binomial (n, 1/2)
    while below + 1 < n and mass + comb(n, below + 1) / 2**n <= _TAIL:
        below += 1
        mass += comb(n, below) / 2**n
    low, high = (ordered[below], ordered[n - 1 - below]) if below >= 0 else (None, None)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n % 2 == 0 else ordered[n // 2], low, high
