"""How little does it take to break the model? Threats as sentences, curves over the budget, corruptions, doubts."""

from collections.abc import Mapping
from itertools import groupby

from pydantic import JsonValue

from service.contracts.section import exact
from service.report.compliance import measured, wording
from service.report.compliance.back import Curve, CurvePoint, Flag, Robustness, RobustRow, Threat
from service.report.compliance.given import Analysed, Given, Measured

FAMILIES = frozenset({"robustness"})
CORRUPTED = ("corruption_drop", "corruption_accuracy", "corruption_agreement", "corruption_shift", "corruption_error")
OTHERS = (
    *("clean_accuracy", "median_epsilon", "attack_success", "largest_shift", "changed_features", "changed_tokens"),
    *("attack_cost", "protected_flips", "adversarials_rechecked", "attack_checks_failed", "attack_checks_not_run"),
)
TOLD: Mapping[str, str] = {
    "norm": "distance by the norm {}",
    "epsilons": "budgets {}",
    "epsilon": "budget {}",
    "goal": "goal {}",
    "examples": "{} examples",
    "steps": "{} gradient steps",
    "queries": "{} queries of the outputs alone",
    "corruptions": "corruptions {}",
    "severities": "severities {}",
    "budget": "at most {} changes",
}
UNSAID = "as the kind chooses"
NOTHING = "No analysis in this window attacked the model or corrupted its inputs: its robustness is unknown."
SAID = (
    "Robust accuracy is an upper bound: a stronger attack may find more. Budgets are in the raw units the model's owner"
    " declared. What an attack was allowed stands beside each analysis."
)


def robustness(given: Given) -> Robustness:
    """What was attacked and how, and what came of it."""
    analyses = measured.analyses_of(given, FAMILIES)
    of_family = {each.id for each in given.analyses if each.family in FAMILIES}
    corruptions = [_row(each) for each in measured.ordered(given, CORRUPTED) if each.layer is None]
    others = [
        _row(each) for each in measured.ordered(given, OTHERS) if each.layer is None and each.analysis in of_family
    ]
    left = measured.left_out(len(corruptions), "cell") + measured.left_out(len(others), "number")
    return Robustness(
        said=SAID + left if analyses else NOTHING,
        threats=tuple(_threat(each) for each in analyses),
        curves=_curves(given),
        corruptions=tuple(corruptions[: measured.MOST_ROWS]),
        others=tuple(others[: measured.MOST_ROWS]),
        flags=tuple(flag for each in analyses for flag in _flags(each)),
    )


def _threat(each: Analysed) -> Threat:
    told = [
        words.format(_allowed(name, each.parameters[name])) for name, words in TOLD.items() if name in each.parameters
    ]
    knowledge = "the attacker sees the network's inside wherever it has gradients, and its outputs"
    said = "; ".join(told) + f"; {knowledge}." if "norm" in each.parameters else "; ".join(told) + "."
    return Threat(analysis=each.id, title=wording.name(each.title), said=wording.long(said[:1].upper() + said[1:]))


def _allowed(name: str, value: JsonValue) -> str:
    """What a parameter allowed. A budget of 0 asks for the usual one; its numbers stand with what came of it."""
    return UNSAID if name == "epsilon" and not value else _plain(value)


def _plain(value: JsonValue) -> str:
    """A parameter in running text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return exact(value)
    if isinstance(value, list):
        return wording.listed([_plain(one) for one in value]) or UNSAID
    return "not set" if value is None else str(value)


def _curves(given: Given) -> tuple[Curve, ...]:
    """One curve for each analysis, norm and attack, over the budget; a curve of one point is none."""
    names = measured.titles(given)
    points = [
        each
        for each in measured.ordered(given, ("robust_accuracy",))
        if each.epsilon is not None and each.layer is None
    ]

    def line(each: Measured) -> tuple[str, str]:
        return each.analysis, measured.where(each)

    curves = []
    for (analysis, where), run in groupby(sorted(points, key=line), key=line):
        taken = sorted(run, key=lambda each: (each.epsilon or 0.0, each.id))
        title = f"{measured.title_of(taken[0], names)}: {where}"
        curves.append(
            Curve(
                title=wording.name(title),
                label=_label(taken[0]),
                analysis=analysis,
                unit=wording.short(taken[0].facets.get("unit", "raw units")),
                points=tuple(
                    CurvePoint(
                        epsilon=wording.chosen(each.epsilon or 0.0),
                        accuracy=measured.number(each),
                        n=wording.counted(each.n),
                    )
                    for each in taken
                ),
            )
        )
    return tuple(curves)


def _label(each: Measured) -> str:
    told = [f"{name} {value}" for name, value in sorted(each.facets.items()) if name not in {"goal", "unit", "reading"}]
    return wording.short(", ".join(told) or "robust accuracy")


def _row(each: Measured) -> RobustRow:
    budget = f"; \u03b5 {exact(each.epsilon)}" if each.epsilon is not None else ""
    return RobustRow(
        metric=wording.title_of(each.metric),
        where=measured.where(each) + budget,
        number=measured.number(each),
        n=wording.counted(each.n),
        baseline=measured.baseline(each),
        direction=wording.direction_of(each.metric),
        analysis=each.analysis,
    )


def _flags(each: Analysed) -> list[Flag]:
    found = each.section.findings if each.section else ()
    return [
        Flag(
            analysis=each.id,
            title=wording.name(each.title),
            severity=one.severity,
            code=one.code,
            meaning=one.meaning,
            evidence=one.evidence,
        )
        for one in found
    ]
