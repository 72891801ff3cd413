"""What do formats and sizes do to a picture? After Hendrycks and Dietterich 2019, arXiv:1903.12261; constants differ.

The tables of quantisation are those of ITU-T T.81 (JPEG), annex K, and the colours those of JFIF (BT.601).
"""

from __future__ import annotations

from functools import cache
from math import cos, pi, sqrt

import torch
from torch import Tensor
from torch.nn.functional import pad

from workers.corruption.spec import Corruption

_BLOCK, _WHITE = 8, 255.0
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *[(99,) * 8] * 4,
)  # fmt: skip
_WEIGHTS = (0.299, 0.587, 0.114)
_COLOURS = 3


def jpeg(x: Tensor, coarse: float, _: torch.Generator) -> Tensor:
    """8x8 blocks whose cosine coefficients are rounded to steps of the standard tables times `coarse`."""
    if coarse == 0:
        return x
    luma, chroma = (torch.tensor(table, dtype=x.dtype) * coarse for table in (_LUMA, _CHROMA))
    if len(x) != _COLOURS:
        return _rounded_blocks(x, luma.expand(len(x), 8, 8))
    to = _to_luma(x.dtype)
    given = torch.einsum("ij,jhw->ihw", to, x)
    kept = _rounded_blocks(given, torch.stack([luma, chroma, chroma]))
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(to), kept)


def pixelate(x: Tensor, lost: float, _: torch.Generator) -> Tensor:
    """Shrunk by this share of its sides, each large pixel the mean of what it covers, and drawn as large."""
    if lost == 0:
        return x
    down, across = (_squares(side, max(1, round(side * (1 - lost))), x) for side in x.shape[-2:])
    return down @ x @ across.T


def saturate(x: Tensor, more: float, _: torch.Generator) -> Tensor:
    """Colours move away from the grey of the same luma by this multiple. Of three channels."""
    weights = torch.tensor(_WEIGHTS, dtype=x.dtype).view(-1, 1, 1)
    grey = (weights * x).sum(0, keepdim=True)
    return x + more * (x - grey)


def quantise(x: Tensor, step: float, _: torch.Generator) -> Tensor:
    """Values are rounded to multiples of `step`."""
    return x if step == 0 else (x / step).round() * step


def _squares(side: int, small: int, like: Tensor) -> Tensor:
    """(side, side): each pixel becomes the mean over the one of `small` equal stretches that its middle lies in, pixels
    that are partly in it by their part."""
    ends = torch.arange(small + 1, dtype=like.dtype) * side / small
    pixels = torch.arange(side, dtype=like.dtype)
    over = (torch.minimum(ends[1:, None], pixels + 1) - torch.maximum(ends[:-1, None], pixels)).clamp(min=0)
    return (over / (side / small))[((pixels + 0.5) * small / side).long()]


def _rounded_blocks(x: Tensor, tables: Tensor) -> Tensor:
    """x: (C, H, W). tables: (C, 8, 8), the step of each coefficient, of values from 0 to 255."""
    height, width = x.shape[-2:]
    wide = pad(x, (0, -width % _BLOCK, 0, -height % _BLOCK), mode="replicate") * _WHITE
    rows, columns = wide.shape[-2] // _BLOCK, wide.shape[-1] // _BLOCK
    blocks = wide.reshape(-1, rows, _BLOCK, columns, _BLOCK).transpose(2, 3)
    basis = torch.tensor(_basis(), dtype=x.dtype)
    steps = tables[:, None, None]
    kept = (basis @ (blocks - _WHITE / 2) @ basis.T / steps).round() * steps
    made = (basis.T @ kept @ basis + _WHITE / 2).transpose(2, 3).reshape(wide.shape) / _WHITE
    return made[:, :height, :width]


@cache
def _basis() -> tuple[tuple[float, ...], ...]:
    """The orthonormal cosines (DCT-II) of 8 values."""
    return tuple(
        tuple(sqrt((1 if k == 0 else 2) / _BLOCK) * cos(pi * (2 * n + 1) * k / (2 * _BLOCK)) for n in range(_BLOCK))
        for k in range(_BLOCK)
    )


def _to_luma(dtype: torch.dtype) -> Tensor:
    """(3, 3): luma, blue and red difference, the last two about 0 (a constant half is left to the blocks)."""
    red, green, blue = _WEIGHTS
    rows = [
        [red, green, blue],
        [-0.5 * red / (1 - blue), -0.5 * green / (1 - blue), 0.5],
        [0.5, -0.5 * green / (1 - red), -0.5 * blue / (1 - red)],
    ]
    return torch.tensor(rows, dtype=dtype)


DIGITAL = (
    Corruption(name="jpeg_like", group="digital", title="JPEG-like", strength="times the standard steps",
               strengths=(2.0, 2.8, 3.3, 5.0, 7.1), apply=jpeg),
    Corruption(name="pixelate", group="digital", title="large pixels", strength="share of the sides lost",
               strengths=(0.3, 0.5, 0.65, 0.75, 0.8), apply=pixelate),
)  # fmt: skip
SATURATE = Corruption(name="saturate", group="digital", title="saturation", strength="times further from grey",
                      strengths=(0.5, 1.0, 2.0, 4.0, 9.0), apply=saturate)  # fmt: skip
QUANTISE = Corruption(name="quantise", group="digital", title="few grey levels", strength="step between levels",
                      strengths=(1 / 15, 1 / 7, 1 / 4, 1 / 2, 1.0), apply=quantise)  # fmt: skip
