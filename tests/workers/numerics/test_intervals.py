"""Intervals against printed values, against scipy, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from workers.numerics.intervals import bootstrap, mean_t, t_quantile, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (97, 100), (3, 7)])
def test_wilson_equals_scipys(successes, n):
    theirs = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    ours = wilson(successes, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.value <= ours.high


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 9, 30, 501])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_t_quantile_equals_scipys(dof, level):
    assert t_quantile(level, dof) == pytest.approx(stats.t.ppf(0.5 + level / 2, dof), rel=1e-10)


def test_a_mean_of_three_has_the_interval_of_the_book():
    made = mean_t([1.0, 2.0, 3.0])
    half = 4.302652729911275 / 3**0.5  # t(2, 0.975) · s / √n with s = 1
    assert (made.value, made.low, made.high, made.n) == pytest.approx((2.0, 2 - half, 2 + half, 3))


def test_one_value_has_a_mean_and_no_bounds():
    for made in (mean_t([4.0]), bootstrap([4.0], seed=1)):
        assert (made.value, made.low, made.high, made.n) == (4.0, None, None, 1)


def test_the_bootstrap_repeats_for_a_seed_and_holds_the_estimate():
    values = np.random.default_rng(0).exponential(size=40)
    first, again, other = (bootstrap(values, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    assert first.low < first.value < first.high
    middle = bootstrap(values, 5, statistic=lambda rows: np.median(rows, axis=-1))
    assert middle.value == np.median(values)


def test_the_t_interval_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(3).normal(size=(2000, 6))
    holds = [made.low <= 0 <= made.high for made in map(mean_t, draws)]
    assert 0.935 < np.mean(holds) < 0.965


def test_nothing_is_made_of_empty_or_broken_samples():
    with pytest.raises(ValueError, match="at least one value"):
        mean_t([])
    with pytest.raises(ValueError, match="not finite"):
        mean_t([1.0, float("nan")])
    with pytest.raises(ValueError, match="0 <= successes"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, level=1.0)
