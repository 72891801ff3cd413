"""How much nearer does an adversarial still break its example? Halving between the example and it."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.attack.goal import Goal
from workers.attack.space import Space, per_row
from workers.attack.victim import Victim

HALVINGS = 14
"""Of the distance: what is left between the last point that breaks and the first that does not is 6e-5 of it."""


STANDS_OFF = 1e-4
"""Of the distance: so far behind the boundary a point ends. Next to it, rounding alone would decide what is broken, and
the same point would be broken among some rows and not among others."""


def drawn_in(
    victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, made: Tensor, halvings: int = HALVINGS
) -> Tensor:
    """Points (rows, ...) no further from their examples than `made` (rows, ...), which breaks them, that do so too.

    index: int64 (rows,), the example of each row. Each row is asked `halvings` times and once.
    """
    near = halved(victim, goal, x, space, index, made, halvings)
    return stood_off(victim, goal, x, space, index, near, made)


def halved(
    victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, made: Tensor, halvings: int = HALVINGS
) -> Tensor:
    """As `drawn_in`, up to the boundary itself.

    A point between is `made` projected onto a smaller ball: along the straight line for L2, clipped for L-infinity.
    Where the way crosses the boundary several times, one crossing is found, not always the first. Every point given
    back was itself seen to break its example, or is `made`.
    """
    if len(index) == 0:
        return made
    own, legal = x[index], space.take(index)
    above = legal.distance(own, made)
    below = torch.zeros_like(above)
    best = made
    for _ in range(halvings):
        middle = (below + above) / 2
        point = legal.project(own, made, middle)
        broken = goal.broken(victim.outputs(point, index), index)
        best = torch.where(per_row(broken, own).bool(), point, best)
        above, below = torch.where(broken, middle, above), torch.where(broken, below, middle)
    return best


def stood_off(victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, near: Tensor, made: Tensor) -> Tensor:
    """`near` (rows, ...) a little further out, where that breaks the example too and is no further than `made`."""
    if len(index) == 0:
        return near
    own, legal = x[index], space.take(index)
    point = torch.maximum(torch.minimum(own + (near - own) * (1 + STANDS_OFF), legal.high), legal.low)
    within = legal.distance(own, point) <= legal.distance(own, made)
    stands = within & goal.broken(victim.outputs(point, index), index)
    return torch.where(per_row(stands, own).bool(), point, near)
