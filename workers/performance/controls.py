"""Which runs would show that the scoring is wrong? Answers whose scores follow from counting."""

from __future__ import annotations

import numpy as np

from service.contracts.outcome import ControlRun
from workers.kind import Context
from workers.passes.asked import ROLE
from workers.performance import scores
from workers.performance.outcome import AccuracyParameters
from workers.subject.subject import Subject

LABELS = ("the labels as answers", "Is who answers with the label itself right every time, at no loss?")
CONSTANT = ("one answer for all", "Is who always answers alike right as often as that class occurs?")
_CLOSE = 1e-12


def labels_as_answers(subject: Subject, parameters: AccuracyParameters, context: Context) -> ControlRun:  # noqa: ARG001
    """Accuracy 1, and no loss, error or distance."""
    labels, classes = _labels(subject, parameters)
    of = scores.scored(np.eye(classes)[labels], labels)
    found = (
        scores.accuracy(of).value,
        float(scores.log_losses(of).mean()),
        float(scores.brier_scores(of).mean()),
        scores.calibration_error(of, 0, parameters.bins).value,
    )
    return ControlRun(
        name=LABELS[0],
        question=LABELS[1],
        expected="accuracy 1, log loss 0, Brier score 0, calibration error 0",
        observed="accuracy {:g}, log loss {:g}, Brier score {:g}, calibration error {:g}".format(*found),
        passed=max(abs(found[0] - 1), *map(abs, found[1:])) < _CLOSE,
    )


def one_answer(subject: Subject, parameters: AccuracyParameters, context: Context) -> ControlRun:  # noqa: ARG001
    """The share of the class that is always predicted."""
    labels, classes = _labels(subject, parameters)
    chosen = int(np.bincount(labels, minlength=classes).argmax())
    given = np.zeros((len(labels), classes))
    given[:, chosen] = 1.0
    found, expected = scores.accuracy(scores.scored(given, labels)).value, float((labels == chosen).mean())
    return ControlRun(
        name=CONSTANT[0],
        question=CONSTANT[1],
        expected=f"accuracy {expected:g}",
        observed=f"accuracy {found:g}",
        passed=abs(found - expected) < _CLOSE,
    )


def _labels(subject: Subject, parameters: AccuracyParameters) -> tuple[scores.Integers, int]:
    data = subject.examples[ROLE]
    assert data.labels is not None, "asked for before"
    labels = data.labels[: parameters.examples].cpu().numpy().astype(np.int64)
    return labels, max(int(labels.max()) + 1, len(subject.facts.output.classes), 2)
