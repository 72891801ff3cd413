"""Which words of a text does each layer hold for or against the target?

The text as it reads, once for each layer, early to deep, a word's ground coloured by its attribution on one scale.
Words are those that a Latin-1 font can write; others are shown by their position, and the token map beside the picture
has them in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

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
    wrapped,
    writable,
    write,
)
from workers.pictures.layers import LayerLine

MOST_TOKENS, MOST_LINES = 128, 12
"""A picture with more tokens or layers cannot be read; `layers.spread` chooses among layers."""

_MARGIN, _NAME_LETTERS, _TOKEN_LETTERS = 8, 20, 24
_PADDING, _STEP = 4, LINE_HEIGHT + 8
_DARK = 0.8


def token_lines(tokens: Sequence[str], layers: Sequence[LayerLine], unit: str, *, meaning: str = RAISES) -> bytes:
    """A PNG: the text once per layer, all on one scale, which stands below.

    tokens: as they read. unit: of the attributions. meaning: what the colours say. Raises ValueError for more than
    MOST_TOKENS tokens or MOST_LINES layers, for another number of attributions, and where one is not finite.
    """
    if not 1 <= len(tokens) <= MOST_TOKENS or not 1 <= len(layers) <= MOST_LINES:
        raise ValueError(
            f"a picture has 1 to {MOST_TOKENS} tokens and 1 to {MOST_LINES} layers, not {len(tokens)} and {len(layers)}"
        )
    for layer in layers:
        if layer.attribution.shape != (len(tokens),) or not bool(torch.isfinite(layer.attribution).all()):
            raise ValueError(f"layer '{layer.name}' needs one finite attribution for each of {len(tokens)} tokens")
    words = [_word(token, position) for position, token in enumerate(tokens)]
    places = tuple(_places(words))
    high = (1 + max(line for line, _ in places)) * _STEP
    most = max(float(layer.attribution.abs().max()) for layer in layers)
    tall = len(layers) * (high + _MARGIN)
    canvas = blank(_MARGIN + tall + LEGEND_HEIGHT, WIDTH)
    for row, layer in enumerate(layers):
        top = _MARGIN + row * (high + _MARGIN)
        write(canvas, top + _PADDING, _MARGIN, wrapped(layer.name, _NAME_LETTERS, 1)[0])
        for word, (line, left), value in zip(words, places, layer.attribution.tolist(), strict=True):
            _draw(canvas, top + line * _STEP, left, word, value / most if most > 0 else 0.0)
    legend(canvas, _MARGIN + tall, most, unit, meaning, ground=255)
    return png(canvas)


def _word(token: str, position: int) -> str:
    """A token as it is drawn: white space as a low line, what the font lacks by its position from 0."""
    plain = writable(token)
    if plain.count("?") > token.count("?"):
        return f"#{position}"
    return plain[:_TOKEN_LETTERS] or "_"


def _places(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Line and left edge of each word."""
    first = _MARGIN + (_NAME_LETTERS + 1) * LETTER_WIDTH
    line, left = 0, first
    for word in words:
        wide = len(word) * LETTER_WIDTH + 2 * _PADDING
        if left + wide > WIDTH - _MARGIN:
            line, left = line + 1, first
        yield line, left
        left += wide + _PADDING


def _draw(canvas: Pixels, top: int, left: int, word: str, part: float) -> None:
    size = (LINE_HEIGHT + 2 * _PADDING - 2, len(word) * LETTER_WIDTH + 2 * _PADDING)
    put(canvas, top, left, mixed(np.full((*size, 1), 255.0), np.full(size, part)))
    ink = (255, 255, 255) if part > _DARK else (31, 41, 51)  # orange is never so dark that black cannot be read
    write(canvas, top + _PADDING, left + _PADDING, word, ink)
