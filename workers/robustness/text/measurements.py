"""Which numbers of attacks on texts are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from workers.robustness.text.outcome import Average, TextOutcome

METRIC_NAMES = (
    "clean_accuracy", "robust_accuracy", "attack_success", "changed_tokens", "adversarials_rechecked",
    "attack_gradients", "attack_forwards",
)  # fmt: skip


def measurements(outcome: TextOutcome) -> tuple[Measurement, ...]:
    """One each of all attacks together, and one of each attack."""
    made = list[Measurement]()
    facets = {"reading": "accuracy" if outcome.labelled else "agreement"}
    if outcome.labelled:
        made += [_point("clean_accuracy", outcome.clean), _point("robust_accuracy", outcome.kept, {"attack": "all"})]
    made += [_point("attack_success", outcome.success, {**facets, "attack": "all"})] if outcome.success else []
    for each in outcome.attacks:
        own = {"attack": each.name, "unit": each.counts}
        made += [_point("attack_success", each.success, {**facets, **own})] if each.success else []
        made += [_point("changed_tokens", each.share, own)] if each.share else []
        for metric, count in (("attack_gradients", each.gradients), ("attack_forwards", each.forwards)):
            made.append(
                Measurement(metric=metric, facets={"attack": each.name}, value=float(count), n=outcome.examples)
            )
    if outcome.rechecked:
        share = outcome.confirmed / outcome.rechecked
        made.append(Measurement(metric="adversarials_rechecked", facets={}, value=share, n=outcome.rechecked))
    return tuple(made)


def _point(metric: str, of: Average, facets: dict[str, str] | None = None) -> Measurement:
    return Measurement(metric=metric, facets=facets or {}, value=of.value, low=of.low, high=of.high, n=of.n)
