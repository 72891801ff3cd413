"""What does a reader see of accuracy: the answer with its doubt, the reliability diagram, classes and mistakes?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from service.contracts.section import Block, Column, Heat, Lines, Measure, Number, Point, Section, Table, Word
from workers.performance.outcome import AccuracyOutcome, Score

TITLE = "Accuracy and calibration"
QUESTION = "How often is the model right, class by class, and can its probabilities be believed?"
SOURCE = "Wilson 1927; Brier 1950; Naeini et al. 2015 (AAAI); Nixon et al. 2019, arXiv:1904.01685"
LIMITS = (
    "Labels are taken as they are: an accuracy is no better than the labels it is held against.",
    "It holds for data like these; others are not tested here.",
    "The calibration error is biased upwards where examples are few; its interval takes that off.",
    f"A probability of the label below {1e-12:g} counts as that in the log loss.",
)
METRIC_NAMES = (
    "clean_accuracy", "accuracy_minus_declared", "balanced_accuracy", "log_loss", "brier_score", "calibration_error",
    "smallest_class",
)  # fmt: skip
_SHARE = "share of examples"


def section(outcome: AccuracyOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def measurements(outcome: AccuracyOutcome) -> tuple[Measurement, ...]:
    """Accuracy, also of each class and against what is declared; the scores; the rarest class."""
    made = [
        _point("clean_accuracy", outcome.accuracy),
        _point("balanced_accuracy", outcome.balanced_accuracy),
        _point("log_loss", outcome.log_loss),
        _point("brier_score", outcome.brier_score),
        _point("calibration_error", outcome.calibration_error),
        Measurement(metric="smallest_class", facets={}, value=float(outcome.smallest_class), n=outcome.examples),
        *(_point("clean_accuracy", each.accuracy, each.class_name) for each in outcome.by_class),
    ]
    if outcome.declared is not None:
        of, level = outcome.accuracy, outcome.declared
        low, high = (None if bound is None else bound - level for bound in (of.low, of.high))
        made.append(
            Measurement(metric="accuracy_minus_declared", facets={}, value=of.value - level, low=low, high=high, n=of.n)
        )
    return tuple(made)


def _point(metric: str, of: Score, class_name: str | None = None) -> Measurement:
    return Measurement(
        metric=metric, class_name=class_name, facets={}, value=of.value, low=of.low, high=of.high, n=of.n
    )


def _answer(outcome: AccuracyOutcome) -> str:
    found = outcome.accuracy
    declared = "" if outcome.declared is None else f" (declared: {outcome.declared:.1%})"
    worst = min(outcome.by_class, key=lambda each: (each.accuracy.value, each.class_name))
    return (
        f"{found.value:.1%}{_bounds(found)} of {found.n} examples are right{declared}; the class"
        f" {worst.class_name} least often, {worst.accuracy.value:.1%}. The probabilities are off by"
        f" {outcome.calibration_error.value:.3f} on average."
    )


def _bounds(of: Score) -> str:
    return "" if of.low is None or of.high is None else f" (95 % {of.low:.1%} to {of.high:.1%})"


def _blocks(outcome: AccuracyOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [
        _measure("Accuracy", outcome.accuracy, _SHARE, "higher is better"),
        _measure("Balanced accuracy", outcome.balanced_accuracy, _SHARE, "higher is better"),
        _measure("Log loss", outcome.log_loss, "nat", "lower is better"),
        _measure("Brier score", outcome.brier_score, "", "lower is better"),
        _measure("Calibration error", outcome.calibration_error, _SHARE, "lower is better"),
        _reliability(outcome),
        _classes(outcome),
    ]
    if outcome.confusion:
        blocks.append(_confusion(outcome))
    if outcome.mistakes:
        blocks.append(_mistakes(outcome))
    return tuple(blocks)


def _measure(label: str, of: Score, unit: str, direction: str) -> Measure:
    return Measure(label=label, number=_number(of, unit), direction=direction, note=f"Interval: {of.interval}.")


def _number(of: Score, unit: str = "") -> Number:
    return Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n)


def _right(title: str, unit: str = "") -> Column:
    return Column(title=title, unit=unit, align="right")


def _reliability(outcome: AccuracyOutcome) -> Lines:
    points = [
        Point(x=each.confidence, y=each.accuracy.value, low=each.accuracy.low, high=each.accuracy.high, series="model")
        for each in outcome.reliability
    ]
    ends = [Point(x=at, y=at, series="perfect") for at in (outcome.reliability[0].confidence, 1.0)]
    return Lines(
        title="How often it is right, by how sure it is",
        x_title="probability given to what was predicted",
        y_title="share that is right",
        points=(*points, *ends),
        table=Table(
            title="Bins of equal mass",
            columns=(_right("Mean probability"), _right("Accuracy", _SHARE), _right("Examples")),
            rows=tuple(
                (
                    Number(value=each.confidence),
                    _number(each.accuracy, _SHARE),
                    Number(value=each.accuracy.n, count=True),
                )
                for each in outcome.reliability
            ),
            note="The line `perfect` is where both are equal; 95 % Wilson intervals.",
        ),
        caption="Points below the diagonal: more sure than right. Each bin holds as many examples.",
    )


def _classes(outcome: AccuracyOutcome) -> Table:
    return Table(
        title="Class by class",
        columns=(Column(title="Class"), _right("Accuracy", _SHARE), _right("Examples"), _right("Predicted")),
        rows=tuple(
            (
                Word(value=each.class_name),
                _number(each.accuracy, _SHARE),
                Number(value=each.accuracy.n, count=True),
                Number(value=each.predicted, count=True),
            )
            for each in outcome.by_class
        ),
        note="Accuracy within the examples of a class (recall), with its 95 % Wilson interval.",
    )


def _confusion(outcome: AccuracyOutcome) -> Heat:
    names = outcome.classes
    return Heat(
        title="What was taken for what",
        row_title="label",
        column_title="predicted",
        value_title="examples",
        rows=names,
        columns=names,
        values=tuple(tuple(float(each) for each in row) for row in outcome.confusion),
        table=Table(
            title="Labels by what was predicted",
            columns=(Column(title="Label"), Column(title="Predicted"), _right("Examples")),
            rows=tuple(
                (Word(value=names[label]), Word(value=names[predicted]), Number(value=count, count=True))
                for label, row in enumerate(outcome.confusion)
                for predicted, count in enumerate(row)
                if count
            ),
            note="Pairs that did not occur are left out.",
        ),
        caption="Right answers lie on the diagonal.",
    )


def _mistakes(outcome: AccuracyOutcome) -> Table:
    return Table(
        title="The most frequent mistakes",
        columns=(Column(title="Label"), Column(title="Taken for"), _right("Examples")),
        rows=tuple(
            (Word(value=each.label), Word(value=each.predicted), Number(value=each.count, count=True))
            for each in outcome.mistakes
        ),
    )
