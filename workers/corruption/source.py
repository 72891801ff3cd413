"""Which inputs does a network read where its examples are corrupted? One source for each kind of input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.corruption.spec import Corruption
from workers.subject.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """x: what the network reads, (rows, ...) for each input. distance: float64 (rows,), from the examples; exactly 0
    where nothing changed."""

    x: tuple[Tensor, ...]
    distance: Tensor


class Source(Protocol):
    """The examples of a subject, and what can happen to them."""

    @property
    def corruptions(self) -> tuple[Corruption, ...]:
        """Those that apply to these inputs."""

    @property
    def skipped(self) -> tuple[NotApplicable, ...]:
        """The others of this kind of input, each with its reason."""

    @property
    def unit(self) -> str:
        """Of distances."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of these inputs, in sentences."""

    def rows(self, corruption: Corruption, severity: int, index: Sequence[int], digest: str) -> Rows:
        """The examples with these numbers at a severity, 0 to 5. An example's draws hang on its number alone."""


One = Callable[[int, Corruption, float, torch.Generator], tuple[Tensor, float]]
"""From an example's number to its corrupted raw values, float64 on the CPU, and how far they are from its own."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Numbers:
    """Examples of numbers: images, series, tables. raw: every input in raw units; `position` is corrupted."""

    subject: Subject
    raw: tuple[Tensor, ...]
    position: int
    dtype: torch.dtype
    corruptions: tuple[Corruption, ...]
    unit: str
    one: One
    skipped: tuple[NotApplicable, ...] = ()
    notes: tuple[str, ...] = ()

    def rows(self, corruption: Corruption, severity: int, index: Sequence[int], digest: str) -> Rows:
        """See Source."""
        strength = corruption.at(severity)
        made = [self.one(at, corruption, strength, corruption.draws(digest, at)) for at in index]
        like = self.raw[self.position]
        stacked = torch.stack([each for each, _ in made])
        changed = (stacked if like.is_floating_point() else stacked.round()).to(like.device, like.dtype)
        given = [changed if at == self.position else each[list(index)] for at, each in enumerate(self.raw)]
        x = tuple(
            self.subject.prepared(each.to(self.dtype) if each.is_floating_point() else each, at)
            for at, each in enumerate(given)
        )
        return Rows(x, torch.tensor([distance for _, distance in made], dtype=torch.float64))


def kept_within(made: Tensor, own: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """`made` within the bounds, which reach as far as the example's own values where those lie beyond."""
    return torch.maximum(torch.minimum(made, own.clamp(min=high)), own.clamp(max=low))
