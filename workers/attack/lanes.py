"""How is a loss climbed within a ball, by many climbers at once that each keep their own step?

Auto-PGD: Croce and Hein, arXiv:2003.01690, algorithm 1, with its momentum of 0.75 and its checkpoints, for L-infinity
and L2. A lane is one climb: an example, a place to start from, and, where the loss has one, a class to climb to. Of the
lanes of an example the weaker are dropped on the way (successive halving: Jamieson and Talwalkar, arXiv:1502.07943).
Lanes stand in one table whatever their age, so that the network always sees full batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from math import ceil

import torch
from torch import Tensor

from workers.attack.ranks import among_least
from workers.attack.space import per_row
from workers.attack.standing import Standing

_MOMENTUM, _RISES = 0.75, 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """loss: of the goal. steps: of a lane. first: the length of the first step, in budgets. rungs: after which share of
    the steps how many of an example's lanes go on, at most."""

    name: str
    loss: str
    steps: int
    first: float = 2.0
    rungs: tuple[tuple[float, int], ...] = ()


@dataclass(slots=True, eq=False)
class Lanes:
    """A row for each lane. `at` is the point it is at, `was` the one before; the rest is Auto-PGD's."""

    index: Tensor
    towards: Tensor
    step: Tensor
    at: Tensor
    was: Tensor
    best: Tensor
    slope: Tensor
    value: Tensor
    last: Tensor
    length: Tensor
    rises: Tensor
    checked: Tensor
    halved: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def those(self, rows: Tensor) -> Lanes:
        """Some of them: a mask or row numbers."""
        return Lanes(*(getattr(self, each.name)[rows] for each in fields(self)))

    def with_(self, other: Lanes) -> Lanes:
        """And others."""
        return Lanes(*(torch.cat([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self)))

    @classmethod
    def begin(cls, index: Tensor, towards: Tensor, start: Tensor, length: Tensor) -> Lanes:
        """At their starts (rows, ...), with their first step's length (rows,)."""
        none = torch.full_like(length, -torch.inf)
        zero = torch.zeros_like(index)
        return cls(
            index=index, towards=towards, step=zero, at=start, was=start, best=start, slope=torch.zeros_like(start),
            value=none, last=none, length=length, rises=zero, checked=none,
            halved=torch.ones_like(index, dtype=torch.bool),
        )  # fmt: skip


Starts = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""For examples int64 (k,): the example of each lane, the place it climbs to (-1: none), and where it starts."""


def climb(standing: Standing, plan: Climb, starts: Starts, told: Callable[[float], None], per_example: int = 1) -> None:
    """Climbs for every open example; one that is broken goes on at a smaller budget. told: the fraction done.

    per_example: how many lanes `starts` gives for one, at most.
    """
    queue = standing.open()
    lanes: Lanes | None = None
    room, whole, over = standing.victim.rows, len(queue), 0
    while len(queue) or lanes is not None:
        fits = max(1 if lanes is None else 0, (room - (0 if lanes is None else len(lanes))) // max(1, per_example))
        if len(queue) and fits:
            new = _begun(standing, plan, starts, queue[:fits])
            queue = queue[fits:]
            lanes = new if lanes is None else lanes.with_(new)
        assert lanes is not None
        lanes, again, ended = _stepped(standing, plan, lanes)
        over += ended
        queue = torch.cat([queue, again])
        if len(lanes) == 0:
            lanes = None
        told(over / max(1, whole))


def _begun(standing: Standing, plan: Climb, starts: Starts, queue: Tensor) -> Lanes:
    index, towards, start = starts(queue)
    return Lanes.begin(index, towards, start, plan.first * standing.epsilon(index))


def _stepped(standing: Standing, plan: Climb, lanes: Lanes) -> tuple[Lanes, Tensor, int]:
    """One step of every lane: those that go on, the examples to begin again, and how many examples have ended."""
    targeted = plan.loss in standing.goal.targeted

    def loss(outputs: Tensor, rows: slice) -> Tensor:
        towards = lanes.towards[rows] if targeted else None
        return standing.goal.loss(plan.loss, outputs, lanes.index[rows], towards)

    outputs, value, slope = standing.victim.gradient(lanes.at, lanes.index, loss)
    standing.felt(lanes.index, slope)
    moved, _ = standing.looked(lanes.index, lanes.at, outputs)
    again = torch.unique(lanes.index[moved])
    _advance(standing, plan, lanes, torch.nan_to_num(value, nan=-torch.inf), slope)
    lanes.step += 1
    stays = ~moved & (lanes.step <= plan.steps)
    for share, most in plan.rungs:
        at_rung = stays & (lanes.step == ceil(share * plan.steps))
        if bool(at_rung.any()):
            stays &= ~at_rung | among_least(lanes.index, torch.where(at_rung, -lanes.value, torch.inf), most)
    ended = len(torch.unique(lanes.index)) - len(torch.unique(lanes.index[stays])) - len(again)
    ended += int((standing.level[again] < 0).sum())
    return lanes.those(stays), again[standing.level[again] >= 0], ended


def _advance(standing: Standing, plan: Climb, lanes: Lanes, value: Tensor, slope: Tensor) -> None:
    """Auto-PGD's step from where the lanes are, whose loss and gradient are given; in place."""
    better = value > lanes.value
    lanes.rises += (value > lanes.last) & (lanes.step > 0)
    lanes.value = torch.where(better, value, lanes.value)
    wide = per_row(better, lanes.at).bool()
    lanes.best = torch.where(wide, lanes.at, lanes.best)
    lanes.slope = torch.where(wide, slope, lanes.slope)
    lanes.last = value
    windows = _windows(plan.steps).to(lanes.step.device)[lanes.step]
    check = windows > 0
    halve = check & ((lanes.rises <= _RISES * windows) | (~lanes.halved & (lanes.checked >= lanes.value)))
    lanes.checked = torch.where(check, lanes.value, lanes.checked)
    lanes.halved = torch.where(check, halve, lanes.halved)
    lanes.rises = torch.where(check, 0, lanes.rises)
    lanes.length = torch.where(halve, lanes.length / 2, lanes.length)
    back = per_row(halve, lanes.at).bool()
    here = torch.where(back, lanes.best, lanes.at)
    slope = torch.nan_to_num(torch.where(back, lanes.slope, slope), nan=0.0, posinf=0.0, neginf=0.0)
    space, x, epsilon = standing.space.take(lanes.index), standing.x[lanes.index], standing.epsilon(lanes.index)
    ahead = space.project(x, here + per_row(lanes.length, here) * space.steepest(slope), epsilon)
    kept = per_row((lanes.step > 0).to(here), here)
    mixed = here + (ahead - here) * (1 - (1 - _MOMENTUM) * kept) + (here - lanes.was) * ((1 - _MOMENTUM) * kept)
    lanes.was, lanes.at = here, space.project(x, mixed, epsilon)


@cache
def _windows(steps: int) -> Tensor:
    """For each step, int64 (steps + 1,): how many steps a checkpoint there looks back on, 0 where there is none."""
    windows = torch.zeros(steps + 1, dtype=torch.int64)
    window, least, less = (max(round(share * steps), 1) for share in (0.22, 0.06, 0.03))
    at = window
    while at <= steps:
        windows[at] = window
        window = max(window - less, least)
        at += window
    return windows
