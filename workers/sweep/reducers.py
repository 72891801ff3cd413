"""What is kept of the attributions, when there are more examples than memory?

A reducer sees the attributions of one tap for one block of examples and keeps what it is for: sums over examples,
totals per example, or, where asked, everything. Sums over examples are in float64.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Block:
    """The attributions of the tap `key` for examples start:stop. attribution: (examples, ...), in the unit of the
    target; its signed and absolute sums over units: (examples,), float64. No reducer may change the tensors."""

    key: str
    start: int
    stop: int
    attribution: Tensor
    signed: Tensor
    absolute: Tensor


class Reducer(Protocol):
    """Takes each block once, examples in order."""

    def take(self, block: Block) -> None:
        """Keeps what is wanted of `block`; what it keeps may be the block's own tensors."""


class Totals:
    """Per example, the sum of a tap's attributions and of their absolute values: 16 bytes per tap and example."""

    def __init__(self) -> None:
        self._signed: dict[str, list[Tensor]] = {}
        self._absolute: dict[str, list[Tensor]] = {}

    def take(self, block: Block) -> None:
        self._signed.setdefault(block.key, []).append(block.signed.cpu())
        self._absolute.setdefault(block.key, []).append(block.absolute.cpu())

    def signed(self, key: str) -> Tensor:
        """(examples,), float64: the sum over units of each example."""
        return torch.cat(self._signed[key])

    def absolute(self, key: str) -> Tensor:
        """(examples,), float64: the sum over units of absolute attributions, of each example."""
        return torch.cat(self._absolute[key])


_SUMS_BYTES = 3 * 8
"""What the sums of a unit take. A block that takes no more for each unit may stay as it is."""

_SUMMED = 1 << 16
"""Numbers that are turned into float64 at once."""


class UnitMoments:
    """Over `n` examples, for each unit of one tap: what its mean, absolute mean and standard error need."""

    def __init__(self) -> None:
        self.n = 0
        self._first: Tensor | None = None  # a single small block stays as it is; sums begin with the second
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None

    def add(self, attribution: Tensor) -> None:
        """attribution: (examples, ...)."""
        self.n += len(attribution)
        if self._first is None and self._sums is None:
            if len(attribution) * attribution.element_size() <= _SUMS_BYTES:
                self._first = attribution
            else:
                self._sums = _sums(attribution)
            return
        for total, each in zip(self._sum(), _sums(attribution), strict=True):
            total.add_(each)

    @property
    def mean(self) -> Tensor:
        """(...), float64."""
        return self._sum()[0] / self.n

    @property
    def absolute_mean(self) -> Tensor:
        """(...), float64: the mean of absolute values."""
        return self._sum()[1] / self.n

    @property
    def sums(self) -> tuple[Tensor, Tensor, Tensor]:
        """Over examples: of the attributions, of their magnitudes and of their squares; each (...), float64."""
        return self._sum()

    @property
    def standard_error(self) -> Tensor | None:
        """(...), float64: of `mean`, over examples; None for a single example."""
        if self.n < 2:
            return None
        variance = (self._sum()[2] - self.n * self.mean**2).clamp_(min=0) / (self.n - 1)
        return (variance / self.n).sqrt_()

    def _sum(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._sums is None:
            if self._first is None:
                raise ValueError("no example has been swept yet")
            self._sums, self._first = _sums(self._first), None
        return self._sums


def _sums(attribution: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sums over examples of the values, their magnitudes and their squares, in float64."""
    at_once = max(1, _SUMMED // max(1, attribution[0].numel()))
    first, *others = torch.split(attribution, at_once)
    totals = _of_some(first.to(torch.float64))
    for some in others:
        for total, each in zip(totals, _of_some(some.to(torch.float64)), strict=True):
            total.add_(each)
    return totals


def _of_some(exact: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return exact.sum(0), exact.abs().sum(0), exact.square().sum(0)


class Moments:
    """Unit means over examples; memory does not grow with their number."""

    def __init__(self) -> None:
        self._of: dict[str, UnitMoments] = {}

    def take(self, block: Block) -> None:
        self._of.setdefault(block.key, UnitMoments()).add(block.attribution)

    def of(self, key: str) -> UnitMoments:
        """Raises KeyError for a tap that was not swept."""
        return self._of[key]


class Keep:
    """The attributions themselves, of the taps and the `first` examples named (None: all). Memory grows with them."""

    def __init__(self, keys: Collection[str] | None = None, first: int | None = None) -> None:
        self._keys, self._first = keys, first
        self._blocks: dict[str, list[Tensor]] = {}

    def take(self, block: Block) -> None:
        if self._keys is not None and block.key not in self._keys:
            return
        wanted = len(block.attribution) if self._first is None else max(0, self._first - block.start)
        self._blocks.setdefault(block.key, []).append(block.attribution[:wanted].cpu())

    def of(self, key: str) -> Tensor:
        """(examples, ...): raises KeyError for a tap that was not swept or not named."""
        return torch.cat(self._blocks[key])
