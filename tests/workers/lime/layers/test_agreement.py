"""Is agreement with the output what can be counted by hand?"""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from workers.lime.layers.agreement import Agreement, agreement, compared_features, visible_from
from workers.surrogate.explained import Local


class Coefficients:
    """As much of a surrogate as agreement reads."""

    def __init__(self, *whole: float, error: float = 1e-6) -> None:
        self.whole = np.array(whole)
        self.whole_errors = np.full(len(whole), error)


def of(layer: Coefficients, output: Coefficients, top: int = 2, reading: str = "direction", z=None) -> Agreement:
    example = np.ones(len(layer.whole)) if z is None else np.array(z)
    return agreement(reading, cast("Local", layer), cast("Local", output), example, top, 0)


OUTPUT = Coefficients(4.0, 3.0, 2.0, 1.0)


def test_the_same_coefficients_agree_fully():
    found = of(Coefficients(8.0, 6.0, 4.0, 2.0), OUTPUT)
    assert (found.shared, found.chance, found.ranks, found.agrees) == (1.0, 0.5, pytest.approx(1.0), True)


def test_half_of_the_strongest_shared_is_chance():
    """{0, 2} of {0, 1}: one of two, as a random choice of two of four shares in the mean."""
    found = of(Coefficients(4.0, 1.0, 3.0, 2.0), OUTPUT)
    assert (found.shared, found.agrees) == (0.5, False)
    assert found.ranks == pytest.approx(0.4)  # 1 - 6 (0 + 4 + 1 + 1) / (4 · 15)


def test_the_opposite_sign_agrees_in_magnitude_alone():
    layer = Coefficients(-4.0, -3.0, -2.0, -1.0)
    assert of(layer, OUTPUT).ranks == pytest.approx(-1.0)
    assert not of(layer, OUTPUT).agrees
    assert of(layer, OUTPUT, reading="norm").agrees


def test_features_count_by_what_they_add_at_the_example():
    found = of(Coefficients(1.0, 1.0, 9.0, 9.0), Coefficients(4.0, 3.0, 0.2, 0.1), z=(4.0, 3.0, 0.0, 0.0))
    assert found.shared == 1.0


def test_what_other_samples_would_reorder_has_wide_bounds_and_does_not_agree():
    sure, unsure = (of(Coefficients(4.0, 3.0, 2.0, 1.0, error=error), OUTPUT) for error in (1e-6, 50.0))
    assert (sure.low, sure.high) == (pytest.approx(1.0), pytest.approx(1.0))
    assert unsure.low is not None
    assert unsure.low < 0
    assert unsure.high == pytest.approx(1.0)
    assert (sure.agrees, unsure.agrees) == (True, False)


def test_unknown_errors_give_no_bounds_and_no_agreement():
    found = of(Coefficients(4.0, 3.0, 2.0, 1.0, error=np.nan), OUTPUT)
    assert (found.low, found.high, found.agrees) == (None, None, False)


def test_two_features_have_no_ranks():
    found = of(Coefficients(2.0, 1.0), Coefficients(3.0, 1.0), top=1)
    assert (found.shared, found.ranks, found.agrees) == (1.0, None, True)


def test_a_layer_of_zeros_has_no_order():
    assert of(Coefficients(0.0, 0.0, 0.0, 0.0), OUTPUT).ranks is None


@pytest.mark.parametrize(("asked", "features", "compared"), [(5, 100, 5), (5, 6, 3), (5, 2, 1), (1, 50, 1)])
def test_at_most_half_of_the_features_are_compared(asked, features, compared):
    assert compared_features(asked, features) == compared


@pytest.mark.parametrize(
    ("agrees", "first"),
    [([True] * 3, 0), ([False, True, True], 1), ([True, False, True], 2), ([True, True, False], None), ([], None)],
)
def test_visible_from_the_first_layer_from_which_on_all_agree(agrees, first):
    assert visible_from(agrees) == first
