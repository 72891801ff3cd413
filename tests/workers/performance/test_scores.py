"""Do the scores say what hand and reference say?"""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, confusion_matrix, log_loss

from workers.performance import scores


def drawn(n: int, classes: int, seed: int = 0) -> scores.Scored:
    draws = np.random.default_rng(seed)
    given = draws.dirichlet(np.ones(classes), n)
    return scores.scored(given, draws.integers(0, classes, n))


def test_a_case_that_can_be_counted_by_hand() -> None:
    given = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    of = scores.scored(given, np.array([0, 1, 1, 0]))
    assert of.right.tolist() == [True, False, True, True]
    assert scores.accuracy(of).value == 0.75
    assert scores.balanced_accuracy(of, 0).value == pytest.approx((1.0 + 0.5) / 2)
    assert scores.log_losses(of) == pytest.approx(-np.log([0.8, 0.4, 0.7, 0.9]))
    assert scores.brier_scores(of) == pytest.approx([2 * 0.04, 2 * 0.36, 2 * 0.09, 2 * 0.01])
    # two bins by confidence: 0.6 (wrong) and 0.7 (right); 0.8 and 0.9 (both right)
    assert scores.calibration_error(of, 0, 2).value == pytest.approx((abs(1 - 1.3) + abs(2 - 1.7)) / 4)
    assert [(each.confidence, each.accuracy.value, each.n) for each in scores.bins(of, 2)] == [
        (pytest.approx(0.65), 0.5, 2),
        (pytest.approx(0.85), 1.0, 2),
    ]
    assert scores.confusion(of, 2).tolist() == [[2, 0], [1, 1]]


@pytest.mark.parametrize(("n", "classes"), [(50, 2), (300, 3), (1000, 10)])
def test_it_agrees_with_scikit_learn(n: int, classes: int) -> None:
    of = drawn(n, classes)
    names = list(range(classes))
    assert scores.log_losses(of).mean() == pytest.approx(log_loss(of.labels, of.probabilities, labels=names))
    assert scores.balanced_accuracy(of, 1).value == pytest.approx(balanced_accuracy_score(of.labels, of.predicted))
    assert scores.confusion(of, classes).tolist() == confusion_matrix(of.labels, of.predicted, labels=names).tolist()
    if classes == 2:
        theirs = brier_score_loss(of.labels, of.probabilities[:, 1])
        assert scores.brier_scores(of).mean() == pytest.approx(2 * theirs)


def test_one_certain_mistake_does_not_make_the_loss_infinite() -> None:
    of = scores.scored(np.array([[1.0, 0.0]]), np.array([1]))
    assert scores.log_losses(of)[0] == pytest.approx(-np.log(scores.SMALLEST))
    assert scores.mean(scores.log_losses(of), 0).low is None


def test_the_interval_of_the_calibration_error_holds_what_is_true_and_takes_the_bias_off() -> None:
    """Of a model that is right as often as it says, the error is 0; the plain estimate never is."""
    values, lows = [], []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        confidence = draws.uniform(0.5, 1.0, 400)
        labels = (draws.uniform(size=400) >= confidence).astype(np.int64)
        found = scores.calibration_error(scores.scored(np.stack([confidence, 1 - confidence], 1), labels), seed)
        assert found.value > 0
        assert found.low is not None
        values.append(found.value)
        lows.append(found.low)
    assert np.mean(lows) < np.mean(values) / 4
    assert np.quantile(lows, 0.9) < 0.03


def test_intervals_are_the_same_again_and_hold_their_value() -> None:
    of = drawn(200, 4)
    for made in (scores.balanced_accuracy, scores.calibration_error):
        first, again = made(of, 7), made(of, 7)
        assert first == again
        assert first.low is not None
        assert first.high is not None
        assert first.low <= first.value <= first.high
