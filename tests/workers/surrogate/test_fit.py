"""Cases that a pencil solves: weights, moments, ridge, selection, folds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.workers.surrogate.made import Masks, corners, network, noise
from workers.surrogate.drawn import Drawn
from workers.surrogate.evidence import Evidence
from workers.surrogate.gram import Centred, grouped, moments
from workers.surrogate.held_out import held_out
from workers.surrogate.ridge import on_all, on_chosen
from workers.surrogate.selection import select
from workers.surrogate.settings import Settings
from workers.surrogate.weights import effective, kernel


def centred(z: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Centred:
    weights = np.ones(len(z)) if weights is None else weights
    return Centred.of(moments(z, y, weights)[None], z.shape[1])


def test_a_width_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        kernel(np.ones(2), 0.0)


def test_a_sample_one_width_away_weighs_the_root_of_one_over_e() -> None:
    np.testing.assert_allclose(kernel(np.array([0.0, 3.0]), 3.0), [1.0, math.exp(-0.5)])


def test_samples_without_weight_do_not_count() -> None:
    assert effective(np.array([1.0, 1.0, 0.0, 0.0])) == 2.0
    assert effective(np.zeros(3)) == 0.0


def test_the_penalty_shrinks_the_slope_and_not_the_mean() -> None:
    """y = 2 z at five zeros and five ones: Σ(z - ½)² = 2.5, so the slope is 5 / (2.5 + 1)."""
    z = np.array([[0.0]] * 5 + [[1.0]] * 5)
    sums = centred(z, 2 * z)
    fitted = on_chosen(sums, np.zeros((1, 1, 1), dtype=np.int64), alpha=1.0)
    assert fitted.coefficients[0, 0, 0] == pytest.approx(10 / 7)
    assert fitted.at_example[0, 0] == pytest.approx(1 - 5 / 7)
    assert fitted.r2[0, 0] == pytest.approx(1 - (2 - 10 / 7) ** 2 / 4)


def test_moments_of_groups_add_up_to_those_of_all() -> None:
    draws = np.random.default_rng(0)
    z, y, weights = draws.normal(size=(50, 4)), draws.normal(size=(50, 2)), draws.uniform(size=50)
    groups = grouped(z, y, weights, draws.integers(0, 7, 50), 8)
    np.testing.assert_allclose(groups.sum(0), moments(z, y, weights), atol=1e-12)
    assert not groups[7].any()


def test_forward_selection_takes_the_first_of_two_equal_features_and_then_another() -> None:
    masks = corners(3)
    z = masks[:, [0, 0, 1, 2]]
    y = (3 * masks[:, 0] + 2 * masks[:, 1] + masks[:, 2])[:, None]
    chosen = select(centred(z, y), np.ones(4), "forward_selection", 4, len(z))
    assert chosen[0, 0].tolist() == [0, 2, 3, 1]


def test_highest_weights_count_what_the_example_has_of_a_feature() -> None:
    z = corners(2)
    y = (3 * z[:, 0] + z[:, 1])[:, None]
    assert select(centred(z, y), np.array([0.1, 1.0]), "highest_weights", 1, 4)[0, 0].tolist() == [1]


def test_auto_is_forward_up_to_six_features() -> None:
    """A mean of two others weighs nothing beside them, and is the best that there is alone."""
    masks = corners(7)
    z = np.concatenate([masks, masks[:, :1] + masks[:, 1:2]], axis=1)
    y = (masks[:, 0] + masks[:, 1])[:, None]
    for count, mode in ((6, "forward_selection"), (7, "highest_weights")):
        auto = select(centred(z, y), np.ones(8), "auto", count, len(z))
        assert auto.tolist() == select(centred(z, y), np.ones(8), mode, count, len(z)).tolist()
    assert select(centred(z, y), np.ones(8), "auto", 1, len(z))[0, 0].tolist() == [7]


def test_the_lasso_keeps_no_feature_that_its_path_has_not_reached() -> None:
    z = corners(4)
    y = (5 * z[:, 2] + 3 * z[:, 0])[:, None]
    assert select(centred(z, y), np.ones(4), "lasso_path", 3, len(z))[0, 0].tolist() == [0, 2, -1]


def test_without_a_penalty_equal_features_share_their_weight() -> None:
    z = corners(2)[:, [0, 0, 1]]
    y = 4 * z[:, :1] + z[:, 2:]
    np.testing.assert_allclose(on_all(centred(z, y), 0.0)[0, 0], [2, 2, 1], atol=1e-12)


def test_the_fit_off_its_samples_is_that_of_ten_refits() -> None:
    settings = Settings(samples=161, features=3, selection="highest_weights", paired=True)
    drawn = Drawn(Masks(8), network(lambda z: z[:, 0] + z[:, 1] * z[:, 2] + noise(z)), settings, 4)
    drawn.draw(161, lambda _: None)
    evidence = Evidence.of(drawn, 0.25)
    z, y, weights = drawn.z, drawn.values[:, 0], evidence.weights
    fold = np.concatenate([[-1], (np.arange(160) // 2 % 40) % 10])
    residual = whole = total = 0.0
    for at in range(10):
        fit, left = fold != at, fold == at
        every = Ridge(alpha=0.01).fit(z[fit], y[fit], sample_weight=weights[fit])
        columns = np.argsort(-np.abs(every.coef_))[:3]
        few = Ridge(alpha=1).fit(z[fit][:, columns], y[fit], sample_weight=weights[fit])
        full = Ridge(alpha=1).fit(z[fit], y[fit], sample_weight=weights[fit])
        residual += (weights[left] * (y[left] - few.predict(z[left][:, columns])) ** 2).sum()
        whole += (weights[left] * (y[left] - full.predict(z[left])) ** 2).sum()
        total += (weights[left] * (y[left] - np.average(y[fit], weights=weights[fit])) ** 2).sum()
    chosen, of_all = held_out(evidence, settings)
    assert chosen[0] == pytest.approx(1 - residual / total, abs=1e-10)
    assert of_all[0] == pytest.approx(1 - whole / total, abs=1e-10)
