"""What does a reader see of an attribution: in words, tables and figures?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section
from service.contracts.vocabulary import METRICS
from workers.attribution import figures, tables
from workers.attribution.outcome import AttributionOutcome
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.attribution.words import number

Kind = Attribution[AttributionParameters]

LIMITS = (
    "Signed totals let units cancel: a total near zero may hide large units. The absolute total shows them.",
    "Intervals are over the examples analysed, as if drawn at random; the error of the computation is not in them.",
    "The certificate is made with a few examples and, where there are many layers, at some of them: it names both.",
)
OF_LAYERS = (
    "Totals of different layers do not add up: branches share the change, layers in a row each carry all of it.",
)
FROM_BASELINE = ("The numbers depend on the baseline: another one gives others.",)


def limits(kind: Kind) -> tuple[str, ...]:
    """What attributions of this kind do not show."""
    based = FROM_BASELINE if "baseline" in kind.parameters.model_fields else ()
    return (*kind.limits, *based, *(OF_LAYERS if kind.places == "layers" else ()), *LIMITS)


def section(kind: Kind, outcome: AttributionOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=kind.title, question=kind.question, answer=_answer(kind, outcome), blocks=_blocks(kind, outcome),
        findings=outcome.findings, controls=outcome.controls, not_applicable=outcome.not_applicable,
        limits=limits(kind), source=kind.source,
    )  # fmt: skip


def target_in_words(outcome: AttributionOutcome) -> str:
    """What is explained."""
    words = {"predicted": "predicted output", "label": "output of the labelled class"}
    return words.get(outcome.target, f"output {outcome.target}")


def _answer(kind: Kind, outcome: AttributionOutcome) -> str:
    found, noun = outcome.own, kind.places.removesuffix("s")
    most = max(found, key=lambda each: each.absolute_total.value)
    size = number(most.absolute_total, outcome.unit).display
    over = f"on average over {outcome.examples} of {outcome.available} examples"
    if outcome.output_change is not None:
        change = f"{number(outcome.output_change, outcome.target_unit).display} {outcome.target_unit}"
        text = f"From baseline to input the {target_in_words(outcome)} changes by {change} {over}."
    else:
        text = f"This explains the {target_in_words(outcome)}, {over}."
    if len(found) > 1:
        text += f" Of {len(found)} {noun}s, {most.key} has the largest {kind.noun}:"
    else:
        text += f" The {kind.noun} of {most.key} is"
    text += f" {size} {outcome.unit} in absolute terms."
    errors = [each.completeness_error.value for each in found if each.completeness_error is not None]
    if errors:
        where = "Where everything passes through a layer, its units add" if noun == "layer" else "They add"
        text += f" {where} up to the change within {max(errors):.2%}."
    return (_doubt(outcome) + text)[:4000]


def _doubt(outcome: AttributionOutcome) -> str:
    """What a reader must know first."""
    grave = [each for each in outcome.findings if each.severity == "failure"]
    if outcome.usable is False and grave:
        assert outcome.certified is not None
        return f"Not usable in a report: {outcome.certified.certificate.because[:1500]}. "
    if grave:
        return f"Not to be relied on: {grave[0].meaning} "
    if outcome.usable is None:
        return "Not certified: no checks were asked for. "
    return ""


def _blocks(kind: Kind, outcome: AttributionOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    blocks.append(figures.totals(kind, outcome))
    blocks += figures.depths(outcome)
    if (sums := tables.sums(outcome)) is not None:
        blocks.append(sums)
    units = tables.units(kind, outcome)
    if units.rows:
        blocks.append(units)
    classes = tables.classes(kind, outcome)
    if classes is not None:
        blocks.append(classes)
    if (by_class := tables.class_units(kind, outcome)) is not None:
        blocks.append(by_class)
    blocks += [
        Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
    ]
    if outcome.sequence is not None:
        blocks.append(figures.along(kind, outcome, outcome.sequence))
    if outcome.verified:
        blocks.append(tables.verified(outcome))
    if outcome.certified is not None:
        blocks.append(tables.certificate(outcome.certified))
        if (plain := tables.beside(outcome.certified, kind.noun)) is not None:
            blocks.append(plain)
        if len(outcome.certified.stages) > 1:
            blocks.append(figures.randomisation(outcome.certified))
    return tuple(blocks)


def _asked(outcome: AttributionOutcome) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in outcome.settings.items() if value not in (None, "", []))
    parts = [f"Target: {target_in_words(outcome)} ({outcome.target_unit})."]
    if outcome.baseline is not None:
        parts.append(f"Baseline: {outcome.baseline}, in raw units.")
    parts.append(f"Method: {outcome.method.replace('_', ' ')}{': ' + chosen if chosen else ''}; {outcome.precision},")
    if outcome.mean_steps is not None:
        parts.append(
            f"as many steps as each example needed, up to {outcome.steps}, {outcome.mean_steps:.3g} in the mean, which"
            f" {'was enough for all' if not outcome.unsettled else f'was not enough for {outcome.unsettled}'};"
        )
    parts.append(f"the first {outcome.examples} of {outcome.available} examples.")
    if outcome.held:
        parts.append(f"Held as they are, not moved: {', '.join(outcome.held)}.")
    return " ".join(parts)[:4000]


def _measures(outcome: AttributionOutcome) -> list[Measure]:
    made = []
    if outcome.output_change is not None:
        made.append(
            Measure(
                label="Change of the output", number=number(outcome.output_change, outcome.target_unit),
                note="F(x) − F(x'), mean over examples, 95 % Student's t.",
            )
        )  # fmt: skip
    errors = {each.key: each.completeness_error for each in outcome.own if each.completeness_error is not None}
    if errors and outcome.tolerance is not None:
        worst = max(errors, key=lambda key: errors[key].value)
        metric = METRICS["completeness_error"]
        met = "met everywhere" if outcome.tolerance_met else f"missed at {len(outcome.missed)}"
        made.append(
            Measure(
                label="Completeness error, worst place",
                number=number(errors[worst], metric.unit),
                direction=metric.direction,
                note=f"At {worst}, one of {len(errors)} through which every path passes; tolerance"
                f" {outcome.tolerance:g}, {met}. Denominator: {metric.denominator}.",
            )
        )
    known = [check.difference for check in outcome.verified if check.difference is not None]
    if known:
        made.append(
            Measure(
                label="Largest difference from captum",
                number=Number(value=max(known), unit=METRICS["captum_difference"].unit, n=len(known), digits=2),
                direction=METRICS["captum_difference"].direction,
            )
        )
    if outcome.accuracy is not None:
        right = outcome.accuracy
        made.append(
            Measure(
                label="Accuracy on the examples analysed",
                number=Number(value=right.value, low=right.low, high=right.high, n=right.n),
                direction=METRICS["clean_accuracy"].direction,
                note=f"Interval: {right.method}.",
            )
        )
    return made
