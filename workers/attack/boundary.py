"""How near does the boundary come, walked along from outside?

FAB: Croce and Hein, Minimally distorted adversarial examples with a fast adaptive boundary attack, arXiv:1907.02044,
algorithm 1, with a lane to every class. A climb within a ball is lost where the network is flat in it; this walk
steps over the boundary wherever that is, and from there nearer and nearer to the example: each step goes to where
the network, taken as linear, leaves the class, from the point and from the example, and is drawn a little to the
latter. The lanes that stay furthest are dropped on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import ceil

import torch
from torch import Tensor

from workers.attack.ranks import among_least
from workers.attack.space import Space, per_row
from workers.attack.standing import Standing

_PULL, _OVER, _BACK = 0.1, 1.05, 0.9
"""The most that a step is drawn to the example, how far over the plane it goes, and back from a point beyond."""
_RUNGS = ((0.25, 5), (0.5, 3))


@dataclass(slots=True, eq=False)
class _Walks:
    """A row for each lane: its example, the class it walks to (-1: none in particular), where it is, the nearest point
    beyond the boundary that it came upon, and how near."""

    index: Tensor
    towards: Tensor
    step: Tensor
    at: Tensor
    best: Tensor
    nearest: Tensor

    def those(self, rows: Tensor) -> _Walks:
        return _Walks(*(getattr(self, each.name)[rows] for each in fields(self)))

    def with_(self, other: _Walks) -> _Walks:
        return _Walks(*(torch.cat([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self)))


def walk(standing: Standing, steps: int, told: Callable[[float], None]) -> None:
    """Walks for every open example; what comes within the budget it is tried at breaks it. told: the fraction done."""
    queue = standing.open()
    lanes = max(1, standing.towards.shape[1])
    whole, over = max(1, len(queue)), 0
    rows: _Walks | None = None
    while len(queue) or rows is not None:
        room = standing.victim.rows - (0 if rows is None else len(rows.index))
        fits = max(room // lanes, 1 if rows is None else 0)
        if len(queue) and fits:
            new = _begun(standing, queue[:fits])
            queue = queue[fits:]
            rows = new if rows is None else rows.with_(new)
        assert rows is not None
        before = len(torch.unique(rows.index))
        rows = _stepped(standing, rows, steps)
        over += before - len(torch.unique(rows.index))
        if len(rows.index) == 0:
            rows = None
        told(over / whole)


def _begun(standing: Standing, index: Tensor) -> _Walks:
    towards = standing.towards[index]
    if towards.shape[1] == 0 or not _led(standing):
        towards = torch.full_like(index, -1)[:, None]
    each = index.repeat_interleave(towards.shape[1])
    x = standing.x[each]
    return _Walks(
        index=each, towards=towards.reshape(-1), step=torch.zeros_like(each), at=x.clone(), best=x.clone(),
        nearest=torch.full((len(each),), torch.inf, dtype=x.dtype, device=x.device),
    )  # fmt: skip


def _led(standing: Standing) -> bool:
    """Whether lanes can be led to classes: by a loss that is zero where the class is reached."""
    return standing.goal.targeted[:1] == ("margin-to",)


def _stepped(standing: Standing, rows: _Walks, steps: int) -> _Walks:
    goal, victim = standing.goal, standing.victim
    x, space = standing.x[rows.index], standing.space.take(rows.index)

    def gap(outputs: Tensor, part: slice) -> Tensor:
        index = rows.index[part]
        if _led(standing):
            return -goal.loss("margin-to", outputs, index, rows.towards[part])
        return goal.margin(outputs, index)

    _, value, slope = victim.gradient(rows.at, rows.index, gap)
    here = to_plane(rows.at, value, slope, space)
    to_origin = value - (slope * (rows.at - x)).flatten(1).sum(1)  # the same plane, seen from the example
    there = to_plane(x, to_origin, slope, space)
    near, far = (_length(each, space).clamp(min=1e-8) for each in (here, there))
    pull = per_row((near / (near + far)).clamp(0, _PULL), x)
    at = (rows.at + _OVER * here) * (1 - pull) + (x + _OVER * there) * pull
    at = torch.maximum(torch.minimum(at, space.high), space.low)
    if space.free is not None:
        at = torch.where(space.free, at, x)  # what may not change does not do so by rounding either
    outputs = victim.outputs(at, rows.index)
    broken, distance = goal.broken(outputs, rows.index), space.distance(x, at)
    within = (broken & (distance <= standing.epsilon(rows.index))).nonzero().flatten()
    if len(within):
        standing.looked(rows.index[within], at[within], outputs[within])
    nearer = broken & (distance < rows.nearest)
    rows.nearest = torch.where(nearer, distance, rows.nearest)
    rows.best = torch.where(per_row(nearer, x).bool(), at, rows.best)
    rows.at = torch.where(per_row(broken, x).bool(), x + (at - x) * _BACK, at)
    rows.step += 1
    stays = (standing.level[rows.index] >= 0) & (rows.step < steps)
    for share, most in _RUNGS:
        rung = stays & (rows.step == ceil(share * steps))
        if bool(rung.any()):
            key = torch.where(rung, rows.nearest, torch.inf)
            stays &= ~rung | among_least(rows.index, key, most)
    _draw_in(standing, rows.those(~stays & (standing.level[rows.index] >= 0) & torch.isfinite(rows.nearest)))
    return rows.those(stays)


def _draw_in(standing: Standing, rows: _Walks) -> None:
    """What lanes that end came upon outside the budget is drawn in to it: perhaps it breaks there too, or is nearer to
    that than what was known."""
    if len(rows.index) == 0:
        return
    x, space = standing.x[rows.index], standing.space.take(rows.index)
    point = space.project(x, rows.best, standing.epsilon(rows.index))
    standing.looked(rows.index, point, standing.victim.outputs(point, rows.index))


def _length(change: Tensor, space: Space) -> Tensor:
    flat = (change / space.unit).flatten(1)
    return flat.abs().amax(1) if space.norm == "linf" else flat.norm(dim=1)


def to_plane(x: Tensor, value: Tensor, slope: Tensor, space: Space) -> Tensor:
    """The smallest change of x (rows, ...) that brings a function with this value and slope to zero, were it linear.

    Within the bounds and where x may change; as far as it goes where zero is out of reach. In units of epsilon each
    number moves by min(L c, room), with c = 1 for L-infinity and |slope| for L2: what is won is piecewise linear in
    the multiplier L, and solved from its sorted breakpoints.
    """
    unit = space.unit.expand_as(x).flatten(1)
    weight = slope.flatten(1) * unit
    if space.free is not None:
        weight = torch.where(space.free.expand_as(x).flatten(1), weight, 0.0)
    weight = torch.nan_to_num(weight, nan=0.0, posinf=0.0, neginf=0.0)
    towards, size = -weight.sign() * value.sign()[:, None], weight.abs()
    up, down = ((space.high - x).flatten(1) / unit, (x - space.low).flatten(1) / unit)
    room = torch.where(towards > 0, up, down).clamp(min=0)
    pace = torch.ones_like(size) if space.norm == "linf" else size
    breaks = torch.where(size > 0, room / pace.clamp(min=1e-30), torch.inf)
    breaks, order = breaks.sort(dim=1)
    full, rate = ((size * each).gather(1, order) for each in (room, pace))
    full = torch.where(torch.isfinite(breaks), full, 0.0)
    ended, rising = full.cumsum(1), rate.flip(1).cumsum(1).flip(1)
    beyond = torch.cat([rising[:, 1:], torch.zeros_like(rising[:, :1])], 1)
    won = (ended + torch.where(torch.isfinite(breaks), breaks, 0.0) * beyond).cummax(1).values
    wanted = value.abs()[:, None].to(won)
    at = torch.searchsorted(won, wanted).clamp(max=x[0].numel() - 1)
    before = torch.where(at > 0, ended.gather(1, (at - 1).clamp(min=0)), 0.0)
    multiplier = ((wanted - before) / rising.gather(1, at).clamp(min=1e-30)).clamp(min=0)
    moved = towards * torch.minimum(multiplier * pace, room) * (size > 0)
    return (moved * unit).reshape(x.shape)
