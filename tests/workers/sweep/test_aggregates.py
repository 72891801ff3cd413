"""What is said of many examples at once: by hand, against numpy on all of them, whatever the blocks."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.workers.sweep.blocks import SPLITS, fed
from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.numerics.intervals import mean_t
from workers.sweep.aggregates import Axis, Concentration, UnitMeans

RNG = np.random.default_rng(1)
VALUES = {
    "a": torch.from_numpy(RNG.normal(0.3, 1, size=(20, 3, 2))),
    "b": torch.from_numpy(RNG.normal(size=(20, 4))),
}


def near(interval):
    return pytest.approx((interval.value, interval.low, interval.high), rel=0, abs=1e-13)


def seen(interval):
    return (interval.value, interval.low, interval.high)


# --- units -----------------------------------------------------------------------------------------------------------

SIZES = {"a": 6, "b": 4}
GROUPS = torch.tensor([1, 0, 0, 1, -1, 1, 0, 0, 1, -1] * 2)


def test_units_have_the_percentiles_of_replicates_made_by_hand():
    made = fed(UnitMeans(SIZES, seed=3, replicates=400), VALUES, [20])
    own, weights = VALUES["a"][:, 1, 1], poisson_weights(3, 0, 20, 400)
    tail = stats.norm.cdf(-stats.t.ppf(0.975, 19) * (20 / 19) ** 0.5)
    for found, values in zip(made.unit("a", 3), (own, own.abs()), strict=True):
        low, high = np.quantile((weights.T @ values / weights.sum(0)).numpy(), [tail, 1 - tail])
        assert found.method == "poisson-bootstrap"
        assert (found.value, found.low, found.high, found.n) == pytest.approx(
            (float(values.mean()), low, high, 20), abs=1e-9
        )


@pytest.mark.parametrize("sizes", SPLITS)
def test_intervals_do_not_depend_on_the_blocks(sizes):
    for groups, rows in ((1, None), (2, GROUPS)):
        whole, split = (fed(UnitMeans(SIZES, groups, rows, seed=3), VALUES, each) for each in ([20], sizes))
        for key, units in SIZES.items():
            for at in range(units):
                for one, other in zip(split.unit(key, at), whole.unit(key, at), strict=True):
                    assert seen(one) == near(other)


def test_units_beyond_the_bytes_allowed_get_students_t_or_nothing_and_the_smallest_layers_come_first():
    sums, replicates = (sum(StreamedMeans.bytes(1, 2 * units, n) for units in SIZES.values()) for n in (0, 200))
    room = sums + StreamedMeans.bytes(1, 2 * 4, 200) - StreamedMeans.bytes(1, 2 * 4, 0)
    made = UnitMeans(SIZES, seed=3, most_bytes=room)
    assert made.bytes == room < replicates
    fed(made, VALUES, [20])
    assert made.unit("b", 0)[0].method == "poisson-bootstrap"
    for found, values in zip(made.unit("a", 3), (VALUES["a"][:, 1, 1], VALUES["a"][:, 1, 1].abs()), strict=True):
        assert found.method == "student-t"
        assert seen(found) == near(mean_t(values.numpy()))
    least = fed(UnitMeans(SIZES, seed=3, most_bytes=StreamedMeans.bytes(1, 2 * 4, 0)), VALUES, [20])
    assert (least.holds("a"), least.holds("b")) == (False, True)


def test_another_seed_draws_other_replicates():
    (first, _), (other, _) = (fed(UnitMeans(SIZES, seed=seed), VALUES, [20]).unit("a", 0) for seed in (3, 4))
    assert first.value == other.value
    assert first.low != other.low


@pytest.mark.parametrize("sizes", SPLITS)
def test_groups_are_what_numpy_makes_of_their_examples(sizes):
    made = fed(UnitMeans(SIZES, 2, GROUPS, seed=3), VALUES, sizes)
    for key, values in VALUES.items():
        for group in (0, 1):
            own = values[group == GROUPS].flatten(1).numpy()
            np.testing.assert_allclose(made.magnitudes(key, group), np.abs(own).mean(0), rtol=0, atol=1e-14)
            for at in range(SIZES[key]):
                mean, magnitude = made.unit(key, at, group)
                assert mean.n == len(own) == 8
                assert mean.value == pytest.approx(own[:, at].mean(), abs=1e-14)
                assert magnitude.value == pytest.approx(np.abs(own[:, at]).mean(), abs=1e-14)


def test_the_interval_of_a_group_is_that_of_its_examples_alone():
    found, _ = fed(UnitMeans(SIZES, 2, GROUPS, seed=3), VALUES, [20]).unit("b", 2, 0)
    weights, own = poisson_weights(3, 0, 20, 200), GROUPS == 0
    means = weights[own].T @ VALUES["b"][own, 2] / weights[own].sum(0)
    assert found.method == "poisson-bootstrap"
    assert float(means.min()) <= found.low < found.value < found.high <= float(means.max())
    assert not fed(UnitMeans(SIZES, 3, GROUPS, seed=3), VALUES, [20]).holds("b", 2)


# --- concentration ---------------------------------------------------------------------------------------------------


def test_concentration_is_of_each_example_and_then_averaged():
    one_each = torch.eye(4, dtype=torch.float64)  # each example has one unit; their mean has four equal ones
    found = fed(Concentration(), {"a": one_each}, [1, 3]).of("a")
    assert (found.units, found.effective.value, found.half.value, found.gini.value) == (4, 1.0, 0.25, 0.75)
    assert (found.effective.n, found.effective.low, found.effective.high) == (4, 1.0, 1.0)


def test_concentration_looks_at_the_first_examples_and_leaves_out_those_without_attribution():
    rows = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [3.0, 1.0]])
    made = fed(Concentration(first=3), {"a": rows, "b": torch.zeros(4, 2)}, [2, 2])
    found = made.of("a")
    assert (found.effective.value, found.effective.n) == (1.5, 2)
    assert made.of("b") is None


@pytest.mark.parametrize("sizes", SPLITS)
def test_concentration_does_not_depend_on_the_blocks(sizes):
    whole, split = (fed(Concentration(), VALUES, each).of("a") for each in ([20], sizes))
    for name in ("half", "ninety", "effective", "gini"):
        assert seen(getattr(split, name)) == near(getattr(whole, name))


# --- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SPLITS)
def test_an_axis_stays_and_the_others_are_summed(sizes):
    made = fed(Axis({"a": (1,), "b": ()}), VALUES, sizes)
    torch.testing.assert_close(made.of("a"), VALUES["a"].sum(1), rtol=0, atol=1e-14)
    torch.testing.assert_close(made.of("b"), VALUES["b"].sum(1), rtol=0, atol=1e-14)


def test_two_axes_may_stay_for_the_first_examples_only():
    picture = torch.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    made = fed(Axis({"a": (1, 2)}, first=1), {"a": picture, "b": picture}, [1, 1])
    assert torch.equal(made.of("a"), picture[:1].sum(1))
    with pytest.raises(KeyError):
        made.of("b")
