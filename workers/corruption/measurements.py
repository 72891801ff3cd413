"""Which numbers of corruptions are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from workers.corruption.outcome import Average, CorruptionOutcome

METRIC_NAMES = (
    "clean_accuracy", "corruption_accuracy", "corruption_drop", "corruption_agreement", "corruption_shift",
    "corruption_error",
)  # fmt: skip
_ALL = "all"


def measurements(outcome: CorruptionOutcome) -> tuple[Measurement, ...]:
    """A point for each cell, and of accuracy the clean one and the mean drop; else the mean of all cells."""
    metric = f"corruption_{outcome.reading}"
    made = [
        _point(metric, each.value, {"corruption": each.corruption, "severity": str(each.severity)})
        for each in outcome.cells
    ]
    if outcome.reading == "accuracy":
        made += [_point("clean_accuracy", outcome.clean, {}), _point("corruption_drop", outcome.drop, {})]
    else:
        made.append(_point(metric, outcome.mean, {"corruption": _ALL, "severity": _ALL}))
    return tuple(made)


def _point(metric: str, of: Average, facets: dict[str, str]) -> Measurement:
    return Measurement(metric=metric, facets=facets, value=of.value, low=of.low, high=of.high, n=of.n)
