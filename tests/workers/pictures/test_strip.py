"""Are the bars of a strip as long as their values say, on their side, and is what cannot be drawn refused?"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from workers.pictures.colours import AGAINST, FOR
from workers.pictures.layers import MOST_LAYERS
from workers.pictures.strip import MOST_FEATURES, bar_strip


def drawn(values, errors=None, layers=None, features=None):
    values = np.array(values, dtype=np.float64)
    return bar_strip(
        features or [f"f{at}" for at in range(values.shape[1])],
        layers or [f"layer.{at}" for at in range(values.shape[0])],
        values, np.zeros_like(values) if errors is None else np.array(errors, dtype=np.float64), "logit",
    )  # fmt: skip


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def length(picture: np.ndarray, row: int, colour: tuple[int, int, int]) -> int:
    """Of the bars in one row of features, all layers together."""
    line = picture[8 + row * 26 + 3]
    return int((line == colour).all(1).sum())


def test_bars_are_as_long_as_their_values_and_on_their_side():
    picture = pixels(drawn([[2.0, -1.0, 0.0]]))
    lengths = [(length(picture, row, FOR), length(picture, row, AGAINST)) for row in range(3)]
    assert lengths[0][1] == lengths[1][0] == lengths[2][0] == lengths[2][1] == 0
    assert lengths[0][0] == pytest.approx(2 * lengths[1][1], abs=2)


def test_all_layers_share_one_scale():
    picture = pixels(drawn([[4.0], [1.0]]))
    begins = 888  # of the second column: half of what is beside the names
    first, second = picture[:, :begins], picture[:, begins:]
    assert length(first, 0, FOR) == pytest.approx(4 * length(second, 0, FOR), abs=4)


def test_errors_lengthen_the_scale_and_are_drawn_as_lines():
    plain, unsure = pixels(drawn([[1.0]])), pixels(drawn([[1.0]], errors=[[0.5]]))
    assert length(unsure, 0, FOR) < length(plain, 0, FOR)
    assert not np.array_equal(plain[:30], unsure[:30])


def test_equal_values_give_equal_bytes_and_zeros_are_drawn():
    assert drawn([[1.0, 2.0]]) == drawn([[1.0, 2.0]])
    assert pixels(drawn([[0.0, 0.0]])).shape[1] == 1440


@pytest.mark.parametrize(
    ("values", "errors", "said"),
    [
        (np.zeros((1, MOST_FEATURES + 1)), None, "a strip has 1 to 24 features"),
        (np.zeros((MOST_LAYERS + 1, 1)), None, "a strip has 1 to 24 features and 1 to 11 layers"),
        ([[1.0]], [[1.0, 2.0]], "need as many values and errors"),
        ([[np.nan]], None, "is not finite and has no length"),
    ],
)
def test_what_cannot_be_drawn_is_refused(values, errors, said):
    with pytest.raises(ValueError, match=said):
        drawn(values, errors)
