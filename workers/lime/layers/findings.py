"""What must a reader know before relying on the surrogates of layers?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from service.contracts.outcome import Finding
from workers.lime.layers.outcome import AtLayer, LayersOutcome
from workers.lime.outcome import Explanation

_NAMED = 5
_HALF = 0.5


def findings(outcome: LayersOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    return tuple(chain(_output(outcome), _unlike(outcome), _lost(outcome), _still(outcome), _late(outcome)))


def _listed(found: list[str]) -> str:
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ("; ".join(found[:_NAMED]) + more)[:4000]


def _output(outcome: LayersOutcome) -> list[Finding]:
    unread = [each for each in outcome.explained if not each.explanations[0].legible]
    if not unread:
        return []
    said = [f"example {each.index}: {each.explanations[0].verdict}" for each in unread]
    return [
        Finding(
            code="output-not-readable",
            severity="warning",
            raised_if="the surrogate of the output itself may not be read",
            meaning=f"There is nothing that layers could be compared with in {len(unread)} of"
            f" {len(outcome.explained)} examples: where their decision becomes visible is not told.",
            advice="Read the layers on their own, or ask for another division into features, or a narrower kernel.",
            evidence=_listed(said),
        )
    ]


def _which(outcome: LayersOutcome, which: Callable[[Explanation], bool]) -> list[AtLayer]:
    return [each for each in outcome.at if which(outcome.of(each))]


def _unlike(outcome: LayersOutcome) -> list[Finding]:
    found = _which(outcome, lambda one: one.verdict == "not locally linear")
    if not found:
        return []
    said = [
        f"example {each.index}, {each.reading} of {each.key}: held-out R² {_number(outcome.of(each).held_out)}"
        for each in found
    ]
    return [
        Finding(
            code="layers-not-linear",
            severity="warning",
            raised_if="a linear surrogate tells too little of what changes in a layer, on samples it was not fitted to",
            meaning=f"Around these examples {len(found)} of {len(outcome.at)} readings are no sum of {outcome.noun} by"
            f" {outcome.noun} contributions; their coefficients must not be read.",
            advice="Rely on the layers whose surrogates fit; the reading itself may still be sound.",
            evidence=_listed(said),
        )
    ]


def _lost(outcome: LayersOutcome) -> list[Finding]:
    lost = [each for each in outcome.explained if each.lost]
    if not lost:
        return []
    said = [
        f"example {each.index}: {each.lost} of {each.samples}; {each.lost_because[:200]}".removesuffix("; ")
        for each in lost
    ]
    return [
        Finding(
            code="samples-lost",
            severity="warning",
            raised_if="the network raises, or the target is not finite, at some samples",
            meaning="Those samples are left out of every surrogate. They are seldom a random part of the neighbourhood,"
            " so that the surrogates speak of the others alone.",
            advice="Choose another replacement for what is left out, or mend the network where it fails.",
            evidence=_listed(said),
        )
    ]


def _still(outcome: LayersOutcome) -> list[Finding]:
    found = _which(outcome, lambda one: one.verdict == "nothing changes")
    if not found:
        return []
    return [
        Finding(
            code="layers-unchanged",
            severity="note",
            raised_if="what is read of a layer is the same at every sample, but for rounding",
            meaning=f"{len(found)} of {len(outcome.at)} readings do not depend on what is left out of the example: they"
            " have no weights to read. The norm behind a normalisation is such a one.",
            advice="Ask for another reading of these layers.",
            evidence=_listed([f"example {each.index}, {each.reading} of {each.key}" for each in found]),
        )
    ]


def _late(outcome: LayersOutcome) -> list[Finding]:
    cuts = [layer.key for layer in outcome.layers if layer.cut]
    found = [each for each in outcome.visible if each.key is not None]
    late = [each for each in found if each.key == cuts[-1]]
    if len(cuts) < 2 or len(late) <= _HALF * len(found):
        return []
    return [
        Finding(
            code="visible-at-the-end",
            severity="note",
            raised_if="in more than half of the examples only the last layer agrees with the output",
            meaning="Read along the gradient, no earlier layer rests on the features that the output rests on: what it"
            " holds of the decision is not linear there, or spread over other directions.",
            advice="Ask what single units or concepts of the earlier layers rest on.",
            evidence=f"{len(late)} of {len(found)} examples",
            layer=cuts[-1],
        )
    ]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
