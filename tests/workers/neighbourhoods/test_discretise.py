"""Bins are lime's, and what is drawn within them is its truncated normal; where lime's bins say nothing, ours do."""

import numpy as np
import pytest
from lime.discretize import DecileDiscretizer, EntropyDiscretizer, QuartileDiscretizer
from scipy.stats import truncnorm

from workers.neighbourhoods.discretise import NONE, Stacked, borders, of_number, of_values

LIME = {"quartile": QuartileDiscretizer, "decile": DecileDiscretizer, "entropy": EntropyDiscretizer}


def ours(values, cut="quartile", labels=None, missing=None):
    values = np.asarray(values, dtype=float)
    known = values if missing is None else values[values != missing]
    return of_number(values, "age", borders(known, cut, labels), missing)


def theirs(values, cut="quartile", labels=None):
    return LIME[cut](
        np.asarray(values, dtype=float)[:, None], [], ["age"], labels=labels, random_state=np.random.RandomState(7)
    )


def one_number(strata, value):
    """What the only wide or narrow stratum of a value gives for a middling draw."""
    stacked = Stacked.of([strata])
    return float(stacked.values(0, np.array([[strata.code(value)]]), np.array([[0.5]]))[0, 0])


def test_quartiles_of_a_column_part_it_into_four_bins_with_their_own_statistics():
    made = ours([0, 1, 2, 3, 4, 5, 6, 7, 8])
    assert made.borders.tolist() == [2, 4, 6]
    assert made.names == ("age <= 2", "2 < age <= 4", "4 < age <= 6", "age > 6")
    assert made.shares == pytest.approx(np.array([3, 2, 2, 2]) / 9)
    assert made.low.tolist() == [0, 2, 4, 6]
    assert made.high.tolist() == [2, 4, 6, 8]
    assert made.mean.tolist() == [1, 3.5, 5.5, 7.5]
    assert made.std == pytest.approx(np.array([np.sqrt(2 / 3), 0.5, 0.5, 0.5]))


@pytest.mark.parametrize(("value", "code"), [(-9, 0), (2, 0), (2.01, 1), (4, 1), (6, 2), (6.5, 3), (99, 3)])
def test_a_border_belongs_to_the_bin_below_and_what_lies_outside_to_the_outer_bins(value, code):
    assert ours([0, 1, 2, 3, 4, 5, 6, 7, 8]).code(value) == code


@pytest.mark.parametrize("cut", ["quartile", "decile", "entropy"])
@pytest.mark.parametrize("seed", range(6))
def test_bins_are_those_of_lime(cut, seed):
    draw = np.random.RandomState(seed)
    values = (draw.poisson(4, 120) / 2, draw.gamma(2, 5, 120), draw.normal(0, 1e-3, 120))[seed % 3]
    labels = (values + draw.normal(0, values.std(), 120) > np.median(values)).astype(int)
    made, lime = ours(values, cut, labels), theirs(values, cut, labels)
    assert made.borders.tolist() == pytest.approx(lime.mins[0][1:], abs=0)
    some = made.shares > 0
    assert made.low[some].tolist() == np.array(lime.mins[0])[some].tolist()
    assert made.high[some].tolist() == np.array(lime.maxs[0])[some].tolist()
    assert made.mean[some] == pytest.approx(np.array(lime.means[0])[some], rel=1e-12)
    assert made.std[some] == pytest.approx(np.array(lime.stds[0])[some], abs=2e-11)
    assert [made.code(value) for value in values] == lime.lambdas[0](values).tolist()


def test_entropy_cuts_where_the_labels_change_and_at_the_median_where_they_never_do():
    values = np.array([1.0, 2, 3, 10, 11, 12])
    assert borders(values, "entropy", np.array([0, 0, 0, 1, 1, 1])).tolist() == [6.5]
    assert borders(values, "entropy", np.zeros(6, dtype=int)).tolist() == [6.5]
    assert borders(values, "entropy", np.array([0, 1, 1, 1, 1, 1])).tolist() == [1.5]
    with pytest.raises(ValueError, match="needs labels"):
        borders(values, "entropy", None)


def test_a_number_whose_quartiles_are_all_its_largest_is_cut_below_it_where_lime_has_one_bin():
    flag = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert set(theirs(flag).lambdas[0](np.array(flag)).tolist()) == {0}
    made = ours(flag)
    assert made.names == ("age <= 0", "age > 0")
    assert made.shares == pytest.approx([0.2, 0.8])
    assert [made.code(0), made.code(1)] == [0, 1]
    assert one_number(made, 1) == 1
    assert one_number(made, 0) == 0


def test_a_bin_of_a_single_number_gives_that_number_where_lime_gives_zero():
    """Four in ten are the smallest: the first bin reaches from 5 to 5."""
    values = np.array([5.0] * 4 + [6, 7, 8, 9, 10, 11])
    assert theirs(values).get_undiscretize_values(0, np.zeros(3, dtype=int)).tolist() == [0, 0, 0]
    assert one_number(ours(values), 5) == 5


