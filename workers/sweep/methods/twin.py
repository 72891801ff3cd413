"""Does captum, asked for one tap and one example at a time, give the same numbers?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.sweep.captum_check import Verification, default_of, floating, obstacle, scores_of
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.watch import differentiable_recurrence, frozen

_CAPTUM_FAILS = (RuntimeError, AssertionError, TypeError, ValueError, IndexError, AttributeError)


class NoTwin(Exception):  # an answer, not an error
    """captum has nothing to compare with; the text says why."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class One:
    """One example and one tap, as captum takes them.

    index: the example's place among those compared. forward: floating-point inputs, then the others -> (rows,).
    x, origin: the floating-point inputs and where their paths begin, (1, ...) each. fixed: the other inputs, or None.
    """

    index: int
    ready: Prepared
    tap: Tap
    layer: nn.Module
    forward: Callable[..., Tensor]
    x: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    fixed: tuple[Tensor, ...] | None

    @property
    def argument(self) -> int:
        """Which of the floating-point inputs the tap stands for."""
        position = self.ready.probe.inputs[self.tap.key]
        return sum(each.is_floating_point() for each in self.ready.x[:position])


Theirs = Callable[[One], Tensor]
"""What captum says, (1, units...); raises NoTwin."""


def compared(ready: Prepared, ours: Mapping[str, Tensor], theirs: Theirs) -> list[Verification]:
    """ours: (examples, units...) by tap. For each the largest difference by captum's largest value, or why there is
    none."""
    return [_compared(ready, key, values, theirs) for key, values in ours.items()]


def only(made: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The one tensor that captum gives for a layer."""
    return (made[0] if isinstance(made, tuple) else made).detach()


def _compared(ready: Prepared, key: str, ours: Tensor, theirs: Theirs) -> Verification:
    tap = ready.probe.tap(key)
    reason = "" if key in ready.inputs else obstacle(ready.probe, tap)
    if not reason and ready.probe.rows not in (None, 1):
        reason = f"the model takes exactly {ready.probe.rows} rows and captum sends one"
    if reason:
        return Verification(key, None, reason)
    try:
        each = [_one(ready, tap, i) for i in range(len(ready))]
        with default_of(ready.x), frozen(ready.model), differentiable_recurrence(ready.model):
            said = torch.cat([theirs(one).detach() for one in each]).cpu()
    except NoTwin as nothing:
        return Verification(key, None, str(nothing))
    except _CAPTUM_FAILS as error:
        return Verification(key, None, f"captum failed: {type(error).__name__}: {str(error)[:200]}")
    if said.shape != ours.shape:
        return Verification(key, None, f"captum gave shape {tuple(said.shape)} for {tuple(ours.shape)}")
    scale, gap = float(said.abs().max()), float((ours.cpu() - said).abs().max())
    return Verification(key, gap / scale if scale > 0 else gap, gap=gap)


def _one(ready: Prepared, tap: Tap, index: int) -> One:
    one = ready.examples(index, index + 1)
    fixed = tuple(each for each in one.x if not each.is_floating_point())
    return One(
        index=index, ready=one, tap=tap, layer=dict(ready.model.named_modules())[tap.module],
        forward=scores_of(ready.model, ready.probe, one.target, one.x),
        x=floating(one.x, one.x), origin=floating(one.origin, one.x), fixed=fixed or None,
    )  # fmt: skip
