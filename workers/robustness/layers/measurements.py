"""Which numbers of where an attack lands are kept in history?"""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.outcome import Measurement
from workers.robustness.layers.outcome import LayerReport, Median, RobustnessLayersOutcome

METRIC_NAMES = ("attack_success", "adversarial_displacement", "layer_gain", "latent_budget", "probe_flips")


def measurements(outcome: RobustnessLayersOutcome) -> tuple[Measurement, ...]:
    """How many the attack broke; by layer what is known of it."""
    return (*_success(outcome), *(point for layer in outcome.layers for point in _layer(outcome, layer)))


def _success(outcome: RobustnessLayersOutcome) -> Iterator[Measurement]:
    if outcome.robust is not None and outcome.clean is not None and outcome.clean.value > 0:
        right = round(outcome.clean.value * outcome.clean.n)
        yield Measurement(
            metric="attack_success", epsilon=outcome.epsilon, facets=_facets(outcome), value=outcome.broken / right,
            n=right,
        )  # fmt: skip


def _facets(outcome: RobustnessLayersOutcome) -> dict[str, str]:
    return {"norm": outcome.norm, "unit": outcome.unit[:128]}


def _layer(outcome: RobustnessLayersOutcome, layer: LayerReport) -> Iterator[Measurement]:
    for metric, median in (("adversarial_displacement", layer.ratio), ("layer_gain", layer.gain)):
        if median is not None:
            yield _of_median(outcome, layer, metric, median)
    name, place = _place(layer)
    if layer.latent is not None and layer.latent.rho50 is not None:
        known = layer.latent.low is not None and layer.latent.high is not None
        yield Measurement(
            metric="latent_budget", layer=name, facets={"norm": "l2", **place}, value=layer.latent.rho50,
            low=layer.latent.low if known else None, high=layer.latent.high if known else None, n=layer.latent.n,
        )  # fmt: skip
    if layer.probe is not None and layer.probe.flips is not None:
        flips = layer.probe.flips
        yield Measurement(
            metric="probe_flips", layer=name, epsilon=outcome.epsilon, facets={**_facets(outcome), **place},
            value=flips.value, low=flips.low, high=flips.high, n=flips.n,
        )  # fmt: skip


def _of_median(outcome: RobustnessLayersOutcome, layer: LayerReport, metric: str, median: Median) -> Measurement:
    name, place = _place(layer)
    return Measurement(
        metric=metric, layer=name, epsilon=outcome.epsilon, facets={**_facets(outcome), **place}, value=median.value,
        low=median.low, high=median.high, n=median.n,
    )  # fmt: skip


def _place(layer: LayerReport) -> tuple[str, dict[str, str]]:
    """A layer that gives several tensors is told apart by a facet."""
    name, _, place = layer.key.partition(":")
    return name, {"output": place} if place else {}
