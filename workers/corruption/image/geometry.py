"""How does a picture move? Rotated or shifted, read between its pixels; what comes in repeats the edge."""

from __future__ import annotations

from math import cos, pi, radians, sin

import torch
from torch import Tensor

from workers.corruption.image.blur import transformed
from workers.corruption.spec import Corruption

_EVEN = 0.5


def rotation(x: Tensor, degrees: float, draws: torch.Generator) -> Tensor:
    """About the centre, to a drawn side."""
    side = 1 if float(torch.rand((), generator=draws)) < _EVEN else -1
    return x if degrees == 0 else turned(x, side * degrees)


def turned(x: Tensor, degrees: float) -> Tensor:
    """Counter-clockwise about the centre; circles stay circles also where sides differ."""
    height, width = x.shape[-2:]
    c, s = cos(radians(degrees)), sin(radians(degrees))
    matrix = torch.tensor([[c, -s * height / width], [s * width / height, c]], dtype=x.dtype)
    return transformed(x, matrix, torch.zeros(2, dtype=x.dtype))


def translation(x: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """By this share of its sides, in a drawn direction."""
    angle = 2 * pi * float(torch.rand((), generator=draws, dtype=torch.float64))
    if share == 0:
        return x
    shift = 2 * share * torch.tensor([cos(angle), sin(angle)], dtype=x.dtype)
    return transformed(x, torch.eye(2, dtype=x.dtype), shift)


GEOMETRY = (
    Corruption(name="rotation", group="geometric", title="rotation", strength="degrees",
               strengths=(5.0, 10.0, 15.0, 20.0, 30.0), apply=rotation),
    Corruption(name="translation", group="geometric", title="translation", strength="share of the sides",
               strengths=(0.03, 0.06, 0.09, 0.12, 0.16), apply=translation),
)  # fmt: skip
