"""Does captum's LayerDeepLift, one layer and one example at a time, give the same numbers?

It has rules for modules of a few types, each run once. What it has none for it multiplies by the derivative without a
word, and its rules for softmax and for windows that overlap do not add up: there the reason is given instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from captum.attr import LayerDeepLift
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn

from workers.rescale.survey import Ran, survey
from workers.sweep.captum_check import Verification
from workers.sweep.probe import Probe, Tap
from workers.sweep.ready import Prepared
from workers.sweep.watch import differentiable_recurrence, frozen

_FAILURES = (RuntimeError, AssertionError, TypeError, ValueError, IndexError, AttributeError)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def verify(ready: Prepared, ours: Mapping[str, Tensor]) -> list[Verification]:
    """ours: (examples, ...) by tap, of all examples of `ready`; a few are enough."""
    return [_compared(ready, key, each) for key, each in ours.items()]


def _compared(ready: Prepared, key: str, ours: Tensor) -> Verification:
    tap = ready.probe.tap(key)
    reason = _place(ready.probe, tap) or _rules(ready, tap)
    if reason:
        return Verification(key, None, reason)
    try:
        theirs = torch.cat([_captum(ready.examples(i, i + 1), tap) for i in range(len(ours))]).cpu()
    except _FAILURES as error:
        return Verification(key, None, f"captum failed: {type(error).__name__}: {str(error)[:200]}")
    if theirs.shape != ours.shape:
        return Verification(key, None, f"captum gave shape {tuple(theirs.shape)} for {tuple(ours.shape)}")
    scale, gap = float(theirs.abs().max()), float((ours - theirs).abs().max())
    return Verification(key, gap / scale if scale > 0 else gap, gap=gap)


def _place(probe: Probe, tap: Tap) -> str:
    """Why captum cannot take this tap; empty where it can."""
    if tap.calls > 1:
        return f"'{tap.layer}' runs {tap.calls} times and captum keeps only its last call"
    if tap.positions > 1 or tap.position:
        return f"'{tap.layer}' gives {tap.positions} tensors and captum takes layers that give one"
    if tap.layout is None or tap.layout.axis != 0 or tap.layout.factor != 1:
        return f"the first axis of the output of '{tap.layer}' is not the batch, which captum takes it to be"
    if probe.rows is not None:
        return f"the model takes exactly {probe.rows} rows and captum sends two for each example"
    return ""


def _rules(ready: Prepared, tap: Tap) -> str:
    """Why captum would have another number without a word; empty where it has the same rules."""
    modules = dict(ready.model.named_modules())
    calls = survey(ready).calls.get(ready.probe.own(tap).key, ())
    for call in calls:
        runs = sum((each.module, each.name) == (call.module, call.name) for each in calls)
        reason = _rule(call, modules.get(call.module))
        if reason:
            return reason
        if runs > 1:
            return f"'{call.module}' runs {runs} times, which captum cannot follow"
        if any(each.module == call.follows for each in calls):
            return f"captum loses the rule of '{call.module}', which follows '{call.follows}' at once"
    return ""


def _rule(call: Ran, module: nn.Module | None) -> str:
    if type(module) not in SUPPORTED_NON_LINEAR:
        return f"captum has no rule for aten.{call.name} in '{call.module}' and takes its derivative"
    if isinstance(module, nn.Softmax):
        return f"captum's rule for the softmax '{call.module}' does not add up"
    if isinstance(module, _POOLS) and _overlaps(module):
        return f"the windows of '{call.module}' overlap, and captum keeps one of several contributions"
    if call.shared:
        return f"captum forgets whatever else reads the input of '{call.module}'"
    return ""


def _overlaps(pool: nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) -> bool:
    sizes, steps, spread = (_each(value) for value in (pool.kernel_size, pool.stride, pool.dilation))
    return any(size > step or apart > 1 for size, step, apart in zip(sizes, steps, spread, strict=True))


def _each(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * 3


class _Scores(nn.Module):
    """The target of each row; floating-point inputs come first."""

    def __init__(self, one: Prepared) -> None:
        super().__init__()
        self.model, self._one = one.model, one
        self._floats = [each.is_floating_point() for each in one.x]

    def forward(self, *rows: Tensor) -> Tensor:
        """(rows,)."""
        moving, fixed = iter(rows[: sum(self._floats)]), iter(rows[sum(self._floats) :])
        given = tuple(next(moving).detach().requires_grad_() if floats else next(fixed) for floats in self._floats)
        if self._one.probe.clones_input:
            given = tuple(each.clone() for each in given)
        return self._one.target.select(self.model(*given), len(rows[0]))


def _captum(one: Prepared, tap: Tap) -> Tensor:
    layer = dict(one.model.named_modules())[tap.module]
    pairs = [(x, b) for x, b in zip(one.x, one.origin, strict=True) if x.is_floating_point()]
    fixed = tuple(each for each in one.x if not each.is_floating_point())
    with frozen(one.model), differentiable_recurrence(one.model):
        try:
            made = LayerDeepLift(_Scores(one), layer).attribute(
                tuple(x for x, _ in pairs), tuple(b for _, b in pairs), additional_forward_args=fixed or None
            )
        finally:
            _cleaned(one.model)
    found: Tensor = made[0] if isinstance(made, tuple) else made
    return found.detach()


def _cleaned(model: nn.Module) -> None:
    """Takes away what captum leaves on modules that its backward pass did not reach."""
    for module in model.modules():
        if type(module) in SUPPORTED_NON_LINEAR:
            for name in ("input", "output"):
                vars(module).pop(name, None)
