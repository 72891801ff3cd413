"""Lines over the colours of segments: what lies where, on one scale."""

import numpy as np
import pytest

from tests.workers.pictures.drawn import lean, pixels
from workers.pictures.series import MOST_PANELS, PartedSeries, shaded_series

LEFT, WIDE, HIGH, GAP = 256, 1440 - 256 - 8, 88, 8


def parted(**changes):
    """Two channels of eight steps; four segments of two steps in the first, the second all padding but two steps."""
    labels = np.array([[0, 0, 1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 5, 5, 5, 5]])
    made = {
        "values": np.stack([np.linspace(-1, 1, 8), np.ones(8)]), "labels": labels,
        "coefficients": np.array([[2.0, -2.0, 0.5, 0.0, -1.0]]), "errors": np.zeros((1, 5)),
    }  # fmt: skip
    return PartedSeries(**(made | changes))


def at(png, panel, step, down=2):
    """The colour at the top of a panel, in the middle of a step of eight."""
    return pixels(png)[GAP + panel * (HIGH + GAP) + down, LEFT + int((step + 0.5) * WIDE / 8)]


def test_segments_have_the_colour_of_their_coefficient_and_padding_is_grey():
    png = shaded_series(parted(), ["a"], "logit", channels=["one", "two"])
    leans = [lean(at(png, 0, step)) for step in (0, 1, 2, 4)]
    assert leans[0] == leans[1] > 100
    assert leans[2] < -100
    assert 0 < leans[3] < 0.4 * leans[0]
    assert at(png, 0, 6).tolist() == [255] * 3
    assert lean(at(png, 1, 0)) == pytest.approx(leans[2] / 2, abs=4)
    assert at(png, 1, 5).tolist() == [226] * 3


def test_the_line_rises_from_left_to_right_and_a_constant_lies_in_the_middle():
    png = shaded_series(parted(coefficients=np.zeros((1, 5))), ["a"], "logit")
    dark = [
        np.flatnonzero((pixels(png)[GAP + panel * (HIGH + GAP) :][:HIGH, LEFT + 20] < 60).all(1)) for panel in (0, 1)
    ]
    late = np.flatnonzero((pixels(png)[GAP:][:HIGH, LEFT + WIDE - 20] < 60).all(1))
    assert dark[0].min() > 70
    assert late.max() < 15
    assert abs(dark[1].mean() - HIGH / 2) <= 2


def test_what_is_within_its_error_of_zero_is_hatched():
    png = shaded_series(parted(errors=np.array([[1.5, 0.5, 0.0, 0.0, 0.0]])), ["a"], "logit")
    across = pixels(png)[GAP + 2, LEFT + 10 : LEFT + 130]
    assert {lean(each) > 0 for each in across} == {True, False}
    sure = pixels(png)[GAP + 2, LEFT + WIDE // 4 + 10 : LEFT + WIDE // 4 + 130]
    assert {lean(each) < 0 for each in sure} == {True}


def test_targets_lie_below_one_another_on_one_scale():
    both = parted(coefficients=np.array([[2.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]]), errors=np.zeros((2, 5)))
    png = shaded_series(both, ["a", "b"], "logit")
    strong, weak = lean(at(png, 0, 0)), lean(at(png, 2, 0))
    assert weak == pytest.approx(strong / 2, abs=4)
    assert png == shaded_series(both, ["a", "b"], "logit")


@pytest.mark.parametrize("steps", [1, 5000])
def test_short_and_long_series_are_drawn(steps):
    long = PartedSeries(
        np.random.RandomState(0).randn(1, steps), np.zeros((1, steps), dtype=int), np.ones((1, 1)), np.zeros((1, 1))
    )
    assert pixels(shaded_series(long, ["a"], "")).shape[1] == 1440


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": np.full((2, 8), np.nan)}, "is not finite"),
        ({"labels": np.full((2, 8), 6)}, "the number of its segment, 0 to 4, or 5 for none"),
        ({"errors": np.zeros((2, 5))}, "one coefficient and one error"),
        ({"values": np.zeros((20, 8))}, f"1 to {MOST_PANELS} panels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        shaded_series(parted(**changes), ["a"], "logit")
    with pytest.raises(ValueError, match="3 names for 2 channels"):
        shaded_series(parted(), ["a"], "logit", channels=["a", "b", "c"])
