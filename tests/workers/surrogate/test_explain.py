"""From samples to verdict."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from tests.workers.surrogate.made import Given, Masks, corners, cosine, network, noise
from workers.surrogate.explain import explain
from workers.surrogate.explained import Explained
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.settings import Settings

PLANTED = np.zeros(30)
PLANTED[[3, 7, 11]] = 2.0, -1.0, 0.5


def planted(z: Floats) -> Floats:
    return z @ PLANTED


def exactly(found: Explained) -> list[bytes | object]:
    """Every number of every label, to the last bit."""
    values = [getattr(local, each.name) for local in found.labels for each in fields(local)]
    return [each.tobytes() if isinstance(each, np.ndarray) else each for each in values]


# What is refused


def test_an_example_that_has_no_number_is_refused() -> None:
    with pytest.raises(NoSurrogate, match="for the example itself"):
        explain(Masks(5), network(lambda z: np.where(z.all(1), np.nan, 1.0)), Settings(samples=50), 0)


def test_more_than_half_of_the_samples_lost_is_refused_with_their_number() -> None:
    def seldom(z: Floats) -> Floats:
        return np.where((z[:, 0] == 1) & (z[:, 1] == 1), z[:, 2], np.inf)

    with pytest.raises(NoSurrogate, match=r"no finite number for \d+ of 200 samples"):
        explain(Masks(5), network(seldom), Settings(samples=200), 0)


def test_a_kernel_that_leaves_no_sample_any_weight_is_refused() -> None:
    with pytest.raises(NoSurrogate, match=r"kernel width 0\.001"):
        explain(Masks(20), network(planted_few), Settings(samples=100, kernel_width=0.001), 0)


def planted_few(z: Floats) -> Floats:
    return z[:, 0]


@pytest.mark.parametrize("samples", [2, 8])
def test_too_few_samples_are_refused(samples: int) -> None:
    with pytest.raises(NoSurrogate, match="too few"):
        explain(Masks(20), network(planted_few), Settings(samples=samples), 0)


@pytest.mark.parametrize("width", [1e-8, 1e-300])
def test_a_kernel_under_which_only_copies_of_the_example_weigh_is_refused(width: float) -> None:
    """Of 4 features a sixteenth of the samples is the example: they weigh, and tell nothing."""
    with pytest.raises(NoSurrogate, match=r"the samples weigh as much as 0\.0 would"):
        explain(Masks(4), network(lambda z: z[:, 0]), Settings(kernel_width=width), 0)


def test_a_kernel_of_any_width_above_is_that_of_equal_weights() -> None:
    (local,) = explain(Masks(4), network(lambda z: 3 * z[:, 0]), Settings(kernel_width=1e200), 0).labels
    np.testing.assert_allclose(local.coefficients, [3, 0, 0, 0], atol=0.02)


def test_samples_that_are_all_the_example_are_refused() -> None:
    z = np.ones((40, 3))
    with pytest.raises(NoSurrogate, match="1 of them different"):
        explain(Given(z, cosine(z)), network(planted_few), Settings(samples=40), 0)


def test_a_neighbourhood_with_a_missing_value_is_refused() -> None:
    z = corners(4)[::-1].copy()
    z[3, 1] = np.nan
    with pytest.raises(NoSurrogate, match="not finite"):
        explain(Given(z, cosine(z)), network(planted_few), Settings(samples=16), 0)


@pytest.mark.parametrize(
    "wrong", [{"samples": 1}, {"features": 0}, {"rows": 0}, {"repeats": 1}, {"alpha": -1.0}, {"confidence": 0.0}]
)
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type] # one at a time


# What is said


@pytest.mark.parametrize("mode", ["auto", "forward_selection", "highest_weights", "lasso_path", "none"])
def test_planted_features_come_first_with_their_weights_and_are_readable(mode: str) -> None:
    local = explain(Masks(30), network(planted), Settings(selection=mode), 1).labels[0]  # type: ignore[arg-type] # a mode
    assert local.chosen[:3] == (3, 7, 11)
    np.testing.assert_allclose(local.coefficients, PLANTED, atol=0.02)
    assert local.verdict == "readable", local.reason
    assert local.held_out > 0.999
    assert local.local == pytest.approx(local.prediction, abs=0.01)


@pytest.mark.parametrize("formula", [noise, lambda z: (z[:, 0] + z[:, 1]) % 2], ids=["noise", "exclusive or"])
@pytest.mark.parametrize("mode", ["auto", "forward_selection", "lasso_path"])
def test_what_is_not_locally_linear_is_said_not_to_be_read(formula: object, mode: str) -> None:
    local = explain(Masks(30), network(formula), Settings(selection=mode, repeats=3), 1).labels[0]  # type: ignore[arg-type]
    assert local.verdict == "not locally linear"
    assert "do not read these weights" in local.reason
    assert local.held_out < 0.05


def test_a_constant_network_changes_nothing() -> None:
    local = explain(Masks(10), network(lambda z: np.full(len(z), 0.7)), Settings(samples=200, settle=True), 1).labels[0]
    assert local.verdict == "nothing changes"
    assert not local.coefficients.any()
    assert not local.errors.any()
    assert local.settled
    assert local.prediction == local.local == 0.7


def test_rounding_is_no_change() -> None:
    local = explain(Masks(10), network(lambda z: 1e3 + 1e-5 * noise(z)), Settings(samples=200), 1).labels[0]
    assert local.verdict == "nothing changes"


def test_a_large_label_that_changes_little_keeps_its_digits() -> None:
    local = explain(Masks(30), network(lambda z: 1e9 + planted(z)), Settings(), 1).labels[0]
    np.testing.assert_allclose(local.coefficients, PLANTED, atol=0.02)


def test_more_features_that_matter_than_are_shown_is_a_doubt() -> None:
    steps = np.where(np.arange(40) % 2, 1.0, -1.0)
    local = explain(Masks(40), network(lambda z: z @ steps), Settings(features=5), 1).labels[0]
    assert local.verdict == "doubtful"
    assert "the 5 features shown tell" in local.reason
    assert local.whole_held_out > 0.99


def test_fewer_different_samples_than_features_end_in_a_doubt_and_in_finite_numbers() -> None:
    found = explain(Masks(40), network(lambda z: z.sum(1)), Settings(samples=30), 1)
    local = found.labels[0]
    assert found.distinct == 30
    assert "30 different samples cannot tell 41 numbers" in local.reason or local.verdict == "not locally linear"
    assert np.isfinite([local.r2, local.held_out, local.overlap, *local.errors, *local.whole_errors]).all()


def drawn_seldom(times: int) -> Given:
    """500 samples of four features, the first of which is as in the example in so many of the others."""
    z = np.random.default_rng(0).integers(0, 2, (500, 4)).astype(np.float64)
    z[:, 0] = np.arange(500) <= times
    z[0] = 1
    return Given(z, cosine(z))


def test_a_feature_that_no_sample_shares_with_the_example_has_no_error() -> None:
    """Its coefficient is what the surrogate misses of the example: half, under the penalty 1, in every run."""
    formula = network(lambda z: 4 * z[:, 0] + z[:, 1])
    (local,) = explain(drawn_seldom(0), formula, Settings(samples=500, paired=False), 0).labels
    assert local.coefficients[0] == pytest.approx(2, abs=0.05)
    assert np.isinf([local.errors[0], local.whole_errors[0]]).all()
    assert np.isfinite([*local.errors[1:], *local.whole_errors[1:]]).all()
    assert local.verdict == "doubtful"
    assert "of the weight shown lies within its own error" in local.reason


def test_a_gap_to_a_feature_without_an_error_is_never_clear() -> None:
    formula = network(lambda z: 4 * z[:, 0] + z[:, 1])
    settings = Settings(samples=500, paired=False, settle=True, most=500, features=1)
    (local,) = explain(drawn_seldom(0), formula, settings, 0).labels
    assert local.settled is False
    assert local.gap_error == np.inf


@pytest.mark.parametrize(("times", "told"), [(5, False), (50, True)])
def test_an_error_needs_more_than_a_few_samples_that_share_the_feature(times: int, told: bool) -> None:
    formula = network(lambda z: 4 * z[:, 0] + noise(z))
    (local,) = explain(drawn_seldom(times), formula, Settings(samples=500, paired=False), 0).labels
    assert np.isfinite(local.errors[0]) == told


def test_fewer_draws_than_twice_the_numbers_end_in_a_doubt() -> None:
    """40 samples are 20 pairs, for 16 features and what is left without any."""
    (local,) = explain(Masks(16), network(lambda z: z[:, 0]), Settings(samples=41), 0).labels
    assert "20 independent draws are few for 17 numbers" in local.reason


def test_labels_are_explained_as_if_each_were_alone() -> None:
    both = explain(Masks(12), network(lambda z: np.stack([z[:, 0], noise(z)], 1)), Settings(samples=300), 1)
    alone = [explain(Masks(12), network(f), Settings(samples=300), 1).labels[0] for f in (planted_few, noise)]
    for one, other in zip(both.labels, alone, strict=True):
        assert one.chosen == other.chosen
        np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-12)
        assert one.held_out == pytest.approx(other.held_out)
        assert one.verdict == other.verdict


def test_a_wider_kernel_says_what_a_run_with_it_says() -> None:
    narrow, wide = (
        explain(Masks(12), network(noise), Settings(samples=300, kernel_width=width), 1).labels[0]
        for width in (0.25, 0.5)
    )
    assert [each.width for each in narrow.widths] == [0.125, 0.5]
    assert narrow.widths[1].r2 == pytest.approx(wide.r2)


# What is asked of the network


def test_equal_samples_are_asked_about_once() -> None:
    asked: list[Floats] = []

    def count(z: Floats) -> Floats:
        asked.append(z.copy())
        return z[:, 0]

    found = explain(Masks(4), network(count), Settings(samples=1000, rows=5), 1)
    rows = np.concatenate(asked)
    assert found.distinct == len(rows) == len(np.unique(rows, axis=0)) == 16
    assert max(map(len, asked)) == 5


def test_samples_of_equal_features_drawn_unlike_are_asked_about_each() -> None:
    z = np.tile(corners(4)[::-1], (4, 1))
    drawn = z + np.arange(64)[:, None]
    found = explain(Given(z, cosine(z), drawn), network(planted_few), Settings(samples=64), 1)
    assert found.distinct == 64


def test_the_rest_is_kept_when_some_samples_have_no_number() -> None:
    found = explain(Masks(30), network(lambda z: np.where(z[:, 29] + z[:, 28] > 0, planted(z), np.nan)), Settings(), 1)
    assert 200 < found.lost < 300
    assert found.labels[0].chosen[:3] == (3, 7, 11)
    assert "no number for" in found.labels[0].reason


def test_a_second_run_gives_the_same_bytes() -> None:
    settings = Settings(samples=300, settle=True, most=1000)
    one, other = (explain(Masks(20), network(noise), settings, 9) for _ in range(2))
    assert exactly(one) == exactly(other)
    assert exactly(one) != exactly(explain(Masks(20), network(noise), settings, 10))


def test_how_many_rows_go_at_once_changes_nothing_but_rounding() -> None:
    weights = torch_weights(20)
    runs = [
        explain(Masks(20), network(lambda z: np.tanh(z @ weights)), Settings(samples=300, rows=rows), 9).labels[0]
        for rows in (1, 7, 4096)
    ]
    for other in runs[1:]:
        assert other.chosen == runs[0].chosen
        np.testing.assert_allclose(other.coefficients, runs[0].coefficients, atol=1e-12)


def torch_weights(features: int) -> Floats:
    return np.random.default_rng(0).normal(size=(features, 1))


def test_samples_are_appended_until_the_order_is_clear() -> None:
    steps = 0.8 ** np.arange(20)
    settings = Settings(samples=100, settle=True, most=20_000, features=5)
    found = explain(Masks(20), network(lambda z: z @ steps + noise(z)), settings, 2)
    local = found.labels[0]
    assert 100 < found.samples < 20_000
    assert local.settled
    assert local.gap is not None
    assert local.gap_error is not None
    assert local.gap > 1.96 * local.gap_error
    again = explain(Masks(20), network(lambda z: z @ steps + noise(z)), Settings(samples=found.samples, features=5), 2)
    np.testing.assert_allclose(again.labels[0].coefficients, local.coefficients, atol=1e-12)


def test_an_order_that_is_never_clear_ends_with_the_count_budget() -> None:
    found = explain(Masks(12), network(lambda z: z.sum(1)), Settings(samples=50, settle=True, most=500), 2)
    assert found.samples == 500
    assert found.labels[0].settled is False


def test_where_few_features_matter_the_others_need_no_order() -> None:
    found = explain(Masks(30), network(planted), Settings(settle=True), 2)
    assert found.samples == 1000
    assert found.labels[0].settled


def test_progress_ascends_to_one() -> None:
    shares: list[float] = []
    explain(Masks(8), network(noise), Settings(samples=100, settle=True, most=1000, rows=10), 2, shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1.0
