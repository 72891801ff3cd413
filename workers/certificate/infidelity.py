"""How well does the attribution predict what perturbations of the input do?

Yeh, Hsieh, Suggala, Inouye and Ravikumar, On the (in)fidelity and sensitivity of explanations, arXiv:1901.09392,
definition 2.1: INFD(Φ, F, x) = E_I [(Iᵀ Φ(F, x) - (F(x) - F(x - I)))²].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.draws import stream
from workers.certificate.features import Features, Groups, attributed, distance, obstacle
from workers.certificate.rows import ends, scores
from workers.sweep.ready import Prepared

_NOISE = 0.1


def infidelity(
    ready: Prepared,
    attributions: Mapping[str, Tensor],
    *,
    draws: int,
    seed: int,
    rows: int,
    multiplied: bool = True,
    groups: Groups | None = None,
) -> list[Check]:
    """Two checks: infidelity, and its share of what an attribution of zeros would have.

    draws: perturbations of each example. multiplied: the attribution holds the factor x - x' (False for slopes such as
    saliency). rows: evaluations at once.
    """
    reason = obstacle(ready, attributions)
    if not reason and not any(distance(ready, at) for at in attributed(ready, attributions).values()):
        reason = "every input equals its baseline"
    if reason:
        return [not_applicable(name, reason) for name in ("infidelity", "infidelity_share")]
    predicted: list[Tensor] = []

    def version(draw: int) -> tuple[Tensor, ...]:
        inputs, change = (
            _taken_away(features, len(ready), seed, draw)
            if multiplied
            else _shifted(ready, attributions, seed, draw)
        )  # fmt: skip
        predicted.append(change)
        return inputs

    features = Features(ready, attributions, groups)
    at_x, _ = ends(ready, rows)
    change = at_x - scores(ready, draws, version, rows)
    squared = (torch.stack(predicted) - change).square().mean(0)
    nothing = change.square().mean()
    note = f"{draws} perturbations of each example"
    first = measured("infidelity", squared, note=note)
    if not bool(nothing > 0):
        return [first, not_applicable("infidelity_share", "no perturbation changes the target")]
    return [first, measured("infidelity_share", squared / nothing, note=note)]


def away(seed: int, draw: int, examples: int, features: int) -> Tensor:
    """(examples, features), bool: what one perturbation takes away."""
    return torch.stack([torch.rand(features, generator=stream(seed, f"away {draw}", i)) < 0.5 for i in range(examples)])


def _taken_away(features: Features, examples: int, seed: int, draw: int) -> tuple[tuple[Tensor, ...], Tensor]:
    which = away(seed, draw, examples, features.count)
    return features.taken_away(which), (features.attribution * which).sum(1)


def _shifted(
    ready: Prepared, attributions: Mapping[str, Tensor], seed: int, draw: int
) -> tuple[tuple[Tensor, ...], Tensor]:
    made, predicted = list(ready.x), torch.zeros(len(ready), dtype=torch.float64)
    for key, position in attributed(ready, attributions).items():
        x, spread = ready.x[position], _NOISE * distance(ready, position)
        shape = x.shape[1:]
        noise = torch.stack([
            torch.randn(shape, generator=stream(seed, f"noise {draw} of {key}", i), dtype=torch.float64)
            for i in range(len(ready))
        ])  # fmt: skip
        step = (spread * noise).to(x.dtype)
        made[position] = x - step.to(x.device)
        predicted += (step.double() * attributions[key].cpu().double()).flatten(1).sum(1)
    return tuple(made), predicted
