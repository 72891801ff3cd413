"""How many random changes of the same size break each example? The control beside every attack.

Half of the changes are drawn from the inside of the budget, half from its corners, where for L-infinity every number is
changed by the whole budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.goal import Goal
from workers.attack.space import Space, per_row
from workers.attack.victim import Asked, Victim


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Noise:
    """N examples. broke: int64 (N,), how many of the `draws` changes of each broke it. found: bool (N,), whether any
    did. made: (N, ...), the first that did, else the example. asked: what it cost."""

    draws: int
    broke: Tensor
    found: Tensor
    made: Tensor
    asked: Asked


def _silent(_fraction: float) -> None:
    """Nobody asked."""


def noise(
    victim: Victim,
    goal: Goal,
    x: Tensor,
    space: Space,
    epsilon: Tensor,
    draws: int,
    seeds: Sequence[int],
    told: Callable[[float], None] = _silent,
) -> Noise:
    """Random changes of every example. x: (N, ...) within bounds. epsilon: (N,). draws: of each, at least 1.

    An example that its goal is reached for already counts as any other: leave it out before. Raises ValueError where
    seeds or draws do not fit.
    """
    if draws < 1 or len(seeds) != len(x):
        raise ValueError(f"at least one draw and a seed per example are needed: {draws} draws, {len(seeds)} seeds")
    asked, streams = victim.whose(), Draws(seeds)
    broke, made = torch.zeros(len(x), dtype=torch.int64, device=x.device), x.clone()
    at_once = max(1, victim.rows)
    for number in range(draws):
        for start in range(0, len(x), at_once):
            index = torch.arange(start, min(start + at_once, len(x)), device=x.device)
            point = drawn(streams, index, x, space, epsilon[index], corner=number % 2 == 1)
            broken = goal.broken(victim.outputs(point, index), index)
            first = broken & (broke[index] == 0)
            made[index[first]] = point[first]
            broke[index] += broken
        told((number + 1) / draws)
    return Noise(draws=draws, broke=broke, found=broke > 0, made=made, asked=asked)


def drawn(streams: Draws, index: Tensor, x: Tensor, space: Space, epsilon: Tensor, *, corner: bool) -> Tensor:
    """A legal random point for each row, (rows, ...). index: int64 (rows,). epsilon: (rows,).

    corner: as far out as the budget lets it, before the bounds: for L-infinity every number up or down by all of it,
    for L2 on the sphere. Otherwise uniform in the cube, or uniform in the ball.
    """
    own, legal = x[index], space.take(index)
    shape = tuple(x.shape[1:])
    if space.norm == "linf" and corner:
        sign = (2 * (streams.uniform(index, shape) < 0.5).float() - 1).to(own)
        return legal.project(own, own + sign * per_row(epsilon, own) * legal.unit, epsilon)
    point = streams.inside(index, own, legal, epsilon)
    if corner or space.norm == "linf":
        return point
    numbers = max(1, own[0].numel())
    share = streams.uniform(index, ()).to(own) ** (1 / numbers)
    return legal.project(own, point, epsilon * share)
