"""How far can a number be shifted within a budget? A goal that is never reached, so that no attack stops early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.attack.frontier import Resumed, attack
from workers.attack.numbers import Shifted
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.standing import Told
from workers.attack.victim import Victim


@dataclass(frozen=True, slots=True, eq=False)
class Further:
    """Up or down, as far as may be. before: (N,)."""

    before: Tensor

    @property
    def losses(self) -> tuple[str, ...]:
        return self._shifted.losses

    @property
    def targeted(self) -> tuple[str, ...]:
        return self._shifted.targeted

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:  # noqa: ARG002  # never, whoever it is of
        return torch.zeros(len(outputs), dtype=torch.bool, device=outputs.device)

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        """The smaller, the further."""
        return torch.nan_to_num(-(outputs - self.before.to(outputs)[index]).abs(), nan=torch.inf, posinf=torch.inf)

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:
        return self._shifted.towards(outputs, index, count)

    def loss(self, name: str, outputs: Tensor, index: Tensor, towards: Tensor | None) -> Tensor:
        return self._shifted.loss(name, outputs, index, towards)

    @property
    def _shifted(self) -> Shifted:
        return Shifted(self.before, 0.0)


def furthest(
    victim: Victim, before: Tensor, x: Tensor, space: Space, settings: Settings, seeds: Sequence[int], told: Told
) -> Tensor:
    """The largest shift found of each example within the one budget of `settings`, float64 (N,): a lower bound."""
    goal, last = Further(before), list[Resumed]()
    attack(victim, goal, x, space, settings, seeds, told, kept=last.append)
    near = last[-1].state["near"].to(x)
    index = torch.arange(len(x), device=x.device)
    return (victim.outputs(near, index) - before.to(x.device)).abs().double().cpu()
