"""Which segments of a series does a surrogate hold for or against each target?

The series as lines, once for each target, a panel for each channel, and behind the line the colour of each segment's
coefficient, all on one scale. A segment whose coefficient is not told from zero by its standard error is hatched: half
of it is left plain. What is no segment, as padding, is grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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
    write,
)
from workers.pictures.segments import HATCHED

MOST_PANELS = 16
"""Targets times channels; with more the picture is too long. `layers.spread` chooses among channels."""

Floats = NDArray[np.float64]

_GAP, _NAME_LETTERS = 8, 20
_LEFT = 2 * _GAP + _NAME_LETTERS * LETTER_WIDTH
_WIDE, _HIGH = WIDTH - _LEFT - _GAP, 4 * LINE_HEIGHT
_ROOM, _STRIPE = 6, 4
_INK, _BORDER, _NONE = (31, 41, 51), 190, 226
_LINE = 2


@dataclass(frozen=True, slots=True, eq=False)
class PartedSeries:
    """One example and what its surrogates say.

    values: (channels, steps), in raw units. labels: (channels, steps), the segment of each, 0 to K - 1, or K where it
    is none. coefficients, errors: (targets, K), signed, 0 where a segment was not kept; their standard errors.
    """

    values: Floats
    labels: NDArray[np.int64]
    coefficients: Floats
    errors: Floats


def shaded_series(
    series: PartedSeries, targets: Sequence[str], unit: str, *, channels: Sequence[str] = (), meaning: str = RAISES
) -> bytes:
    """A PNG: for each target a panel for each channel, time from left to right, the scale of the colours below.

    unit: of the coefficients. channels: their names; beside each panel stand the lowest and the highest value in it.
    meaning: what the colours say. Raises ValueError for more than MOST_PANELS panels, for other shapes than these, and
    where a number is not finite.
    """
    _require_whole(series, len(targets), channels)
    most = float(np.abs(series.coefficients).max(initial=0.0))
    count = len(series.values)
    foot = _GAP + len(targets) * count * (_HIGH + _GAP)
    canvas = blank(foot + LINE_HEIGHT + _GAP + LEGEND_HEIGHT, WIDTH)
    for at, target in enumerate(targets):
        for channel in range(count):
            top = _GAP + (at * count + channel) * (_HIGH + _GAP)
            put(canvas, top, _LEFT, _panel(series, at, channel, most))
            low, high = (said(float(end)) for end in (series.values[channel].min(), series.values[channel].max()))
            name = wrapped(channels[channel], _NAME_LETTERS, 1) if channels else ()
            head = wrapped(target, _NAME_LETTERS, 1)
            for line, text in enumerate((*head, *name, f"{low} .. {high}"[:_NAME_LETTERS])):
                write(canvas, top + line * LINE_HEIGHT, _GAP, text)
    last = f"step {series.values.shape[1] - 1}"
    write(canvas, foot, _LEFT, "step 0")
    write(canvas, foot, WIDTH - _GAP - len(last) * LETTER_WIDTH, last)
    told = f"{meaning} Hatched: within {HATCHED} standard errors of 0. Grey: no segment."
    legend(canvas, foot + LINE_HEIGHT + _GAP, most, unit, told, ground=255)
    return png(canvas)


def _require_whole(series: PartedSeries, targets: int, channels: Sequence[str]) -> None:
    if series.values.ndim != 2 or not 1 <= targets * len(series.values) <= MOST_PANELS:
        raise ValueError(
            f"a picture has 1 to {MOST_PANELS} panels, one for each target and channel, not {targets} targets of a"
            f" series {series.values.shape}"
        )
    count = series.coefficients.shape[-1]
    if series.labels.shape != series.values.shape or not 0 <= series.labels.min() <= series.labels.max() <= count:
        raise ValueError(f"each value needs the number of its segment, 0 to {count - 1}, or {count} for none")
    if series.coefficients.shape != (targets, count) or series.errors.shape != (targets, count):
        raise ValueError(f"each of {targets} targets needs one coefficient and one error for each segment")
    if channels and len(channels) != len(series.values):
        raise ValueError(f"{len(channels)} names for {len(series.values)} channels")
    if not all(bool(np.isfinite(each).all()) for each in (series.values, series.coefficients, series.errors)):
        raise ValueError("a value, a coefficient or its error is not finite and cannot be drawn")


def _panel(series: PartedSeries, target: int, channel: int, most: float) -> Pixels:
    """(_HIGH, _WIDE, 3)."""
    steps = series.values.shape[1]
    label = series.labels[channel][np.arange(_WIDE) * steps // _WIDE]
    coefficient = np.append(series.coefficients[target], 0.0)
    unsure = np.append(np.abs(series.coefficients[target]) <= HATCHED * series.errors[target], False)[label]
    part = np.broadcast_to((coefficient / most if most > 0 else coefficient)[label], (_HIGH, _WIDE))
    diagonal = (np.arange(_HIGH)[:, None] + np.arange(_WIDE)) // _STRIPE % 2 == 1
    none = label == len(coefficient) - 1
    ground = np.broadcast_to(np.where(none, float(_NONE), 255.0)[None, :, None], (_HIGH, _WIDE, 1))
    made = mixed(ground, np.where(unsure & diagonal, 0.0, part))
    made[:, :-1][:, label[:-1] != label[1:]] = _BORDER
    made[_line(series.values[channel])] = _INK
    return made


def _line(values: Floats) -> NDArray[np.bool_]:
    """(_HIGH, _WIDE): where the line from step to step has ink; a constant is in the middle."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    down = (_ROOM + (1 - share) * (_HIGH - 1 - 2 * _ROOM)).round().astype(int)
    across = ((np.arange(len(values)) + 0.5) * _WIDE / len(values)).astype(int)
    points = [(0, down[0]), *zip(across, down, strict=True), (_WIDE - 1, down[-1])]
    sheet = Image.new("1", (_WIDE, _HIGH))
    ImageDraw.Draw(sheet).line([(int(x), int(y)) for x, y in points], fill=1, width=_LINE)
    return np.asarray(sheet)
