"""What is said of many examples at once: by hand, against numpy on all of them, whatever the blocks."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.workers.sweep.blocks import SPLITS, fed
from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.numerics.intervals import mean_t
from workers.sweep.aggregates import Axis, Bootstrap, ByClass, Concentration
from workers.sweep.reducers import Moments

RNG = np.random.default_rng(1)
VALUES = {
    "a": torch.from_numpy(RNG.normal(0.3, 1, size=(20, 3, 2))),
    "b": torch.from_numpy(RNG.normal(size=(20, 4))),
}
LABELS = torch.tensor([7, 2, 2, 7, -1, 7, 2, 2, 7, -1] * 2)


def near(interval):
    return pytest.approx((interval.value, interval.low, interval.high), rel=0, abs=1e-13)


def seen(interval):
    return (interval.value, interval.low, interval.high)


# --- bootstrap -------------------------------------------------------------------------------------------------------


def test_totals_have_the_percentiles_of_replicates_made_by_hand():
    made = fed(Bootstrap(3, replicates=400), VALUES, [20])
    signed, weights = VALUES["a"].sum((1, 2)), poisson_weights(3, 0, 20, 400)
    means = (weights.T @ signed / weights.sum(0)).numpy()
    tail = stats.norm.cdf(-stats.t.ppf(0.975, 19) * (20 / 19) ** 0.5)
    low, high = np.quantile(means, [tail, 1 - tail])
    total = made.total("a")
    assert total.method == "poisson-bootstrap"
    assert (total.value, total.low, total.high, total.n) == pytest.approx(
        (float(signed.mean()), low, high, 20), abs=1e-9
    )
    assert made.absolute_total("a").value == pytest.approx(float(VALUES["a"].abs().sum((1, 2)).mean()), abs=1e-14)


@pytest.mark.parametrize("sizes", SPLITS)
def test_intervals_do_not_depend_on_the_blocks(sizes):
    whole, split = (fed(Bootstrap(3), VALUES, each) for each in ([20], sizes))
    moments = fed(Moments(), VALUES, [20])
    for key, values in VALUES.items():
        assert seen(split.total(key)) == near(whole.total(key))
        assert seen(split.absolute_total(key)) == near(whole.absolute_total(key))
        for at in range(values[0].numel()):
            for one, other in zip(*(each.unit(key, at, moments.of(key)) for each in (split, whole)), strict=True):
                assert seen(one) == near(other)


def test_units_are_read_by_their_flat_index():
    made, moments = fed(Bootstrap(3), VALUES, [20]), fed(Moments(), VALUES, [20])
    signed, absolute = made.unit("a", 3, moments.of("a"))
    assert signed.method == absolute.method == "poisson-bootstrap"
    assert signed.value == pytest.approx(float(VALUES["a"][:, 1, 1].mean()), abs=1e-14)
    assert absolute.value == pytest.approx(float(VALUES["a"][:, 1, 1].abs().mean()), abs=1e-14)


def test_units_beyond_the_bytes_allowed_get_students_t_and_say_so():
    room = StreamedMeans.bytes(1, 2 * 4, 200)  # for the four units of b, not the six of a
    made = fed(Bootstrap(3, most_bytes=room), VALUES, [20])
    moments = fed(Moments(), VALUES, [20])
    assert made.unit("b", 0, moments.of("b"))[0].method == "poisson-bootstrap"
    signed, absolute = made.unit("a", 3, moments.of("a"))
    for found, values in ((signed, VALUES["a"][:, 1, 1]), (absolute, VALUES["a"][:, 1, 1].abs())):
        book = mean_t(values.numpy())
        assert found.method == "student-t"
        assert seen(found) == near(book)


def test_another_seed_draws_other_replicates():
    first, other = (fed(Bootstrap(seed), VALUES, [20]).total("a") for seed in (3, 4))
    assert first.value == other.value
    assert first.low != other.low


# --- classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SPLITS)
def test_classes_are_what_numpy_makes_of_their_examples(sizes):
    made = fed(ByClass(LABELS, seed=3), VALUES, sizes)
    assert made.classes == (2, 7)
    for key, values in VALUES.items():
        for number in made.classes:
            own = values[number == LABELS].numpy()
            assert made.n(key, number) == len(own) == 8
            mean, magnitude = made.unit_means(key, number)
            np.testing.assert_allclose(mean, own.mean(0), rtol=0, atol=1e-14)
            np.testing.assert_allclose(magnitude, np.abs(own).mean(0), rtol=0, atol=1e-14)
            assert made.total(key, number).value == pytest.approx(own.reshape(8, -1).sum(1).mean(), abs=1e-14)
            assert made.absolute_total(key, number).value == pytest.approx(np.abs(own).sum() / 8, abs=1e-14)


def test_unit_sums_of_classes_are_bitwise_the_same_whatever_the_blocks():
    made = [fed(ByClass(LABELS, seed=3), VALUES, sizes).unit_means("a", 7) for sizes in SPLITS]
    assert all(torch.equal(one[0], made[0][0]) and torch.equal(one[1], made[0][1]) for one in made)


def test_the_interval_of_a_class_is_that_of_its_examples_alone():
    made = fed(ByClass(LABELS, seed=3), VALUES, [20])
    signed, weights = VALUES["b"].sum(1), poisson_weights(3, 0, 20, 200)
    own = LABELS == 2
    means = weights[own].T @ signed[own] / weights[own].sum(0)
    found = made.total("b", 2)
    assert found.method == "poisson-bootstrap"
    assert float(means.min()) <= found.low < found.value < found.high <= float(means.max())
    few = fed(ByClass(torch.tensor([0, 0, 0] + [1] * 17), seed=3), VALUES, [20]).total("b", 0)
    assert few.method == "student-t"
    assert seen(few) == near(mean_t(signed[:3].numpy()))


def test_many_classes_have_students_t_and_units_beyond_the_bytes_are_not_held():
    labels = torch.arange(120) % 60
    made = fed(
        ByClass(labels, seed=3, most_bytes=16 * 60), {"a": torch.ones(120, 1), "b": torch.ones(120, 2)}, [50, 70]
    )
    assert made.total("a", 59).method == "student-t"
    assert made.unit_means("a", 59) is not None
    assert made.unit_means("b", 59) is None
    with pytest.raises(ValueError, match="no example has class 60"):
        made.total("a", 60)


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
