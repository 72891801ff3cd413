"""What does a picture look like under each corruption? A sheet of tiles, what the model says of each written below.

Nothing is told by colour alone: an answer that changes is marked with a word.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.corruption.case import Case
from workers.corruption.outcome import Shown
from workers.corruption.spec import Corruption
from workers.pictures.colours import LETTER_WIDTH, LINE_HEIGHT, WIDTH, Pixels, blank, png, put, writable, write
from workers.pictures.overlay import in_colour
from workers.subject.subject import along_channels

_ACROSS, _GAP, _TALLEST = 6, 12, 320
_TILE = (WIDTH - _GAP) // _ACROSS - _GAP
_LINES = 3
_INK, _CHANGED = (31, 41, 51), (150, 50, 0)


def sheet(case: Case, severity: int, digest: str) -> tuple[Shown, bytes]:
    """The first example that is answered rightly (else the first), as it is and under each corruption."""
    position = next(at for at, each in enumerate(case.subject.declared) if each.kind == "image")
    index = _example(case)
    tiles = [_tile(case, None, severity, index, position, digest)]
    tiles += [_tile(case, each, severity, index, position, digest) for each in case.corruptions]
    high, wide = tiles[0][0].shape[:2]
    line = high + _LINES * LINE_HEIGHT + _GAP
    canvas = blank(_GAP + -(-len(tiles) // _ACROSS) * line, WIDTH)
    for at, (picture, words, changed) in enumerate(tiles):
        top, left = _GAP + at // _ACROSS * line, _GAP + at % _ACROSS * (_TILE + _GAP)
        put(canvas, top, left + (_TILE - wide) // 2, picture)
        for number, text in enumerate(words):
            ink = _CHANGED if changed and number > 0 else _INK
            write(canvas, top + high + number * LINE_HEIGHT, left, writable(text)[: _TILE // LETTER_WIDTH], ink)
    said = "; ".join(f"{words[0]}: {' '.join(words[1:])}" for _, words, _ in tiles)
    shown = Shown(
        artifact="corruptions.png",
        title=f"Example {index} under each corruption at severity {severity}",
        alternative=f"Tiles of one picture, clean and under each corruption. {said}"[:4000],
        caption="Drawn between the declared bounds. Below each tile: the corruption, and what the model answers.",
    )
    return shown, png(canvas)


def _example(case: Case) -> int:
    if case.judge.labels is None:
        return 0
    right = torch.nonzero(case.judge.clean == case.judge.labels).flatten()
    return int(right[0]) if len(right) else 0


def _tile(
    case: Case, corruption: Corruption | None, severity: int, index: int, position: int, digest: str
) -> tuple[Pixels, list[str], bool]:
    """The picture, its words, and whether the answer is another one than to the clean picture."""
    if corruption is None:
        x = tuple(each[index : index + 1] for each in case.x)
        name = "clean"
    else:
        x = case.source.rows(corruption, severity, [index], digest).x
        name = corruption.title
    picture = _pixels(x[position], case.subject.declared[position])
    outputs = case.outputs(x)
    if case.judge.form not in ("sign", "classes"):
        return picture, [name], False
    own = int(case.judge.decide(outputs, x)[0])
    changed = own != int(case.judge.clean[index])
    names = case.subject.facts.output.classes
    said = names[own] if own < len(names) else f"number {own}"
    return picture, [name, said, *(["changed"] if changed else [])], changed


def _pixels(x: Tensor, facts: InputFacts) -> Pixels:
    """(h, w, 3) of one example as the network reads it, (1, ...)."""
    mean, std, low, high = (
        along_channels(each, facts, x)
        for each in (facts.preprocessing.mean, facts.preprocessing.std, facts.bounds.low, facts.bounds.high)
    )
    letters = facts.layout[1:]
    shown = ((x * std + mean - low) / (high - low))[0]
    shown = shown.permute([letters.index(axis) for axis in "CHW" if axis in letters])
    plain = in_colour(shown if "C" in letters else shown[None]).double().cpu()
    height, width = plain.shape[-2:]
    high_px = min(_TALLEST, max(1, round(_TILE * height / width)))
    wide_px = max(1, min(_TILE, round(high_px * width / height)))
    mode = "area" if height > high_px else "nearest"
    sized = torch.nn.functional.interpolate(plain[None], size=(high_px, wide_px), mode=mode)[0]
    made: Pixels = (sized.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return np.ascontiguousarray(made)
