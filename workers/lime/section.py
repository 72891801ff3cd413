"""What does a reader see of LIME: the answer with its doubt, pictures with their tables, and what it does not show?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section
from service.contracts.vocabulary import METRICS
from workers.lime import tables
from workers.lime.measurements import QUALITIES, mean_of
from workers.lime.outcome import Coefficient, Example, Explanation, LimeOutcome
from workers.lime.spec import Lime

LIMITS = (
    "A surrogate tells how the model answers samples made from one example, which may look like no data.",
    "Intervals and stability are about drawing other samples in the same way, and not about drawing them otherwise.",
    "Another replacement for what is left out, other features or another kernel width give other coefficients.",
    "Only the features kept have coefficients; features that stand in for each other share theirs.",
)
_SHOWN_EXAMPLES, _SHOWN_TARGETS, _NAMED = 4, 3, 3
_MEASURED = ("lime_held_out", "lime_vsi", "lime_overlap")


def limits(kind: Lime) -> tuple[str, ...]:  # type: ignore[type-arg] # of any parameters
    """What LIME of this kind does not show."""
    return (*kind.limits, *LIMITS)


def section(kind: Lime, outcome: LimeOutcome) -> Section:  # type: ignore[type-arg] # as above
    """The whole section, from the outcome alone."""
    return Section(
        title=kind.title, question=kind.question, answer=_answer(kind, outcome), blocks=_blocks(kind, outcome),
        findings=outcome.findings, controls=outcome.controls, not_applicable=outcome.not_applicable,
        limits=limits(kind), source=kind.source,
    )  # fmt: skip


def _answer(kind: Lime, outcome: LimeOutcome) -> str:  # type: ignore[type-arg] # as above
    found = outcome.each
    example, one = next(((example, one) for example, one in found if one.legible), found[0])
    strongest = [each for each in one.features if each.chosen][:_NAMED]
    if not one.legible:
        text = "No surrogate may be read: see the verdict on each."
    elif not strongest:
        text = f"For {_place(example, one, outcome)} the surrogate keeps no {kind.noun}."
    else:
        named = ", ".join(_said(each) for each in strongest)
        text = f"For {_place(example, one, outcome)} the model rests most on {named}, in {outcome.unit}."
    more = f" {len(outcome.explained)} of {outcome.examples} examples are explained." if outcome.examples > 1 else ""
    return (_doubt(outcome) + text + more)[:4000]


def _place(example: Example, one: Explanation, outcome: LimeOutcome) -> str:
    whose = f", {one.class_name}," if one.class_name else ""
    return f"example {example.index} and the target {one.target}{whose} of {one.prediction:.3g} {outcome.unit}"


def _said(each: Coefficient) -> str:
    bounds = "" if each.low is None or each.high is None else f" [{each.low:.3g}, {each.high:.3g}]"
    return f"{each.name[:200]} ({each.value:+.3g}{bounds})"


def _doubt(outcome: LimeOutcome) -> str:
    """What a reader must know first."""
    grave = [each for each in outcome.findings if each.severity == "failure"]
    if grave:
        return f"Not to be relied on: {grave[0].meaning} "
    found = outcome.each
    unread = [one for _, one in found if not one.legible]
    if unread:
        linear = sum(one.verdict == "not locally linear" for one in unread)
        why = [f"{linear} not locally linear here"] if linear else []
        why += [f"{len(unread) - linear} with nothing that changes"] if linear < len(unread) else []
        return f"Do not read {len(unread)} of {len(found)} surrogates: {', '.join(why)}. "
    doubtful = sum(one.verdict == "doubtful" for _, one in found)
    return f"With care: {doubtful} of {len(found)} surrogates are doubtful. " if doubtful else ""


def _blocks(kind: Lime, outcome: LimeOutcome) -> tuple[Block, ...]:  # type: ignore[type-arg] # as above
    blocks: list[Block] = [Prose(text=_asked(kind, outcome)), *_measures(outcome)]
    notes = _notes(outcome)
    if notes:
        blocks.append(Prose(text=" ".join(notes)[:4000]))
    blocks += _pictures(outcome, None)
    for example in outcome.explained[:_SHOWN_EXAMPLES]:
        blocks += _pictures(outcome, example.index)
        shown = example.explanations[:_SHOWN_TARGETS]
        blocks += [tables.coefficients(kind, outcome, example, one) for one in shown if one.chosen and one.legible]
    blocks += [tables.surrogates(outcome), tables.verdicts(outcome), *tables.summaries(kind, outcome)]
    if outcome.picks:
        blocks.append(tables.picks(outcome))
    if outcome.compared:
        blocks.append(tables.compared(kind, outcome.compared))
    if any(one.widths for _, one in outcome.each):
        blocks.append(tables.widths(outcome))
    if outcome.verified:
        blocks.append(tables.verified(outcome.verified))
    return tuple(blocks)


def _notes(outcome: LimeOutcome) -> list[str]:
    """Each once; with its examples where it is not of all."""
    holders: dict[str, list[int]] = {}
    for each in outcome.explained:
        for note in each.notes:
            holders.setdefault(note, []).append(each.index)
    every = len(outcome.explained)
    return [
        note if len(found) == every > 1 else f"Example {', '.join(map(str, found))}: {note}"
        for note, found in holders.items()
    ]


def _pictures(outcome: LimeOutcome, index: int | None) -> list[Block]:
    return [
        Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
        if each.index == index
    ]


def _asked(kind: Lime, outcome: LimeOutcome) -> str:  # type: ignore[type-arg] # as above
    settings, first = outcome.settings, outcome.explained[0]
    paired = settings["paired"] and first.neighbourhood.get("mirrored", True)
    mirrored = ", every second the mirror image of the one before" if paired else ""
    drawn = f"up to {settings['most']}, as many as the ranking needs," if settings["settle"] else settings["samples"]
    return (
        f"Targets: {', '.join(outcome.targets)} ({outcome.unit}). {str(drawn).capitalize()} samples around each of the"
        f" first {outcome.examples} of {outcome.available} examples{mirrored}; {kind.absent} stands for a {kind.noun}"
        f" that is absent. Kernel width {first.kernel_width:.4g}; up to {settings['features']} {kind.nouns} kept by"
        f" {str(settings['selection']).replace('_', ' ')}, ridge {settings['alpha']:g}; fitted by {outcome.engine};"
        f" {outcome.precision}."
    )[:4000]


def _measures(outcome: LimeOutcome) -> list[Measure]:
    """Of the first target; the table of surrogates has all."""
    target = outcome.targets[0]
    found, made = [one for _, one in outcome.each if one.target == target], list[Measure]()
    for name in _MEASURED:
        mean, metric = mean_of(found, QUALITIES[name]), METRICS[name]
        if mean is not None:
            made.append(
                Measure(
                    label=metric.title[:1].upper() + metric.title[1:],
                    number=Number(value=mean.value, unit=metric.unit, low=mean.low, high=mean.high, n=mean.n),
                    direction=metric.direction,
                    note=f"{target}, mean over examples, 95 % Student's t. Denominator: {metric.denominator}.",
                )
            )
    known = [each.difference for each in outcome.verified if each.difference is not None]
    if known:
        metric = METRICS["lime_difference"]
        made.append(
            Measure(
                label="Largest difference from lime",
                number=Number(value=max(known), unit=metric.unit, n=len(known), digits=2),
                direction=metric.direction,
                note=f"On the same samples. Denominator: {metric.denominator}.",
            )
        )
    return made
