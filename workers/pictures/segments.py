"""Which segments of a picture does a surrogate hold for or against each target?

One row per example: the example, then each target's coefficients over it, every segment in one colour within its
borders. A segment whose coefficient is not told from zero by its standard error is hatched: half of it is left plain.
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

MOST_TARGETS, MOST_EXAMPLES = 10, 12
"""With more columns a tile is too small to be read, with more rows the picture too long."""

HATCHED = 1.96
"""Standard errors: a coefficient nearer to zero than so many of its own is hatched."""

_BESIDE, _GAP = 16 * LETTER_WIDTH, 8
_LARGEST, _TALLEST = 240, 240
_NAME_LINES, _PALEST, _BORDER = 2, 208, 150
_STRIPE = 4
_EXPLAINED = f"Hatched: within {HATCHED} standard errors of 0."


@dataclass(frozen=True, slots=True, eq=False)
class Parted:
    """One example and what its surrogates say.

    picture: (channels, H, W) in [0, 1]. labels: (H, W), the segment of each pixel, 0 to K - 1. coefficients, errors:
    (targets, K), signed, 0 where a segment was not kept; their standard errors.
    """

    picture: Tensor
    labels: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    errors: NDArray[np.float64]


def segment_strip(
    examples: Sequence[Parted], targets: Sequence[str], unit: str, *, names: Sequence[str] = (), meaning: str = RAISES
) -> bytes:
    """A PNG: examples down, targets across, each target's name under its column, the scale below.

    unit: of the coefficients. names: what to call each example. meaning: what the colours say. Each row has its own
    scale, written beside it. Raises ValueError for more than MOST_EXAMPLES examples or MOST_TARGETS targets, for other
    shapes than these, and where a coefficient or an error is not finite.
    """
    if not 1 <= len(targets) <= MOST_TARGETS or not 1 <= len(examples) <= MOST_EXAMPLES:
        raise ValueError(
            f"a strip has 1 to {MOST_EXAMPLES} examples and 1 to {MOST_TARGETS} targets, not {len(examples)} and"
            f" {len(targets)}"
        )
    for number, example in enumerate(examples):
        _require_whole(example, number, len(targets))
    pitch = min(_LARGEST, (WIDTH - _GAP - _BESIDE) // (1 + len(targets)) - _GAP)
    across = [_GAP + column * (pitch + _GAP) for column in range(2 + len(targets))]
    rows = [_tiles(example, pitch) for example in examples]
    high = [max(len(tiles[0]), 2 * LINE_HEIGHT) + _GAP for tiles in rows]
    under = [wrapped(name, pitch // LETTER_WIDTH, _NAME_LINES) for name in ("example", *targets)]
    foot, lines = _GAP + sum(high), max(map(len, under))
    canvas = blank(foot + lines * LINE_HEIGHT + _GAP + LEGEND_HEIGHT, WIDTH)
    for row, tiles in enumerate(rows):
        top = _GAP + sum(high[:row])
        for left, tile in zip(across, tiles, strict=False):
            put(canvas, top, left, tile)
        for at, text in enumerate((*names[row : row + 1], f"\u00b1{said(_most(examples[row]))}")):
            write(canvas, top + at * LINE_HEIGHT, across[-1], writable(text)[: _BESIDE // LETTER_WIDTH])
    for left, name in zip(across, under, strict=False):
        for at, text in enumerate(name):
            write(canvas, foot + at * LINE_HEIGHT, left, text)
    legend(canvas, foot + lines * LINE_HEIGHT + _GAP, None, unit, f"{meaning} {_EXPLAINED}", ground=_PALEST)
    return png(canvas)


def _require_whole(example: Parted, number: int, targets: int) -> None:
    count = int(example.labels.max()) + 1
    shape = (targets, count)
    if example.labels.shape != example.picture.shape[1:] or int(example.labels.min()) < 0:
        raise ValueError(f"example {number} needs the number of a segment for each pixel of its picture")
    if example.coefficients.shape != shape or example.errors.shape != shape:
        raise ValueError(
            f"example {number} needs one coefficient and one error for {targets} targets, {count} segments"
        )
    if not bool(np.isfinite(example.coefficients).all() and np.isfinite(example.errors).all()):
        raise ValueError(f"a coefficient of example {number}, or its error, is not finite and has no colour")


def _most(example: Parted) -> float:
    return float(np.abs(example.coefficients).max())


def _tiles(example: Parted, pitch: int) -> list[Pixels]:
    """The example, then each target over it; (high, wide, 3) each."""
    height, width = example.labels.shape
    high, wide = _size(height, width, pitch)
    plain = _plain(example.picture, high, wide)
    labels = example.labels[np.arange(high) * height // high][:, np.arange(wide) * width // wide]
    faint = _PALEST + (255 - _PALEST) / 255 * plain.mean(2, keepdims=True)
    border = _borders(labels)
    most = _most(example)
    made = [plain]
    for coefficients, errors in zip(example.coefficients, example.errors, strict=True):
        part = (coefficients / most if most > 0 else coefficients)[labels]
        unsure = (np.abs(coefficients) <= HATCHED * errors)[labels]
        tile = mixed(faint, np.where(unsure & _stripes(high, wide), 0.0, part))
        tile[border] = _BORDER
        made.append(tile)
    return made


def _size(height: int, width: int, widest: int) -> tuple[int, int]:
    """Of a tile, in the proportion of the picture."""
    high = max(1, round(widest * height / width))
    return (high, widest) if high <= _TALLEST else (_TALLEST, max(1, round(_TALLEST * width / height)))


def _plain(picture: Tensor, high: int, wide: int) -> Pixels:
    colours = in_colour(picture.to("cpu", torch.float64))
    sized = torch.nn.functional.interpolate(colours[None], size=(high, wide), mode="area")[0]
    made: Pixels = (sized.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return made


def _borders(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(high, wide): the pixels that another segment lies below or to the right of."""
    found = np.zeros(labels.shape, dtype=np.bool_)
    found[:-1] |= labels[:-1] != labels[1:]
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return found


def _stripes(high: int, wide: int) -> NDArray[np.bool_]:
    """(high, wide): every other diagonal band."""
    diagonal = np.arange(high)[:, None] + np.arange(wide)[None, :]
    return np.asarray(diagonal // _STRIPE % 2 == 1)
