"""Does captum, one example at a time, give the same numbers for parts of the input?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from captum.attr import KernelShap, Occlusion
from torch import Tensor

from workers.occlusion.parts import Parts
from workers.occlusion.shapley import Coalitions
from workers.occlusion.windows import Windows
from workers.suffix.against_captum import compared, fixed_batch, parted, scores_of
from workers.sweep.captum_check import Verification
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.ready import Prepared

_MOST_INPUTS = 2
"""captum 0.9 counts the windows of the inputs before one as their product; that is their sum for two inputs only."""

_ENDS_WEIGHT = 1e6
"""captum's own, beside other weights of 1 in the mean: it weighs the empty and the full coalition where here they bind
the fit. It fits in float32, so that no larger weight comes closer: about five digits agree."""


def occlusion(
    ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], windows: Mapping[str, Windows]
) -> list[Verification]:
    """By captum's Occlusion, which with its own weights would round its means to float32: it gives sums, over counts
    taken here. An input without windows is hidden whole, and not compared."""
    floating = {key: position for key, position in ready.probe.inputs.items() if ready.x[position].is_floating_point()}
    whole = {key: windows.get(key, _whole(ready.probe.tap(key).shape)) for key in floating}

    def hindered(probe: Probe, _tap: Tap) -> str:
        if len(floating) > _MOST_INPUTS:
            return f"captum mixes up the windows of {len(floating)} inputs; it is right for {_MOST_INPUTS}"
        return fixed_batch(probe)

    def theirs(one: Prepared, tap: Tap) -> Tensor:
        moving, fixed = parted(one.x)
        method = Occlusion(scores_of(one))
        method.use_weights = False
        made: tuple[Tensor, ...] = method.attribute(
            moving, tuple(each.size for each in whole.values()), tuple(each.stride for each in whole.values()),
            parted(one.origin)[0], additional_forward_args=fixed or None,
            perturbations_per_eval=max(1, chunks.points * chunks.examples),
        )  # fmt: skip
        return made[list(whole).index(tap.key)] / whole[tap.key].covered().to(one.device)

    return [compared(ready, key, mine, theirs, hindered) for key, mine in ours.items()]


def kernel_shap(
    ready: Prepared, ours: Mapping[str, Tensor], parts: Parts, drawn: Sequence[Coalitions]
) -> list[Verification]:
    """By captum's KernelShap, which fits the same coalitions with the same weights; drawn: for each example."""
    examples = iter(drawn)

    def theirs(one: Prepared, tap: Tap) -> Tensor:
        values = _fitted(one, parts, next(examples))
        return parts.spread(tap.key, values.to(one.device))

    checks = []
    for key, mine in ours.items():
        examples = iter(drawn)
        checks.append(compared(ready, key, mine, theirs, lambda probe, _tap: fixed_batch(probe)))
    return checks


def _fitted(one: Prepared, parts: Parts, coalitions: Coalitions) -> Tensor:
    """(1, players)."""
    weights = coalitions.weights / coalitions.weights.mean()
    order = iter(torch.cat([weights.new_full((2,), _ENDS_WEIGHT), weights]))

    def play(_given: Any, **_settings: Any) -> Iterator[Tensor]:
        yield torch.ones(1, parts.count, dtype=torch.int64)
        yield torch.zeros(1, parts.count, dtype=torch.int64)
        for members in coalitions.members:
            yield members[None].long()

    def weigh(*_given: Any, **_settings: Any) -> Tensor:
        return torch.stack([next(order)])

    moving, fixed = parted(one.x)
    masks = [torch.zeros(1, *[1] * (each.ndim - 1), dtype=torch.int64) for each in moving]
    for key, position in parts.positions.items():
        at = sum(each.is_floating_point() for each in one.x[:position])
        masks[at] = parts.numbers[key][None]
    method = KernelShap(scores_of(one))
    method.perturb_func, method.similarity_func = play, weigh
    made: Tensor = method.attribute(
        moving, parted(one.origin)[0], feature_mask=tuple(masks), additional_forward_args=fixed or None,
        n_samples=2 + len(coalitions.members), return_input_shape=False,
    )  # fmt: skip
    return made.reshape(1, -1).to(torch.float64)


def _whole(shape: tuple[int, ...]) -> Windows:
    return Windows(shape, shape, shape)
