"""AutoAttack-standard, written down as the papers have it: the yardstick that robust accuracy is held against.

Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks,
arXiv:2003.01690: APGD on the cross-entropy and on the targeted ratio of logits (100 steps, 9 targets), FAB with 9
targets (Minimally distorted adversarial examples with a fast adaptive boundary attack, arXiv:1907.02044, 100 steps),
Square (arXiv:1912.00049, 5,000 queries, p = 0.8), one after the other on what still holds. Inputs are pictures in
[0, 1]. Nothing is shared with the engine that it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

STEPS, TARGETS, QUERIES = 100, 9, 5000
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Count:
    """Rows that went forward, and rows whose gradient was taken."""

    forwards: int = 0
    gradients: int = 0


@dataclass
class Judged:
    """Of N examples: which hold to the end, after each attack how many do, and what it took."""

    robust: Tensor
    left: dict[str, int] = field(default_factory=dict)
    count: Count = field(default_factory=Count)


class Ensemble:
    """The four attacks on one network at one budget."""

    def __init__(self, network: nn.Module, norm: str, epsilon: float, seed: int = 0) -> None:
        self.network, self.norm, self.epsilon = network, norm, epsilon
        self.count = Count()
        self.draws = torch.Generator().manual_seed(seed)

    def judge(self, x: Tensor, y: Tensor, queries: int = QUERIES) -> Judged:
        """x: (N, C, H, W); y: (N,)."""
        robust = self._logits(x).argmax(1) == y
        made = Judged(robust, {"clean": int(robust.sum())}, self.count)
        stages = {
            "apgd-ce": self.apgd_ce, "apgd-t": self.apgd_t, "fab-t": self.fab_t,
            "square": lambda some, labels: self.square(some, labels, queries),
        }  # fmt: skip
        for name, run in stages.items():
            rows = robust.nonzero().flatten()
            if len(rows):
                robust[rows] = ~run(x[rows], y[rows])
            made.left[name] = int(robust.sum())
        return made

    # --- asking

    def _logits(self, x: Tensor) -> Tensor:
        self.count.forwards += len(x)
        with torch.no_grad():
            return self.network(x)

    def _slope(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(logits, losses, gradients by x)."""
        self.count.forwards += len(x)
        self.count.gradients += len(x)
        x = x.detach().requires_grad_()
        logits = self.network(x)
        losses = loss(logits)
        (slope,) = torch.autograd.grad(losses.sum(), x)
        return logits.detach(), losses.detach(), slope

    def _length(self, change: Tensor) -> Tensor:
        flat = change.flatten(1)
        return _wide(flat.abs().amax(1) if self.norm == "linf" else flat.norm(dim=1), change)

    def _inside(self, x: Tensor, made: Tensor) -> Tensor:
        change = made - x
        if self.norm == "linf":
            return (x + change.clamp(-self.epsilon, self.epsilon)).clamp(0, 1)
        length = self._length(change)
        return (x + change / (length + 1e-12) * length.clamp(max=self.epsilon)).clamp(0, 1)

    # --- Auto-PGD, algorithm 1

    def apgd_ce(self, x: Tensor, y: Tensor) -> Tensor:
        """Broken, (N,)."""
        return self._apgd(x, y, lambda logits, rows: cross_entropy(logits, y[rows], reduction="none"))

    def apgd_t(self, x: Tensor, y: Tensor) -> Tensor:
        """Each of the nine likeliest other classes in turn, on what still holds."""
        order = self._logits(x).argsort(1, descending=True)
        broken = torch.zeros(len(x), dtype=torch.bool)
        for number in range(1, min(TARGETS, order.shape[1] - 1) + 1):
            rows = (~broken).nonzero().flatten()
            if len(rows):
                labels, targets = y[rows], order[rows, number]
                broken[rows] = self._apgd(
                    x[rows], labels, lambda logits, some, a=labels, b=targets: _ratio_to(logits, a[some], b[some])
                )
        return broken

    def _apgd(self, x: Tensor, y: Tensor, loss: Loss) -> Tensor:
        every = torch.arange(len(x))
        start = torch.rand(x.shape, generator=self.draws) * 2 - 1
        if self.norm == "l2":
            start = torch.randn(x.shape, generator=self.draws)
        at = (x + self.epsilon * start / (self._length(start) + 1e-12)).clamp(0, 1)
        logits, value, slope = self._slope(at, lambda out: loss(out, every))
        broken = logits.argmax(1) != y
        best, best_value, best_slope = at.clone(), value.clone(), slope.clone()
        length = torch.full((len(x),), 2 * self.epsilon)
        checked, halved_before = best_value.clone(), torch.ones(len(x), dtype=torch.bool)
        window, least, less = max(int(0.22 * STEPS), 1), max(int(0.06 * STEPS), 1), max(int(0.03 * STEPS), 1)
        rises, since, before, last = torch.zeros(len(x)), 0, at.clone(), value
        for step in range(STEPS):
            moved, before = at - before, at
            direction = slope.sign() if self.norm == "linf" else slope / (self._length(slope) + 1e-12)
            ahead = self._inside(x, at + _wide(length, x) * direction)
            share = 0.75 if step else 1.0
            at = self._inside(x, at + share * (ahead - at) + (1 - share) * moved)
            logits, value, slope = self._slope(at, lambda out: loss(out, every))
            broken |= logits.argmax(1) != y
            rises += value > last
            last = value
            better = value > best_value
            best[better], best_value[better], best_slope[better] = at[better], value[better], slope[better]
            since += 1
            if since == window:
                halve = (rises <= 0.75 * window) | (~halved_before & (checked >= best_value))
                halved_before, checked = halve, best_value.clone()
                length[halve] /= 2
                at, slope = at.clone(), slope.clone()
                at[halve], slope[halve] = best[halve], best_slope[halve]
                window, since, rises = max(window - less, least), 0, torch.zeros(len(x))
        return broken

    # --- FAB, algorithm 1, with targets

    def fab_t(self, x: Tensor, y: Tensor) -> Tensor:
        """Whether the nearest point found over all targets lies within the budget."""
        order = self._logits(x).argsort(1, descending=True)
        broken = torch.zeros(len(x), dtype=torch.bool)
        for number in range(1, min(TARGETS, order.shape[1] - 1) + 1):
            rows = (~broken).nonzero().flatten()
            if len(rows):
                broken[rows] = self._fab(x[rows], y[rows], order[rows, number]) <= self.epsilon
        return broken

    def _fab(self, x: Tensor, y: Tensor, towards: Tensor) -> Tensor:
        """The smallest distance to a point of another class, (N,); infinite where none was found."""
        most, over, back = 0.1, 1.05, 0.9
        nearest = torch.full((len(x),), torch.inf)
        at, origin = x.clone(), x.flatten(1)

        def apart(logits: Tensor) -> Tensor:
            return (logits.gather(1, y[:, None]) - logits.gather(1, towards[:, None])).squeeze(1)

        for _ in range(STEPS):
            _, gap, slope = self._slope(at, apart)
            flat, w = at.flatten(1), slope.flatten(1)
            level = (w * flat).sum(1) - gap
            to_plane = _onto_plane(torch.cat([flat, origin]), torch.cat([w, w]), torch.cat([level, level]), self.norm)
            here, there = to_plane.reshape(2, *x.shape).unbind(0)
            a, b = self._length(here).clamp(min=1e-8), self._length(there).clamp(min=1e-8)
            alpha = (a / (a + b)).clamp(0, most)
            at = ((at + over * here) * (1 - alpha) + (x + over * there) * alpha).clamp(0, 1)
            success = self._logits(at).argmax(1) != y
            distance = self._length(at - x).flatten()
            nearest = torch.where(success & (distance < nearest), distance, nearest)
            at = torch.where(_wide(success, x), x + (at - x) * back, at)
        return nearest

    # --- Square, algorithms 1 to 3

    def square(self, x: Tensor, y: Tensor, queries: int = QUERIES) -> Tensor:
        """Broken, (N,)."""
        return self._square_linf(x, y, queries) if self.norm == "linf" else self._square_l2(x, y, queries)

    def _margin(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self._logits(x)
        own = logits.gather(1, y[:, None]).squeeze(1)
        return own - logits.scatter(1, y[:, None], -torch.inf).amax(1)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.draws)

    def _signs(self, *shape: int) -> Tensor:
        return (self._uniform(*shape) < 0.5).float() * 2 - 1

    def _square_linf(self, x: Tensor, y: Tensor, queries: int) -> Tensor:
        n, channels, height, width = x.shape
        best = (x + self.epsilon * self._signs(n, channels, 1, width)).clamp(0, 1)
        margin = self._margin(best, y)
        for query in range(1, queries):
            open_ = (margin > 0).nonzero().flatten()
            if len(open_) == 0:
                break
            side = min(max(round((_share(query, queries) * height * width) ** 0.5), 1), height, width)
            some, point = x[open_], best[open_].clone()
            rows = (self._uniform(len(open_)) * (height - side + 1)).long()
            columns = (self._uniform(len(open_)) * (width - side + 1)).long()
            high, wide = torch.arange(height)[None], torch.arange(width)[None]
            inside = (high >= rows[:, None]) & (high < rows[:, None] + side)
            across = (wide >= columns[:, None]) & (wide < columns[:, None] + side)
            window = (inside[:, :, None] & across[:, None, :])[:, None].expand_as(some)
            signs = self._signs(len(open_), channels, 1, 1).expand_as(some)
            point[window] = (some + self.epsilon * signs)[window]
            point = point.clamp(0, 1)
            now = self._margin(point, y[open_])
            better = now < margin[open_]
            best[open_[better]], margin[open_[better]] = point[better], now[better]
        return margin <= 0

    def _square_l2(self, x: Tensor, y: Tensor, queries: int) -> Tensor:
        n, channels, height, width = x.shape
        change, tile = torch.zeros_like(x), max(height // 5, 1)
        for row in range(0, height - tile + 1, tile):
            for column in range(0, width - tile + 1, tile):
                piece = self._bump(tile) * self._signs(n, channels, 1, 1)
                change[:, :, row : row + tile, column : column + tile] += piece
        best = (x + change / self._length(change).clamp(min=1e-12) * self.epsilon).clamp(0, 1)
        margin = self._margin(best, y)
        for query in range(1, queries):
            open_ = (margin > 0).nonzero().flatten()
            if len(open_) == 0:
                break
            side = max(round((_share(query, queries) * height * width) ** 0.5), 3)
            side = min(side + 1 - side % 2, min(height, width) - 1)
            point = self._moved(x[open_], best[open_], side)
            now = self._margin(point, y[open_])
            better = now < margin[open_]
            best[open_[better]], margin[open_[better]] = point[better], now[better]
        return margin <= 0

    def _moved(self, x: Tensor, best: Tensor, side: int) -> Tensor:
        """One window is given what another had, and what is left of the budget."""
        n, channels, height, width = x.shape
        change = best - x
        (row, other_row), (column, other_column) = (
            (self._uniform(2) * (size - side + 1)).long().tolist() for size in (height, width)
        )
        first = (..., slice(row, row + side), slice(column, column + side))
        second = (..., slice(other_row, other_row + side), slice(other_column, other_column + side))
        union = torch.zeros(height, width)
        union[first], union[second] = 1, 1
        in_first = change[first].flatten(2).norm(dim=2)[..., None, None]
        in_both = (change * union).flatten(2).norm(dim=2)[..., None, None]
        left = (self.epsilon**2 - self._length(change).square()).clamp(min=0)
        bump = self._bump(side) * self._signs(n, channels, 1, 1)
        piece = change[first] / (in_first + 1e-12) + bump
        piece = piece / piece.flatten(2).norm(dim=2)[..., None, None].clamp(min=1e-12)
        piece = piece * (left / channels + in_both.square()).sqrt()
        change[second] = 0
        change[first] = piece
        return (x + change / self._length(change).clamp(min=1e-12) * self.epsilon).clamp(0, 1)

    def _bump(self, side: int) -> Tensor:
        """Two pyramids of opposite signs side by side, length 1: figure 2 and appendix of the paper."""
        made = torch.zeros(side, side)
        made[: side // 2] = _pyramid(side // 2, side)
        made[side // 2 :] = -_pyramid(side - side // 2, side)
        made = made / made.norm().clamp(min=1e-12)
        return made.t() if float(self._uniform(1)) > 0.5 else made


def _pyramid(height: int, width: int) -> Tensor:
    made = torch.zeros(height, width)
    middle_row, middle = height // 2, width // 2
    for ring in range(ceil(max(height, width) / 2) + 1):
        rows = slice(max(middle_row - ring, 0), min(middle_row + ring + 1, height))
        made[rows, max(middle - ring, 0) : min(middle + ring + 1, width)] += 1 / (ring + 1) ** 2
    return made / made.norm().clamp(min=1e-12)


def _share(query: int, queries: int) -> float:
    """The share of the picture that a window covers; halved as in the paper, for any number of queries."""
    done = query / queries * 10_000
    return 0.8 / 2 ** sum(done > at for at in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))


def _ratio_to(logits: Tensor, y: Tensor, towards: Tensor) -> Tensor:
    """The targeted difference of logits ratio, equation 7."""
    ordered = logits.sort(1, descending=True).values
    own, to = (logits.gather(1, each[:, None]).squeeze(1) for each in (y, towards))
    return (to - own) / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + 1e-12)


def _onto_plane(x: Tensor, w: Tensor, level: Tensor, norm: str) -> Tensor:
    """The smallest change of x (rows, d) that brings w · x to `level` within [0, 1]; as far as it goes where none does.

    With L the Lagrange multiplier each number moves by min(L c, room), c = 1 for L-infinity and |w| for L2, in the
    direction that helps: the gain is piecewise linear in L, and is solved exactly from the sorted breakpoints.
    """
    gap = (w * x).sum(1) - level
    towards = -w.sign() * gap.sign()[:, None]
    size = w.abs()
    room = torch.where(towards > 0, 1 - x, x)
    pace = torch.ones_like(w) if norm == "linf" else size
    breaks = torch.where(size > 0, room / pace.clamp(min=1e-30), torch.inf)
    order = breaks.argsort(1)
    breaks, full, slope = (each.gather(1, order) for each in (breaks, size * room, size * pace))
    full = torch.where(torch.isfinite(breaks), full, 0.0)
    ended = full.cumsum(1)
    rising = slope.sum(1, keepdim=True) - slope.cumsum(1)
    gain = ended + torch.where(torch.isfinite(breaks), breaks, 0.0) * rising
    wanted = gap.abs()[:, None]
    at = torch.searchsorted(gain.cummax(1).values, wanted).clamp(max=x.shape[1] - 1)
    before = torch.where(at > 0, ended.gather(1, (at - 1).clamp(min=0)), 0.0)
    multiplier = (wanted - before) / (rising.gather(1, at) + slope.gather(1, at)).clamp(min=1e-30)
    return towards * torch.minimum(multiplier * pace, room) * (size > 0)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))
