"""Where in a picture does an attribution lie?

A strip of examples: above each as it is, below it with its attribution laid over, blue for, orange against. Each
example has its own scale; grey is the example, colour the attribution, and no number is read from it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workers.pictures.colours import Pixels, png, tinted

_SIDE, _GAP = 160, 8


def strip(examples: Tensor, attributions: Tensor) -> bytes:
    """A PNG of n examples side by side.

    examples: (n, channels, H, W) in [0, 1]. attributions: (n, h, w), signed, of a layer laid out as the picture is.
    """
    height, width = examples.shape[-2:]
    scale = max(1, _SIDE // max(height, width))
    tiles = [
        np.vstack([plain, np.full((_GAP, plain.shape[1], 3), 255, np.uint8), _laid_over(plain, attribution)])
        for plain, attribution in (
            (_pixels(example, scale), attribution) for example, attribution in zip(examples, attributions, strict=True)
        )
    ]
    gap = np.full((tiles[0].shape[0], _GAP, 3), 255, np.uint8)
    return png(np.hstack([part for tile in tiles for part in (tile, gap)][:-1]))


def in_colour(example: Tensor) -> Tensor:
    """(channels, H, W) in [0, 1] as (3, H, W): three channels are colours, any other number the grey of their mean."""
    return (example if len(example) == 3 else example.mean(0, keepdim=True).expand(3, -1, -1)).clamp(0, 1)


def _pixels(example: Tensor, scale: int) -> Pixels:
    """(scale H, scale W, 3)."""
    large = in_colour(example).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    pixels: Pixels = (large.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return pixels


def _laid_over(plain: Pixels, attribution: Tensor) -> Pixels:
    """The picture in pale grey with the attribution over it, as opaque as it is large."""
    size = (plain.shape[0], plain.shape[1])
    smooth = torch.nn.functional.interpolate(attribution[None, None].float(), size=size, mode="bilinear")[0, 0]
    most = float(smooth.abs().max())
    return tinted(plain, (smooth / most if most > 0 else smooth).cpu().numpy())
