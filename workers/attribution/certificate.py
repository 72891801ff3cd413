"""How thoroughly is an attribution checked, with what, and what does that take?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from workers.attribution.agreement import EVALUATIONS, compared
from workers.attribution.outcome import Certified, Randomised
from workers.attribution.parameters import AttributionParameters, baseline_of, tolerance_of
from workers.attribution.spec import Attribution
from workers.certificate.certify import Effort, certify
from workers.certificate.checks import Certificate, Check, not_applicable
from workers.certificate.features import Groups
from workers.certificate.spread import spread, standard_errors
from workers.certificate.sums import unit_conductance
from workers.occlusion.kernel_shap import KernelShap
from workers.sweep.completeness import Endpoints
from workers.sweep.method import Explain, Method
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.methods.unit_sums import UnitEnds
from workers.sweep.methods.within import ConductanceWithin, IntegratedGradientsWithin
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep

_EFFORTS = {"quick": Effort(stages=2, shufflings=2, neighbours=4, perturbations=20), "full": Effort()}
_FORWARD = 0.4
"""What an evaluation takes, as a share of one with its backward pass."""

_VARIANTS = 4
"""Attributions that are held at once while baselines are compared: the one presented and three others."""

_BY_TAKING_AWAY = ("deletion", "insertion", "infidelity", "infidelity_share")
_BY_OTHER_UNITS = (
    "it speaks of the chosen units alone, and taking a part of the input away moves the target through all others too"
)

Told = Callable[[float, str], None]
Kind = Attribution[AttributionParameters]


@dataclass(frozen=True, slots=True)
class Extra:
    """What a certificate takes: examples attributed, rows evaluated, and whole attributions held at once."""

    examples: int
    rows: int
    held: int


def extra(kind: Kind, parameters: AttributionParameters, n: int) -> Extra:
    """Counts for `n` examples of the data."""
    if parameters.certificate == "none":
        return Extra(0, 0, 0)
    effort, k, inputs = (
        _EFFORTS[parameters.certificate],
        min(n, parameters.certificate_examples),
        kind.places == "inputs",
    )
    based = baseline_of(parameters) is not None and k > 1
    times = effort.explained(inputs=inputs, baseline=based) + kind.draws + (kind.name == "kernel_shap")
    rows = int(_FORWARD * k * effort.evaluated(inputs=inputs, baseline=based)) + k * EVALUATIONS
    return Extra(times * k, rows, 2 + max(effort.shufflings, _VARIANTS if based else 1))


def certificate(
    kind: Kind,
    parameters: AttributionParameters,
    method: Method,
    few: Prepared,
    presented: Mapping[str, Tensor],
    ends: Endpoints,
    *,
    keys: tuple[str, ...],
    channels: Mapping[str, int],
    embedded: tuple[str, ...],
    seed: int,
    memory_bytes: int,
    threads: int,
    told: Told,
) -> Certified:
    """The checks of the attributions `presented` of the examples `few`, which are the first of those analysed.

    ends: of all examples analysed. keys: all taps that the analysis computes. channels: the axis, in one example, of
    an input's channels or of the numbers of an embedding, by the input's tap. embedded: the inputs' taps that are
    embeddings.
    """
    places = tuple(presented)
    explain = _explain(method, keys, places, memory_bytes, threads, seed)
    made = certify(
        few, explain, presented, seed=seed,
        claimed=[key for key in places if method.complete(few, few.probe.tap(key))], tolerance=tolerance_of(parameters),
        multiplied=kind.multiplied, baseline=baseline_of(parameters) is not None, seeded=kind.draws,
        groups=_features(few, places, channels), embedded=embedded,
        effort=_EFFORTS[parameters.certificate], on_check=told,
    )  # fmt: skip
    checks = [_meant(kind, method, check) for check in made.certificate.checks]
    if isinstance(method, NeuronConductance) and isinstance(ends, UnitEnds):
        checks.append(unit_conductance(ends.first(len(few)), method.chosen, tolerance=tolerance_of(parameters)))
    if kind.draws:
        other = _explain(method, keys, places, memory_bytes, threads, seed ^ 1)
        checks += spread("seeds", [presented, other(few)])
    if isinstance(method, KernelShap):
        drawn = method.standard_errors(few, method.plan(few, memory_bytes, threads, keys), seed)
        checks += standard_errors({key: each for key, each in drawn.items() if key in presented}, presented)
    return Certified(
        certificate=Certificate.of(checks),
        stages=tuple(Randomised(share=each.share, correlations=dict(each.correlations)) for each in made.stages),
        places=places,
        examples=len(few),
        compared=compared(method, kind.places, few, presented, memory_bytes, threads),
    )


def _meant(kind: Kind, method: Method, check: Check) -> Check:
    """The check, unless it asks of the method what it does not claim."""
    if isinstance(method, NeuronConductance) and check.name in _BY_TAKING_AWAY:
        return not_applicable(check.name, _BY_OTHER_UNITS, check.place)
    if kind.slope and check.name in ("deletion", "insertion"):
        return not_applicable(check.name, "a slope does not say what taking a part away does", check.place)
    partly = kind.places == "layers" and (kind.slope or not kind.severed)
    if partly and check.name == "parameter_randomisation":
        what = "slope" if kind.slope else "value"
        return not_applicable(check.name, f"a {what} of a layer depends on one side of it alone", check.place)
    return check


def _explain(
    method: Method, keys: tuple[str, ...], places: tuple[str, ...], memory_bytes: int, threads: int, seed: int
) -> Explain:
    """The attributions at `places`. A method that chooses its steps by what it is asked about is asked about all."""
    asked = keys if isinstance(method, ConductanceWithin | IntegratedGradientsWithin) else places

    def explained(ready: Prepared) -> dict[str, Tensor]:
        chunks, kept = method.plan(ready, memory_bytes, threads, asked), Keep(places)
        method.attribute(ready, chunks, [kept], None, seed)
        return {key: kept.of(key) for key in places}

    return explained


def _features(few: Prepared, places: tuple[str, ...], channels: Mapping[str, int]) -> Groups | None:
    """The channels of a pixel, and the numbers of a token's embedding, go together: alone they are no feature."""
    shapes = {key: few.x[position].shape[1:] for key, position in few.probe.inputs.items() if key in places}
    if not shapes or all(len(shape) == 1 for shape in shapes.values()):
        return None
    made, offset = {}, 0
    for key, shape in shapes.items():
        kept = [side for axis, side in enumerate(shape) if axis != channels[key] or len(shape) == 1]
        numbers = torch.arange(prod(kept)).reshape(kept)
        if len(kept) < len(shape):
            numbers = numbers.unsqueeze(channels[key])
        made[key] = offset + numbers.expand(shape).contiguous()
        offset += prod(kept)
    return made
