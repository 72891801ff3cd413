"""Which colour does a signed number have, and what do a picture's letters look like?

Blue is for, orange against, and nothing is no colour: told apart with any colour vision, as the figures of the report.
Letters come from the one bitmap font that Pillow carries, so that the same picture has the same bytes on any machine;
it writes Latin-1 only.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.contracts.section import display

Pixels = NDArray[np.uint8]

FOR, AGAINST = (31, 91, 184), (222, 110, 20)
_OPAQUE = 0.85
_ZOOM, _LETTER, _LINE = 2, 6, 11  # the font is drawn twice as large: a report shows pictures at half their size

LETTER_WIDTH, LINE_HEIGHT = _ZOOM * _LETTER, _ZOOM * _LINE
WIDTH = 1440
"""Of a picture with letters: twice what a page shows."""

_BAR, _MARGIN = 360, 8
_TYPEWRITTEN = str.maketrans(
    {
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..",
    }
)  # fmt: skip
LEGEND_HEIGHT = 2 * LINE_HEIGHT + 2 * _MARGIN
RAISES = "Blue raises the target, orange lowers it."


def tinted(plain: Pixels, part: NDArray[np.floating]) -> Pixels:
    """The picture in pale grey under colour. plain: (h, w, 3). part: (h, w) in [-1, 1], as opaque as it is large."""
    return mixed(128 + plain.mean(2, keepdims=True) / 2, part)


def mixed(ground: NDArray[np.floating], part: NDArray[np.floating]) -> Pixels:
    """ground: (h, w, 1 or 3), 0 to 255. part: (h, w) in [-1, 1]."""
    signed = part[..., None]
    colour = np.where(signed > 0, np.array(FOR), np.array(AGAINST))
    weight = _OPAQUE * np.abs(signed)
    made: Pixels = (ground * (1 - weight) + colour * weight).round().astype(np.uint8)
    return made


def png(pixels: Pixels) -> bytes:
    """(h, w, 3) as a PNG; equal pixels give equal bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def blank(height: int, width: int) -> Pixels:
    """A white canvas."""
    return np.full((height, width, 3), 255, np.uint8)


def put(canvas: Pixels, top: int, left: int, part: Pixels) -> None:
    """Lays `part` on the canvas, which must have room for it."""
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part


def write(canvas: Pixels, top: int, left: int, text: str, ink: tuple[int, int, int] = (31, 41, 51)) -> None:
    """One line of text, LETTER_WIDTH for each letter; what is beyond the canvas is cut."""
    mask = _letters(text)[: canvas.shape[0] - top, : canvas.shape[1] - left]
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = ink


def writable(text: str) -> str:
    """The text as the font can write it: white space as one space, letters it lacks as question marks."""
    plain = " ".join(text.translate(_TYPEWRITTEN).split())
    return "".join(one if one.isprintable() and ord(one) < 256 else "?" for one in plain)


def wrapped(name: str, letters: int, lines: int) -> tuple[str, ...]:
    """A name over at most `lines` lines of `letters`, broken behind a dot where there is one; its end is kept.

    letters: at least 3.
    """
    left, made = writable(name), []
    while len(left) > letters:
        at = left.rfind(".", 0, letters) + 1 or letters
        made.append(left[:at])
        left = left[at:]
    made.append(left)
    kept = made[-lines:]
    if len(made) > lines:
        kept[0] = ".." + "".join(made[: 1 - lines or None])[-(letters - 2) :].lstrip(".")
    return tuple(kept)


def said(value: float) -> str:
    """A number as the font can write it, two significant digits."""
    return writable(display(value, 2))


def legend(canvas: Pixels, top: int, most: float | None, unit: str, meaning: str, ground: float = 232) -> None:
    """The scale from orange to blue with its ends, LEGEND_HEIGHT high; `most` None: each row has its own beside it.

    ground: the grey on which the picture's colours lie.
    """
    low, high = ("-largest of the row", "+largest of the row") if most is None else ("-" + said(most), "+" + said(most))
    left = _MARGIN + (len(low) + 1) * LETTER_WIDTH
    part = np.broadcast_to(np.linspace(-1, 1, _BAR), (LINE_HEIGHT, _BAR))
    write(canvas, top, _MARGIN, low)
    put(canvas, top, left, mixed(np.full((*part.shape, 1), ground), part))
    write(canvas, top, left + _BAR + LETTER_WIDTH, f"{high}  {writable(unit)}")
    write(canvas, top + LINE_HEIGHT + _MARGIN // 2, _MARGIN, writable(meaning))


@cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default_imagefont()


def _letters(text: str) -> NDArray[np.bool_]:
    """(LINE_HEIGHT, LETTER_WIDTH · letters): where ink is."""
    sheet = Image.new("1", (max(1, _LETTER * len(text)), _LINE))
    ImageDraw.Draw(sheet).text((0, 0), text, fill=1, font=_font())
    return np.asarray(sheet).repeat(_ZOOM, 0).repeat(_ZOOM, 1)
