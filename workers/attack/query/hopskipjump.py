"""How near does an adversarial come, if all that is asked is whether a point breaks its example?

HopSkipJumpAttack: Chen, Jordan and Wainwright, arXiv:1904.02144, algorithms 1 and 2: from an adversarial to the
boundary by halving, the boundary's direction from random points around it, a step along it that halves until it breaks
the example, and again. The first probe is a tenth of the distance, not of the bounds' width, which here may be without
end; everything is in units of epsilon.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2, sqrt

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.goal import Goal
from workers.attack.minimum.draw_in import halved, stood_off
from workers.attack.space import Space, per_row
from workers.attack.victim import Victim

_PROBES, _LEAST_PROBES, _MOST_PROBES = 100, 10, 200
"""Points around the first boundary point (the paper's), fewest of any, for few queries, and most, for memory."""
_STEPS = 12
"""How often a step is halved before the round is given up."""
_FIRST = 0.1


def _silent(_fraction: float) -> None:
    """Nobody asked."""


def hopskipjump(
    victim: Victim,
    goal: Goal,
    x: Tensor,
    space: Space,
    index: Tensor,
    start: Tensor,
    queries: int,
    draws: Draws,
    told: Callable[[float], None] = _silent,
) -> tuple[Tensor, Tensor]:
    """The nearest point that breaks each example, (rows, ...), and how often each was asked, int64 (rows,).

    index: int64 (rows,), of examples of x (N, ...). start: (rows, ...), legal, each of which breaks its example.
    queries: most of each; below about 50 there is room for no round and what is left is halving towards the example.
    What is given back is never further than `start` and was seen to break its example, or is `start`.
    """
    made, asked = start.clone(), torch.zeros_like(index)
    at_once = max(1, victim.rows // _MOST_PROBES)
    for first in range(0, len(index), at_once):
        part = slice(first, first + at_once)
        jump = _Jump(victim, goal, x, space, index[part], draws)
        made[part], asked[part] = jump.run(start[part], queries)
        told(min(1.0, (first + at_once) / len(index)))
    return made, asked


class _Jump:
    """Some examples, as rows. All make the same rounds at the same time; each counts for itself."""

    def __init__(self, victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, draws: Draws) -> None:
        self.victim, self.goal, self.index, self.draws = victim, goal, index, draws
        self.all_x, self.all_space, self.x, self.space = x, space, x[index], space.take(index)
        self.numbers = max(1, x[0].numel())
        power = 1.5 if space.norm == "l2" else 2.0
        self.halvings = min(20, max(5, ceil(power * log2(self.numbers + 1))))

    def run(self, start: Tensor, queries: int) -> tuple[Tensor, Tensor]:
        """As `hopskipjump`. Each round takes from the queries what it needs at most, so that how many rounds an example
        has is told by none beside it."""
        asked = torch.zeros_like(self.index)
        left = queries - self.halvings - 1
        if left < 0:
            return start, asked
        best = at = self._drawn_in(start)
        asked += self.halvings
        number, probes, besides = 1, min(_PROBES, max(_LEAST_PROBES, queries // 20)), _STEPS + self.halvings
        while left >= besides + _LEAST_PROBES:
            count = min(left - besides, ceil(probes * sqrt(number)), _MOST_PROBES)
            across = self._across(at, count, number)
            at, steps = self._stepped(at, across, number)
            at = self._drawn_in(at)
            asked += count + steps + self.halvings
            nearer = self.space.distance(self.x, at) < self.space.distance(self.x, best)
            best = torch.where(per_row(nearer, at).bool(), at, best)
            left -= count + besides
            number += 1
        asked += 1
        return stood_off(self.victim, self.goal, self.all_x, self.all_space, self.index, best, start), asked

    def _drawn_in(self, made: Tensor) -> Tensor:
        return halved(self.victim, self.goal, self.all_x, self.all_space, self.index, made, self.halvings)

    def _across(self, at: Tensor, count: int, number: int) -> Tensor:
        """The direction across the boundary at these points, raw, of length 1 in the norm."""
        rows = len(at)
        shape = (count, *at.shape[1:])
        if self.space.norm == "l2":
            noise = self.draws.normal(self.index, shape).to(at)
        else:
            noise = (2 * self.draws.uniform(self.index, shape) - 1).to(at)
        if self.space.free is not None:
            noise = torch.where(_beside(self.space.free), noise, 0.0)
        length = noise.flatten(2).norm(dim=2).clamp(min=1e-30)
        noise = noise / length.reshape(rows, count, *[1] * (at.ndim - 1))
        share = _FIRST if number == 1 else 1 / self.numbers
        probe = (share * self.space.distance(self.x, at)).clamp(min=1e-30)
        wide = probe.reshape(rows, *[1] * at.ndim)
        unit = _beside(self.space.unit)
        points = at[:, None] + wide * noise * unit
        points = torch.maximum(torch.minimum(points, _beside(self.space.high)), _beside(self.space.low))
        moved = (points - at[:, None]) / unit / wide
        index = self.index.repeat_interleave(count)
        broken = self.goal.broken(self.victim.outputs(points.flatten(0, 1), index), index)
        side = (2 * broken.to(at) - 1).reshape(rows, count)
        middle = side.mean(1, keepdim=True)
        weight = torch.where(middle.abs() == 1, side, side - middle)
        slope = (weight.reshape(rows, count, *[1] * (at.ndim - 1)) * moved).mean(1)
        return self.space.steepest(slope / self.space.unit)

    def _stepped(self, at: Tensor, across: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """As far along as breaks the example still, and how often each was asked for that."""
        length = self.space.distance(self.x, at) / sqrt(number)
        made, asked = at, torch.zeros_like(self.index)
        rows = torch.arange(len(at), device=at.device)
        for _ in range(_STEPS):
            space, index = self.space.take(rows), self.index[rows]
            step = per_row(length[rows], at) * across[rows]
            point = torch.maximum(torch.minimum(at[rows] + step, space.high), space.low)
            broken = self.goal.broken(self.victim.outputs(point, index), index)
            asked[rows] += 1
            made = made.index_copy(0, rows[broken], point[broken])
            rows = rows[~broken]
            if len(rows) == 0:
                break
            length = length / 2
        return made, asked


def _beside(values: Tensor) -> Tensor:
    """Values of a space, to broadcast over several points of each example, (rows, points, ...)."""
    return values[:, None] if values.ndim else values
