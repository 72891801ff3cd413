"""Does captum, one layer and one example at a time, give the same numbers as the reruns?

captum gets the same points and the same groups. What follows a layer in place would change captum's own tensors (it
fails on layers before `ReLU(inplace=True)`), so here the model goes on with a copy of what captum puts there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from captum.attr import LayerFeatureAblation, LayerIntegratedGradients
from torch import Tensor, nn

from workers.suffix.drops import Fill
from workers.suffix.groups import AlongAxis
from workers.suffix.rerun import Rerun
from workers.sweep.captum_check import Verification
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.ready import Prepared
from workers.sweep.rules import Rule
from workers.sweep.tree import mapped
from workers.sweep.watch import differentiable_recurrence, frozen

Scores = Callable[..., Tensor]
"""Rows of the floating-point inputs, then of the others -> the target of each row."""

_CAPTUM_FAILS = (RuntimeError, AssertionError, TypeError, ValueError, IndexError, AttributeError)


def integrated_gradients(
    ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], *, steps: int, rule: Rule
) -> list[Verification]:
    """By captum's LayerIntegratedGradients. For n points its trapezoid has inner weights of 1 / n, in float32, where
    1 / (n - 1) makes them sum to one; and its points are float32 numbers, so digits beyond the seventh may differ."""
    points = steps if rule == "captum" else steps + 1
    whole = 1.0 if rule == "captum" else 1 / (float(torch.tensor(1 / points)) * steps)

    def theirs(one: Prepared, tap: Tap) -> Tensor:
        layer = dict(one.model.named_modules())[tap.module]
        floating, fixed = parted(one.x)
        start, _ = parted(one.origin)
        made = LayerIntegratedGradients(scores_of(one, layer), layer).attribute(
            floating, start, n_steps=points, additional_forward_args=fixed or None,
            method="gausslegendre" if rule == "captum" else "riemann_trapezoid",
            internal_batch_size=max(1, chunks.points * chunks.examples),
        )  # fmt: skip
        return _only(made).detach() * whole

    return [compared(ready, key, mine, theirs, obstacle) for key, mine in ours.items()]


def ablation(
    ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], groups: Mapping[str, AlongAxis], fill: Fill
) -> list[Verification]:
    """By captum's LayerFeatureAblation, which gives each unit the number of its group."""

    def theirs(one: Prepared, tap: Tap) -> Tensor:
        layer = dict(one.model.named_modules())[tap.module]
        floating, fixed = parted(one.x)
        instead = _at_baseline(one, tap) if fill == "baseline" else fill[tap.key]
        made = LayerFeatureAblation(scores_of(one, layer), layer).attribute(
            floating, instead, layer_mask=_numbered(groups[tap.key]).to(one.device),
            additional_forward_args=fixed or None, perturbations_per_eval=max(1, chunks.points * chunks.examples),
        )  # fmt: skip
        return _only(made)

    return [compared(ready, key, _by_unit(groups[key], mine), theirs, obstacle) for key, mine in ours.items()]


def compared(
    ready: Prepared,
    key: str,
    ours: Tensor,
    theirs: Callable[[Prepared, Tap], Tensor],
    hindered: Callable[[Probe, Tap], str],
) -> Verification:
    """`ours`, (examples, ...), beside what `theirs` makes of each example alone.

    hindered: why captum cannot do this tap, or would give another number without a word; empty where it can.
    """
    tap = ready.probe.tap(key)
    reason = hindered(ready.probe, tap)
    if reason:
        return Verification(key, None, reason)
    try:
        with frozen(ready.model), differentiable_recurrence(ready.model):
            found = torch.cat([theirs(ready.examples(i, i + 1), tap) for i in range(len(ours))]).cpu()
    except _CAPTUM_FAILS as error:
        return Verification(key, None, f"captum failed: {type(error).__name__}: {str(error)[:200]}")
    if found.shape != ours.shape:
        return Verification(key, None, f"captum gave shape {tuple(found.shape)} for {tuple(ours.shape)}")
    scale, gap = float(found.abs().max()), float((ours - found).abs().max())
    return Verification(key, gap / scale if scale > 0 else gap, gap=gap)


def obstacle(probe: Probe, tap: Tap) -> str:
    """Why captum 0.9 cannot rerun from this tap, or does another thing without a word; empty where it can."""
    if tap.calls > 1:
        return f"'{tap.layer}' runs {tap.calls} times and captum replaces what every call gives"
    if tap.positions > 1 or tap.position:
        return f"'{tap.layer}' gives {tap.positions} tensors and captum changes all of them together"
    if tap.layout is None or tap.layout.axis != 0 or tap.layout.factor != 1:
        return f"the first axis of the output of '{tap.layer}' is not the batch, which captum takes it to be"
    return fixed_batch(probe)


def fixed_batch(probe: Probe) -> str:
    """Why captum cannot evaluate a model that takes one batch size only; empty for others."""
    if probe.rows is None:
        return ""
    return f"the model takes exactly {probe.rows} rows and captum sends as many as it evaluates at once"


def parted(tensors: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The floating-point ones, and the others."""
    floating = tuple(each for each in tensors if each.is_floating_point())
    return floating, tuple(each for each in tensors if not each.is_floating_point())


def scores_of(one: Prepared, layer: nn.Module | None = None) -> Scores:
    """The target of one example as captum calls for it. The model goes on with a copy of what `layer` gives."""
    order = [each.is_floating_point() for each in one.x]

    def scores(*rows: Tensor) -> Tensor:
        moving, fixed = iter(rows[: sum(order)]), iter(rows[sum(order) :])
        given = tuple(next(moving) if floats else next(fixed) for floats in order)
        if one.probe.clones_input:
            given = tuple(each.clone() for each in given)
        with _copied(layer):
            return one.target.select(one.model(*given), len(rows[0]))

    return scores


def _only(made: Tensor | tuple[Tensor, ...]) -> Tensor:
    """What captum gives for a layer whose output is a tuple of one tensor is one, too."""
    return made[0] if isinstance(made, tuple) else made


@contextmanager
def _copied(layer: nn.Module | None) -> Iterator[None]:
    if layer is None:
        yield
        return
    handle = layer.register_forward_hook(lambda _layer, _given, output: mapped(output, torch.clone))
    try:
        yield
    finally:
        handle.remove()


def _at_baseline(one: Prepared, tap: Tap) -> Tensor:
    return Rerun(one.model, one.probe).record(one.origin, [tap]).values[tap.key]


def _numbered(groups: AlongAxis) -> Tensor:
    """Each unit's group, (1, units...)."""
    return _by_unit(groups, torch.arange(groups.count).reshape(1, *groups.units))


def _by_unit(groups: AlongAxis, numbers: Tensor) -> Tensor:
    """(examples, groups) -> (examples, units...): each unit has the number of its group."""
    if groups.axis is None:
        return numbers
    along = [1] * len(groups.shape)
    along[groups.axis] = groups.shape[groups.axis]
    return numbers.reshape(len(numbers), *along).expand(len(numbers), *groups.shape)
