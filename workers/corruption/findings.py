"""What must a reader know before relying on these numbers, and which corruptions harm?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from service.contracts.outcome import Finding
from workers.corruption.outcome import CorruptionOutcome, Kind

FEW = 30
_NAMED = 8


def points(value: float) -> str:
    """A share as percentage points."""
    return f"{100 * value:.1f} points".replace("-", "\u2212")


def findings(outcome: CorruptionOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    made: tuple[Callable[[CorruptionOutcome], list[Finding]], ...] = (
        _not_finite, _wrong, _harm, _few, _without_labels, _without_effect,
    )  # fmt: skip
    return tuple(chain.from_iterable(each(outcome) for each in made))


def _not_finite(outcome: CorruptionOutcome) -> list[Finding]:
    found = [each for each in outcome.cells if each.not_finite]
    if not found:
        return []
    named = "; ".join(f"{each.corruption} at {each.severity}: {each.not_finite}" for each in found[:_NAMED])
    counted = "count as wrong" if outcome.higher_is_better else "are in no mean"
    return [
        Finding(
            code="not-finite",
            severity="failure",
            raised_if="the model gives NaN or infinity for a corrupted input",
            meaning=f"The model breaks down on inputs within their legal range; such examples {counted}.",
            advice="Look for an overflow or a division by zero, and guard the input.",
            evidence=f"{named}{' and others' if len(found) > _NAMED else ''}",
        )
    ]


def _wrong(outcome: CorruptionOutcome) -> list[Finding]:
    chance = 1 / outcome.class_count if outcome.class_count else 0.0
    high = outcome.clean.high
    if outcome.reading != "accuracy" or high is None or not (outcome.clean.value == 0 or high < chance):
        return []
    return [
        Finding(
            code="worse-than-chance",
            severity="failure",
            raised_if="no clean example is right, or clean accuracy is below that of guessing",
            meaning="Labels, preprocessing or the order of classes do not fit the model: a drop from here means"
            " nothing.",
            advice="Check the declared preprocessing and the labels of the evaluation data first.",
            evidence=f"clean accuracy {outcome.clean.value:.3g} with {outcome.class_count} classes",
        )
    ]


def _harm(outcome: CorruptionOutcome) -> list[Finding]:
    if not outcome.higher_is_better:
        return []
    found = sorted((each for each in outcome.kinds if _harms(each, outcome.alarm)), key=lambda each: -each.drop.value)
    if not found:
        return []
    worst = outcome.worst
    named = "; ".join(f"{each.corruption} {points(each.drop.value)}" for each in found[:_NAMED])
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [
        Finding(
            code="corruption-harms",
            severity="warning",
            raised_if=f"a corruption costs more than {points(outcome.alarm)} of {outcome.reading} over its severities,"
            " and its interval lies above zero",
            meaning=f"{len(found)} of {len(outcome.kinds)} corruptions harm the model. The worst is"
            f" {worst.corruption} at severity {worst.severity}: {points(worst.drop.value)} lost.",
            advice="Train on such corruptions, or see to it that inputs like these are refused in use.",
            evidence=f"{named}{more}",
        )
    ]


def _harms(kind: Kind, alarm: float) -> bool:
    return kind.drop.value > alarm and kind.drop.low is not None and kind.drop.low > 0


def _few(outcome: CorruptionOutcome) -> list[Finding]:
    if outcome.examples >= FEW:
        return []
    clean = outcome.clean
    bounds = "" if clean.low is None or clean.high is None else f", 95 % {clean.low:.3g} to {clean.high:.3g}"
    return [
        Finding(
            code="few-examples",
            severity="warning",
            raised_if=f"fewer than {FEW} examples are analysed",
            meaning="The intervals are wide, and the largest of many drops is large by chance alone.",
            advice="Give more evaluation data.",
            evidence=f"n = {outcome.examples}: clean value {clean.value:.3g}{bounds}",
        )
    ]


def _without_labels(outcome: CorruptionOutcome) -> list[Finding]:
    if outcome.reading != "agreement":
        return []
    why = (
        "the labels say nothing of this output or this task"
        if outcome.labelled
        else "the evaluation data have no labels"
    )
    return [
        Finding(
            code="no-labels",
            severity="note",
            raised_if="no label says which answer is right",
            meaning=f"As {why}, an answer is held against the model's own clean one: what was wrong before and stays so"
            " counts as kept.",
            advice="Give labelled data to know the accuracy."
            if not outcome.labelled
            else "Read the numbers as agreement with the clean answer.",
        )
    ]


def _without_effect(outcome: CorruptionOutcome) -> list[Finding]:
    still = [
        kind.corruption
        for kind in outcome.kinds
        if all(each.unchanged == outcome.examples for each in outcome.cells if each.corruption == kind.corruption)
    ]
    if not still:
        return []
    return [
        Finding(
            code="without-effect",
            severity="note",
            raised_if="a corruption leaves every example as it is, at every severity",
            meaning="These corruptions say nothing of these data, and their drop of zero is no sign of robustness.",
            advice="Leave them out of `corruptions`: they are in the mean.",
            evidence=", ".join(still),
        )
    ]
