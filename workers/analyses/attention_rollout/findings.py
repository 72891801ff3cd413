"""What must a reader know before relying on rollout, and which of its numbers are kept in history?"""

from __future__ import annotations

from math import log

from service.contracts.outcome import Finding, Measurement
from workers.analyses.attention_rollout.outcome import RolloutOutcome
from workers.attribution.outcome import Average

_EVEN, _SINK = 0.95, 0.5


def findings(outcome: RolloutOutcome) -> tuple[Finding, ...]:
    """What a reader must know before relying on the numbers."""
    return (*_irrelevant(outcome), *_even(outcome), *_sink(outcome))


def _irrelevant(outcome: RolloutOutcome) -> list[Finding]:
    if not outcome.irrelevant:
        return []
    return [
        Finding(
            code="no-relevance",
            severity="warning",
            raised_if="the target's gradient is positive at no attention of an example",
            meaning="More attention would raise the target nowhere: by this rule nothing supports it there.",
            advice="Ask another target, or the rule rollout, which needs no gradient.",
            evidence=f"{outcome.irrelevant} of {outcome.examples} examples",
        )
    ]


def _even(outcome: RolloutOutcome) -> list[Finding]:
    entropy, reached = outcome.depths[-1].entropy, outcome.reached.value
    if entropy is None or reached < 2 or entropy.value < _EVEN * log(reached):
        return []
    return [
        Finding(
            code="nearly-even",
            severity="note",
            raised_if=f"the tokens' entropy after the last layer is above {_EVEN:g} of that of equal shares",
            meaning="Every token has nearly the same share: over many layers rollout tends to this, whatever the"
            " network reads.",
            advice="Read the earlier layers, or ask the rule gradient or an attribution to the input.",
            evidence=f"{entropy.value:.3g} nat over {reached:.4g} tokens; equal shares: {log(reached):.3g}",
        )
    ]


def _sink(outcome: RolloutOutcome) -> list[Finding]:
    most = max(outcome.positions, key=lambda each: each.share.value, default=None)
    if most is None or most.share.value < _SINK or outcome.reached.value < 3:
        return []
    return [
        Finding(
            code="one-position-holds-most",
            severity="note",
            raised_if=f"one position has more than {_SINK:g} of what is read, on average over examples",
            meaning="Often a place to which attention goes when it has nothing to read (a first token, a separator),"
            " or the token read itself, by its residual connections; not evidence that what stands there matters.",
            advice="Compare with the rule gradient, or with an attribution to the input.",
            evidence=f"position {most.position}: {most.share.value:.3g}, n = {most.share.n}",
        )
    ]


def measurements(outcome: RolloutOutcome) -> tuple[Measurement, ...]:
    """One point per attention and metric, and one per layer after which there are rows."""
    points = []
    for each in outcome.attentions:
        points.append(_point(outcome, "attention_entropy", each.entropy, each.key))
        if each.distance is not None:
            points.append(_point(outcome, "attention_distance", each.distance, each.key))
    points += [
        _point(outcome, "rollout_entropy", depth.entropy, depth.key)
        for depth in outcome.depths
        if depth.entropy is not None
    ]
    return tuple(points)


def _point(outcome: RolloutOutcome, metric: str, average: Average, key: str) -> Measurement:
    of_layer = key.partition("@")[0] != ""
    return Measurement(
        metric=metric, layer=key if of_layer else None, target=outcome.target[:128],
        facets={} if of_layer else {"attention": key or "only"},
        value=average.value, low=average.low, high=average.high, n=average.n,
    )  # fmt: skip
