"""Each segment has its coefficient's colour within its borders, half of it plain where that is not told from zero."""

import numpy as np
import pytest
import torch

from tests.workers.pictures.drawn import lean, pixels
from workers.pictures.segments import MOST_EXAMPLES, MOST_TARGETS, Parted, segment_strip

QUARTERS = np.arange(4).reshape(2, 2).repeat(4, 0).repeat(4, 1)


def parted(coefficients, errors=None, labels=QUARTERS, channels=1):
    values = np.array(coefficients, dtype=float)
    doubt = np.zeros_like(values) if errors is None else np.array(errors, dtype=float)
    return Parted(torch.full((channels, *labels.shape), 0.5), labels, values, doubt)


def quarters(seen, column, row=0):
    """The four corners of a tile, each 40 x 40 pixels of it, away from borders."""
    left, top = 8 + column * 248, 8 + row * 248
    return [
        seen[top + down : top + down + 40, left + across : left + across + 40]
        for down in (40, 160) for across in (40, 160)
    ]  # fmt: skip


def test_blue_is_for_orange_against_and_what_was_not_kept_has_no_colour():
    seen = pixels(segment_strip([parted([[2.0, -1.0, 0.0, 0.5]])], ["predicted"], "logit"))
    assert all(lean(part.reshape(-1, 3).T).max() == 0 for part in quarters(seen, 0))
    leans = [set(lean(part.reshape(-1, 3).T).tolist()) for part in quarters(seen, 1)]
    assert all(len(each) == 1 for each in leans)
    first, second, third, fourth = (each.pop() for each in leans)
    assert first > fourth > 20
    assert second < -20
    assert third == 0


def test_a_coefficient_within_1_96_errors_of_zero_is_hatched_and_no_other():
    seen = pixels(segment_strip([parted([[1.0, -1.0, 1.0, -1.0]], [[0.52, 0.52, 0.5, 0.5]])], ["a"], "logit"))
    shares = [float((lean(part.reshape(-1, 3).T) != 0).mean()) for part in quarters(seen, 1)]
    assert shares == pytest.approx([0.5, 0.5, 1, 1], abs=0.01)


def test_borders_are_drawn_between_segments_alone():
    seen = pixels(segment_strip([parted([[0.0] * 4])], ["a"], "logit"))
    tile = seen[8:248, 256:496]
    grey = (tile == 150).all(2)
    assert np.argwhere(grey.all(1)).ravel().tolist() == [119]
    assert np.argwhere(grey.all(0)).ravel().tolist() == [119]
    assert int(grey.sum()) == 2 * 240 - 1


def test_targets_of_an_example_share_its_scale_and_examples_do_not():
    one = parted([[4.0, 0, 0, 0], [2.0, 0, 0, 0]])
    other = parted([[0.2, 0, 0, 0], [0.1, 0, 0, 0]])
    seen = pixels(segment_strip([one, other], ["a", "b"], "logit"))
    first, second, third, fourth = (
        int(lean(quarters(seen, column, row)[0][0, 0])) for row in (0, 1) for column in (1, 2)
    )
    assert first > second > 0
    assert (third, fourth) == (first, second)


def test_pictures_of_any_shape_and_more_pixels_than_a_tile_are_drawn():
    labels = np.arange(4).repeat(150)[None].repeat(300, 0)
    seen = pixels(segment_strip([parted([[1.0, 0, 0, -1.0]], labels=labels, channels=3)], ["a"], "logit"))
    tile = seen[8:128, 256:496]
    assert lean(tile[60, 20]) > 50
    assert lean(tile[60, 220]) < -50
    assert (seen[127, 8:248] < 255).all()
    assert (seen[128, 8:248] == 255).all()


def test_equal_values_give_equal_bytes_and_names_are_written():
    one, same = (segment_strip([parted([[1.0, 0, 0, 0]])], ["a"], "logit", names=["example 3"]) for _ in range(2))
    assert one == same
    assert one != segment_strip([parted([[1.0, 0, 0, 0]])], ["a"], "logit", names=["example 4"])


@pytest.mark.parametrize(
    ("examples", "targets", "failed"),
    [
        ([], ["a"], "0 and 1"),
        ([parted([[0.0] * 4])] * (MOST_EXAMPLES + 1), ["a"], "13 and 1"),
        ([parted([[0.0] * 4] * 11)], ["a"] * (MOST_TARGETS + 1), "1 and 11"),
        ([parted([[0.0] * 3])], ["a"], "1 targets, 4 segments"),
        ([parted([[0.0] * 4])], ["a", "b"], "2 targets, 4 segments"),
        ([parted([[0.0] * 4], [[0.0] * 3])], ["a"], "one error"),
        ([parted([[np.nan] + [0.0] * 3])], ["a"], "example 0, or its error, is not finite"),
        ([parted([[0.0] * 4], [[np.inf] + [0.0] * 3])], ["a"], "not finite"),
        ([Parted(torch.zeros(1, 4, 8), QUARTERS, np.zeros((1, 4)), np.zeros((1, 4)))], ["a"], "each pixel"),
        ([parted([[0.0] * 4], labels=QUARTERS - 1)], ["a"], "each pixel"),
    ],
)
def test_what_cannot_be_drawn_is_refused(examples, targets, failed):
    with pytest.raises(ValueError, match=failed):
        segment_strip(examples, targets, "logit")
