"""What does a reader see of corruptions: the answer with its doubt, figures with tables, and what is not shown?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section
from service.contracts.vocabulary import METRICS
from workers.corruption import tables
from workers.corruption.findings import FEW, points
from workers.corruption.outcome import Average, CorruptionOutcome

TITLE = "Corrupted inputs"
QUESTION = "How much worse does the model do on inputs as cameras, sensors, people and formats spoil them?"
SOURCE = "Hendrycks and Dietterich 2019, arXiv:1903.12261 (ImageNet-C style, constants differ)"
LIMITS = (
    "ImageNet-C style, constants differ: these numbers cannot be compared with published ones of ImageNet-C.",
    "Corruptions are drawn without knowing the model: one that is looked for can harm more (adversarial analyses).",
    "Each corruption comes alone and is synthetic; what spoils inputs in use comes together and looks otherwise.",
    "Severities are steps of each corruption's own strength: severity 3 of two corruptions is not equally strong.",
    "The mean over corruptions weighs each alike, whatever occurs in use.",
    "The worst of many is chosen after the fact: its drop would be smaller in new data.",
    "Labels are kept as they are, also where a strong rotation or an edited word may change the right answer.",
)


def section(outcome: CorruptionOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: CorruptionOutcome) -> str:
    worst, mean = outcome.worst, outcome.drop
    unit = f" {outcome.unit}"
    doubt = _doubt(outcome)
    at = f"{worst.corruption} at severity {worst.severity}"
    if not outcome.higher_is_better:
        value, drop = tables.WORDS[outcome.reading]
        return (
            f"{doubt}{value} over {len(outcome.kinds)} corruptions: {outcome.mean.value:.3g}{unit}"
            f"{_bounds(outcome.mean)}; {drop.lower()} is largest under {at}, {worst.drop.value:.3g}{unit}"
            f"{_bounds(worst.drop)}."
        )
    of = "Accuracy" if outcome.reading == "accuracy" else "Agreement with the clean answers"
    return (
        f"{doubt}{of} goes from {outcome.clean.value:.1%} to {outcome.mean.value:.1%} in the mean over"
        f" {len(outcome.kinds)} corruptions, a loss of {points(mean.value)}{_share(mean)}; {_worst(outcome)}."
    )


def _worst(outcome: CorruptionOutcome) -> str:
    worst = outcome.worst
    if worst.drop.value <= 0:
        return "none costs more than it gains"
    return (
        f"the worst is {worst.corruption} at severity {worst.severity}, with {worst.value.value:.1%}"
        f"{_share(worst.value)}"
    )


def _doubt(outcome: CorruptionOutcome) -> str:
    grave = [each for each in outcome.findings if each.severity == "failure"]
    if grave:
        return f"Not to be relied on: {grave[0].meaning} "
    made = f"With care, n = {outcome.examples}: intervals are wide. " if outcome.examples < FEW else ""
    return made + ("No label tells what is right. " if outcome.reading == "agreement" else "")


def _share(of: Average) -> str:
    if of.low is None or of.high is None:
        return ""
    return f" (95 % {100 * of.low:.1f} to {100 * of.high:.1f})".replace("-", "\u2212")


def _bounds(of: Average) -> str:
    return "" if of.low is None or of.high is None else f" [{of.low:.3g}, {of.high:.3g}]"


def _blocks(outcome: CorruptionOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    if outcome.notes:
        blocks.append(Prose(text=" ".join(outcome.notes)[:4000]))
    blocks += [tables.grid(outcome), tables.curves(outcome), tables.kinds(outcome)]
    blocks += [
        Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
    ]
    blocks += [tables.classes(outcome)] if outcome.classes else []
    blocks += [tables.texts(outcome)] if outcome.texts else []
    return tuple(blocks)


def _asked(outcome: CorruptionOutcome) -> str:
    return (
        f"{len(outcome.kinds)} corruptions of input of kind {outcome.kind} at severities"
        f" {', '.join(map(str, outcome.severities))}, of the first {outcome.examples} of {outcome.available} examples;"
        f" answers are held against {outcome.against}. An example is corrupted alike at every severity but for the"
        f" strength; {outcome.precision}."
    )


def _measures(outcome: CorruptionOutcome) -> list[Measure]:
    value, drop = tables.WORDS[outcome.reading]
    direction = "higher is better" if outcome.higher_is_better else "lower is better"
    drops = METRICS["corruption_drop"]
    shown = [
        ("Clean", outcome.clean, direction, "Without a corruption."),
        (f"{value}, mean", outcome.mean, direction, "Over all corruptions and severities; 95 % over examples."),
        (f"{drop}, mean", outcome.drop, drops.direction, "Paired by example; 95 % over examples."),
        (
            f"{drop}, worst",
            outcome.worst.drop,
            drops.direction,
            f"{outcome.worst.corruption} at severity {outcome.worst.severity}, chosen for being the worst.",
        ),
    ]
    return [
        Measure(
            label=label,
            number=Number(value=of.value, unit=outcome.unit, low=of.low, high=of.high, n=of.n),
            direction=towards,
            note=note,
        )
        for label, of, towards, note in shown
    ]
