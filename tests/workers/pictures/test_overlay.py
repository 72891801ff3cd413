"""The strip of one layer: colours where the attribution is, the same bytes each time."""

import torch

from tests.workers.pictures.drawn import lean, pixels
from workers.pictures.overlay import strip


def test_blue_lies_where_it_is_for_and_orange_where_it_is_against():
    examples = torch.full((1, 1, 4, 4), 0.5)
    attribution = torch.zeros(1, 4, 4)
    attribution[0, 0, 0], attribution[0, 3, 3] = 1.0, -1.0
    seen = pixels(strip(examples, attribution))
    assert seen.shape == (160 + 8 + 160, 160, 3)
    assert lean(seen[50, 50]) == 0
    assert lean(seen[168 + 10, 10]) > 50
    assert lean(seen[168 + 150, 150]) < -50


def test_equal_examples_give_equal_bytes_and_nothing_attributed_gives_no_colour():
    examples = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    attribution = torch.zeros(2, 5, 5)
    assert strip(examples, attribution) == strip(examples.clone(), attribution.clone())
    below = pixels(strip(examples, attribution))[168:]
    assert int(abs(below[..., 0] - below[..., 2]).max()) == 0
