"""What happens to a series? Sensors drift, fail and spike; clocks are off.

Each corruption takes one series, (steps, channels) in float64, of the steps that are no padding, in standard deviations
about the mean of each channel: 0 is the channel's mean.
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from workers.corruption.spec import Corruption, ceiling, chosen

_SPIKE = 5.0
_EVEN = 0.5


def noise(z: Tensor, deviation: float, draws: torch.Generator) -> Tensor:
    """Added noise, a number for each step and channel."""
    return z + deviation * torch.randn(z.shape, generator=draws, dtype=z.dtype)


def dropout(z: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """This share of steps is lost, and the mean stands for them."""
    made = z.clone()
    made[chosen(len(z), share, draws)] = 0.0
    return made


def spikes(z: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """This share of steps jumps by five standard deviations, each channel up or down."""
    signs = _signs(z.shape, draws, z)
    at = chosen(len(z), share, draws)
    made = z.clone()
    made[at] += _SPIKE * signs[at]
    return made


def drift(z: Tensor, end: float, draws: torch.Generator) -> Tensor:
    """A line from 0 at the first step to `end`, up or down, at the last is added to each channel."""
    signs = _signs(z.shape[1:], draws, z)
    along = torch.linspace(0, 1, len(z), dtype=z.dtype)[:, None] if len(z) > 1 else torch.ones_like(z)
    return z + end * along * signs


def channel_loss(z: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """This share of channels is lost, and the mean stands for them; one channel is always left."""
    made = z.clone()
    made[:, chosen(z.shape[1], share, draws)[: z.shape[1] - 1]] = 0.0
    return made


def time_shift(z: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """Earlier or later by this share of its steps, at least one; the first or the last step is held."""
    later = bool(torch.rand((), generator=draws) < _EVEN)
    by = ceiling(share * len(z))
    at = torch.arange(len(z)) + (-by if later else by)
    return z[at.clamp(0, len(z) - 1)]


def time_warp(z: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """The middle comes earlier or later by this share of its steps, the ends stay; read between steps."""
    side = 1 if bool(torch.rand((), generator=draws) < _EVEN) else -1
    steps = torch.arange(len(z), dtype=z.dtype)
    whole = max(1, len(z) - 1)
    at = (steps + side * share * whole * torch.sin(pi * steps / whole)).clamp(0, len(z) - 1)
    before = at.floor().long().clamp(max=max(0, len(z) - 2))
    behind = (before + 1).clamp(max=len(z) - 1)
    return torch.lerp(z[before], z[behind], (at - before)[:, None])


def _signs(shape: torch.Size, draws: torch.Generator, like: Tensor) -> Tensor:
    up = torch.rand(shape, generator=draws, dtype=like.dtype) < _EVEN
    return 2 * up.to(like.dtype) - 1


CHANNEL_LOSS = Corruption(
    name="channel_loss", group="sensor", title="lost channels", strength="share of channels",
    strengths=(0.1, 0.2, 0.3, 0.4, 0.5), apply=channel_loss,
)  # fmt: skip
SERIES = (
    Corruption(name="series_noise", group="sensor", title="noise", strength="standard deviations of the channel",
               strengths=(0.1, 0.2, 0.4, 0.7, 1.0), apply=noise),
    Corruption(name="dropout", group="sensor", title="lost steps", strength="share of steps",
               strengths=(0.05, 0.1, 0.2, 0.3, 0.5), apply=dropout),
    Corruption(name="spikes", group="sensor", title="spikes", strength="share of steps",
               strengths=(0.01, 0.02, 0.04, 0.07, 0.1), apply=spikes),
    Corruption(name="drift", group="sensor", title="drift", strength="standard deviations at the last step",
               strengths=(0.25, 0.5, 1.0, 1.5, 2.0), apply=drift),
    CHANNEL_LOSS,
    Corruption(name="time_shift", group="time", title="shifted in time", strength="share of steps",
               strengths=(0.02, 0.05, 0.1, 0.15, 0.2), apply=time_shift),
    Corruption(name="time_warp", group="time", title="warped in time", strength="share of steps",
               strengths=(0.02, 0.05, 0.1, 0.15, 0.2), apply=time_warp),
)  # fmt: skip
