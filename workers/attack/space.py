"""Which inputs may an attack try? Those within bounds, near enough, and unchanged where they may not be touched.

Everything is in raw units, so that a budget means what its owner declared, and preprocessing belongs to the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
SLACK = 1e-6
"""Of a budget: what rounding may add to a distance that was projected onto it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Space:
    """The legal inputs around x (N, ...).

    low, high: raw bounds. unit: raw units in one unit of epsilon, above zero: 1 where epsilon itself is raw, a standard
    deviation per feature where it counts those. free: bool, where x may change; None is everywhere. Each has no axes,
    or those of x with N or 1 examples along the first. along: the axes of x along which neighbours belong together, as
    rows and columns of pixels or steps of time; None is told by how many axes x has.
    """

    norm: Norm
    low: Tensor
    high: Tensor
    unit: Tensor
    free: Tensor | None = None
    along: tuple[int, ...] | None = None

    def neighbours(self, x: Tensor) -> tuple[int, ...]:
        """The axes along which a window of x lies: those declared, else rows and columns, or steps."""
        return self.along if self.along is not None else {4: (2, 3), 3: (1,)}.get(x.ndim, ())

    def take(self, rows: Tensor) -> Space:
        """The space of the examples with these numbers, int64 (rows,), in this order."""

        def taken(values: Tensor) -> Tensor:
            return values[rows.to(values.device)] if values.ndim and len(values) != 1 else values

        free = None if self.free is None else taken(self.free)
        return replace(self, low=taken(self.low), high=taken(self.high), unit=taken(self.unit), free=free)

    def project(self, x: Tensor, made: Tensor, epsilon: Tensor) -> Tensor:
        """The legal input nearest to `made` in this norm, up to the order of ball and bounds. epsilon: (rows,).

        As x is within bounds, clipping to them afterwards brings no number further from x.
        """
        change = made - x
        if self.free is not None:
            change = torch.where(self.free, change, 0.0)
        if self.norm == "linf":
            reach = per_row(epsilon, x) * self.unit
            change = torch.maximum(torch.minimum(change, reach), -reach)
        else:
            length = (change / self.unit).flatten(1).norm(dim=1)
            change = change * per_row((epsilon / length.clamp(min=1e-30)).clamp(max=1.0), x)
        return torch.maximum(torch.minimum(x + change, self.high), self.low)

    def distance(self, x: Tensor, made: Tensor) -> Tensor:
        """How far `made` is from x in units of epsilon, (rows,)."""
        change = ((made - x) / self.unit).flatten(1)
        return change.abs().amax(1) if self.norm == "linf" else change.norm(dim=1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The change of length 1 in which a function of this gradient rises most, raw units; zero where it is flat.

        Its dual norm: the sign for L-infinity, the direction for L2 (with g the gradient by units of epsilon).
        """
        if self.free is not None:
            gradient = torch.where(self.free, gradient, 0.0)
        by_unit = gradient * self.unit
        if self.norm == "linf":
            return by_unit.sign() * self.unit
        length = by_unit.flatten(1).norm(dim=1)
        return by_unit * per_row(1 / length.clamp(min=1e-30), gradient) * self.unit

    def widest(self, x: Tensor) -> Tensor:
        """The distance within which every legal input lies, (rows,): a budget of this size is no limit."""
        change = torch.maximum(self.high - x, x - self.low) / self.unit
        if self.free is not None:
            change = torch.where(self.free, change, 0.0)
        return change.flatten(1).amax(1) if self.norm == "linf" else change.flatten(1).norm(dim=1)


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """(rows,) shaped to broadcast over (rows, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
