"""Which numbers of LIME are kept in history?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from service.contracts.outcome import Measurement
from workers.lime.outcome import Average, Explanation, LimeOutcome
from workers.numerics.intervals import Interval, mean_t, wilson

Quality = Literal["r2", "held_out", "stable_features", "stable_values", "overlap"]
QUALITIES: dict[str, Quality] = {
    "lime_r2": "r2", "lime_held_out": "held_out", "lime_vsi": "stable_features", "lime_csi": "stable_values",
    "lime_overlap": "overlap",
}  # fmt: skip
METRIC_NAMES = (
    *QUALITIES, "lime_legible", "lime_lost", "lime_coefficient", "lime_coverage", "lime_difference", "lime_agreement",
)  # fmt: skip


def measurements(outcome: LimeOutcome) -> tuple[Measurement, ...]:
    """One point per target and metric, one per feature that means the same in all examples."""
    points = [point for target in outcome.targets for point in _of_target(outcome, target)]
    drawn = sum(each.samples for each in outcome.explained)
    points.append(
        Measurement(metric="lime_lost", facets={}, value=sum(each.lost for each in outcome.explained) / drawn, n=drawn)
    )
    points += _features(outcome)
    for each in outcome.picks:
        points.append(
            Measurement(metric="lime_coverage", target=_cut(each.target), facets={}, value=each.coverage,
                        n=len(outcome.explained))
        )  # fmt: skip
    known = [each.difference for each in outcome.verified if each.difference is not None]
    if known:
        points.append(Measurement(metric="lime_difference", facets={}, value=max(known), n=len(known)))
    return tuple(points)


def mean_of(found: Iterable[Explanation], quality: Quality) -> Interval | None:
    """The mean of what is known, with Student's t interval as far as such a number can lie; None where nothing is."""
    values = [value for one in found if (value := getattr(one, quality)) is not None]
    if not values:
        return None
    mean = mean_t(values)
    least = None if quality in ("r2", "held_out") else 0.0
    low = mean.low if mean.low is None or least is None else max(least, mean.low)
    return replace(mean, low=low, high=None if mean.high is None else min(1.0, mean.high))


def _of_target(outcome: LimeOutcome, target: str) -> list[Measurement]:
    found = [one for _, one in outcome.each if one.target == target]
    points = [
        _point(metric, target, mean)
        for metric, quality in QUALITIES.items()
        if (mean := mean_of(found, quality)) is not None
    ]
    points.append(_point("lime_legible", target, wilson(sum(one.legible for one in found), len(found))))
    ranks = [each for each in outcome.compared if each.target == target and each.ranks is not None]
    if ranks:
        mean = mean_t([each.ranks for each in ranks if each.ranks is not None])
        points.append(_point("lime_agreement", target, mean, {"with": ranks[0].method}))
    return points


def _features(outcome: LimeOutcome) -> list[Measurement]:
    """Names that are alike in their first 128 letters are one line: the larger is kept."""
    made: dict[tuple[str, str | None, str], Measurement] = {}
    for each in outcome.summaries:
        key = (_cut(each.target), each.class_name, _cut(each.feature))
        if key not in made:
            point = _point("lime_coefficient", each.target, each.absolute, {"feature": _cut(each.feature)})
            made[key] = point.model_copy(update={"class_name": each.class_name})
    return list(made.values())


def _point(metric: str, target: str, mean: Interval | Average, facets: dict[str, str] | None = None) -> Measurement:
    return Measurement(
        metric=metric, target=_cut(target), facets=facets or {}, value=mean.value, low=mean.low, high=mean.high,
        n=mean.n,
    )  # fmt: skip


def _cut(text: str) -> str:
    return text[:128]
