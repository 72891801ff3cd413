"""What must a reader know before relying on these numbers, and what is wrong with the model?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from service.contracts.outcome import Finding
from workers.robustness.tabular.outcome import Average, TabularOutcome

FEW = 30
_HALF = 0.5
_SHARE_ASIDE = 0.1
_NAMED = 5


def findings(outcome: TabularOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    made: tuple[Callable[[TabularOutcome], list[Finding]], ...] = (
        _refused, _wrong, _protected, _fragile, _few, _aside, _without_labels, _taken_back,
    )  # fmt: skip
    return tuple(chain.from_iterable(each(outcome) for each in made))


def percent(of: Average) -> str:
    """A share with its interval."""
    bounds = "" if of.low is None or of.high is None else f" (95 % {of.low:.1%} to {of.high:.1%})"
    return f"{of.value:.1%}{bounds}"


def _refused(outcome: TabularOutcome) -> list[Finding]:
    if not outcome.refused:
        return []
    first = outcome.refused[0]
    return [
        Finding(
            code="recheck-refused", severity="failure",
            raised_if="a stored row is not confirmed by the independent check of rules and decision",
            meaning="Some rows that count as broken are not legal, or are decided as before when asked alone: success"
            " is overstated.",
            advice="Do not rely on these numbers; look at the rows named, and at whether the model answers alike alone"
            " and among others.",
            evidence=f"{outcome.rechecked - outcome.confirmed} of {outcome.rechecked}; row {first.index}:"
            f" {first.because}"[:4000],
        )
    ]  # fmt: skip


def _wrong(outcome: TabularOutcome) -> list[Finding]:
    if outcome.clean.value > 0:
        return []
    return [
        Finding(
            code="wrong-everywhere", severity="failure",
            raised_if="no row is decided rightly without an attack",
            meaning="There is nothing to break: labels, preprocessing or the order of classes do not fit the model.",
            advice="Check the declared preprocessing, the order of columns and the labels first.",
            evidence=f"clean accuracy {percent(outcome.clean)}",
        )
    ]  # fmt: skip


def _protected(outcome: TabularOutcome) -> list[Finding]:
    found = [each for each in outcome.protected if each.flips is not None and each.flips.value > 0]
    if not found:
        return []
    named = "; ".join(f"{each.column}: {percent(each.flips)}" for each in found if each.flips)
    return [
        Finding(
            code="protected-flips", severity="warning",
            raised_if="a row is decided otherwise when a protected column alone is changed",
            meaning="Decisions hang on a column that they must not hang on, with all else equal.",
            advice="Look at the rows concerned; train without the column, and check that others do not stand for it.",
            evidence=named[:4000],
        )
    ]  # fmt: skip


def _fragile(outcome: TabularOutcome) -> list[Finding]:
    found = next((each for each in outcome.budgets if each.success and each.success.value > _HALF), None)
    if found is None or found.success is None or found.success.low is None or found.success.low <= _HALF:
        return []
    most = ", ".join(each.column for each in outcome.columns[:3] if each.changed and each.changed.value > 0)
    return [
        Finding(
            code="easily-broken", severity="warning",
            raised_if="more than half of the rows are broken within one of the budgets, beyond the interval",
            meaning=f"Changes of at most {found.epsilon:g} {outcome.unit_name} of each number, within the rules, decide"
            " most rows otherwise.",
            advice="Guard the columns that attacks change most, or train with such rows.",
            evidence=f"success {percent(found.success)} at epsilon {found.epsilon:g}; most often changed: {most}",
        )
    ]  # fmt: skip


def _few(outcome: TabularOutcome) -> list[Finding]:
    if outcome.examples >= FEW:
        return []
    return [
        Finding(
            code="few-examples", severity="warning",
            raised_if=f"fewer than {FEW} rows are attacked",
            meaning="The intervals are wide: a few other rows could give other numbers.",
            advice="Give more evaluation data.",
            evidence=f"n = {outcome.examples}: without an attack {percent(outcome.clean)}",
        )
    ]  # fmt: skip


def _aside(outcome: TabularOutcome) -> list[Finding]:
    if not outcome.aside:
        return []
    whole = outcome.aside + outcome.examples
    first = outcome.not_applicable[0] if outcome.not_applicable else None
    return [
        Finding(
            code="rows-set-aside", severity="warning" if outcome.aside > _SHARE_ASIDE * whole else "note",
            raised_if="rows of the data break a declared rule themselves",
            meaning=f"{outcome.aside} of {whole} rows are in no number here: what holds for the others may not for"
            " them.",
            advice="Correct the rule, or the rows.",
            evidence=f"{first.subject}: {first.because}"[:4000] if first else "",
        )
    ]  # fmt: skip


def _without_labels(outcome: TabularOutcome) -> list[Finding]:
    if outcome.reading != "agreement":
        return []
    return [
        Finding(
            code="no-labels", severity="note",
            raised_if="no label says which decision is right",
            meaning="A row counts as broken where the model decides otherwise than before: what was wrong before and"
            " stays so counts as kept.",
            advice="Give labelled data to know the robust accuracy.",
        )
    ]  # fmt: skip


def _taken_back(outcome: TabularOutcome) -> list[Finding]:
    if not outcome.proposed or outcome.rejected <= _HALF * outcome.proposed:
        return []
    return [
        Finding(
            code="rules-in-the-way", severity="note",
            raised_if="more than half of what attacks propose breaks a relation beyond repair",
            meaning="The relations leave attacks little room, or they are hard to keep to: the success is a lower bound"
            " that may be far from the truth.",
            advice="Check the relations; what keeps an attack away may not keep people away.",
            evidence=f"{outcome.rejected} of {outcome.proposed} proposals",
        )
    ]  # fmt: skip
