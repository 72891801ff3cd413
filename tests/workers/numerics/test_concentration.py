"""Concentration of rows that can be solved by hand, and what no scale or order may change."""

from math import e, exp, isnan, log

import pytest
import torch

from workers.numerics.concentration import concentrations


def of(*values):
    found = concentrations(torch.tensor([values], dtype=torch.float64))
    return tuple(float(each) for each in (found.half, found.ninety, found.effective, found.gini))


def test_four_three_two_one_by_hand():
    half, ninety, effective, gini = of(1.0, -3.0, 2.0, -4.0)
    assert (half, ninety) == (2 / 4, 3 / 4)  # 4 + 3 of 10; 4 + 3 + 2 of 10
    entropy = -sum(share * log(share) for share in (0.4, 0.3, 0.2, 0.1))
    assert effective == pytest.approx(exp(entropy), rel=1e-14)
    assert gini == pytest.approx(0.25, abs=1e-15)  # Σ(2i - 5)v = -3 - 2 + 3 + 12 = 10, over 4 · 10


def test_one_unit_that_carries_everything():
    half, ninety, effective, gini = of(0.0, 0.0, 5.0, 0.0)
    assert (half, ninety, effective) == (0.25, 0.25, 1.0)
    assert gini == pytest.approx(0.75, abs=1e-15)  # the most that four units can have: 1 - 1/4


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 7e12])
def test_equal_units_are_spread_over_all_of_them_whatever_rounding_does(value):
    half, ninety, effective, gini = of(*[value] * 10)
    assert (half, ninety) == (0.5, 0.9)
    assert effective == pytest.approx(10, rel=1e-13)
    assert gini == pytest.approx(0, abs=1e-15)


def test_nothing_attributed_has_no_concentration_and_one_unit_has_its_own():
    assert all(isnan(value) for value in of(0.0, 0.0))
    assert of(-e) == (1.0, 1.0, 1.0, 0.0)


def test_rows_are_told_apart():
    found = concentrations(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    assert found.stacked.shape == (3, 4)
    assert found.half[:2].tolist() == [0.5, 0.5]
    assert found.effective[:2].tolist() == [1.0, 2.0]
    assert bool(found.stacked[2].isnan().all())


def test_units_are_needed():
    with pytest.raises(ValueError, match="at least one unit"):
        concentrations(torch.zeros(2, 0))
