"""Corruptions of series, words and rows against what follows by hand."""

from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np
import pytest
import torch

from tests.workers.corruption.made import LETTERS, apply, draws
from workers.corruption import cells, series, words
from workers.corruption.cells import ColumnFacts, Row
from workers.corruption.spec import SEVERITIES, ceiling, chosen


def ramp(steps: int = 50, channels: int = 4) -> torch.Tensor:
    return (torch.arange(steps, dtype=torch.float64) + 1)[:, None] * torch.ones(channels, dtype=torch.float64)


def test_a_share_is_rounded_up_but_not_by_rounding_errors():
    assert [ceiling(0.3 * 10), ceiling(0.31 * 10), ceiling(0.0), ceiling(0.001 * 10)] == [3, 4, 0, 1]


def test_more_chosen_hold_all_that_fewer_hold():
    few, many = (chosen(20, share, draws()) for share in (0.1, 0.5))
    assert (len(few), len(many)) == (2, 10)
    assert many[:2] == few


# --- series


@pytest.mark.parametrize("corruption", series.SERIES, ids=lambda each: each.name)
def test_a_series_keeps_its_shape_at_every_severity_and_everything_at_none(corruption):
    z = torch.randn(30, 3, generator=draws(), dtype=torch.float64)
    assert torch.equal(apply(corruption, z, 0), z)
    away = [float((apply(corruption, z, severity) - z).norm()) for severity in SEVERITIES]
    assert away[0] > 0
    assert away[-1] > away[0]
    assert all(apply(corruption, z, severity).shape == z.shape for severity in SEVERITIES)


@pytest.mark.parametrize("corruption", series.SERIES, ids=lambda each: each.name)
def test_the_shortest_series_is_corrupted_without_an_error(corruption):
    for steps in (1, 2):
        z = torch.ones(steps, 2, dtype=torch.float64)
        assert bool(torch.isfinite(apply(corruption, z, 5)).all())


def test_noise_has_its_deviation():
    made = series.noise(torch.zeros(4000, 2, dtype=torch.float64), 0.4, draws())
    assert float(made.std()) == pytest.approx(0.4, rel=0.03)


def test_dropout_sets_a_share_of_steps_to_the_mean_in_all_channels():
    made = series.dropout(ramp(), 0.2, draws())
    assert int((made == 0).all(1).sum()) == 10
    assert torch.equal(made[(made != 0).all(1)], ramp()[(made != 0).all(1)])


def test_spikes_are_five_deviations_high():
    change = series.spikes(ramp(), 0.1, draws()) - ramp()
    assert int((change != 0).all(1).sum()) == 5
    assert set(change.unique().tolist()) == {-5.0, 0.0, 5.0}


def test_drift_is_a_line_to_its_end():
    change = (series.drift(ramp(), 1.5, draws()) - ramp()).abs()
    torch.testing.assert_close(change, 1.5 * torch.linspace(0, 1, 50, dtype=torch.float64)[:, None].expand(50, 4))


def test_lost_channels_are_the_mean_and_one_is_always_left():
    made = series.channel_loss(ramp(), 0.5, draws())
    assert int((made == 0).all(0).sum()) == 2
    assert int((series.channel_loss(ramp(), 1.0, draws()) == 0).all(0).sum()) == 3


def test_a_shift_in_time_holds_the_step_at_the_end():
    made = series.time_shift(ramp(), 0.1, draws())[:, 0].tolist()
    later, earlier = [1.0] * 5 + [float(at) for at in range(1, 46)], [float(at) for at in range(6, 51)] + [50.0] * 5
    assert made in (later, earlier)


def test_a_warp_keeps_the_ends_and_moves_the_middle_by_its_share():
    z = ramp(101, 1)
    made = series.time_warp(z, 0.1, draws())
    assert float(made[0, 0]) == 1
    assert float(made[-1, 0]) == pytest.approx(101)
    assert abs(float(made[50, 0]) - 51) == pytest.approx(10)
    assert bool((made.diff(dim=0) > 0).all())


# --- words


@pytest.mark.parametrize("corruption", words.TEXT, ids=lambda each: each.name)
def test_a_share_of_words_is_edited_and_the_rest_of_the_text_stays(corruption):
    assert apply(corruption, LETTERS, 0) == LETTERS
    found = [apply(corruption, LETTERS, severity) for severity in SEVERITIES]
    assert len(set(found)) == 5
    for severity, made in zip(SEVERITIES, found, strict=True):
        share = corruption.at(severity)
        if corruption.name == "whitespace":
            edits = len(made.split()) - len(LETTERS.split())
        else:
            edits = sum(a != b for a, b in zip(LETTERS.split(), made.split(), strict=True))
        assert edits == ceiling(share * len(LETTERS.split())), made


