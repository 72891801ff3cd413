"""Rankings, overlaps and concentration: by hand, and against the slow references."""

from __future__ import annotations

from math import isnan

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import certificate as reference
from workers.certificate.ranks import (
    chance_overlap,
    correlation,
    effective_units,
    gini,
    magnitudes,
    obstacle,
    overlap,
    ranks,
    top,
)

NUMBERS = st.lists(st.integers(0, 6).map(float), min_size=3, max_size=12)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks(row(5.0, 1.0, 5.0, 0.0)).tolist() == [[3.5, 2.0, 3.5, 1.0]]


def test_the_same_ranking_in_other_signs_and_scales_correlates_by_one():
    assert correlation(row(1.0, -2.0, 3.0, 4.0), row(-1.0, 20.0, -300.0, 4000.0)).tolist() == [1.0]


def test_the_reverse_ranking_correlates_by_minus_one():
    assert correlation(row(1.0, 2.0, 3.0), row(3.0, 2.0, 1.0)).tolist() == [-1.0]


def test_units_that_are_zero_in_both_do_not_count():
    some = row(1.0, 2.0, 3.0, 0.0, 0.0, 0.0), row(3.0, 2.0, 1.0, 0.0, 0.0, 0.0)
    assert correlation(*some).tolist() == [-1.0]


def test_rounding_beside_the_largest_is_zero():
    assert magnitudes(row(1.0, 1e-17, -0.5)).tolist() == [[1.0, 0.0, 0.5]]
    assert magnitudes(row(1.0, 1e-6, -0.5).float()).tolist() == [[1.0, 0.0, 0.5]]


def test_a_constant_has_no_correlation():
    assert bool(correlation(row(2.0, 2.0, 2.0), row(1.0, 2.0, 3.0)).isnan().all())


def test_each_example_has_its_own_correlation():
    one, other = (
        torch.cat([row(1.0, 2.0, 3.0), row(1.0, 2.0, 3.0)]),
        torch.cat([row(1.0, 2.0, 3.0), row(3.0, 2.0, 1.0)]),
    )
    assert correlation(one, other).tolist() == [1.0, -1.0]


def test_of_many_units_a_sample_stands_for_all():
    draws = torch.Generator().manual_seed(0)
    one = torch.rand(2, 50_000, generator=draws)
    noisy = one + torch.rand(2, 50_000, generator=draws)
    expected = torch.corrcoef(torch.stack([one[0].argsort().argsort(), noisy[0].argsort().argsort()]).double())[0, 1]
    assert abs(float(correlation(one, noisy)[0]) - float(expected)) < 0.04


@settings(max_examples=40)
@given(NUMBERS, st.randoms(use_true_random=False))
def test_it_is_spearmans_correlation(values: list[float], random) -> None:
    other = values[:]
    random.shuffle(other)
    kept = [(a, b) for a, b in zip(values, other, strict=True) if a > 0 or b > 0]
    made = float(correlation(row(*values), row(*other)))
    if len(kept) < 3 or len({a for a, _ in kept}) == 1 or len({b for _, b in kept}) == 1:
        assert isnan(made)
        return
    assert made == pytest.approx(reference.spearman(*zip(*kept, strict=True)), abs=1e-12)


@settings(max_examples=40)
@given(NUMBERS.filter(any))
def test_gini_and_effective_units_are_as_their_papers_say(values: list[float]) -> None:
    assert float(gini(row(*values))) == pytest.approx(reference.gini(values), abs=1e-12)
    assert float(effective_units(row(*values))) == pytest.approx(reference.effective_units(values), abs=1e-9)


def test_one_unit_of_four_has_the_gini_index_three_quarters_and_counts_as_one():
    assert float(gini(row(0.0, 0.0, 7.0, 0.0))) == 0.75
    assert float(effective_units(row(0.0, 0.0, 7.0, 0.0))) == 1.0


def test_equal_units_have_the_gini_index_zero_and_count_as_many():
    assert float(gini(row(2.0, -2.0, 2.0, 2.0))) == 0.0
    assert float(effective_units(row(2.0, -2.0, 2.0, 2.0))) == pytest.approx(4.0)


def test_the_top_is_a_tenth_and_never_a_unit_of_zero():
    assert top(row(*range(20))).nonzero()[:, 1].tolist() == [18, 19]
    assert top(row(*[0.0] * 19, 1.0)).nonzero()[:, 1].tolist() == [19]


def test_the_overlap_counts_what_both_tops_have():
    one, other = row(*range(20)), row(*range(18), 30.0, 1.5)
    assert overlap(one, other).tolist() == [0.5]
    assert chance_overlap(20) == 0.1
    assert chance_overlap(100_000) == 0.001


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((1.0, float("nan"), 2.0), "NaN"),
        ((1.0, 2.0), "fewer than 3 units"),
        ((0.0, 0.0, 0.0), "zero everywhere"),
        ((2.0, -2.0, 2.0), "the same magnitude"),
    ],
)
def test_what_cannot_be_ranked_says_why(values: tuple[float, ...], reason: str):
    assert reason in obstacle(row(*values))
    assert obstacle(row(1.0, 2.0, 3.0)) == ""
