"""What must a reader know before relying on these attributions?"""

from __future__ import annotations

from itertools import chain

from service.contracts.outcome import Finding
from workers.attribution import agreement
from workers.attribution.outcome import AttributionOutcome
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution

NOT_USABLE = "not-usable-in-a-report"
_CANCELLED = 1e-3
"""Of the largest total: where attributions cancel to less, both implementations are left with their rounding."""

_CAPTUM_TOLERANCE = {"float32": 1e-3, "float64": 1e-6}


def findings(kind: Attribution[AttributionParameters], outcome: AttributionOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    beside = () if outcome.certified is None else agreement.findings(outcome.certified.compared, outcome.method)
    grave = (_unusable(outcome), _disagreeing(kind, outcome), _incomplete(outcome), _unmatched(outcome))
    return tuple(chain(*grave, _still(kind, outcome), _halved(outcome), beside))


def _unusable(outcome: AttributionOutcome) -> list[Finding]:
    if outcome.certified is None or outcome.usable:
        return []
    made = outcome.certified.certificate
    failed = any(each.necessary and each.verdict == "failed" for each in made.checks)
    return [
        Finding(
            code=NOT_USABLE if failed else "not-certified",
            severity="failure" if failed else "warning",
            raised_if="a necessary check of the certificate failed" if failed else "no necessary check could be made",
            meaning="What an attribution of this model must satisfy, this one does not: it does not explain the model."
            if failed
            else "Nothing speaks against these attributions, and nothing for them.",
            advice="Do not show these numbers in a report. Ask another method, another baseline or more steps, and read"
            " what each check found.",
            evidence=made.because,
        )
    ]


def _incomplete(outcome: AttributionOutcome) -> list[Finding]:
    if outcome.tolerance is None:
        return []
    more = "" if outcome.steps is None else f"Ask again with more than {outcome.steps} steps"
    if outcome.settings.get("rule") == "captum":
        more += ", or with the rule trapezoid"
    short = {each.key: each.completeness_error for each in outcome.own if each.key in outcome.missed}
    return [
        Finding(
            code="completeness-not-met",
            severity="warning",
            raised_if=f"the completeness error of a cut layer is above {outcome.tolerance:g} of the output's change",
            meaning="The attributions of this layer do not add up to the change of the output: they carry an error of"
            " that size.",
            advice=f"{more or 'Ask another method, or float64'}.",
            evidence=f"{key}: {error.value:.3g}, n = {error.n}",
            layer=key,
        )
        for key, error in short.items()
        if error is not None
    ][:_MOST]


_MOST = 200


def _unmatched(outcome: AttributionOutcome) -> list[Finding]:
    return [
        Finding(
            code="unit-conductance-not-met",
            severity="warning",
            raised_if=f"what the inputs get for a chosen unit is more than {_STEPS_ERROR:g} of what flows through it"
            " away from the unit's own conductance",
            meaning="The steps do not follow the path: the attributions for this unit carry an error of that size.",
            advice=f"Ask again with more than {outcome.steps} steps.",
            evidence=f"unit {', '.join(map(str, each.index))}: {each.error.value:.3g}, n = {each.error.n}",
        )
        for each in outcome.chosen_units
        if each.error is not None and each.error.value > _STEPS_ERROR
    ]


_STEPS_ERROR = 0.05
"""As the tolerance of completeness, which is not asked for where a method claims none."""


def _disagreeing(kind: Attribution[AttributionParameters], outcome: AttributionOutcome) -> list[Finding]:
    most = max((each.absolute_total.value for each in outcome.own), default=0.0)
    tolerance = kind.rounding * _CAPTUM_TOLERANCE[outcome.precision]
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
        if check.difference is not None and check.difference > tolerance and check.gap > _CANCELLED * tolerance * most
    ]


def _halved(outcome: AttributionOutcome) -> list[Finding]:
    if not outcome.halved:
        return []
    return [
        Finding(
            code="chunks-were-halved",
            severity="note",
            raised_if="the device ran out of memory, and the work went on in smaller chunks than planned",
            meaning="The numbers are as good as any; a replay of the stored plan gives them within rounding, and not"
            " bit for bit.",
            advice="Have the operator lower LAMINA_CHILD_ENGINE_BYTES to what the device has free; submit it again.",
            evidence="; ".join(
                f"from example {each.start}: {each.points} points of {each.examples} examples"
                for each in outcome.halved
            )[:4000],
        )
    ]


def _still(kind: Attribution[AttributionParameters], outcome: AttributionOutcome) -> list[Finding]:
    change = outcome.output_change
    if change is None or change.value != 0 or change.low not in (None, 0.0):
        return []
    return [
        Finding(
            code="output-does-not-change",
            severity="warning",
            raised_if="the target is the same at every input as at its baseline",
            meaning=f"There is no change to attribute; every {kind.noun} only cancels out.",
            advice="Choose another baseline, for example the mean of the data.",
        )
    ]
