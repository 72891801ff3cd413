"""How is the boundary walked along towards its nearest point?

Each walker has a radius of its own. Where its point breaks the example the radius shrinks, where it does not it grows,
and the point is moved up the loss and put back on the radius. Two rules for that. On the sphere: decoupled direction
and norm (DDN), Rony, Hafemann, Oliveira, Ben Ayed, Sabourin and Granger, arXiv:1811.09600, algorithm 1. Into the ball:
fast minimum norm (FMN), Pintor, Roli, Brendel and Biggio, arXiv:2102.12827, algorithm 1, whose first radius, and every
one until something breaks, is where the loss, taken as linear, reaches zero.

Other than in the papers, the length of a step is told by the radius, not in the input's unit; for L-infinity a step is
along the gradient's sign, which on a linear model ends in the corner that is exact; the radius never grows beyond the
best distance; and what the bounds forbid is left out of the step before its length is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.goal import Goal
from workers.attack.space import Space, per_row
from workers.attack.victim import Victim

_GAMMA = (0.05, 0.001)
"""By how much the radius changes, at the first step and at the last (FMN, section 3)."""
_LENGTH = (1.0, 0.01)
"""Of a step, in radii, at the first and the last (both papers)."""
_GROWS = 2.0
"""The radius at most doubles in a step while nothing breaks: where a loss is flat its linear zero is far too far."""


@dataclass(slots=True, eq=False)
class Walkers:
    """A row for each. index: int64 (rows,), its example. towards: int64 (rows,), the place it climbs to, -1 for none.
    at: (rows, ...). radius: (rows,). best: (rows, ...), the nearest point that broke its example; distance: (rows,),
    of that, infinite where there is none."""

    index: Tensor
    towards: Tensor
    at: Tensor
    radius: Tensor
    best: Tensor
    distance: Tensor

    def those(self, rows: Tensor) -> Walkers:
        """Some of them: a mask or row numbers."""
        return Walkers(
            self.index[rows], self.towards[rows], self.at[rows], self.radius[rows], self.best[rows], self.distance[rows]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """What all walkers have in common. sphere: DDN's rule, else FMN's."""

    victim: Victim
    goal: Goal
    x: Tensor
    space: Space
    draws: Draws
    steps: int
    sphere: bool

    def step(self, walkers: Walkers, number: int) -> None:
        """The step of this number, from 0; in place."""
        x, space = self.x[walkers.index], self.space.take(walkers.index)
        outputs, _, slope = self.victim.gradient(walkers.at, walkers.index, self._loss(walkers))
        broken = self.goal.broken(outputs, walkers.index)
        distance = space.distance(x, walkers.at)
        nearer = broken & (distance < walkers.distance)
        walkers.best = torch.where(per_row(nearer, x).bool(), walkers.at, walkers.best)
        walkers.distance = torch.where(nearer, distance, walkers.distance)
        slope = self._allowed(walkers, space, slope)
        zero = self._zero(walkers, outputs, slope, space, distance)
        walkers.radius = self._radius(walkers, space.widest(x), broken, zero, _between(_GAMMA, number, self.steps))
        length = _between(_LENGTH, number, self.steps) * walkers.radius
        ahead = walkers.at + per_row(length, x) * space.steepest(slope)
        if self.sphere:
            out = walkers.radius / space.distance(x, ahead).clamp(min=1e-30)
            ahead = x + (ahead - x) * per_row(out, x)
        walkers.at = space.project(x, ahead, walkers.radius)

    def _loss(self, walkers: Walkers) -> Callable[[Tensor, slice], Tensor]:
        goal = self.goal
        plain = plain_loss(goal)

        def loss(outputs: Tensor, rows: slice) -> Tensor:
            index, towards = walkers.index[rows], walkers.towards[rows]
            value = goal.loss(plain, outputs, index, None)
            if not goal.targeted or not bool((towards >= 0).any()):
                return value
            led = goal.loss(goal.targeted[0], outputs, index, towards.clamp(min=0))
            return torch.where(towards >= 0, led, value)

        return loss

    def _allowed(self, walkers: Walkers, space: Space, slope: Tensor) -> Tensor:
        """The gradient without what leads out of the bounds; where none is left, a random one."""
        slope = torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        out = ((walkers.at >= space.high) & (slope > 0)) | ((walkers.at <= space.low) & (slope < 0))
        slope = torch.where(out, 0.0, slope)
        if space.free is not None:
            slope = torch.where(space.free, slope, 0.0)
        flat = (slope.flatten(1).abs().amax(1) == 0).nonzero().flatten()
        if len(flat):
            slope = slope.clone()
            slope[flat] = self.draws.normal(walkers.index[flat], tuple(slope.shape[1:])).to(slope)
        return slope

    def _zero(self, walkers: Walkers, outputs: Tensor, slope: Tensor, space: Space, distance: Tensor) -> Tensor:
        """The radius at which the loss, taken as linear, reaches the goal."""
        return distance + linear(space, self.goal.margin(outputs, walkers.index), slope)

    def _radius(self, walkers: Walkers, widest: Tensor, broken: Tensor, zero: Tensor, gamma: float) -> Tensor:
        radius, best = walkers.radius, walkers.distance
        sought = torch.maximum(torch.minimum(zero, _GROWS * radius), (1 + gamma) * radius)
        grown = torch.where(torch.isinf(best), sought, torch.minimum((1 + gamma) * radius, best))
        shrunk = (1 - gamma) * torch.minimum(radius, best)
        return torch.minimum(torch.where(broken, shrunk, grown), widest)


def plain_loss(goal: Goal) -> str:
    """The loss that is climbed where no place is named: the goal's own distance in outputs, if it has that."""
    return "margin" if "margin" in goal.losses else goal.losses[0]


def linear(space: Space, margin: Tensor, slope: Tensor) -> Tensor:
    """How far to go until the margin (rows,) is zero, were it linear: it over the gradient's dual norm, (rows,)."""
    if space.free is not None:
        slope = torch.where(space.free, slope, 0.0)
    by_unit = (slope * space.unit).flatten(1)
    dual = by_unit.abs().sum(1) if space.norm == "linf" else by_unit.norm(dim=1)
    return margin.clamp(min=0.0) / dual.clamp(min=1e-30)


def _between(ends: tuple[float, float], number: int, steps: int) -> float:
    """From one end to the other along half a cosine."""
    return ends[1] + (ends[0] - ends[1]) * (1 + cos(pi * number / max(1, steps))) / 2
