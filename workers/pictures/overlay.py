"""Where in a picture does an attribution lie?

A strip of examples: above each as it is, below it with its attribution laid over, blue for, orange against. Each
example has its own scale; grey is the example, colour the attribution, and no number is read from it.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

_SIDE, _GAP = 160, 8
_FOR, _AGAINST = (31, 91, 184), (222, 110, 20)
_OPAQUE = 0.85


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
    row = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
    file = io.BytesIO()
    Image.fromarray(row).save(file, "PNG")
    return file.getvalue()


def _pixels(example: Tensor, scale: int) -> NDArray[np.uint8]:
    """(scale H, scale W, 3): three channels as colours, any other number as the grey of their mean."""
    shown = example if len(example) == 3 else example.mean(0, keepdim=True).expand(3, -1, -1)
    large = shown.clamp(0, 1).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    pixels: NDArray[np.uint8] = (large.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return pixels


def _laid_over(plain: NDArray[np.uint8], attribution: Tensor) -> NDArray[np.uint8]:
    """The picture in pale grey with the attribution over it, as opaque as it is large."""
    size = (plain.shape[0], plain.shape[1])
    smooth = torch.nn.functional.interpolate(attribution[None, None].float(), size=size, mode="bilinear")[0, 0]
    most = float(smooth.abs().max())
    part = (smooth / most if most > 0 else smooth).cpu().numpy()[..., None]
    grey = 128 + plain.mean(2, keepdims=True) / 2
    colour = np.where(part > 0, np.array(_FOR), np.array(_AGAINST))
    weight = _OPAQUE * np.abs(part)
    mixed: NDArray[np.uint8] = (grey * (1 - weight) + colour * weight).round().astype(np.uint8)
    return mixed
