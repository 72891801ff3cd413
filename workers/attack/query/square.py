"""What does a search by random windows find, from outputs alone?

Square attack: Andriushchenko, Croce, Flammarion and Hein, arXiv:1912.00049, algorithms 1 and 2 for L-infinity: a window
of the change is set to plus or minus the budget, and kept where that is better. For L2 a window of a picture is given a
bump and the length that another had (algorithm 3); elsewhere it is given, flat, all that is left when another is
emptied. Windows are of pixels or of steps; numbers without neighbours, as columns of a table, are drawn one by one.

Most examples that hold come no nearer, however long the search. A search therefore asks at its checkpoints whether
what was won since the last would reach the goal if it were won some times more, and ends where it would not. Where
gradients were zero nothing guided the search to where it began, and it goes on to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.space import Space, per_row
from workers.attack.standing import Standing

WARM, COLD = 0.2, 0.8
"""The share of the input that the first windows cover: where the search begins near, and where it begins anywhere."""
_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""After which shares of the queries windows halve (the paper's appendix, for any number of queries)."""
_CHECKPOINTS, _AS_OFTEN = (0.1, 0.25, 0.5), {"linf": 16.0, "l2": 64.0}
"""After which shares of the queries a search is looked at, and how often more it may hope to win as much."""
_BEHIND = 1.2
"""By how much a search from anywhere may be further from the goal then than what was nearest before it."""
_DRAWN = 64
"""Queries for which an example draws at once."""


