"""What do adversarial pictures look like? The example, the adversarial, and what was changed, one row each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from workers.pictures.colours import (
    LEGEND_HEIGHT,
    LETTER_WIDTH,
    LINE_HEIGHT,
    WIDTH,
    Pixels,
    blank,
    legend,
    mixed,
    png,
    put,
    said,
    writable,
    write,
)
from workers.pictures.overlay import in_colour
from workers.robustness.case import Case
from workers.robustness.outcome import Drawn, Worst
from workers.robustness.shown import pictured

_GAP, _SIDE, _GROUND = 8, 200, 232
_HEADS = ("example", "adversarial", "difference")
_MEANING = "Blue is brighter than before, orange darker; each row has its own scale."


def pictures(case: Case, rows: Sequence[Worst], arrays: dict[str, Tensor]) -> list[tuple[Drawn, bytes]]:
    """One picture of all that are shown; none where the input is no picture."""
    letters = case.attacked.facts.layout[1:]
    if case.attacked.facts.kind not in ("image", "video") or case.attacked.embedded or not rows:
        return []
    if not {"H", "W"} <= set(letters) or not set(letters) <= set("TCHW"):
        return []
    unit = case.attacked.facts.unit
    span = float((case.attacked.space.high - case.attacked.space.low).mean())
    drawn = Drawn(
        artifact="adversarials.png",
        alternative=f"The {len(rows)} examples broken by the least, one a row: as they are, as the attack left them,"
        " and the difference.",
        caption=f"{_MEANING} The middle of the scale is no change. Chosen for being broken by the smallest distance.",
    )
    return [(drawn, _strip(pictured(case, rows, arrays), span, unit))]


def _strip(rows: Sequence[tuple[Worst, Tensor, Tensor]], span: float, unit: str) -> bytes:
    tiles = [_tiles(before, after) for _, before, after in rows]
    high = [max(row[0].shape[0], 4 * LINE_HEIGHT) + _GAP for row in tiles]
    top = LINE_HEIGHT + 2 * _GAP
    canvas = blank(top + sum(high) + LEGEND_HEIGHT + _GAP, WIDTH)
    pitch = _SIDE + 2 * _GAP
    for column, name in enumerate(_HEADS):
        write(canvas, _GAP, _GAP + column * pitch, name)
    for (worst, before, after), row, height in zip(rows, tiles, high, strict=True):
        for column, tile in enumerate(row):
            put(canvas, top, _GAP + column * pitch, tile)
        most = float((after - before).abs().max()) * span
        lines = (f"example {worst.index}", f"{worst.before} -> {worst.after}", f"changed by up to {said(most)} {unit}")
        beside = _GAP + len(row) * pitch
        for at, text in enumerate(lines):
            write(canvas, top + at * LINE_HEIGHT, beside, writable(text)[: (WIDTH - beside) // LETTER_WIDTH])
        top += height
    legend(canvas, top + _GAP, None, unit, _MEANING, ground=_GROUND)
    return png(canvas)


def _tiles(before: Tensor, after: Tensor) -> list[Pixels]:
    """(h, w, 3) each: both pictures, and the difference of the channel changed most at each pixel, with its sign."""
    change = after - before
    signed = change.gather(0, change.abs().argmax(0, keepdim=True))[0]
    most = float(signed.abs().max())
    size = _size(before.shape[1], before.shape[2])
    part = _sized(signed[None] / most if most > 0 else signed[None], size)[0].numpy()
    plain = [(_sized(in_colour(each), size) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
             for each in (before, after)]  # fmt: skip
    ground = torch.full((*size, 1), float(_GROUND)).numpy()
    return [*plain, mixed(ground, part)]


def _size(height: int, width: int) -> tuple[int, int]:
    most = max(height, width)
    return max(1, round(_SIDE * height / most)), max(1, round(_SIDE * width / most))


def _sized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels stay squares where it grows, and are averaged where it shrinks."""
    mode = "area" if size[0] < picture.shape[1] else "nearest"
    return interpolate(picture[None].double(), size=size, mode=mode)[0]
