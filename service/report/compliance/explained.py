"""What explains the answers, and how far can that be relied on? Methods, their quality, examples by rule, quarrels."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from service.report import wording as facts
from service.report.compliance import measured, wording
from service.report.compliance.back import Chosen, Explanations, Method, QualityRow
from service.report.compliance.given import Explained, Given, Measured

Aspect = Literal["completeness", "faithfulness", "stability", "agreement"]
ASPECTS: Mapping[Aspect, tuple[str, ...]] = {
    "completeness": ("completeness_error", "captum_difference", "failed_checks", "lime_lost", "lime_difference"),
    "faithfulness": (
        *("parameter_randomisation", "deletion_gain", "insertion_gain", "infidelity_share"),
        *("lime_held_out", "lime_legible", "lime_layer_held_out", "lime_layer_legible"),
    ),
    "stability": (
        *("max_sensitivity", "seed_spread", "seed_ranks", "baseline_spread", "baseline_ranks"),
        *("lime_vsi", "lime_csi", "lime_overlap"),
    ),
}
DISAGREEMENT = ("method_agreement", "lime_agreement")
EXPLAINING = frozenset({"attribution", "attention", "lime"})
EXAMPLES = 5
RULE = (
    "Of every analysis with examples, those stand here whose SHA-256 of the analysis digest and the example's number"
    " sorts first: anybody can repeat the choice, and nobody made it by hand."
)
NOTHING = "No analysis in this window explained the model's answers: nothing is said here of what they rest on."


def explanations(given: Given) -> Explanations:
    """Methods, how far they can be relied on, a few examples by rule, and where methods disagree."""
    analyses = measured.analyses_of(given, EXPLAINING)
    names = measured.titles(given)
    quality = [
        _quality(each, names, aspect)
        for aspect, metrics in ASPECTS.items()
        for each in measured.ordered(given, metrics)
    ]
    disagreement = [_quality(each, names, "agreement") for each in measured.ordered(given, DISAGREEMENT)]
    return Explanations(
        said=_said(len(analyses)) + measured.left_out(len(quality), "number") if analyses else NOTHING,
        methods=tuple(
            Method(analysis=each.id, title=wording.name(each.title), settings=facts.settings(each.parameters)[:200])
            for each in analyses
        ),
        quality=tuple(quality[: measured.MOST_ROWS]),
        rule=RULE,
        examples=_examples(given),
        disagreement=tuple(disagreement[: measured.MOST_ROWS]),
    )


def _said(count: int) -> str:
    return (
        f"{wording.plural(count, 'analysis', 'analyses')} explained the model's answers. An explanation is a method's"
        " reading of the model, not the model's reasons; how far each can be relied on is measured below."
    )


def _quality(each: Measured, names: dict[str, str], aspect: Aspect) -> QualityRow:
    return QualityRow(
        aspect=aspect,
        method=measured.title_of(each, names),
        metric=wording.title_of(each.metric),
        where=measured.where(each),
        number=measured.number(each),
        n=wording.counted(each.n),
        baseline=measured.baseline(each),
        direction=wording.direction_of(each.metric),
        analysis=each.analysis,
    )


def _examples(given: Given) -> tuple[Chosen, ...]:
    """The first few of all candidates, in the order of their hashes."""
    digests = {each.id: each.digest or each.id for each in given.analyses}
    names = measured.titles(given)

    def rank(one: Explained) -> tuple[bytes, str, int]:
        text = f"{digests.get(one.analysis, one.analysis)}:{one.example}"
        return hashlib.sha256(text.encode()).digest(), one.analysis, one.example

    return tuple(
        Chosen(
            method=names.get(one.analysis, "analysis"),
            analysis=one.analysis,
            example=wording.counted(one.example),
            said=wording.long(one.said),
        )
        for one in sorted(given.examples, key=rank)[:EXAMPLES]
    )
