"""Does a comparison find what was changed, and nothing where nothing was?"""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.metrics import ndcg_score

from service.contracts.base import digest_of
from tests.workers.comparison.made import answered, attributed, contents, pair
from tests.workers.subjects import answer, classifier
from workers.analyses.compare import KIND
from workers.comparison import measures

N = 120


def layer_names() -> list[str]:
    return [layer.name for layer in classifier().manifest.layers]


@pytest.mark.parametrize("seed", range(4))
def test_ndcg_agrees_with_scikit_learn_ties_included(seed: int) -> None:
    draws = np.random.default_rng(seed)
    earlier = draws.uniform(size=12)
    later = draws.integers(0, 4, 12).astype(float)
    assert measures.ndcg(earlier, later) == pytest.approx(ndcg_score([earlier], [later]))
    assert measures.ndcg(earlier, earlier) == pytest.approx(1.0)
    assert measures.ndcg(np.zeros(3), np.ones(3)) is None


def test_ndcg_of_three_units_by_hand() -> None:
    found = measures.ndcg(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    best = 3 + 2 / log2(3) + 1 / 2
    assert found == pytest.approx((1 + 2 / log2(3) + 3 / 2) / best)


def test_answers_in_pairs_by_hand() -> None:
    before = np.array([True] * 8 + [False] * 2)
    after = np.array([True] * 5 + [False] * 3 + [True] + [False])
    found = measures.paired(before, after)
    assert (found.gained, found.lost, found.difference.value) == (1, 3, pytest.approx(-0.2))
    assert found.p == pytest.approx(0.625)  # two-sided binomial of 1 in 4
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < -0.2 < found.difference.high


def test_the_critical_value_is_exceeded_by_chance_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    ratios = []
    for _ in range(400):
        found = measures.shift(draws.normal(size=300), draws.normal(size=300), 10, 1)
        assert found is not None
        ratios.append(found.ratio)
    assert 0 <= np.mean(np.array(ratios) > 1) <= 0.03
    one = measures.shift(draws.normal(size=200), draws.normal(1.0, size=200), 10, 1)
    assert one is not None
    assert one.critical == pytest.approx(2 / 200 * chi2.ppf(0.99, 9))
    assert one.ratio > 3
    assert measures.shift(np.ones(50), np.ones(50), 10, 1) is None


def test_a_version_that_lost_accuracy_is_found_out() -> None:
    right = [at % 10 != 0 for at in range(N)]
    worse = [at % 2 == 0 and at % 10 != 0 for at in range(N)]
    found = answer(KIND, pair(answered("1", right), answered("2", worse)))
    outcome = found.outcome
    assert outcome.difference.value == pytest.approx(np.mean(worse) - np.mean(right))
    assert (outcome.gained, outcome.pairs) == (0, N)
    assert {each.code for each in outcome.findings} >= {"accuracy-lost", "outputs-shifted"}
    assert all(control.passed for control in found.controls)
    points = {(each.metric, each.class_name) for each in KIND.measurements(outcome)}
    assert ("paired_accuracy_difference", None) in points
    assert ("psi_over_critical_value_99", None) in points
    said = KIND.section(outcome).answer
    assert said.startswith("2 against 1: accuracy changes by \u221250.0 points")
    worst = max(outcome.shifts, key=lambda each: each.ratio)
    assert said.endswith(f"; of the outputs {worst.score} moved most, {worst.ratio:.2f} times what chance allows.")


def test_the_same_answers_are_found_to_be_the_same() -> None:
    right = [at % 3 != 0 for at in range(N)]
    outcome = answer(KIND, pair(answered("1", right), answered("2", right))).outcome
    assert outcome.difference.value == 0
    assert {each.ratio for each in outcome.shifts} == {0.0}
    assert KIND.section(outcome).answer.endswith("; no output moved.")
    assert outcome.findings == ()


def test_examples_of_other_data_are_paired_by_their_content() -> None:
    before = answered("1", [True] * 40)
    after = answered("2", [False] * 60, datasets={"evaluation": digest_of(b"more")})
    after.arrays["content"][:20] = contents(500, 520)
    outcome = answer(KIND, pair(before, after)).outcome
    assert outcome.pairs == 20
    assert outcome.difference.value == -1


def test_rankings_that_turned_round_are_other_grounds() -> None:
    first, second = layer_names()[:2]
    before = attributed("1", {first: [9.0, 1.0, 0.1], second: [1.0, 1.0, 1.0]})
    after = attributed("2", {first: [0.1, 1.0, 9.0], second: [1.0, 1.0, 1.0], "gone": [1.0, 2.0]})
    outcome = answer(KIND, pair(before, after)).outcome
    kept = {each.layer: each.ndcg for each in outcome.layers}
    assert kept[second] == pytest.approx(1.0)
    assert kept[first] < 0.8
    assert {each.code for each in outcome.findings} >= {"other-grounds"}
    assert [(each.subject, each.because) for each in outcome.not_applicable] == [
        ("gone", "one of the two versions does not have it")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind_version": 2}, "only the same question"),
        ({"parameters_digest": digest_of(b"others")}, "other parameters"),
        ({"datasets": {"evaluation": digest_of(b"more")}}, "other data"),
    ],
)
def test_what_cannot_be_compared_says_why(change: dict[str, Any], said: str) -> None:
    name = layer_names()[0]
    of = pair(attributed("1", {name: [1.0, 2.0]}), attributed("2", {name: [1.0, 2.0]}, **change))
    assert said in KIND.applies(of, KIND.parameters())[0]
    assert "two earlier analyses" in KIND.applies(classifier(), KIND.parameters())[0]
