"""What is asked of a walk: which target, what is made of values and gradients at the taps, and who takes it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from workers.sweep.probe import Tap
from workers.sweep.reducers import Reducer
from workers.sweep.target import Target


class Reading(Protocol):
    """What is made of one tap's values and gradients, for one block of examples; chunks come in the order of points."""

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (points, examples, ...) of the next chunk; may change neither.

        Where no question of the walk wants gradients there are none, and what stands for them is empty.
        """

    def attribution(self, change: Tensor | None) -> Tensor:
        """(examples, ...). change: x - x' where the tap stands for an input, (examples, ...); else None."""


class Begin(Protocol):
    """Makes the reading of one tap for one block of examples."""

    def __call__(self, tap: Tap, zeros: Tensor, chunks: int, /) -> Reading:
        """zeros: (examples, ...) of the tap's type, its own to keep; chunks: how many times `add` will be called."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """What is read, for which target, at which taps, and who takes it.

    still: the attribution of an example that equals its baseline is exactly zero (there is no path).
    gradients: False where values are enough; a walk all of whose questions say so makes no backward pass.
    """

    target: Target
    begin: Begin
    taps: tuple[str, ...]
    reducers: Sequence[Reducer]
    still: bool = True
    gradients: bool = True
