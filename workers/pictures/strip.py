"""How does what each feature adds move from layer to layer?

A grid of small bars: a row for each feature, its name beside it; a column for each layer, early to deep, its name
below. Bars begin in the middle of their cell, to the right for and to the left against; a line marks what lies within
1.96 standard errors. All bars share one scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.pictures.colours import (
    AGAINST,
    FOR,
    LETTER_WIDTH,
    LINE_HEIGHT,
    RAISES,
    WIDTH,
    Pixels,
    blank,
    png,
    said,
    wrapped,
    writable,
    write,
)
from workers.pictures.layers import MOST_LAYERS
from workers.pictures.segments import HATCHED

MOST_FEATURES = 24
"""With more rows the picture is too long."""

Floats = NDArray[np.float64]

_GAP, _NAME_LETTERS, _NAME_LINES = 8, 28, 3
_LEFT = 2 * _GAP + _NAME_LETTERS * LETTER_WIDTH
_BAR, _STEP = LINE_HEIGHT - 6, LINE_HEIGHT + 4
_WHISKER, _AXIS = (31, 41, 51), (190, 190, 190)


def bar_strip(
    features: Sequence[str],
    layers: Sequence[str],
    values: Floats,
    errors: Floats,
    unit: str,
    *,
    meaning: str = RAISES,
) -> bytes:
    """A PNG. values, errors: (layers, features), signed; their standard errors, 0 where none is known.

    unit: of the values. meaning: what the colours say. Raises ValueError for more than MOST_FEATURES features or
    MOST_LAYERS layers, for other shapes than these, and where a number is not finite.
    """
    if not 1 <= len(features) <= MOST_FEATURES or not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(
            f"a strip has 1 to {MOST_FEATURES} features and 1 to {MOST_LAYERS} layers, not {len(features)} and"
            f" {len(layers)}"
        )
    shape = (len(layers), len(features))
    if values.shape != shape or errors.shape != shape:
        raise ValueError(f"{shape[0]} layers and {shape[1]} features need as many values and errors")
    if not bool(np.isfinite(values).all() and np.isfinite(errors).all()):
        raise ValueError("a value, or its error, is not finite and has no length")
    ends = np.abs(values) + HATCHED * errors
    most, reach = float(np.abs(values).max()), float(ends.max())
    pitch = (WIDTH - _LEFT - _GAP) // len(layers)
    under = [wrapped(name, max(3, pitch // LETTER_WIDTH - 1), _NAME_LINES) for name in layers]
    foot, lines = _GAP + len(features) * _STEP, max(map(len, under))
    below = foot + lines * LINE_HEIGHT + 2 * _GAP
    canvas = blank(below + 2 * LINE_HEIGHT + _GAP, WIDTH)
    half = pitch // 2 - _GAP
    for column, names in enumerate(under):
        middle = _LEFT + column * pitch + pitch // 2
        canvas[_GAP:foot, middle] = _AXIS
        for row in range(len(features)):
            part = (values[column, row] / reach, HATCHED * errors[column, row] / reach) if reach > 0 else (0.0, 0.0)
            _draw(canvas, _GAP + row * _STEP, middle, half, part)
        for at, text in enumerate(names):
            left = max(0, middle - len(text) * LETTER_WIDTH // 2)
            write(canvas, foot + _GAP + at * LINE_HEIGHT, left, text)
    for row, name in enumerate(features):
        write(canvas, _GAP + row * _STEP, _GAP, writable(name)[:_NAME_LETTERS])
    write(canvas, below, _GAP, writable(f"Longest bar: {said(most)} {unit}"))
    write(canvas, below + LINE_HEIGHT, _GAP, writable(f"{meaning} Lines: within {HATCHED} standard errors."))
    return png(canvas)


def _draw(canvas: Pixels, top: int, middle: int, half: int, part: tuple[float, float]) -> None:
    """One bar with its line. part: length and half the line's, shares of `half`."""
    length, spread = (round(each * half) for each in part)
    left, right = min(middle, middle + length), max(middle, middle + length)
    canvas[top : top + _BAR, left:right] = FOR if length > 0 else AGAINST
    if spread:
        centre, at = middle + length, top + _BAR // 2
        canvas[at : at + 2, centre - spread : centre + spread + 1] = _WHISKER
