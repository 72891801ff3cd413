"""How thoroughly is an attribution checked, with what, and what does that take?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.attribution.outcome import Certified, Randomised
from workers.attribution.parameters import AttributionParameters, baseline_of, tolerance_of
from workers.attribution.spec import Attribution
from workers.certificate.certify import Effort, certify
from workers.certificate.checks import Certificate
from workers.certificate.features import Groups
from workers.certificate.spread import spread
from workers.sweep.method import Method, explain
from workers.sweep.ready import Prepared

_QUICK = Effort(stages=2, shufflings=2, neighbours=4, perturbations=20)
_FULL = Effort()
_BASELINES = 3
"""Other baselines that a certificate tries: mean, midpoint and noise."""

_FORWARD = 0.4
"""What an evaluation takes, as a share of one with its backward pass."""

Told = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Extra:
    """What a certificate takes: examples attributed, rows evaluated, and whole attributions held at once."""

    examples: int
    rows: int
    held: int


def extra(kind: Attribution[AttributionParameters], parameters: AttributionParameters, n: int) -> Extra:
    """Counts for `n` examples of the data."""
    if parameters.certificate == "none":
        return Extra(0, 0, 0)
    effort, k = _effort(kind, parameters, n), min(n, parameters.certificate_examples)
    baselines = _BASELINES if baseline_of(parameters) is not None and k > 1 else 0
    times = 1 + effort.stages + effort.shufflings - 1 + baselines + kind.draws
    rows = 0
    if kind.places == "inputs":
        times += effort.neighbours
        rows = k * (effort.steps * (effort.orders + 2) + effort.perturbations)
    return Extra(times * k, int(_FORWARD * rows), 2 + max(effort.shufflings, baselines + 1))


def certificate(
    kind: Attribution[AttributionParameters],
    parameters: AttributionParameters,
    method: Method,
    few: Prepared,
    presented: Mapping[str, Tensor],
    *,
    seed: int,
    memory_bytes: int,
    threads: int,
    told: Told,
) -> Certified:
    """The checks of the attributions `presented` of the examples `few`, which are the first of those analysed."""
    places = tuple(presented)
    explained = explain(method, places, memory_bytes, threads, seed)
    made = certify(
        few, explained, presented, seed=seed,
        claimed=[key for key in places if method.complete(few, few.probe.tap(key))], tolerance=tolerance_of(parameters),
        multiplied=kind.multiplied, baseline=baseline_of(parameters) is not None, groups=_features(few, places),
        effort=_effort(kind, parameters, len(few)), on_check=told,
    )  # fmt: skip
    checks = list(made.certificate.checks)
    if kind.draws:
        other = explain(method, places, memory_bytes, threads, seed ^ 1)
        checks += spread("seeds", [presented, other(few)])
    return Certified(
        certificate=Certificate.of(checks),
        stages=tuple(Randomised(share=each.share, correlations=dict(each.correlations)) for each in made.stages),
        places=places,
        examples=len(few),
    )


def _effort(kind: Attribution[AttributionParameters], parameters: AttributionParameters, n: int) -> Effort:
    chosen = _FULL if parameters.certificate == "full" else _QUICK
    if not kind.draws:
        return chosen
    # draws go by an example's place, so that neighbours are taken one of each example at a time
    together = min(n, parameters.certificate_examples)
    return Effort(
        stages=chosen.stages, shufflings=chosen.shufflings, neighbours=chosen.neighbours,
        perturbations=chosen.perturbations, steps=chosen.steps, orders=chosen.orders, rows=together,
    )  # fmt: skip


def _features(few: Prepared, places: tuple[str, ...]) -> Groups | None:
    """The channels of a pixel, and the numbers of a token's embedding, go together: alone they are no feature."""
    shapes = {key: few.x[position].shape[1:] for key, position in few.probe.inputs.items() if key in places}
    if not shapes or all(len(shape) == 1 for shape in shapes.values()):
        return None
    made, offset = {}, 0
    for key, shape in shapes.items():
        kept = shape[1:] if len(shape) == 3 else shape[:1]
        count = int(torch.tensor(kept).prod()) if len(shape) > 1 else shape[0]
        numbers = offset + torch.arange(count)
        if len(shape) == 1:
            made[key] = numbers
        elif len(shape) == 3:
            made[key] = numbers.reshape(1, *kept).expand(shape).contiguous()
        else:
            made[key] = numbers.reshape(-1, *[1] * (len(shape) - 1)).expand(shape).contiguous()
        offset += count
    return made
