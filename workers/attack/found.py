"""What did an attack find? For each example the smallest budget of the curve that broke it, and with what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.attack.victim import Asked


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stage:
    """One attack of the ladder: what it is called, what it cost, and how many examples it was the first to break at
    each epsilon."""

    name: str
    asked: Asked
    broke: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Found:
    """N examples at E budgets, ascending.

    clean: bool (N,), where the goal is not yet reached without an attack. at: int64 (N,), the place of the smallest
    epsilon that breaks each, E where none does, -1 where `clean` is false. made: (N, ...), the adversarial found at
    that epsilon, the example itself where there is none. distance: float64 (N,), from the example, in units of epsilon.
    by: the stage, by its place in `stages`, that found it, -1 where none. stages: in the order in which they ran.
    """

    epsilons: tuple[float, ...]
    clean: Tensor
    at: Tensor
    made: Tensor
    distance: Tensor
    by: Tensor
    stages: tuple[Stage, ...]

    def robust(self) -> Tensor:
        """Whether an example holds at each epsilon, bool (N, E): a break stands for all larger budgets."""
        return self.clean[:, None] & (self.at[:, None] > torch.arange(len(self.epsilons))[None])

    @property
    def asked(self) -> Asked:
        """All stages together."""
        return Asked(
            forwards=sum(stage.asked.forwards for stage in self.stages),
            gradients=sum(stage.asked.gradients for stage in self.stages),
        )
