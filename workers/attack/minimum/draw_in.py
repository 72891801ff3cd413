"""How much nearer does an adversarial still break its example? Halving between the example and it."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.attack.goal import Goal
from workers.attack.space import Space
from workers.attack.victim import Victim

HALVINGS = 14
"""Of the distance: what is left between the last point that breaks and the first that does not is 6e-5 of it."""


def drawn_in(
    victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, made: Tensor, halvings: int = HALVINGS
) -> Tensor:
    """Points (rows, ...) no further from their examples than `made` (rows, ...), which breaks them, that do so too.

    index: int64 (rows,), the example of each row. A point between is `made` projected onto a smaller ball: along the
    straight line for L2, clipped for L-infinity. Where the way crosses the boundary several times, one crossing is
    found, not always the first. Every point given back was itself seen to break its example, or is `made`.
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
        best = torch.where(broken.reshape(-1, *[1] * (x.ndim - 1)), point, best)
        above, below = torch.where(broken, middle, above), torch.where(broken, below, middle)
    return best
