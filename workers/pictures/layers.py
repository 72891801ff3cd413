"""How does what matters in a picture move from layer to layer?

One row per example: the example, then the attribution of each layer over it, early to deep. A cell of a coarse layer
stands for many pixels of the input, so its attribution is spread evenly over them: every tile adds up to its layer's
total, whatever its resolution, and tiles of different layers can be compared on one scale. Nothing is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.pictures.colours import (
    LEGEND_HEIGHT,
    LETTER_WIDTH,
    LINE_HEIGHT,
    RAISES,
    WIDTH,
    Pixels,
    blank,
    legend,
    mixed,
    png,
    put,
    said,
    wrapped,
    writable,
    write,
)
from workers.pictures.overlay import in_colour

MOST_LAYERS = 11
"""With more columns than these a tile is too small to be read."""

_BESIDE, _GAP = 16 * LETTER_WIDTH, 8
_LARGEST, _TALLEST = 200, 240
_NAME_LINES, _PALEST = 3, 208


@dataclass(frozen=True, slots=True)
class LayerMap:
    """What one layer attributes to places: (examples, h, w), signed, summed over its channels."""

    name: str
    attribution: Tensor


@dataclass(frozen=True, slots=True)
class LayerLine:
    """What one layer attributes along the sequence of one example: (tokens or steps,), signed, summed over channels."""

    name: str
    attribution: Tensor


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most `most` of the indices 0 to count - 1, evenly over depth, the first and the last among them."""
    if count <= most:
        return tuple(range(count))
    return tuple(round(at * (count - 1) / (most - 1)) for at in range(most))


def layer_strip(
    examples: Tensor,
    layers: Sequence[LayerMap],
    unit: str,
    *,
    names: Sequence[str] = (),
    common: bool = False,
    meaning: str = RAISES,
) -> bytes:
    """A PNG: examples down, layers across, each layer's name under its column, the scale below.

    examples: (n, channels, H, W) in [0, 1]. unit: of the attributions. names: what to call each example.
    meaning: what the colours say.
    common: one scale for all examples; otherwise each row has its own, written beside it. Layers of a row always share
    one. Raises ValueError for more than MOST_LAYERS layers (take them by `spread`), and for values that are not finite.
    """
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(f"a strip has 1 to {MOST_LAYERS} layers, not {len(layers)}")
    maps = [_per_pixel(layer, examples.shape) for layer in layers]
    most = torch.stack([each.abs().amax((1, 2)) for each in maps]).amax(0)
    if not bool(torch.isfinite(most).all()):
        raise ValueError("an attribution is not finite and has no colour")
    scale = most.max().expand(len(most)) if common else most
    pitch = min(_LARGEST, (WIDTH - _GAP - _BESIDE) // (1 + len(layers)) - _GAP)
    high, wide = _tile(examples.shape, pitch)
    across = [_GAP + column * (pitch + _GAP) for column in range(2 + len(layers))]
    under = [wrapped(name, pitch // LETTER_WIDTH, _NAME_LINES) for name in ("example", *(each.name for each in layers))]
    line = max(high, 2 * LINE_HEIGHT) + _GAP
    foot = _GAP + len(examples) * line
    lines = max(map(len, under))
    canvas = blank(foot + lines * LINE_HEIGHT + _GAP + LEGEND_HEIGHT, WIDTH)
    for row, example in enumerate(examples):
        top, plain = _GAP + row * line, _sized(in_colour(example), high, wide)
        put(canvas, top, across[0], plain)
        for left, each in zip(across[1:], maps, strict=False):
            part = each[row] / scale[row] if float(scale[row]) > 0 else each[row]
            put(canvas, top, left, mixed(_faint(plain), _resized(part[None], high, wide)[0]))
        beside = [*names[row : row + 1], *([] if common else [f"\u00b1{said(float(scale[row]))}"])]
        for at, text in enumerate(beside):
            write(canvas, top + at * LINE_HEIGHT, across[-1], writable(text)[: _BESIDE // LETTER_WIDTH])
    for left, name in zip(across, under, strict=False):
        for at, text in enumerate(name):
            write(canvas, foot + at * LINE_HEIGHT, left, text)
    ends = float(most.max()) if common else None
    legend(canvas, foot + lines * LINE_HEIGHT + _GAP, ends, f"{unit} per pixel", meaning, ground=_PALEST)
    return png(canvas)


def _faint(plain: Pixels) -> NDArray[np.float64]:
    """The example as a pale ground, on which one colour looks the same over its dark and its light parts."""
    faint: NDArray[np.float64] = _PALEST + (255 - _PALEST) / 255 * plain.mean(2, keepdims=True)
    return faint


def _per_pixel(layer: LayerMap, shape: Sequence[int]) -> Tensor:
    """(examples, h, w), float64: what each pixel under a cell gets."""
    if layer.attribution.ndim != 3 or len(layer.attribution) < shape[0]:
        given = tuple(layer.attribution.shape)
        raise ValueError(f"layer '{layer.name}' needs a map (h, w) for each of {shape[0]} examples, not {given}")
    found = layer.attribution[: shape[0]].detach().to("cpu", torch.float64)
    return found * (found.shape[1] * found.shape[2] / (shape[2] * shape[3]))


def _tile(shape: Sequence[int], widest: int) -> tuple[int, int]:
    """Height and width of a tile, in the proportion of the input."""
    high = max(1, round(widest * shape[2] / shape[3]))
    return (high, widest) if high <= _TALLEST else (_TALLEST, max(1, round(_TALLEST * shape[3] / shape[2])))


def _sized(example: Tensor, high: int, wide: int) -> Pixels:
    made: Pixels = (_resized(example, high, wide).transpose(1, 2, 0) * 255).round().astype(np.uint8)
    return made


def _resized(values: Tensor, high: int, wide: int) -> NDArray[np.float64]:
    """(k, h, w) as (k, high, wide): each new cell the mean of what it covers."""
    sized = torch.nn.functional.interpolate(values[None].to("cpu", torch.float64), size=(high, wide), mode="area")[0]
    made: NDArray[np.float64] = sized.numpy()
    return made
