"""What must a reader know before relying on these numbers, and what is wrong with the model?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from service.contracts.outcome import Finding
from workers.robustness.text.outcome import Average, TextOutcome

FEW = 30
_HALF = 0.5


def findings(outcome: TextOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    made: tuple[Callable[[TextOutcome], list[Finding]], ...] = (
        _refused, _wrong, _fragile, _no_better, _few, _aside, _cut, _short, _without_labels, _unknown, _taken_back,
    )  # fmt: skip
    return tuple(chain.from_iterable(each(outcome) for each in made))


def percent(of: Average) -> str:
    """A share with its interval."""
    bounds = "" if of.low is None or of.high is None else f" (95 % {of.low:.1%} to {of.high:.1%})"
    return f"{of.value:.1%}{bounds}"


def _refused(outcome: TextOutcome) -> list[Finding]:
    if not outcome.refused:
        return []
    first = outcome.refused[0]
    return [
        Finding(
            code="recheck-refused", severity="failure",
            raised_if="a stored text is not confirmed by the independent check of tokens, edits and decision",
            meaning="Some texts that count as broken are tokenised otherwise, or decided as before when asked alone:"
            " success is overstated.",
            advice="Do not rely on these numbers; look at whether the model answers alike alone and among others.",
            evidence=f"{outcome.rechecked - outcome.confirmed} of {outcome.rechecked}; example {first.index}:"
            f" {first.because}"[:4000],
        )
    ]  # fmt: skip


def _wrong(outcome: TextOutcome) -> list[Finding]:
    if outcome.clean.value > 0:
        return []
    return [
        Finding(
            code="wrong-everywhere", severity="failure",
            raised_if="no example is decided rightly without an attack",
            meaning="There is nothing to break: labels, tokenizer or the order of classes do not fit the model.",
            advice="Check the order of classes and the labels first.",
            evidence=f"clean accuracy {percent(outcome.clean)}",
        )
    ]  # fmt: skip


def _fragile(outcome: TextOutcome) -> list[Finding]:
    if outcome.success is None or outcome.success.low is None or outcome.success.low <= _HALF:
        return []
    most = ", ".join(each.word for each in outcome.fragile[:5])
    return [
        Finding(
            code="easily-broken", severity="warning",
            raised_if="more than half of the examples are broken, beyond the interval",
            meaning=f"Changes of at most {outcome.share:.0%} of the words or tokens decide most examples otherwise."
            " Whether they still mean the same is not verified.",
            advice="Read the examples below; train with misspelt and replaced words, or correct spelling first.",
            evidence=f"success {percent(outcome.success)}; most often changed: {most}"[:4000],
        )
    ]  # fmt: skip


def _no_better(outcome: TextOutcome) -> list[Finding]:
    found = [
        each for each in outcome.attacks
        if each.success and each.drawn and each.success.value > 0 and each.drawn.value >= _HALF * each.success.value
    ]  # fmt: skip
    if not found:
        return []
    named = "; ".join(
        f"{each.name}: searched {percent(each.success)}, drawn {percent(each.drawn)}"
        for each in found if each.success and each.drawn
    )  # fmt: skip
    return [
        Finding(
            code="chance-does-as-well", severity="warning",
            raised_if="as many edits that are drawn break half as many examples as the attack, or more",
            meaning="The model gives way to any edits, or the attack finds little: its success tells of noise more than"
            " of single words.",
            advice="Ask for corruption, which measures drawn edits at five severities.",
            evidence=named[:4000],
        )
    ]  # fmt: skip


def _few(outcome: TextOutcome) -> list[Finding]:
    if outcome.examples >= FEW:
        return []
    return [
        Finding(
            code="few-examples", severity="warning", raised_if=f"fewer than {FEW} examples are attacked",
            meaning="The intervals are wide: a few other texts could give other numbers.",
            advice="Give more evaluation data.",
            evidence=f"n = {outcome.examples}: without an attack {percent(outcome.clean)}",
        )
    ]  # fmt: skip


def _aside(outcome: TextOutcome) -> list[Finding]:
    if not outcome.aside:
        return []
    first = next((each for each in outcome.not_applicable if each.subject.startswith("example ")), None)
    return [
        Finding(
            code="examples-set-aside", severity="note", raised_if="an example has nothing that may be changed",
            meaning=f"{outcome.aside} of {outcome.aside + outcome.examples} examples are in no number here.",
            advice="Leave out empty texts, or allow more words to change.",
            evidence=f"{first.subject}: {first.because}"[:4000] if first else "",
        )
    ]  # fmt: skip


def _cut(outcome: TextOutcome) -> list[Finding]:
    if not outcome.cut:
        return []
    return [
        Finding(
            code="texts-at-the-limit", severity="note",
            raised_if="a text fills all tokens that the model reads",
            meaning="What stands behind is not read and not changed; an edit may also push words beyond the limit.",
            advice="Declare a longer input where the model can read one.",
            evidence=f"{outcome.cut} of {outcome.examples} texts",
        )
    ]  # fmt: skip


def _short(outcome: TextOutcome) -> list[Finding]:
    if not outcome.short:
        return []
    return [
        Finding(
            code="short-texts", severity="note", raised_if="one word or token is more than the share that may change",
            meaning="One change was allowed all the same, which may be most of what a short text says.",
            advice="Judge long and short texts apart.",
            evidence=f"{outcome.short} of {outcome.examples} examples",
        )
    ]  # fmt: skip


def _without_labels(outcome: TextOutcome) -> list[Finding]:
    if outcome.labelled:
        return []
    return [
        Finding(
            code="no-labels", severity="note", raised_if="no label says which decision is right",
            meaning="An example counts as broken where the model decides otherwise than before: what was wrong before"
            " and stays so counts as kept.",
            advice="Give labelled data to know the robust accuracy.",
        )
    ]  # fmt: skip


def _unknown(outcome: TextOutcome) -> list[Finding]:
    if not outcome.unknown:
        return []
    return [
        Finding(
            code="unknown-characters", severity="note",
            raised_if="a success puts a token for unknown characters where there was none",
            meaning="The model does not see what stands there: any unknown letter or word does the same.",
            advice="Map letters that look alike to those that are known before tokenising.",
            evidence=f"{outcome.unknown} successes",
        )
    ]  # fmt: skip


def _taken_back(outcome: TextOutcome) -> list[Finding]:
    found = [each for each in outcome.attacks if each.proposed and each.rejected > _HALF * each.proposed]
    if not found:
        return []
    named = "; ".join(f"{each.name}: {each.rejected} of {each.proposed}" for each in found)
    return [
        Finding(
            code="candidates-rejected", severity="note",
            raised_if="more than half of an attack's candidates are other tokens than meant, or read as no change",
            meaning="The tokenizer gives this attack little room: its success is a lower bound that may be far from the"
            " truth.",
            advice="Look at the other attacks as well.", evidence=named,
        )
    ]  # fmt: skip
