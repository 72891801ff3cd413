"""Which numbers of attacks on tables are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from workers.robustness.tabular.outcome import Average, TabularOutcome

METRIC_NAMES = (
    "clean_accuracy", "robust_accuracy", "attack_success", "changed_features", "attack_cost", "protected_flips",
    "adversarials_rechecked", "attack_gradients", "attack_forwards",
)  # fmt: skip
_WIDE = 128


def measurements(outcome: TabularOutcome) -> tuple[Measurement, ...]:
    """A point for each budget and each protected column, and one each of what breaking took."""
    facets = {"unit": outcome.unit_name, "reading": outcome.reading}
    made = list[Measurement]()
    if outcome.reading == "accuracy":
        made.append(_point("clean_accuracy", outcome.clean))
        made += [_point("robust_accuracy", each.kept, facets, each.epsilon) for each in outcome.budgets]
    made += [
        _point("attack_success", each.success, facets, each.epsilon) for each in outcome.budgets if each.success
    ]  # fmt: skip
    made += [_point("changed_features", outcome.changed)] if outcome.changed else []
    made += [_point("attack_cost", outcome.cost)] if outcome.cost else []
    made += [
        _point("protected_flips", each.flips, {"column": each.column[:_WIDE]})
        for each in outcome.protected if each.flips
    ]  # fmt: skip
    if outcome.rechecked:
        share = outcome.confirmed / outcome.rechecked
        made.append(Measurement(metric="adversarials_rechecked", facets={}, value=share, n=outcome.rechecked))
    for metric, count in (("attack_gradients", outcome.gradients), ("attack_forwards", outcome.forwards)):
        made.append(Measurement(metric=metric, facets={}, value=float(count), n=outcome.examples))
    return tuple(made)


def _point(
    metric: str, of: Average, facets: dict[str, str] | None = None, epsilon: float | None = None
) -> Measurement:  # fmt: skip
    return Measurement(
        metric=metric, facets=facets or {}, epsilon=epsilon, value=of.value, low=of.low, high=of.high, n=of.n
    )
