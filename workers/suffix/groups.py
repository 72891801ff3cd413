"""Which units of a layer are replaced together?

By the axes of one example's output, which are what is known of a layer whatever its type: along the first axis lie
the channels of (C, H, W) and (C, T), the tokens of (T, C), the heads of (heads, T, T); along the last the features of
tokens (T, C) and the time steps of (C, T). A layer with one axis has one group for each unit, whichever is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol

import torch
from torch import Tensor

Along = Literal["first", "last", "unit"]


class Groups(Protocol):
    """Groups of the units of one example; a unit may be in several."""

    @property
    def count(self) -> int:
        """How many."""

    def members(self, start: int, stop: int, device: torch.device) -> Tensor:
        """Booleans, to be broadcast over (stop - start, units...): which units are in the groups start:stop."""


@dataclass(frozen=True, slots=True)
class AlongAxis:
    """One group for each place along one axis of `shape`; each unit alone where `axis` is None."""

    shape: tuple[int, ...]
    axis: int | None

    @classmethod
    def of(cls, along: Along, shape: tuple[int, ...]) -> AlongAxis:
        """The groups of units of `shape` that `along` means."""
        if along == "unit" or not shape:
            return cls(shape, None)
        return cls(shape, 0 if along == "first" else len(shape) - 1)

    @property
    def units(self) -> tuple[int, ...]:
        """The shape of one number for each group."""
        return self.shape if self.axis is None else (self.shape[self.axis],)

    @property
    def count(self) -> int:
        return prod(self.units)

    def members(self, start: int, stop: int, device: torch.device) -> Tensor:
        which = torch.arange(start, stop, device=device)
        if self.axis is None:
            every = torch.arange(self.count, device=device).view(1, *self.shape)
            return every == which.view(-1, *[1] * len(self.shape))
        along = [1] * len(self.shape)
        along[self.axis] = self.shape[self.axis]
        places = torch.arange(self.shape[self.axis], device=device).view(1, *along)
        return places == which.view(-1, *[1] * len(self.shape))
