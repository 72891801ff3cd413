"""What is one corruption? A change that people, sensors and formats make, at five strengths, and at none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from workers.numerics.determinism import seed_for

Group = Literal["noise", "blur", "weather-like", "digital", "geometric", "sensor", "time", "typing", "form", "cells"]
SEVERITIES = (1, 2, 3, 4, 5)
NO_SEVERITY = 0
"""At which every corruption gives what it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One kind of corruption.

    apply: from one example, a strength and a generator to the corrupted example, of the same type and shape; at
    strength 0 the example itself. strengths: at severities 1 to 5, ascending. strength: what they count, in words.
    """

    name: str
    group: Group
    title: str
    strength: str
    strengths: tuple[float, float, float, float, float]
    apply: Callable[[Any, float, torch.Generator], Any]

    def at(self, severity: int) -> float:
        """The strength of a severity, 0 to 5."""
        return 0.0 if severity == NO_SEVERITY else self.strengths[severity - 1]

    def draws(self, digest: str, index: int) -> torch.Generator:
        """The generator of one example, the same at every severity and in whatever batch."""
        return torch.Generator().manual_seed(seed_for(f"{digest}/{self.name}", index))


def chosen(count: int, share: float, draws: torch.Generator) -> list[int]:
    """At least one of `count` where `share` is above 0, by a seeded order: more of them hold all that fewer hold."""
    order: list[int] = torch.randperm(count, generator=draws).tolist()
    return order[: min(count, ceiling(share * count))]


def ceiling(value: float) -> int:
    """The next whole number, but for rounding: 0.3 of 10 is 3."""
    return -int(-(value - _ROUNDING) // 1) if value > 0 else 0


_ROUNDING = 1e-9
