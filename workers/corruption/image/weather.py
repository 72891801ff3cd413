"""How do light and fog change a picture? After Hendrycks and Dietterich 2019, arXiv:1903.12261; constants differ.

Fog is a plasma fractal (Fournier, Fussell and Carpenter 1982, Communications of the ACM 25:371).
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.corruption.spec import Corruption

_DECAY = 2.0


def brightness(x: Tensor, added: float, _: torch.Generator) -> Tensor:
    """As much is added to every value."""
    return x + added


def contrast(x: Tensor, lost: float, _: torch.Generator) -> Tensor:
    """Every channel is drawn to its mean by this share."""
    mean = x.mean((1, 2), keepdim=True)
    return x + lost * (mean - x)


def fog(x: Tensor, thickness: float, draws: torch.Generator) -> Tensor:
    """A share `thickness` of the light comes from fog that is between half and full brightness, patch by patch."""
    side = 1 << (max(x.shape[-2:]) - 1).bit_length()
    patches = 0.5 + 0.5 * plasma(side, draws)[: x.shape[-2], : x.shape[-1]]
    return x + thickness * (patches.to(x.dtype) - x)


def plasma(side: int, draws: torch.Generator) -> Tensor:
    """A fractal of (side, side), float64 in [0, 1], by diamonds and squares on a torus. side: a power of two."""
    made = torch.zeros(side, side, dtype=torch.float64)
    step, wild = side, 1.0
    while step >= 2:
        half = step // 2
        corners = made[::step, ::step]
        beside = corners + corners.roll(-1, 0)
        made[half::step, half::step] = (beside + beside.roll(-1, 1)) / 4 + _drawn(corners, wild, draws)
        centres = made[half::step, half::step]
        upright, level = corners + corners.roll(-1, 0), corners + corners.roll(-1, 1)
        made[half::step, ::step] = (upright + centres + centres.roll(1, 1)) / 4 + _drawn(corners, wild, draws)
        made[::step, half::step] = (level + centres + centres.roll(1, 0)) / 4 + _drawn(corners, wild, draws)
        step, wild = half, wild / _DECAY
    low, high = made.min(), made.max()
    return (made - low) / (high - low) if high > low else made


def _drawn(like: Tensor, wild: float, draws: torch.Generator) -> Tensor:
    return wild * (2 * torch.rand(like.shape, generator=draws, dtype=like.dtype) - 1)


WEATHER = (
    Corruption(name="brightness", group="weather-like", title="brightness", strength="brightness added",
               strengths=(0.1, 0.2, 0.3, 0.4, 0.5), apply=brightness),
    Corruption(name="fog", group="weather-like", title="fog", strength="share of the light that is fog",
               strengths=(0.2, 0.3, 0.4, 0.5, 0.6), apply=fog),
    Corruption(name="contrast", group="weather-like", title="lost contrast", strength="share of the contrast lost",
               strengths=(0.25, 0.5, 0.6, 0.7, 0.85), apply=contrast),
)  # fmt: skip