def edit(of, word: str) -> set[str]:
    return {of(word, draws(seed)) for seed in range(200)}


def test_each_edit_gives_what_it_says():
    assert edit(words.swap, "abb") == {"bab"}
    assert edit(words.drop, "abc") == {"bc", "ac", "ab"}
    assert all(len(each) == 3 for each in edit(words.insert, "ab"))
    assert edit(words.keyboard, "aP") == {"sP", "aO"}
    assert edit(words.case, "aB") == {"Ab"}
    assert edit(words.homoglyph, "ag") == {"\u0430g"}
    assert edit(words.whitespace, "abc") == {"a bc", "ab c"}
    assert edit(words.punctuation, "a") == {"a" + mark for mark in ",.;:!?"}


@pytest.mark.parametrize(
    ("of", "word"),
    [(words.swap, "aa"), (words.drop, "a"), (words.keyboard, "12"), (words.case, "7"), (words.homoglyph, "gz"),
     (words.whitespace, "a")],
)  # fmt: skip
def test_a_word_that_cannot_be_edited_is_passed_over(of, word):
    assert edit(of, word) == {word}
    assert words.edited(f"{word} {word}", 1.0, draws(), edit=of) == f"{word} {word}"


def test_a_text_without_words_stays_as_it_is():
    for given in ("", " ... !", "\n"):
        assert words.edited(given, 0.5, draws(), edit=words.insert) == given


def test_more_edits_hold_all_that_fewer_hold():
    few, many = (words.edited(LETTERS, share, draws(), edit=words.drop).split() for share in (0.1, 0.5))
    own = LETTERS.split()
    for at, word in enumerate(few):
        assert word == own[at] or many[at] == word


# --- rows


def column(**changes) -> ColumnFacts:
    made = {
        "name": "x", "observed": np.array([1.0, 2.0, 3.0]), "fill": 2.0, "deviation": 1.0, "category": False,
        "whole": False, "low": -100.0, "high": 100.0,
    }  # fmt: skip
    return ColumnFacts(**{**made, **changes})


def test_empty_cells_are_filled_in_a_share_of_columns():
    row = Row(np.full(10, 7.0), tuple(column(fill=float(at)) for at in range(10)))
    made = cells.missing(row, 0.3, draws()).values
    assert int((made != 7).sum()) == 3
    assert all(made[at] == at for at in np.flatnonzero(made != 7))
    assert np.array_equal(cells.missing(row, 0.0, draws()).values, row.values)


def test_noise_is_in_deviations_of_the_column_and_within_its_bounds():
    row = Row(np.zeros(4000), (column(deviation=3.0),) * 4000)
    assert float(cells.noise(row, 0.5, draws()).values.std()) == pytest.approx(1.5, rel=0.05)
    tight = Row(np.zeros(500), (column(deviation=3.0, low=-1.0, high=0.5),) * 500)
    made = cells.noise(tight, 1.0, draws()).values
    assert made.min() == -1
    assert made.max() == 0.5


def test_noise_leaves_whole_numbers_whole():
    made = cells.noise(Row(np.full(200, 5.0), (column(whole=True, deviation=2.0),) * 200), 1.0, draws()).values
    assert np.array_equal(made, made.round())
    assert len(set(made.tolist())) > 4


def test_noise_draws_categories_anew_a_quarter_of_the_time():
    facts = column(category=True, deviation=0.0, observed=np.array([1.0]))
    made = cells.noise(Row(np.zeros(4000), (facts,) * 4000), 1.0, draws()).values
    assert float((made == 1).mean()) == pytest.approx(0.25, abs=4 * sqrt(0.25 * 0.75 / 4000))
    assert set(made.tolist()) == {0.0, 1.0}


def test_swapped_cells_hold_what_another_row_has():
    row = Row(np.full(10, 7.0), (column(),) * 10)
    made = cells.swapped(row, 0.5, draws()).values
    assert int((made != 7).sum()) == 5
    assert set(made.tolist()) <= {1.0, 2.0, 3.0, 7.0}


@pytest.mark.parametrize("corruption", cells.TABLE, ids=lambda each: each.name)
def test_a_row_without_strength_is_the_row(corruption):
    row = Row(np.arange(6.0), (column(), column(category=True), column(whole=True)) * 2)
    assert np.array_equal(apply(corruption, row, 0).values, row.values)
    far = [
        sum(np.abs(apply(corruption, row, each, seed).values - row.values).sum() for seed in range(30))
        for each in (1, 5)
    ]
    assert 0 < far[0] < far[1]


def test_edits_are_named_once():
    assert len({each.name for each in words.TEXT}) == 8
    assert all(isinstance(each.apply, partial) for each in words.TEXT)
