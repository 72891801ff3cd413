"""Which numbers of an attribution are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Measurement
from workers.attribution.outcome import Attributed, AttributionOutcome, Average
from workers.attribution.parameters import AttributionParameters, Complete, FromBaseline
from workers.attribution.spec import Attribution

_CHECKED = {
    "parameter_randomisation": "parameter_randomisation",
    "deletion": "deletion_gain",
    "insertion": "insertion_gain",
    "infidelity_share": "infidelity_share",
    "max_sensitivity": "max_sensitivity",
    "spread_over_baselines": "baseline_spread",
    "ranks_over_baselines": "baseline_ranks",
    "spread_over_seeds": "seed_spread",
    "ranks_over_seeds": "seed_ranks",
}
"""Checks of the certificate, and the metric under which each is kept."""

_OF_INPUTS = ("deletion", "insertion", "infidelity_share", "max_sensitivity")
_MOST_CLASSES = 20


def metrics(kind: Attribution[AttributionParameters]) -> tuple[str, ...]:
    """All that an analysis of this kind may measure."""
    noun = kind.places.removesuffix("s")
    named = [f"{noun}_total", f"{noun}_absolute_total"]
    based = issubclass(kind.parameters, FromBaseline)
    if issubclass(kind.parameters, Complete):
        named += ["completeness_error", "change_share"]
    named += ["attribution_agreement", "effective_units", "captum_difference", "clean_accuracy"]
    named += ["failed_checks", "method_agreement"]
    for check, metric in _CHECKED.items():
        if ("baselines" in check and not based) or ("seeds" in check and not kind.draws):
            continue
        if check not in _OF_INPUTS or kind.places == "inputs":
            named.append(metric)
    return tuple(named)


def measurements(kind: Attribution[AttributionParameters], outcome: AttributionOutcome) -> tuple[Measurement, ...]:
    """One point per layer and metric, and one per analysis for the others."""
    noun, points = kind.places.removesuffix("s"), list[Measurement]()
    for each in outcome.own:
        found = {
            f"{noun}_total": each.total, f"{noun}_absolute_total": each.absolute_total,
            "completeness_error": each.completeness_error, "change_share": each.share,
            "attribution_agreement": each.agreement,
            "effective_units": None if each.spread is None else each.spread.effective,
        }  # fmt: skip
        points += [_point(outcome, metric, average, each) for metric, average in found.items() if average is not None]
        if len(each.classes) <= _MOST_CLASSES:
            points += [
                _point(outcome, metric, average, each, name.name)
                for name in each.classes
                for metric, average in (
                    (f"{noun}_total", name.total), (f"{noun}_absolute_total", name.absolute_total),
                )
            ]  # fmt: skip
    points += _checked(outcome)
    known = [check.difference for check in outcome.verified if check.difference is not None]
    if known:
        points.append(
            Measurement(metric="captum_difference", target=_target(outcome), facets={}, value=max(known), n=len(known))
        )
    if outcome.accuracy is not None:
        right = outcome.accuracy
        points.append(
            Measurement(
                metric="clean_accuracy", facets={}, value=right.value, low=right.low, high=right.high, n=right.n
            )
        )
    return tuple(points)


def _checked(outcome: AttributionOutcome) -> list[Measurement]:
    if outcome.certified is None:
        return []
    checks = outcome.certified.certificate.checks
    where = {each.key: each for each in outcome.found}
    failed = sum(each.necessary and each.verdict == "failed" for each in checks)
    made = [
        Measurement(
            metric="failed_checks", target=_target(outcome), facets={}, value=failed, n=outcome.certified.examples
        )
    ]
    for check in checks:
        if check.name in _CHECKED and check.value is not None and check.n > 0:
            at = None if check.place is None else where[check.place]
            average = Average(value=check.value, low=check.low, high=check.high, n=check.n, interval="student-t")
            made.append(_point(outcome, _CHECKED[check.name], average, at))
    for each in outcome.certified.compared:
        if each.ranks is not None:
            point = _point(outcome, "method_agreement", each.ranks, where[each.place])
            made.append(point.model_copy(update={"facets": {**point.facets, "with": each.other}}))
    return made


def _point(
    outcome: AttributionOutcome, metric: str, average: Average, at: Attributed | None, name: str | None = None
) -> Measurement:
    layer, facets = None, dict[str, str]()
    if at is not None and outcome.places == "inputs":
        facets["input"] = at.key[:128]
    elif at is not None:
        layer = at.layer if at.call is None else f"{at.layer}@{at.call}"
        facets = {} if at.output is None else {"output": str(at.output)}
    return Measurement(
        metric=metric, layer=layer, class_name=name, target=_target(outcome), facets=facets, value=average.value,
        low=average.low, high=average.high, n=average.n,
    )  # fmt: skip


def _target(outcome: AttributionOutcome) -> str:
    return outcome.target[:128]