def test_values_alike_but_for_their_bin_s_width_are_drawn_exactly():
    """The bin from 2 to 3 holds nothing but 3."""
    made = ours([1, 1.5, 2, 3, 3, 3, 3, 4, 5])
    assert one_number(made, 3) == 3


def test_missing_values_are_a_stratum_of_their_own_and_move_no_statistic():
    made = ours([0, 1, 2, 3, 4, 5, 6, 7, 8, -999], missing=-999.0)
    assert made.borders.tolist() == [2, 4, 6]
    assert made.names[-1] == "age = -999 (missing)"
    assert made.code(-999) == 4
    assert made.code(-5) == 0
    assert made.shares == pytest.approx(np.array([3, 2, 2, 2, 1]) / 10)
    assert made.low[0] == 0
    assert one_number(made, -999) == -999


def test_a_declared_missing_value_that_never_occurs_is_never_drawn_and_still_has_a_name():
    made = ours([0, 1, 2, 3, 4, 5, 6, 7, 8], missing=-1.0)
    assert made.shares[-1] == 0
    assert made.names[made.code(-1)] == "age = -1 (missing)"
    codes = Stacked.of([made]).codes(0, np.nextafter([[0, 1.0, 0.5]], 0))
    assert codes.max() == 3


def test_known_values_that_are_all_equal_are_one_bin_beside_the_missing_ones():
    made = ours([3, 3, 3, -1], missing=-1.0)
    assert made.names == ("age = 3", "age = -1 (missing)")
    assert made.shares.tolist() == [0.75, 0.25]
    assert one_number(made, 3) == 3


def test_categories_are_their_values_by_frequency_and_a_new_one_has_no_code():
    made = of_values(np.array([2.0, 0, 0, 7]))
    assert made.low.tolist() == [0, 2, 7]
    assert made.shares.tolist() == [0.5, 0.25, 0.25]
    assert [made.code(0), made.code(7), made.code(1)] == [0, 2, NONE]


def test_borders_are_told_in_as_few_digits_as_tell_them_apart():
    made = of_number(np.array([0.0, 3]), "mass", np.array([1.00000001, 1.00000002]))
    assert made.names[1] == "1.00000001 < mass <= 1.00000002"


def test_strata_are_drawn_as_numpy_s_choice_draws_them():
    columns = [ours(np.random.RandomState(at).poisson(3, 50)) for at in range(4)]
    draws = np.random.RandomState(3).random_sample((4, 500))
    random = np.random.RandomState(3)
    for made, column in zip(Stacked.of(columns).codes(0, draws), columns, strict=True):
        occurring = np.flatnonzero(column.shares)
        assert made.tolist() == random.choice(occurring, 500, p=column.shares[occurring]).tolist()


@pytest.mark.parametrize("cut", ["quartile", "decile"])
def test_numbers_within_a_bin_are_the_quantiles_of_scipy_s_truncated_normal(cut):
    draw = np.random.RandomState(0)
    columns = [
        ours(values, cut)
        for values in (draw.gamma(2, 5, 90), draw.normal(1e6, 3, 90), draw.normal(0, 1e-9, 90), draw.exponential(1, 60))
    ]
    codes = np.stack([draw.choice(np.flatnonzero(column.std > 0), 400) for column in columns])
    quantiles = draw.random_sample(codes.shape)
    made = Stacked.of(columns).values(0, codes, quantiles)
    for column, code, quantile, found in zip(columns, codes, quantiles, made, strict=True):
        low, high, mean, std = (each[code] for each in (column.low, column.high, column.mean, column.std))
        expected = truncnorm.ppf(quantile, (low - mean) / std, (high - mean) / std, loc=mean, scale=std)
        assert np.abs(found - expected).max() <= 1e-9 * np.ptp(column.high)


def test_the_ends_of_the_unit_interval_give_the_ends_of_the_bin():
    made = ours([0, 1, 2, 3, 4, 5, 6, 7, 1000])
    stacked, codes = Stacked.of([made]), np.arange(4)[None].repeat(2, 0).reshape(1, 8)
    found = stacked.values(0, codes, np.array([[0.0] * 4 + [np.nextafter(1, 0)] * 4]))
    assert found[0, :4] == pytest.approx(made.low)
    assert found[0, 4:] == pytest.approx(made.high)
    assert (found >= made.low[codes]).all()
    assert (found <= made.high[codes]).all()


def test_columns_of_many_and_of_few_strata_take_no_more_room_than_they_have():
    """A column of identifiers beside numbers must not widen these."""
    few, many = ours([0, 1, 2, 3, 4, 5, 6, 7, 8]), of_values(np.arange(50_000.0))
    stacked = Stacked.of([few, many, few])
    assert len(stacked.low) == 4 + 50_000 + 4
    codes = np.array([[0, 3], [49_999, 0], [0, 3]])
    assert stacked.low.take(stacked.places(0, codes)).tolist() == [[0, 6], [49_999, 0], [0, 6]]
    assert stacked.low.take(stacked.places(1, codes[1:])).tolist() == [[49_999, 0], [0, 6]]
