"""The Poisson bootstrap: its draws by their law, its means by hand, its bounds by how often they hold the truth."""

from math import exp, factorial

import numpy as np
import pytest
import torch

from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.numerics.intervals import mean_t


def streamed(values, weights, sizes, group=None):
    made = StreamedMeans(1 if group is None else int(group.max()) + 1, values.shape[1], weights.shape[1])
    at = 0
    for size in sizes:
        part = slice(at, at + size)
        made.add(values[part], weights[part], None if group is None else group[part])
        at += size
    assert at == len(values)
    return made


def test_the_weight_of_an_example_depends_on_its_index_and_the_seed_alone():
    whole = poisson_weights(5, 0, 40, 30)
    assert torch.equal(whole, torch.cat([poisson_weights(5, 0, 7, 30), poisson_weights(5, 7, 40, 30)]))
    assert torch.equal(poisson_weights(5, 0, 40, 10), whole[:, :10])
    assert not torch.equal(poisson_weights(6, 0, 40, 30), whole)
    assert poisson_weights(5, 3, 3, 30).shape == (0, 30)


def test_weights_are_counts_with_the_law_of_poisson_one():
    drawn = poisson_weights(0, 0, 500, 200).flatten()
    assert torch.equal(drawn, drawn.round())
    for count in range(4):
        expected = exp(-1) / factorial(count)
        assert float((drawn == count).double().mean()) == pytest.approx(expected, abs=4 * (0.25 / len(drawn)) ** 0.5)


def test_draws_stay_the_same_from_release_to_release():
    assert poisson_weights(1, 0, 2, 8).tolist() == [[1, 0, 0, 1, 0, 2, 1, 0], [4, 0, 2, 2, 1, 1, 2, 1]]


def test_bounds_are_percentiles_of_the_weighted_means():
    rng = np.random.default_rng(1)
    values, weights = torch.from_numpy(rng.exponential(size=(400, 1))), poisson_weights(2, 0, 400, 200)
    made = streamed(values, weights, [400]).interval()
    means = (weights.T @ values[:, 0] / weights.sum(0)).numpy()
    low, high = np.quantile(means, [0.025, 0.975])
    assert made.method == "poisson-bootstrap"
    assert (made.value, made.n) == (pytest.approx(float(values.mean()), rel=1e-14), 400)
    # the expanded tail of 400 examples is 0.0245 instead of 0.025
    assert (made.low, made.high) == pytest.approx((low, high), abs=0.05 * (high - low))
    assert made.low <= low
    assert made.high >= high


@pytest.mark.parametrize("sizes", [[30], [1] * 30, [7, 13, 10], [29, 1]])
def test_the_split_into_blocks_changes_nothing_but_rounding(sizes):
    rng = np.random.default_rng(2)
    values, weights = torch.from_numpy(rng.normal(size=(30, 3))), poisson_weights(3, 0, 30, 200)
    whole, split = streamed(values, weights, [30]), streamed(values, weights, sizes)
    for column in range(3):
        a, b = whole.interval(column), split.interval(column)
        assert (b.value, b.low, b.high) == pytest.approx((a.value, a.low, a.high), rel=0, abs=1e-14)


def test_groups_are_what_each_would_be_alone():
    rng = np.random.default_rng(3)
    values, weights = torch.from_numpy(rng.normal(size=(40, 2))), poisson_weights(3, 0, 40, 200)
    group = torch.tensor([0, 1, 1, -1] * 10)
    made = streamed(values, weights, [11, 29], group)
    alone = streamed(values[group == 1], weights[group == 1], [20])
    assert made.n.tolist() == [10, 20]
    for column in range(2):
        a, b = made.interval(column, 1), alone.interval(column)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=0, abs=1e-14)


def test_few_examples_get_students_t_because_percentiles_of_them_are_too_narrow():
    values = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    made = streamed(values, poisson_weights(0, 0, 3, 200), [3]).interval()
    book = mean_t([1.0, 2.0, 3.0])
    assert made.method == "student-t"
    assert (made.low, made.high) == pytest.approx((book.low, book.high), rel=1e-14)
    one = streamed(values[:1], poisson_weights(0, 0, 1, 200), [1]).interval()
    assert (one.value, one.low, one.high, one.n) == (1.0, None, None, 1)


def test_equal_values_have_an_interval_that_holds_them():
    made = streamed(torch.full((50, 1), 0.1, dtype=torch.float64), poisson_weights(0, 0, 50, 200), [50]).interval()
    assert made.low <= made.value <= made.high
    assert made.high - made.low < 1e-15


@pytest.mark.parametrize("n", [8, 30])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    made = StreamedMeans(1, 600, 200)
    made.add(torch.from_numpy(rng.normal(size=(n, 600))), poisson_weights(9, 0, n, 200))
    holds = [interval.low <= 0 <= interval.high for interval in map(made.interval, range(600))]
    assert made.interval().method == "poisson-bootstrap"
    assert 0.92 < np.mean(holds) < 0.98


def test_a_group_without_examples_has_no_mean():
    with pytest.raises(ValueError, match="at least one example"):
        StreamedMeans(2, 1, 10).interval(0, group=1)


def test_it_says_what_it_holds():
    made = StreamedMeans(3, 4, 10)
    held = sum(t.numel() * t.element_size() for t in vars(made).values())
    assert StreamedMeans.bytes(3, 4, 10) == held
