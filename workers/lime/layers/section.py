"""What does a reader see of LIME over layers: where it is decided, what drives each layer, and how far that holds?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section
from service.contracts.vocabulary import METRICS
from workers.lime.layers import tables
from workers.lime.layers.outcome import LayersOutcome
from workers.numerics.intervals import mean_t

TITLE = "LIME through the layers"
QUESTION = "Which parts of the input drive each layer, and from which layer on is the decision visible?"
SOURCE = (
    "Ribeiro, Singh and Guestrin 2016, arXiv:1602.04938, section 3; the gradient as a layer's direction as in Kim et"
    " al. 2018, arXiv:1711.11279, section 3"
)
LIMITS = (
    "The direction is the target's gradient at the example: what a layer holds of the decision otherwise is not seen.",
    "A layer that rests on a part of the input need not be used for it: the output may read something else of it.",
    "Norms and activations of different layers are in units of their own; only directions share the target's.",
    "A surrogate tells how a layer answers samples made from one example, which may look like no data.",
    "Intervals are about drawing other samples in the same way, and not about drawing them otherwise.",
    "Another replacement for what is left out, other features or another kernel width give other coefficients.",
)
_SHOWN = 4


def section(outcome: LayersOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: LayersOutcome) -> str:
    of = outcome.visible
    known = [each.depth for each in of if each.depth is not None]
    if known:
        mean = mean_t(known)
        first = next(each for each in of if each.key is not None)
        text = (
            f"The decision is visible from {_percent(mean.value)} of the depth on, in the mean over {len(known)} of"
            f" {len(outcome.explained)} examples (in example {first.index} from {first.key}): every layer from there on"
            f" rests on the {outcome.noun}s that the output rests on."
        )
    elif of:
        text = f"Where the decision becomes visible is not told: {of[0].because}."
    else:
        legible = sum(outcome.of(each).legible for each in outcome.at)
        text = f"{legible} of {len(outcome.at)} surrogates of layers may be read: see what each rests on."
    doubt = next((each.meaning for each in outcome.findings if each.severity != "note"), "")
    return f"{doubt} {text}".strip()[:4000]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _blocks(outcome: LayersOutcome) -> tuple[Block, ...]:
    blocks: list[Block] = [Prose(text=_asked(outcome)), *_measures(outcome)]
    notes = [f"Example {each.index}: {note}" for each in outcome.explained for note in each.notes]
    if notes:
        blocks.append(Prose(text=" ".join(notes)[:4000]))
    blocks += _pictures(outcome, None)
    if outcome.visible:
        blocks.append(tables.visible(outcome))
    blocks += tables.by_depth(outcome)
    for example in outcome.explained[:_SHOWN]:
        blocks += _pictures(outcome, example.index)
        drawn = tables.heat(outcome, example, outcome.leading) if outcome.leading else None
        blocks += [] if drawn is None else [drawn]
        blocks.append(tables.layers(outcome, example))
    return tuple(blocks)


def _pictures(outcome: LayersOutcome, index: int | None) -> list[Block]:
    return [
        Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
        if each.index == index
    ]


def _asked(outcome: LayersOutcome) -> str:
    settings, first = outcome.settings, outcome.explained[0]
    mirrored = ", every second the mirror image of the one before" if settings["paired"] else ""
    return (
        f"Target: {outcome.target} ({outcome.unit}). Read of {len(outcome.layers)} layers:"
        f" {', '.join(outcome.readings)}. {settings['samples']} samples around each of the first {outcome.examples} of"
        f" {outcome.available} examples{mirrored}; each runs through the network once and is read at every layer."
        f" {outcome.absent[:1].upper()}{outcome.absent[1:]} stands for a {outcome.noun} that is absent. Kernel width"
        f" {first.kernel_width:.4g}; up to {settings['features']} {outcome.noun}s kept by"
        f" {str(settings['selection']).replace('_', ' ')}, ridge {settings['alpha']:g}; {outcome.precision}."
    )[:4000]


def _measures(outcome: LayersOutcome) -> list[Measure]:
    known = [each.depth for each in outcome.visible if each.depth is not None]
    if not known:
        return []
    mean = mean_t(known)
    return [
        Measure(
            label="Depth at which the decision is visible",
            number=Number(value=mean.value, unit=METRICS["lime_visible"].unit, low=mean.low, high=mean.high, n=mean.n),
            note="Mean over the examples in which it is told, 95 % Student's t; 1 is the last layer alone.",
        )
    ]
