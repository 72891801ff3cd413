"""What must a reader know before relying on these numbers, and what do they show to be wrong?"""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.outcome import Finding
from workers.performance.outcome import AccuracyOutcome

FEW = 30
BADLY_CALIBRATED = 0.1


def findings(outcome: AccuracyOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    return (*_declared(outcome), *_chance(outcome), *_calibration(outcome), *_few(outcome), *_absent(outcome))


def _declared(outcome: AccuracyOutcome) -> Iterator[Finding]:
    found = outcome.accuracy
    if outcome.declared is not None and found.high is not None and found.high < outcome.declared:
        yield Finding(
            code="below-declared",
            severity="failure",
            raised_if="the whole interval of the accuracy lies below the accuracy declared",
            meaning="On these data the model is surely less accurate than its owner declares.",
            advice="Correct the declaration, or find out how these data differ from those it was made on.",
            evidence=f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {found.n};"
            f" declared {outcome.declared:g}",
        )


def _chance(outcome: AccuracyOutcome) -> Iterator[Finding]:
    chance = 1 / len(outcome.classes)
    if outcome.balanced_accuracy.value <= chance:
        yield Finding(
            code="worse-than-chance",
            severity="failure",
            raised_if="balanced accuracy is at or below that of guessing",
            meaning="The model does not do what is declared here: preprocessing, class order or labels may be wrong.",
            advice="Check the declared preprocessing, the order of the classes and the labels.",
            evidence=f"{outcome.balanced_accuracy.value:.4f}; guessing among {len(outcome.classes)} gives {chance:.4f}",
        )


def _calibration(outcome: AccuracyOutcome) -> Iterator[Finding]:
    found = outcome.calibration_error
    if found.low is not None and found.low > BADLY_CALIBRATED:
        way = "higher" if outcome.mean_confidence > outcome.accuracy.value else "lower"
        yield Finding(
            code="badly-calibrated",
            severity="warning",
            raised_if=f"the whole interval of the calibration error lies above {BADLY_CALIBRATED:g}",
            meaning=f"The model's probabilities are {way} than how often it is right; they are not to be read as such.",
            advice="Calibrate on data of their own (temperature scaling), and measure again.",
            evidence=f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]; mean confidence"
            f" {outcome.mean_confidence:.4f}, accuracy {outcome.accuracy.value:.4f}",
        )


def _few(outcome: AccuracyOutcome) -> Iterator[Finding]:
    if outcome.examples < FEW or outcome.smallest_class < FEW:
        yield Finding(
            code="few-examples",
            severity="note",
            raised_if=f"there are fewer than {FEW} examples, or of some class",
            meaning="Little is said of what is hardly there; the intervals show how little.",
            advice="Measure on more examples, of the rarest class above all.",
            evidence=f"{outcome.examples} examples, {outcome.smallest_class} of the rarest class",
        )


def _absent(outcome: AccuracyOutcome) -> Iterator[Finding]:
    if outcome.absent:
        yield Finding(
            code="class-absent",
            severity="warning",
            raised_if="a class has no example",
            meaning="Nothing is said of these classes.",
            advice="Add examples of them.",
            evidence=", ".join(outcome.absent)[:500],
        )
