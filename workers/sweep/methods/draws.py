"""What does an example draw, and how does it stay the same however the work is cut?

Every draw of every example has a generator of its own, seeded by the example's place among all examples and the number
of the draw. Numbers are drawn on the processor in float64, so that neither device nor precision changes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.numerics.determinism import seed_for


def generator(seed: int, example: int, draw: int) -> torch.Generator:
    """For one draw of one example."""
    return torch.Generator().manual_seed(seed_for(str(seed_for(str(seed), example)), draw))


@dataclass(frozen=True, slots=True)
class Draw:
    """coefficient: uniform in [0, 1). other: which of the others is the baseline. noise: standard normal, by input."""

    coefficient: float
    other: int
    noise: tuple[Tensor, ...]


def drawn(seed: int, example: int, draw: int, others: int, shapes: tuple[torch.Size, ...]) -> Draw:
    """One draw. others: how many there are. shapes: of one example of each input that gets noise."""
    source = generator(seed, example, draw)
    coefficient = float(torch.rand((), generator=source, dtype=torch.float64))
    other = int(torch.randint(max(1, others), (), generator=source))
    return Draw(coefficient, other, tuple(torch.randn(each, generator=source, dtype=torch.float64) for each in shapes))


def spread(x: Tensor) -> Tensor:
    """Of each example the largest value less the smallest: (examples, 1, ...)."""
    flat = x.flatten(1)
    return (flat.amax(1) - flat.amin(1)).view(-1, *[1] * (x.ndim - 1))
