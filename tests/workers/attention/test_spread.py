"""How wide and how far an attention looks, on cases that can be done by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from workers.attention.spread import distance, entropy, grid, on_grid

ALL = torch.ones(1, 3, dtype=torch.bool)
ROWS = torch.tensor([[[[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]]], dtype=torch.float64)


def test_entropy_of_one_token_is_zero_and_of_two_alike_ln_two():
    assert entropy(ROWS, ALL).tolist() == pytest.approx([log(2) / 3])
    assert entropy(ROWS, torch.tensor([[False, True, False]])).tolist() == pytest.approx([log(2)])


def test_distance_is_in_tokens_along_a_line():
    assert distance(ROWS, ALL).tolist() == pytest.approx([1 / 3])
    assert distance(ROWS, torch.tensor([[False, True, False]])).tolist() == pytest.approx([1.0])


def test_distance_is_the_mean_over_heads():
    heads = torch.cat([ROWS, ROWS.flip(2)], 1)
    assert distance(heads, ALL).tolist() == pytest.approx([(1 / 3 + 5 / 3) / 2])


def test_on_a_picture_distance_is_between_patches_and_leaves_the_class_token_out():
    places = on_grid(1, 2, 1)
    weights = torch.tensor([[[[0.2, 0.4, 0.4], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]]]], dtype=torch.float64)
    assert distance(weights, ALL, places).tolist() == pytest.approx([0.5])  # patches: one apart, and nothing seen


def test_places_on_a_grid_are_in_reading_order():
    assert on_grid(2, 2, 1)[1:].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert bool(on_grid(2, 2, 1)[0].isnan().all())


@pytest.mark.parametrize(
    ("tokens", "height", "width", "expected"),
    [
        (5, 8, 8, (2, 2, 1)), (4, 8, 8, (2, 2, 0)), (197, 224, 224, (14, 14, 1)), (198, 224, 224, (14, 14, 2)),
        (9, 16, 32, (2, 4, 1)), (7, 8, 8, (2, 2, 3)), (3, 7, 7, None), (12, 8, 8, None),
    ],
)  # fmt: skip
def test_a_grid_is_square_patches_that_fill_the_picture(tokens, height, width, expected):
    assert grid(tokens, height, width) == expected
