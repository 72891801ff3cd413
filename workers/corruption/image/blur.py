"""How is a picture blurred? Each blur is a mean over neighbours; beyond the edge its pixels repeat.

Lengths are shares of the shorter side, or of 32 pixels where that is shorter, so that a picture of any size suffers as
much. After Hendrycks and Dietterich 2019, arXiv:1903.12261, section 3; constants differ.
"""

from __future__ import annotations

from math import ceil, cos, pi, sin

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from workers.corruption.spec import Corruption

_LEAST_SIDE = 32
_REACH = 4
"""Standard deviations at which a Gaussian is cut off: beyond lies less than 1e-4 of it."""

_ALONG, _ZOOMS = 64, 8


def gaussian(x: Tensor, share: float, _: torch.Generator) -> Tensor:
    """The mean weighted by exp(-distance² / 2 deviation²)."""
    deviation = pixels(x, share)
    if deviation == 0:
        return x
    away = _away(ceil(_REACH * deviation), x)
    return convolved(x, torch.exp(-(away**2) / (2 * deviation**2)))


def defocus(x: Tensor, share: float, _: torch.Generator) -> Tensor:
    """The mean over a disk, of whose edge pixels are in by what is covered of them."""
    radius = pixels(x, share)
    away = _away(ceil(radius), x)
    return convolved(x, (radius + 0.5 - away).clamp(0, 1))


def motion(x: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """The mean along a line of this length and a drawn direction."""
    length = pixels(x, share)
    angle = pi * float(torch.rand((), generator=draws, dtype=torch.float64))
    reach = ceil(length / 2)
    along = torch.linspace(-length / 2, length / 2, _ALONG, dtype=x.dtype)
    rows, columns = along * sin(angle), along * cos(angle)
    places = torch.arange(-reach, reach + 1, dtype=x.dtype)
    near = [(1 - (each[:, None] - places).abs()).clamp(min=0) for each in (rows, columns)]
    return convolved(x, near[0].T @ near[1])


def zoom(x: Tensor, most: float, _: torch.Generator) -> Tensor:
    """The mean of the picture and of nine enlarged about its centre by up to 1 + most."""
    if most == 0:
        return x
    enlarged = [
        transformed(x, torch.eye(2, dtype=x.dtype) / (1 + most * at / _ZOOMS), torch.zeros(2, dtype=x.dtype))
        for at in range(_ZOOMS + 1)
    ]
    return torch.stack(enlarged).mean(0)


def pixels(x: Tensor, share: float) -> float:
    """This share of the shorter side, of at least 32 pixels."""
    return share * max(_LEAST_SIDE, min(x.shape[-2:]))


def convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """x (C, H, W), every channel with the same kernel of odd sides, brought to a sum of 1; edges repeat."""
    reach = kernel.shape[0] // 2
    if reach == 0:
        return x
    wide = pad(x, (reach, reach, reach, reach), mode="replicate")
    size = wide.shape[-2:]
    by = torch.fft.rfft2(kernel / kernel.sum(), s=size)
    made: Tensor = torch.fft.irfft2(torch.fft.rfft2(wide) * by, s=size)
    return made[:, 2 * reach :, 2 * reach :]


def transformed(x: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Reads each place (across, down; -1 to 1 over the picture) at matrix · place + shift; beyond, edges repeat."""
    theta = torch.cat([matrix, shift[:, None]], dim=1)[None]
    grid = affine_grid(theta, [1, *x.shape], align_corners=False)
    return grid_sample(x[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]


def _away(reach: int, like: Tensor) -> Tensor:
    """The distance of each cell of a kernel from its centre."""
    at = torch.arange(-reach, reach + 1, dtype=like.dtype)
    return (at[:, None] ** 2 + at**2).sqrt()


BLUR = (
    Corruption(name="gaussian_blur", group="blur", title="Gaussian blur", strength="standard deviation, of the side",
               strengths=(0.01, 0.015, 0.02, 0.03, 0.04), apply=gaussian),
    Corruption(name="defocus_blur", group="blur", title="defocus", strength="radius of the disk, of the side",
               strengths=(0.02, 0.03, 0.04, 0.05, 0.06), apply=defocus),
    Corruption(name="motion_blur", group="blur", title="motion blur", strength="length of the line, of the side",
               strengths=(0.06, 0.09, 0.12, 0.16, 0.2), apply=motion),
    Corruption(name="zoom_blur", group="blur", title="zoom blur", strength="largest enlargement",
               strengths=(0.06, 0.11, 0.16, 0.21, 0.26), apply=zoom),
)  # fmt: skip
