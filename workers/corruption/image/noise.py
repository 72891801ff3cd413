"""How does noise look in a picture? Hendrycks and Dietterich 2019, arXiv:1903.12261, section 3; constants differ."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.corruption.spec import Corruption


def gaussian(x: Tensor, deviation: float, draws: torch.Generator) -> Tensor:
    """Added noise of this standard deviation: of low light."""
    return x + deviation * torch.randn(x.shape, generator=draws, dtype=x.dtype)


def shot(x: Tensor, quantum: float, draws: torch.Generator) -> Tensor:
    """Light that comes in quanta of this brightness: Poisson counts with the mean x / quantum."""
    if quantum == 0:
        return x
    return torch.poisson(x.clamp(min=0) / quantum, generator=draws) * quantum


def impulse(x: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """Salt and pepper: this share of values becomes 0 or 1, each as likely."""
    hit = torch.rand(x.shape, generator=draws, dtype=x.dtype) < share
    salt = torch.rand(x.shape, generator=draws, dtype=x.dtype) < _EVEN
    return torch.where(hit, salt.to(x.dtype), x)


def speckle(x: Tensor, deviation: float, draws: torch.Generator) -> Tensor:
    """Noise that is the stronger the brighter the pixel: x (1 + deviation · noise)."""
    return x + x * deviation * torch.randn(x.shape, generator=draws, dtype=x.dtype)


_EVEN = 0.5

NOISE = (
    Corruption(name="gaussian_noise", group="noise", title="Gaussian noise", strength="standard deviation",
               strengths=(0.04, 0.08, 0.12, 0.18, 0.26), apply=gaussian),
    Corruption(name="shot_noise", group="noise", title="shot noise", strength="brightness of a quantum of light",
               strengths=(1 / 60, 1 / 25, 1 / 12, 1 / 5, 1 / 3), apply=shot),
    Corruption(name="impulse_noise", group="noise", title="impulse noise", strength="share of values",
               strengths=(0.03, 0.06, 0.09, 0.17, 0.27), apply=impulse),
    Corruption(name="speckle_noise", group="noise", title="speckle noise", strength="standard deviation, of the value",
               strengths=(0.15, 0.2, 0.35, 0.45, 0.6), apply=speckle),
)  # fmt: skip
