"""Do standard errors cover, do gaps and overlaps foretell what fresh runs do?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.workers.surrogate.made import WIDTH, Masks, corners, cosine, network, noise
from workers.surrogate.drawn import Drawn
from workers.surrogate.errors import half_width
from workers.surrogate.evidence import Evidence
from workers.surrogate.explain import explain
from workers.surrogate.gram import Centred, moments
from workers.surrogate.kept import kept
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.ranks import gap
from workers.surrogate.ridge import on_all
from workers.surrogate.settings import Settings
from workers.surrogate.stability import features_index, values_index
from workers.surrogate.weights import kernel
from workers.surrogate.whole import Whole, whole

FEATURES = 6
REPEATS = 2000


def bent(z: Floats) -> Floats:
    """No linear surrogate fits it: what it misses is what moves the coefficients."""
    return np.tanh(z @ np.array([2.0, -1.0, 0.7, 0.3, 0.0, -0.5])) + z[:, 0] * z[:, 3] - z[:, 1] * z[:, 4] * z[:, 5]


def run(formula: Callable[[Floats], Floats], settings: Settings, features: int, seed: int) -> Whole:
    drawn = Drawn(Masks(features), network(formula), settings, seed)
    drawn.draw(settings.samples, lambda _: None)
    return whole(Evidence.of(drawn, WIDTH), settings, seed)


def in_the_limit(samples: int) -> Floats:
    """(K,): the coefficients that endlessly many samples give, under the penalty that each of `samples` has."""
    masks, example = corners(FEATURES), np.ones((1, FEATURES))
    z, y = masks - example, bent(masks)[:, None] - bent(example)[:, None]
    drawn = moments(z, y, kernel(cosine(masks), WIDTH)) * (samples - 1) / len(masks)
    own = moments(np.zeros((1, FEATURES)), np.zeros((1, 1)), np.ones(1))
    return on_all(Centred.of((drawn + own)[None], FEATURES), 1.0)[0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
def test_95_percent_intervals_hold_the_limit_in_95_of_100_runs(paired: bool) -> None:
    settings = Settings(samples=151, paired=paired, repeats=2)
    limit, held = in_the_limit(151), np.zeros(FEATURES)
    for seed in range(REPEATS):
        found = run(bent, settings, FEATURES, seed)
        held += np.abs(found.coefficients[0] - limit) <= 1.96 * found.errors[0]
    assert (held / REPEATS > 0.93).all(), held / REPEATS
    assert (held / REPEATS < 0.97).all(), held / REPEATS


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "paired"), [(31, False), (61, True)])
def test_intervals_of_30_draws_are_wider_and_still_hold_the_limit(samples: int, paired: bool) -> None:
    settings = Settings(samples=samples, paired=paired, repeats=2, selection="none")
    limit, held, narrow = in_the_limit(samples), np.zeros(FEATURES), np.zeros(FEATURES)
    for seed in range(REPEATS):
        drawn = Drawn(Masks(FEATURES), network(bent), settings, seed)
        drawn.draw(samples, lambda _: None)
        found = kept(Evidence.of(drawn, WIDTH), settings, seed)
        off = np.abs(found.answer.coefficients[0, 0] - limit)
        held += off <= half_width(found.errors[0], found.freedom[0])
        narrow += off <= 1.96 * found.errors[0]
    assert (held / REPEATS > 0.93).all(), held / REPEATS
    assert (held / REPEATS < 0.98).all(), held / REPEATS
    assert (narrow / REPEATS).mean() < 0.93, "normal intervals hold it in fewer"


@pytest.mark.soak
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("features", [12, 40])
def test_errors_are_the_spread_of_the_coefficients_where_features_are_many(features: int, paired: bool) -> None:
    weights = np.random.default_rng(1).normal(size=features) / np.sqrt(features)
    settings = Settings(samples=6 * features, paired=paired, repeats=2)
    runs = [run(lambda z: np.tanh(3 * z @ weights) + noise(z) / 4, settings, features, seed) for seed in range(REPEATS)]
    spread = np.std([each.coefficients[0] for each in runs], axis=0)
    told = np.sqrt(np.mean([np.square(each.errors[0]) for each in runs], axis=0))
    np.testing.assert_allclose(told / spread, 1, atol=0.12)


def test_mirror_images_are_one_draw_and_not_two() -> None:
    """The same samples, and so the same coefficients; what was drawn together moves them together."""
    settings = Settings(samples=401, paired=True, repeats=2)
    drawn = Drawn(Masks(FEATURES), network(bent), settings, 3)
    drawn.draw(401, lambda _: None)
    apart = Drawn(Masks(FEATURES), network(bent), settings, 3)
    apart.draw(401, lambda _: None)
    apart.cluster = np.arange(401)
    together, single = (whole(Evidence.of(each, WIDTH), settings, 0) for each in (drawn, apart))
    np.testing.assert_array_equal(np.round(together.coefficients, 12), np.round(single.coefficients, 12))
    assert (np.abs(together.errors / single.errors - 1) > 0.02).any()


def test_a_gap_is_the_difference_of_two_ranks_with_its_own_error() -> None:
    influence = np.array([[0.3, 0.1, 0.0], [-0.3, -0.1, 0.0]])
    covariance = 2 * influence.T @ influence
    found = gap(np.array([-3.0, 2.0, 1.0]), covariance, np.array([1.0, 1.0, 1.0]), 1)
    assert found is not None
    assert found.size == pytest.approx(1.0)
    assert found.error == pytest.approx(2 * 0.4)
    assert gap(np.array([-3.0, 2.0, 1.0]), covariance, np.ones(3), 3) is None


def test_features_that_surely_do_not_matter_need_no_order() -> None:
    quiet = np.array([[1e-4, 1e-4, 1e-4], [-1e-4, -1e-4, -1e-4]])
    loud = np.array([[0.0, 0.1, -0.1], [0.0, -0.1, 0.1]])
    whole = np.array([1.0, 0.002, 0.002])
    of = [gap(whole, 2 * each.T @ each, np.ones(3), 2) for each in (quiet, loud)]
    assert [each is not None and each.clear(1.96) for each in of] == [True, False]


def test_vsi_is_the_mean_share_that_pairs_of_repeats_have_in_common() -> None:
    kept = np.array([[[1.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]])
    assert features_index(kept)[0] == pytest.approx((0.5 + 1 + 0.5) / 3)


def test_csi_is_the_share_of_pairs_whose_intervals_meet() -> None:
    kept = np.array([[[1.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]])
    coefficients = kept * np.array([[[1.0]], [[2.0]], [[1.3]]])
    errors = np.full((1, 3), 0.25)
    assert values_index(kept, coefficients, errors, 1.0)[0] == pytest.approx((1 / 3 + 1) / 2)


@pytest.mark.slow
@pytest.mark.parametrize("least", [0.0, 0.4, 0.8], ids=["by chance", "now and then", "again and again"])
def test_the_overlap_told_of_one_run_is_that_of_fresh_runs(least: float) -> None:
    steps = np.random.default_rng(2).normal(size=30)
    formula = {
        0.0: noise,
        0.4: lambda z: 2 * z[:, 0] - z[:, 1] + z[:, 0] * z[:, 3] / 2 + noise(z) / 3,
        0.8: lambda z: np.maximum(z @ steps, 0.0) ** 1.5,
    }[least]
    runs = [explain(Masks(30), network(formula), Settings(samples=500), seed).labels[0] for seed in range(24)]
    sets = [set(np.argsort(-np.abs(each.whole))[:10]) for each in runs]
    fresh = np.mean([len(one & other) / 10 for at, one in enumerate(sets) for other in sets[:at]])
    assert fresh >= least
    assert np.mean([each.overlap for each in runs]) == pytest.approx(fresh, abs=0.06)
    assert np.mean([each.stable_features for each in runs]) == pytest.approx(fresh, abs=0.12)