@dataclass(slots=True, eq=False)
class _Searches:
    """A row for each example in search: how often it has asked, its best point, the margin there and at the last
    checkpoint, what it drew, and what it used."""

    index: Tensor
    asked: Tensor
    best: Tensor
    margin: Tensor
    mark: Tensor
    drawn: Tensor
    used: Tensor

    def those(self, rows: Tensor) -> _Searches:
        return _Searches(*(getattr(self, each.name)[rows] for each in fields(self)))

    def with_(self, other: _Searches) -> _Searches:
        return _Searches(*(torch.cat([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self)))


def square(
    standing: Standing,
    draws: Draws,
    queries: int,
    told: Callable[[float], None],
    share: float = WARM,
    only: Tensor | None = None,
    *,
    patient: bool = False,
) -> None:
    """Searches for every open example; what breaks one lets it go on at a smaller budget, with `queries` anew.

    share: WARM begins at what was nearest so far, anything else at random stripes. only: examples, int64, of those that
    are open; None is all. patient: no search ends early.
    """
    search = _Search(standing, draws, queries, share, patient=patient)
    queue = standing.open() if only is None else only
    whole, over = max(1, len(queue)), 0
    rows: _Searches | None = None
    while len(queue) or rows is not None:
        room = standing.victim.rows - (0 if rows is None else len(rows.index))
        if len(queue) and room > 0:
            new = search.begin(queue[:room])
            queue = queue[room:]
            rows = new if rows is None else rows.with_(new)
        assert rows is not None
        before = len(rows.index)
        rows, again = search.ask(rows)
        over += before - len(rows.index) - len(again)
        queue = torch.cat([queue, again])
        if len(rows.index) == 0:
            rows = None
        told(over / whole)


class _Search:
    """What all searches have in common."""

    def __init__(self, standing: Standing, draws: Draws, queries: int, share: float, *, patient: bool) -> None:
        self.standing, self.draws, self.queries, self.share, self.patient = standing, draws, queries, share, patient
        x = standing.x
        self.axes = standing.space.neighbours(x)
        self.checkpoints = torch.tensor([round(share * queries) for share in _CHECKPOINTS])
        signs = [1 if axis in self.axes else size for axis, size in enumerate(x.shape)][1:]
        self.signs = tuple(signs)
        self.numbers = 2 * len(self.axes) + _product(signs) + (0 if self.axes else x[0].numel())

    def begin(self, index: Tensor) -> _Searches:
        """Their first points."""
        standing = self.standing
        margin = standing.margin[index].clone()
        if self.share == WARM:
            best = standing.near[index].clone()
        else:
            best = self._stripes(index)
            outputs = standing.victim.outputs(best, index)
            standing.looked(index, best, outputs)
            margin = standing.goal.margin(outputs, index)
        zero = torch.zeros_like(index)
        drawn = self.draws.uniform(index, (_DRAWN, self.numbers)).to(best)
        return _Searches(
            index=index, asked=zero, best=best, margin=margin, mark=margin.clone(), drawn=drawn, used=zero.clone()
        )  # fmt: skip

    def _stripes(self, index: Tensor) -> Tensor:
        x, space = self.standing.x[index], self.standing.space.take(index)
        flat = self.axes[:1]
        shape = [1 if axis in flat else size for axis, size in enumerate(x.shape)][1:]
        sign = (2 * (self.draws.uniform(index, tuple(shape)) < 0.5).to(x) - 1).to(x.device)
        epsilon = self.standing.epsilon(index)
        return space.project(x, x + sign * per_row(epsilon, x) * space.unit, epsilon)

    def ask(self, rows: _Searches) -> tuple[_Searches, Tensor]:
        """One query of each: the searches that go on, and the examples that begin again."""
        standing = self.standing
        self._refill(rows)
        drawn = rows.drawn[torch.arange(len(rows.index), device=rows.used.device), rows.used]
        rows.used += 1
        rows.asked += 1
        point = self._proposed(rows, drawn)
        outputs = standing.victim.outputs(point, rows.index)
        moved, _ = standing.looked(rows.index, point, outputs)
        margin = standing.goal.margin(outputs, rows.index)
        better = margin < rows.margin
        rows.best = torch.where(per_row(better, point).bool(), point, rows.best)
        rows.margin = torch.where(better, margin, rows.margin)
        again = rows.index[moved]
        stays = ~moved & (rows.asked < self.queries) & ~self._hopeless(rows)
        return rows.those(stays) if not bool(stays.all()) else rows, again[standing.level[again] >= 0]

    def _hopeless(self, rows: _Searches) -> Tensor:
        """Where a checkpoint is reached and the goal is out of reach; the checkpoint is noted."""
        if self.patient:
            return torch.zeros_like(rows.asked, dtype=torch.bool)
        due = torch.isin(rows.asked, self.checkpoints.to(rows.asked))
        behind = rows.margin > _AS_OFTEN[self.standing.space.norm] * (rows.mark - rows.margin)
        if self.share != WARM:
            behind |= rows.margin > _BEHIND * self.standing.margin[rows.index]
        ends = due & behind & (self.standing.flat[rows.index] <= 0)
        rows.mark = torch.where(due, rows.margin, rows.mark)
        return ends

    def _refill(self, rows: _Searches) -> None:
        empty = (rows.used == _DRAWN).nonzero().flatten()
        if len(empty):
            rows.drawn[empty] = self.draws.uniform(rows.index[empty], (_DRAWN, self.numbers)).to(rows.drawn)
            rows.used[empty] = 0

    def _proposed(self, rows: _Searches, drawn: Tensor) -> Tensor:
        standing = self.standing
        x, space, epsilon = standing.x[rows.index], standing.space.take(rows.index), standing.epsilon(rows.index)
        share = self._covered(rows.asked)
        d, signs = len(self.axes), _product(self.signs)
        sign = (2 * (drawn[:, 2 * d : 2 * d + signs] < 0.5).to(x) - 1).reshape(-1, *self.signs)
        if space.norm == "l2" and self.axes == (2, 3):
            return self._by_bumps(x, rows.best, space, epsilon, share, drawn, sign)
        window = self._window(x, drawn[:, :d], share) if d else self._apart(x, drawn[:, 2 * d + signs :], share)
        if space.norm == "linf":
            made = torch.where(window, x + sign * per_row(epsilon, x) * space.unit, rows.best)
            return space.project(x, made, epsilon)
        other = self._window(x, drawn[:, d : 2 * d], share) if d else window.roll(1, -1)
        return _shifted(x, rows.best, space, epsilon, window, other, sign)

    def _by_bumps(
        self, x: Tensor, best: Tensor, space: Space, epsilon: Tensor, share: Tensor, drawn: Tensor, sign: Tensor
    ) -> Tensor:
        """The paper's move for L2: a window is given a bump, and the length that it had, another had, and is left."""
        size = x.shape[2:]
        unit = space.unit.expand_as(x)
        change = (best - x) / unit
        sides = ((share * size[0] * size[1]).sqrt().round() // 2 * 2 + 1).clamp(
            3, max(3, min(size) - 1 + min(size) % 2)
        )
        for side in torch.unique(sides).tolist():
            rows = (sides == side).nonzero().flatten()
            change[rows] = _bumped(change[rows], epsilon[rows], int(min(side, *size)), drawn[rows, :4], sign[rows])
        length = change.flatten(1).norm(dim=1).clamp(min=1e-12)
        return space.project(x, x + change * per_row(epsilon / length, x) * unit, epsilon)

    def _covered(self, asked: Tensor) -> Tensor:
        done = asked.to(torch.float32) / max(1, self.queries)
        halvings = (done[:, None] > torch.tensor(_HALVINGS, device=asked.device)).sum(1)
        return self.share * 0.5**halvings

    def _window(self, x: Tensor, places: Tensor, share: Tensor) -> Tensor:
        """Bool, broadcastable to x: the numbers within a window of the share of the axes that have neighbours."""
        inside = torch.ones((), dtype=torch.bool, device=x.device)
        for number, axis in enumerate(self.axes):
            size = x.shape[axis]
            side = (size * share ** (1 / len(self.axes))).round().clamp(1, size)
            first = (places[:, number] * (size - side + 1)).floor()
            at = torch.arange(size, device=x.device)[None]
            within = (at >= first[:, None]) & (at < (first + side)[:, None])
            inside = inside & within.reshape(len(x), *[size if other == axis else 1 for other in range(1, x.ndim)])
        return inside

    def _apart(self, x: Tensor, places: Tensor, share: Tensor) -> Tensor:
        """Numbers drawn one by one, at least one of each row."""
        drawn = places[:, : x[0].numel()]
        least = drawn.amin(1, keepdim=True)
        return ((drawn < share[:, None]) | (drawn == least)).reshape(x.shape)


def _shifted(
    x: Tensor, best: Tensor, space: Space, epsilon: Tensor, window: Tensor, other: Tensor, sign: Tensor
) -> Tensor:
    """`window` is given all the L2 length that is left when it and `other` are emptied."""
    change = (best - x) / space.unit
    rest = torch.where(window | other, 0.0, change)
    window = window.expand_as(x)
    left = (epsilon.square() - rest.flatten(1).square().sum(1)).clamp(min=0.0)
    each = (left / window.flatten(1).sum(1)).sqrt()
    made = torch.where(window, sign * per_row(each, x), rest)
    return space.project(x, x + made * space.unit, epsilon)


def _bumped(change: Tensor, epsilon: Tensor, side: int, places: Tensor, sign: Tensor) -> Tensor:
    """change: (rows, C, H, W) in units of epsilon; places: where two windows lie, uniform, (rows, 4)."""
    n, channels, height, width = change.shape
    windows = []
    for row, column in ((places[:, 0], places[:, 1]), (places[:, 2], places[:, 3])):
        at = torch.arange(side, device=change.device)
        high = (row * (height - side + 1)).long()[:, None] + at
        wide = (column * (width - side + 1)).long()[:, None] + at
        every = torch.arange(n, device=change.device)[:, None, None, None]
        each = torch.arange(channels, device=change.device)[None, :, None, None]
        windows.append((every, each, high[:, None, :, None], wide[:, None, None, :]))
    first, second = windows
    own = change[first]
    in_first = _channel_length(own)
    left = (epsilon.square() - change.flatten(1).square().sum(1)).clamp(min=0.0)
    made = change.clone()
    made[second] = 0
    made[first] = 0
    freed = (change.flatten(2).square().sum(2) - made.flatten(2).square().sum(2)).clamp(min=0.0)
    turned = places[:, 0:1, None, None] * 1e4 % 1 < 0.5  # a draw of its own: the digits that no place depends on
    bump = torch.where(turned, _bump(side).to(change), _bump(side).t().to(change)) * sign
    piece = own / (in_first + 1e-12) + bump
    piece = piece / _channel_length(piece).clamp(min=1e-12)
    made[first] = piece * (left[:, None] / channels + freed).sqrt()[..., None, None]
    return made


def _channel_length(change: Tensor) -> Tensor:
    lengths: Tensor = change.flatten(2).norm(dim=2)
    return lengths[..., None, None]


def _one_long(made: Tensor) -> Tensor:
    length: Tensor = made.norm()
    return made / length.clamp(min=1e-12)


@cache
def _bump(side: int) -> Tensor:
    """Two pyramids of opposite signs beside each other, (side, side), of length 1: figure 2 of the paper."""
    made = torch.zeros(side, side)
    made[: side // 2] = _pyramid(side // 2, side)
    made[side // 2 :] = -_pyramid(side - side // 2, side)
    return _one_long(made)


def _pyramid(height: int, width: int) -> Tensor:
    """Rings about the middle, each a square's reciprocal lower than the one within."""
    row = (torch.arange(height) - height // 2).abs()[:, None]
    column = (torch.arange(width) - width // 2).abs()[None]
    ring = torch.maximum(row, column)
    rings = 1.0 / (torch.arange(int(ring.max()) + 1) + 1.0).square()
    made = rings.flip(0).cumsum(0).flip(0)[ring]
    return _one_long(made)


def _product(sizes: tuple[int, ...] | list[int]) -> int:
    made = 1
    for size in sizes:
        made *= size
    return made
