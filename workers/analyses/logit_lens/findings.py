"""What must a reader know before relying on the lens, and which of its numbers are kept in history?"""

from __future__ import annotations

from math import log

from service.contracts.outcome import Finding, Measurement
from workers.analyses.logit_lens.outcome import LensOutcome

_LATE = 0.5


def findings(outcome: LensOutcome) -> tuple[Finding, ...]:
    """What a reader must know before relying on the numbers."""
    return (*_unreadable(outcome), *_late(outcome))


def _unreadable(outcome: LensOutcome) -> list[Finding]:
    even = log(outcome.vocabulary)
    worse = [stage for stage in outcome.stages if stage.divergence.value > even]
    if not worse:
        return []
    return [
        Finding(
            code="not-readable",
            severity="note",
            raised_if="after a block, what is read is further from the final distribution than equal probabilities are",
            meaning="The head reads the states of these blocks as something they are not: what they hold is not shown,"
            " and not shown to be absent.",
            advice="Rely on the later blocks; an attribution to layers asks the others in their own terms.",
            evidence=", ".join(f"{stage.key}: {stage.divergence.value:.3g} nat" for stage in worse[:10])
            + f"; equal probabilities: {even:.3g}",
        )
    ]


def _late(outcome: LensOutcome) -> list[Finding]:
    last = outcome.stages[-1]
    if len(outcome.stages) < 2 or last.decided <= _LATE * outcome.examples:
        return []
    return [
        Finding(
            code="decided-by-the-last-block",
            severity="note",
            raised_if="in more than half of the examples the final token is the first only after the last block",
            meaning="As the head reads it, most predictions are made at the very end.",
            advice="Read how the probability grows over the blocks before: it may be close to first for long.",
            evidence=f"{last.decided} of {outcome.examples} examples",
            layer=last.key,
        )
    ]


def measurements(outcome: LensOutcome) -> tuple[Measurement, ...]:
    """One point per block and metric, and one for where it is decided."""
    points = []
    for stage in outcome.stages:
        for metric, found in (
            ("lens_probability", stage.probability), ("lens_divergence", stage.divergence),
            ("lens_agreement", stage.first),
        ):  # fmt: skip
            layer, _, place = stage.key.partition(":")
            points.append(
                Measurement(
                    metric=metric, layer=layer, target=outcome.position, facets={"output": place} if place else {},
                    value=found.value, low=found.low, high=found.high, n=found.n,
                )
            )  # fmt: skip
    whole = outcome.decided
    decided = Measurement(
        metric="lens_decided", target=outcome.position, facets={},
        value=whole.value, low=whole.low, high=whole.high, n=whole.n,
    )  # fmt: skip
    return (*points, decided)
