"""Which figures show an attribution?"""

from __future__ import annotations

import torch

from service.contracts.section import Bar, Bars, Block, Column, Heat, Lines, Number, Point, Table, Word
from workers.attribution import tables
from workers.attribution.outcome import Along, Attributed, AttributionOutcome, Average, Certified
from workers.attribution.parameters import AttributionParameters
from workers.attribution.spec import Attribution
from workers.numerics.intervals import Interval
from workers.pictures.figures import layer_agreement, layer_share, time_map, token_map
from workers.pictures.layers import LayerLine
from workers.sweep.depth import AtDepth, Depth

Kind = Attribution[AttributionParameters]
_MOST_BARS = 60


def totals(kind: Kind, outcome: AttributionOutcome) -> Bars:
    """Absolute totals, from input to output."""
    place = kind.places.removesuffix("s")
    leaves = [each for each in outcome.own if not each.container] or list(outcome.own)
    shown = sorted(leaves, key=lambda each: -each.absolute_total.value)[:_MOST_BARS]
    return Bars(
        title=f"Absolute {kind.noun} by {place}" + (", from input to output" if place == "layer" else ""),
        value_title=f"Absolute {kind.noun}",
        unit=outcome.unit,
        bars=tuple(_bar(each) for each in leaves if each in shown),
        table=tables.totals(kind, outcome),
        caption=f"Sum of magnitudes over the units of a {place}, mean over {outcome.examples} examples; whiskers: 95 %"
        " intervals over examples."
        + (f" The {_MOST_BARS} largest of {len(leaves)} {place}s." if len(leaves) > _MOST_BARS else ""),
    )


def _bar(each: Attributed) -> Bar:
    total = each.absolute_total
    return Bar(label=each.key, value=total.value, low=total.low, high=total.high)


def depths(outcome: AttributionOutcome) -> list[Block]:
    """Share and agreement by layer, as far as they are defined."""
    if outcome.places == "inputs" or len(outcome.own) < 2:
        return []
    found = _depth(outcome)
    made: list[Block] = []
    if any(each.share is not None and not each.cut for each in found.layers):
        made.append(layer_share(found))
    if any(each.agreement is not None for each in found.layers):
        made.append(layer_agreement(found))
    return made


def _depth(outcome: AttributionOutcome) -> Depth:
    layers = tuple(
        AtDepth(each.key, each.cut, _interval(each.share), _interval(each.agreement))
        for each in outcome.own
        if each.share is not None or each.agreement is not None
    )
    return Depth(layers, outcome.decided, outcome.surely_decided, outcome.depth_reasons)


def _interval(average: Average | None) -> Interval | None:
    if average is None:
        return None
    return Interval(average.value, average.low, average.high, average.n, 0.95, average.interval)


def along(kind: Kind, outcome: AttributionOutcome, found: Along) -> Heat:
    """The map of the first example by token or time step."""
    lines = [LayerLine(line.key, torch.tensor(line.values, dtype=torch.float64)) for line in found.lines]
    of = f"{tables.title(kind)} of the first example, summed over all other axes."
    if found.along == "token":
        return token_map(found.labels, lines, outcome.unit, of)
    return time_map(len(found.lines[0].values), lines, outcome.unit, of)


def randomisation(found: Certified) -> Lines:
    """How the attributions lose their ranking while parameters are shuffled from the output downwards."""
    points = [
        Point(x=stage.share, y=value, series=key[:128])
        for stage in found.stages
        for key, value in stage.correlations.items()
    ]
    return Lines(
        title="What is left of the ranking while parameters are shuffled",
        x_title="Share of all parameters shuffled, from the output downwards",
        y_title="Rank correlation with the attributions presented",
        points=tuple([Point(x=0.0, y=1.0, series=place[:128]) for place in found.places] + points),
        table=Table(
            title="Rank correlation by share of parameters shuffled",
            columns=(
                Column(title="Place"), Column(title="Share shuffled", align="right"),
                Column(title="Rank correlation", align="right"),
            ),
            rows=tuple(
                (Word(value=point.series), Number(value=point.x), Number(value=point.y)) for point in points
            ),
        ),
        caption="An attribution that depends on what was learnt falls towards what inputs and architecture alone make"
        f" alike. Mean over {found.examples} examples.",
    )  # fmt: skip
