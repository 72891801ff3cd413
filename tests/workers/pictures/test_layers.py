"""The strip of layers: which tile has which colour, on which scale, under which name."""

import numpy as np
import pytest
import torch

from tests.workers.pictures.drawn import lean, pixels
from workers.pictures.layers import MOST_LAYERS, LayerMap, layer_strip, spread

GREY = torch.full((2, 1, 8, 8), 0.5)
SIDE, GAP = 200, 8  # of few layers


def tile(seen, row, column):
    top, left = GAP + row * (SIDE + GAP), GAP + column * (SIDE + GAP)
    return seen[top : top + SIDE, left : left + SIDE]


def one_cell(size, at, value, examples=2):
    made = torch.zeros(examples, size, size)
    made[:, at[0], at[1]] = value
    return made


def test_examples_go_down_and_layers_across():
    layers = [LayerMap("early", one_cell(8, (0, 0), 1.0)), LayerMap("late", one_cell(2, (1, 1), -16.0))]
    seen = pixels(layer_strip(GREY, layers, "logit"))
    assert seen.shape[1] == 1440
    for row in range(2):
        assert np.ptp(tile(seen, row, 0)) == 0
        assert lean(tile(seen, row, 1)[5, 5]) > 100
        assert lean(tile(seen, row, 1)[5, 30]) == 0  # one cell of eight is 25 pixels wide
        assert lean(tile(seen, row, 2)[150, 150]) < -100
        assert lean(tile(seen, row, 2)[150, 95]) == 0


def test_a_coarse_cell_is_spread_over_its_pixels_so_that_equal_totals_look_equal():
    layers = [LayerMap("fine", torch.full((2, 8, 8), 1 / 64)), LayerMap("coarse", torch.full((2, 2, 2), 1 / 4))]
    seen = pixels(layer_strip(GREY, layers, "logit"))
    assert np.array_equal(tile(seen, 0, 1), tile(seen, 0, 2))


def test_each_row_has_its_own_scale_unless_one_is_common():
    values = one_cell(8, (0, 0), 1.0)
    values[1] *= 0.1
    own, common = (pixels(layer_strip(GREY, [LayerMap("a", values)], "logit", common=each)) for each in (False, True))
    assert np.array_equal(tile(own, 0, 1), tile(own, 1, 1))
    assert np.array_equal(tile(own, 0, 1), tile(common, 0, 1))
    assert 0 < lean(tile(common, 1, 1)[5, 5]) < 0.2 * lean(tile(common, 0, 1)[5, 5])


def test_layers_of_one_row_share_its_scale():
    layers = [LayerMap("a", one_cell(8, (0, 0), 1.0)), LayerMap("b", one_cell(8, (0, 0), 0.1))]
    seen = pixels(layer_strip(GREY, layers, "logit"))
    assert 0 < lean(tile(seen, 0, 2)[5, 5]) < 0.2 * lean(tile(seen, 0, 1)[5, 5])


def test_an_example_without_attribution_has_no_colour():
    seen = pixels(layer_strip(GREY, [LayerMap("a", torch.zeros(2, 4, 4))], "logit"))
    assert np.ptp(tile(seen, 0, 1)) == 0


def test_colour_pictures_of_any_proportion_and_many_layers_fit():
    wide = torch.rand(3, 3, 10, 300, generator=torch.Generator().manual_seed(0))
    tall = torch.rand(3, 3, 300, 10, generator=torch.Generator().manual_seed(0))
    for examples in (wide, tall):
        layers = [LayerMap(f"blocks.{at}.conv", torch.ones(3, 2, 2)) for at in range(MOST_LAYERS)]
        seen = pixels(layer_strip(examples, layers, "logit", names=["one", "two", "three" * 9]))
        assert seen.shape[1] == 1440
        assert seen.shape[0] < 1000


def test_the_same_picture_has_the_same_bytes_and_another_name_another():
    layers = [LayerMap("a", one_cell(8, (0, 0), 1.0))]
    assert layer_strip(GREY, layers, "logit") == layer_strip(GREY.clone(), layers, "logit")
    assert layer_strip(GREY, layers, "logit") != layer_strip(GREY, [LayerMap("b", layers[0].attribution)], "logit")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="1 to 11 layers"):
        layer_strip(GREY, [], "logit")
    with pytest.raises(ValueError, match="not finite"):
        layer_strip(GREY, [LayerMap("a", torch.full((2, 2, 2), torch.nan))], "logit")
    with pytest.raises(ValueError, match="layer 'a' needs a map"):
        layer_strip(GREY, [LayerMap("a", torch.zeros(1, 2, 2))], "logit")


def test_layers_are_taken_evenly_over_depth():
    assert spread(3, 5) == (0, 1, 2)
    assert spread(9, 5) == (0, 2, 4, 6, 8)
    assert spread(100, 4) == (0, 33, 66, 99)
    assert len(set(spread(41, 40))) == 40
