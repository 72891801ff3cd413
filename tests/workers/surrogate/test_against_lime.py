"""Does the engine say what lime 0.2.0.1 says of the same samples?"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from lime.lime_base import LimeBase

from tests.workers.surrogate.made import Given, network
from workers.surrogate.explain import explain
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.settings import Selection, Settings
from workers.surrogate.weights import kernel

CASES = 27
MODES: tuple[Selection, ...] = ("auto", "forward_selection", "highest_weights", "lasso_path", "none")


def lime(z: Floats, y: Floats, distances: Floats, width: float, label: int, count: int, mode: str) -> tuple:
    base = LimeBase(lambda d: kernel(d, width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return base.explain_instance_with_data(z, y, distances, label, count, mode)


def case(seed: int, few: bool, most: int = 12) -> tuple[Floats, Floats, Floats, float, int]:
    """z, distances, the formula's weights, the kernel width, K'; masks twice in three, scaled values otherwise."""
    draws = np.random.default_rng(seed)
    features, samples = int(draws.integers(4, 13 if few else 61)), int(draws.integers(40, 150 if few else 600))
    masks = seed % 3 > 0
    z = draws.integers(0, 2, (samples, features)).astype(float) if masks else draws.normal(size=(samples, features))
    z[0] = 1.0 if masks else z[0]
    weights = draws.normal(size=(features, int(draws.integers(1, 6))))
    count = int(draws.integers(1, min(features, most) + 1))
    return z, np.sqrt(np.square(z - z[0]).sum(1)), weights, 0.75 * np.sqrt(features), count


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_coefficients_intercept_fit_and_features_in_their_order_are_limes(mode: Selection) -> None:
    worst = 0.0
    for seed in range(CASES):
        z, distances, weights, width, count = case(
            seed, few=mode in {"auto", "forward_selection"}, most=6 if mode == "forward_selection" else 12
        )
        formula = lambda z, weights=weights: np.tanh(z @ weights / 2) + np.sin(40 * z @ weights[::-1]) / 10  # noqa: E731 # of this case
        y = formula(z)
        settings = Settings(samples=len(z), features=count, selection=mode, rows=37, paired=False, repeats=2)
        found = explain(Given(z, distances, width=width), network(formula), settings, seed)
        for label, local in enumerate(found.labels):
            intercept, chosen, r2, prediction = lime(z, y, distances, width, label, count, mode)
            assert local.chosen == tuple(int(feature) for feature, _ in chosen), (seed, label)
            theirs = np.array([weight for _, weight in chosen])
            ours = local.coefficients[list(local.chosen)]
            off = (*(ours - theirs), local.intercept - intercept, local.r2 - r2, local.local - prediction[0])
            worst = max(worst, *np.abs(off))
    assert worst < 1e-9


def test_ridge_penalties_other_than_limes_are_scikit_learns() -> None:
    from sklearn.linear_model import Ridge

    z, distances, weights, width, _ = case(1, few=True)
    y = np.tanh(z @ weights)
    for alpha in (0.0, 0.3, 20.0):
        theirs = Ridge(alpha=alpha).fit(z, y[:, 0], sample_weight=kernel(distances, width))
        settings = Settings(samples=len(z), selection="none", alpha=alpha)
        local = explain(Given(z, distances, width=width), network(lambda z: np.tanh(z @ weights)), settings, 0).labels[
            0
        ]
        np.testing.assert_allclose(local.coefficients, theirs.coef_, atol=1e-11)
        np.testing.assert_allclose(local.intercept, theirs.intercept_, atol=1e-11)


def test_a_small_label_is_no_reason_to_keep_every_feature_as_lime_does() -> None:
    """Below 1e-7 the lasso's path ends where it begins, and lime keeps all features for want of a step."""
    z, distances, weights, width, _ = case(2, few=True)
    small = np.tanh(z @ weights) * 1e-9
    theirs = lime(z, small, distances, width, 0, 2, "lasso_path")[1]
    settings = Settings(samples=len(z), features=2, selection="lasso_path")
    local = explain(
        Given(z, distances, width=width), network(lambda z: np.tanh(z @ weights) * 1e-9), settings, 0
    ).labels[0]
    large = lime(z, np.tanh(z @ weights), distances, width, 0, 2, "lasso_path")[1]
    assert len(theirs) == z.shape[1]
    assert set(local.chosen) == {int(feature) for feature, _ in large}
