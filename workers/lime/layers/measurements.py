"""Which numbers of LIME over layers are kept in history?"""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.outcome import Measurement
from workers.lime.layers.outcome import Depth, LayersOutcome
from workers.lime.outcome import Average
from workers.numerics.intervals import mean_t, wilson

METRIC_NAMES = ("lime_layer_held_out", "lime_layer_legible", "lime_layer_shared", "lime_visible", "lime_lost")


def measurements(outcome: LayersOutcome) -> tuple[Measurement, ...]:
    """One point per layer, reading and metric; where the decision is visible; samples lost."""
    return (*_layers(outcome), *_visible(outcome), _lost(outcome))


def _layers(outcome: LayersOutcome) -> Iterator[Measurement]:
    for each in outcome.depths:
        total = len({at.index for at in outcome.at if at.key == each.key and at.reading == each.reading})
        legible = wilson(each.legible, total)
        yield _point(outcome, each, "lime_layer_legible", Average.of(legible))
        if each.held_out is not None:
            yield _point(outcome, each, "lime_layer_held_out", each.held_out)
        if each.shared is not None:
            yield _point(outcome, each, "lime_layer_shared", each.shared)


def _point(outcome: LayersOutcome, depth: Depth, metric: str, found: Average) -> Measurement:
    layer, _, place = depth.key.partition(":")
    facets = {"reading": depth.reading[:128], **({"output": place} if place else {})}
    return Measurement(
        metric=metric, layer=layer, target=outcome.target[:128], facets=facets, value=found.value, low=found.low,
        high=found.high, n=found.n,
    )  # fmt: skip


def _visible(outcome: LayersOutcome) -> Iterator[Measurement]:
    known = [each.depth for each in outcome.visible if each.depth is not None]
    if known:
        mean = mean_t(known)
        yield Measurement(
            metric="lime_visible", target=outcome.target[:128], facets={}, value=mean.value, low=mean.low,
            high=mean.high, n=mean.n,
        )  # fmt: skip


def _lost(outcome: LayersOutcome) -> Measurement:
    drawn = sum(each.samples for each in outcome.explained)
    lost = sum(each.lost for each in outcome.explained)
    return Measurement(metric="lime_lost", facets={}, value=lost / drawn, n=drawn)
