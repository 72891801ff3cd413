"""What must a reader know before relying on these conductances, and which of their numbers are kept in history?"""

from __future__ import annotations

from service.contracts.outcome import Finding, Measurement
from workers.analyses.layer_conductance.outcome import Average, ConductanceOutcome, Conducted

_CAPTUM_TOLERANCE = {"float32": 1e-3, "float64": 1e-6}


def findings(outcome: ConductanceOutcome) -> tuple[Finding, ...]:
    """What a reader must know before relying on the numbers."""
    return (*_incomplete(outcome), *_disagreeing(outcome), *_still(outcome))


def _incomplete(outcome: ConductanceOutcome) -> list[Finding]:
    short = [
        (layer, layer.completeness_error)
        for layer in outcome.own
        if layer.completeness_error is not None and layer.completeness_error.value > outcome.tolerance
    ]
    return [
        Finding(
            code="completeness-not-met",
            severity="warning",
            raised_if=f"the completeness error of a cut layer is above {outcome.tolerance:g} of the output's change",
            meaning="The attributions of this layer do not add up to the change of the output: they carry an error of"
            " that size.",
            advice=f"Ask again with more than {outcome.steps} steps"
            + (", or with the rule trapezoid." if outcome.rule == "captum" else "."),
            evidence=f"{layer.key}: {error.value:.3g}, n = {error.n}",
            layer=layer.key,
        )
        for layer, error in short
    ]


def _disagreeing(outcome: ConductanceOutcome) -> list[Finding]:
    tolerance = _CAPTUM_TOLERANCE[outcome.precision]
    return [
        Finding(
            code="captum-disagrees",
            severity="failure",
            raised_if=f"captum's numbers for a layer differ by more than {tolerance:g} of its largest attribution",
            meaning="Two implementations of one formula give different numbers; at least one is wrong.",
            advice="Do not use this layer's numbers; report the analysis with its id.",
            evidence=f"{check.layer}: {check.difference:.3g}",
            layer=check.layer,
        )
        for check in outcome.verified
        if check.difference is not None and check.difference > tolerance
    ]


def _still(outcome: ConductanceOutcome) -> list[Finding]:
    change = outcome.output_change
    if change.value != 0 or change.low not in (None, 0.0):
        return []
    return [
        Finding(
            code="output-does-not-change",
            severity="warning",
            raised_if="the target is the same at every input as at its baseline",
            meaning="There is no change to attribute; every conductance only cancels out.",
            advice="Choose another baseline, for example the mean of the data.",
        )
    ]


def measurements(outcome: ConductanceOutcome) -> tuple[Measurement, ...]:
    """One point per layer and metric, and one per analysis for the others."""
    points: list[Measurement] = []
    for layer in outcome.own:
        for metric, average in (
            ("layer_total", layer.total),
            ("layer_absolute_total", layer.absolute_total),
            ("completeness_error", layer.completeness_error),
        ):
            if average is not None:
                points.append(_point(outcome, metric, average, layer))
    known = [check.difference for check in outcome.verified if check.difference is not None]
    if known:
        points.append(
            Measurement(metric="captum_difference", target=outcome.target, facets={}, value=max(known), n=len(known))
        )
    if outcome.accuracy is not None:
        right = outcome.accuracy
        points.append(
            Measurement(
                metric="clean_accuracy", facets={}, value=right.value, low=right.low, high=right.high, n=right.n
            )
        )
    return tuple(points)


def _point(outcome: ConductanceOutcome, metric: str, average: Average, layer: Conducted) -> Measurement:
    name = layer.layer if layer.call is None else f"{layer.layer}@{layer.call}"
    return Measurement(
        metric=metric, layer=name, target=outcome.target,
        facets={} if layer.output is None else {"output": str(layer.output)},
        value=average.value, low=average.low, high=average.high, n=average.n,
    )  # fmt: skip
