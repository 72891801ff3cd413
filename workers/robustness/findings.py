"""What must a reader know before relying on a robust accuracy?"""

from __future__ import annotations

from itertools import chain

from service.contracts.outcome import Finding
from workers.robustness.outcome import RobustnessOutcome

WRONG_EVERYWHERE, CHECK_FAILED = "wrong-everywhere", "attack-check-failed"
"""Failures of what is analysed, and not of the analysis."""

FEW = 30
"""Examples below which an interval is so wide that hardly anything is said."""
_WEAK = 0.05
"""By how much a well-known weak attack may look better than all attacks together."""
_NAMED = 5


def findings(outcome: RobustnessOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    return tuple(
        chain(_unconfirmed(outcome), _wrong_everywhere(outcome), _failed(outcome), _blind(outcome), _warned(outcome),
              _few(outcome), _embedded(outcome), _claimed_better(outcome), _unrounded(outcome))
    )  # fmt: skip


def _unconfirmed(outcome: RobustnessOutcome) -> list[Finding]:
    again = outcome.again
    if again is None or again.confirmed == again.n:
        return []
    return [
        Finding(
            code="adversarials-not-confirmed",
            severity="failure",
            raised_if="a check that shares nothing with the attacks denies what is said of a stored adversarial",
            meaning=f"{again.n - again.confirmed} of {again.n} stored adversarials are not what they are said to be:"
            " the network answers otherwise when asked about one alone, or the attack miscounts.",
            advice="Do not rely on these figures. See whether the network is random or depends on its batch; else"
            " report the analysis with its id.",
            evidence="; ".join(again.refused[:_NAMED])[:4000],
        )
    ]


def _wrong_everywhere(outcome: RobustnessOutcome) -> list[Finding]:
    if outcome.clean.count:
        return []
    told = {
        "labels": "The network is wrong on every example as it is, so that there is nothing to break.",
        "predictions": "The goal is reached at every example without an attack, so that there is nothing to break.",
    }
    return [
        Finding(
            code=WRONG_EVERYWHERE,
            severity="failure",
            raised_if="no example is right without an attack",
            meaning=f"{told[outcome.judged]} A robust accuracy of 0 says nothing of attacks here.",
            advice="See whether labels are counted as the network counts its classes, whether the preprocessing is"
            " declared, and whether the data are of this network.",
            evidence=f"0 of {outcome.examples} examples",
        )
    ]


def _failed(outcome: RobustnessOutcome) -> list[Finding]:
    return [
        Finding(
            code=CHECK_FAILED,
            severity="failure",
            raised_if="a check of the attack itself fails",
            meaning=f"{each.question} {each.observed[:1500]}: {each.because[:1500]}",
            advice="Read the robust accuracy as too high by an unknown amount until the reason is known.",
            evidence=f"{each.name}: {each.observed}"[:4000],
        )
        for each in outcome.verdicts
        if each.verdict == "fail"
    ]


def _warned(outcome: RobustnessOutcome) -> list[Finding]:
    return [
        Finding(
            code="attack-check-warned",
            severity="warning",
            raised_if="a check of the attack itself is in doubt",
            meaning=f"{each.question} {each.observed[:1500]}: {each.because[:1500]}",
            advice="Read the robust accuracy with care; more examples, steps or queries tell more.",
            evidence=f"{each.name}: {each.observed}"[:4000],
        )
        for each in outcome.verdicts
        if each.verdict == "warn"
    ]


def _blind(outcome: RobustnessOutcome) -> list[Finding]:
    if not (outcome.blind or outcome.black_box):
        return []
    return [
        Finding(
            code="outputs-alone",
            severity="warning",
            raised_if="no gradient of the network can be taken",
            meaning="Attacks saw outputs alone. Whoever has the network's weights may break far more.",
            advice="Send the network as a .pt2 whose graph reaches its input, or read this as robustness against"
            " outsiders with so many queries.",
            evidence=outcome.blind or "the network is a black box",
        )
    ]


def _few(outcome: RobustnessOutcome) -> list[Finding]:
    if outcome.examples >= FEW:
        return []
    last = outcome.curve[-1]
    return [
        Finding(
            code="few-examples",
            severity="warning",
            raised_if=f"fewer than {FEW} examples are attacked",
            meaning=f"{outcome.examples} examples tell a share only within wide bounds.",
            advice=f"Attack {FEW} or more; 1,000 tell a share within 3 points.",
            evidence=f"at epsilon {last.epsilon:.4g}: {last.robust.value:.0%} [{last.robust.low:.0%},"
            f" {last.robust.high:.0%}], n = {outcome.examples}",
        )
    ]


def _embedded(outcome: RobustnessOutcome) -> list[Finding]:
    if not outcome.embedded:
        return []
    return [
        Finding(
            code="diagnostic-only",
            severity="note",
            raised_if="the model reads ids, between which nothing lies, and their embedding is moved",
            meaning="No text need have such an embedding: this tells how rough the network is, and not what anybody"
            " could do to it.",
            advice="Ask for robustness_text, which changes words and letters.",
        )
    ]


def _claimed_better(outcome: RobustnessOutcome) -> list[Finding]:
    """Where the attack that everybody runs says much more than is true."""
    made = []
    for named in outcome.named:
        gaps = [(weak.value - at.robust.value, at, weak) for weak, at in zip(named.robust, outcome.curve, strict=True)]
        gap, at, weak = max(gaps, key=lambda each: each[0])
        if gap <= _WEAK:
            continue
        made.append(
            Finding(
                code="weak-attack-misleads",
                severity="note",
                raised_if=f"{named.name} alone leaves {_WEAK:.0%} or more unbroken that other attacks break",
                meaning=f"A figure from {named.name} alone overstates robustness here by {100 * gap:.0f} points.",
                advice="Compare only figures of attacks of equal strength.",
                evidence=f"at epsilon {at.epsilon:.4g}: {weak.value:.1%} by {named.name}, {at.robust.value:.1%} by all",
            )
        )
    return made


def _unrounded(outcome: RobustnessOutcome) -> list[Finding]:
    again = outcome.again
    if again is None or again.rounded is None or not again.confirmed or again.rounded == again.confirmed:
        return []
    return [
        Finding(
            code="rounding-repairs",
            severity="note",
            raised_if="an adversarial no longer breaks its example once it is stored in 8 bits",
            meaning=f"{again.confirmed - again.rounded} of {again.confirmed} adversarials do not survive being stored"
            " as a picture of 8 bits. Others, sought among such pictures, may.",
            advice="Do not count rounding as a defence: it is easily attacked through.",
            evidence=f"{again.rounded} of {again.confirmed} survive",
        )
    ]
