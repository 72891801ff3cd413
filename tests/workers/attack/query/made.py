"""Victims that are asked and give no gradients, and spaces around their examples."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workers.attack.space import Norm, Space
from workers.attack.victim import Victim


def black_box(network: nn.Module, rows: int = 512) -> Victim:
    def asked(x: Tensor, _index: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        made: Tensor = network(x)
        return made

    network.eval().requires_grad_(False)
    return Victim(network=asked, rows=rows, black_box=True)


def space(norm: Norm, low: float = -1e6, high: float = 1e6) -> Space:
    return Space(norm=norm, low=torch.tensor(low), high=torch.tensor(high), unit=torch.tensor(1.0))


def any_space(norm: Norm, shape: tuple[int, ...], examples: int, draw: torch.Generator) -> tuple[Space, Tensor]:
    """Bounds, unit and what may change, all drawn, and examples within."""
    low = torch.rand(1, *shape, generator=draw) * 4 - 3
    high = low + torch.rand(1, *shape, generator=draw) * 3 + 0.01
    x = low + (high - low) * torch.rand(examples, *shape, generator=draw)
    unit, free = torch.rand(1, *shape, generator=draw) + 0.05, torch.rand(examples, *shape, generator=draw) < 0.8
    return Space(norm=norm, low=low, high=high, unit=unit, free=free), torch.minimum(torch.maximum(x, low), high)


def illegal(space: Space, x: Tensor, made: Tensor, epsilon: Tensor | None = None) -> int:
    """How many of these points leave the bounds, what may change or the budget: worked out anew, in float64."""
    if len(made) == 0:
        return 0
    wrong = ((made < space.low) | (made > space.high) | ~torch.isfinite(made)).flatten(1).any(1)
    if space.free is not None:
        wrong |= ((made != x) & ~space.free).flatten(1).any(1)
    if epsilon is not None:
        change = ((made.double() - x.double()) / space.unit.double()).flatten(1)
        length = change.abs().amax(1) if space.norm == "linf" else change.norm(dim=1)
        # A sum that is rounded in float32 is off by its last place, which counts in units.
        last = (x.abs().double() / space.unit.double()).flatten(1).amax(1) * 2e-7 * math.sqrt(x[0].numel())
        wrong |= length > epsilon.double() * (1 + 1e-6) + last
    return int(wrong.sum())


def network_for(shape: tuple[int, ...], seed: int = 0, classes: int = 4) -> nn.Module:
    """Random, and steep enough that answers change over its inputs."""
    torch.manual_seed(seed)
    first, last = nn.Linear(math.prod(shape), 12), nn.Linear(12, classes)
    nn.init.normal_(first.weight, std=5.0 / math.prod(shape) ** 0.5)
    nn.init.normal_(last.weight)
    return nn.Sequential(nn.Flatten(), first, nn.Tanh(), last)


SHAPES = ((7,), (5, 3), (1, 4, 4), (3, 6, 5))
