"""Colours are even about zero; letters are the font's, and a name keeps its end."""

import numpy as np
import pytest

from tests.workers.pictures.drawn import lean
from workers.pictures.colours import (
    AGAINST,
    FOR,
    LETTER_WIDTH,
    LINE_HEIGHT,
    blank,
    mixed,
    said,
    wrapped,
    writable,
    write,
)


def coloured(part):
    return mixed(np.full((1, 1, 1), 255.0), np.array([[part]]))[0, 0].astype(int)


def test_blue_is_for_orange_is_against_and_nothing_is_no_colour():
    assert coloured(0.0).tolist() == [255, 255, 255]
    assert lean(coloured(1.0)) > 100
    assert lean(coloured(-1.0)) < -100
    assert coloured(1.0).tolist() == [round(255 * 0.15 + 0.85 * one) for one in FOR]
    assert coloured(-0.5).tolist() == [round(255 * 0.575 + 0.425 * one) for one in AGAINST]


def test_letters_have_their_width_and_what_is_beyond_the_canvas_is_cut():
    sheet = blank(2 * LINE_HEIGHT, 20 * LETTER_WIDTH)
    write(sheet, 0, 0, "abc")
    inked = np.argwhere((sheet < 255).any(2))
    assert inked[:, 0].max() < LINE_HEIGHT
    assert 2 * LETTER_WIDTH < inked[:, 1].max() < 3 * LETTER_WIDTH
    write(sheet, LINE_HEIGHT + 15, 18 * LETTER_WIDTH, "beyond")
    assert sheet.shape == (2 * LINE_HEIGHT, 20 * LETTER_WIDTH, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\n", "a b"),
        ("\u2212 1\u2026", "- 1.."),
        ("日本", "??"),
        ("caf\u00e9", "caf\u00e9"),
        ("\x00", "?"),
        ("", ""),
    ],
)
def test_what_the_font_lacks_is_replaced(text, expected):
    assert writable(text) == expected


@pytest.mark.parametrize(
    ("name", "letters", "lines", "expected"),
    [
        ("conv1", 8, 3, ("conv1",)),
        ("layer1.0.conv1", 10, 3, ("layer1.0.", "conv1")),
        ("a" * 20, 8, 3, ("a" * 8, "a" * 8, "a" * 4)),
        ("encoder.layers.3.norm1", 10, 2, ("..ayers.3.", "norm1")),
        ("encoder.layers.3.norm1", 10, 1, ("..3.norm1",)),
    ],
)
def test_a_long_name_breaks_at_dots_and_keeps_its_end(name, letters, lines, expected):
    made = wrapped(name, letters, lines)
    assert made == expected
    assert all(len(line) <= letters for line in made)


def test_numbers_are_written_with_two_digits():
    assert [said(value) for value in (0.0, 1234.0, -0.0312, 2.5e-9)] == ["0", "1234", "-0.031", "2.5e-09"]
