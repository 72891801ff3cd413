"""Does captum, asked for one tap and one example at a time, give the same numbers?

captum takes its points and weights in torch's default type, which is float32: seven digits of a float64 result. Here
the default is the type of the examples while captum works, and what it was while the network does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.sweep.captum_check import Verification, floating, obstacle, scores_of
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
    tap, usual = ready.probe.tap(key), torch.get_default_dtype()
    reason = "" if key in ready.inputs else obstacle(ready.probe, tap)
    if not reason and ready.probe.rows not in (None, 1):
        reason = f"the model takes exactly {ready.probe.rows} rows and captum sends one"
    if reason:
        return Verification(key, None, reason)
    try:
        with _default(_type(ready)), frozen(ready.model), differentiable_recurrence(ready.model):
            said = torch.cat([theirs(_one(ready, tap, i, usual)).detach() for i in range(len(ready))]).cpu()
    except NoTwin as nothing:
        return Verification(key, None, str(nothing))
    except _CAPTUM_FAILS as error:
        return Verification(key, None, f"captum failed: {type(error).__name__}: {str(error)[:200]}")
    if said.shape != ours.shape:
        return Verification(key, None, f"captum gave shape {tuple(said.shape)} for {tuple(ours.shape)}")
    scale, gap = float(said.abs().max()), float((ours.cpu() - said).abs().max())
    return Verification(key, gap / scale if scale > 0 else gap)


def _one(ready: Prepared, tap: Tap, index: int, usual: torch.dtype) -> One:
    one = ready.examples(index, index + 1)
    scores = scores_of(ready.model, ready.probe, one.target, one.x)

    def forward(*rows: Tensor) -> Tensor:
        with _default(usual):
            return scores(*rows)

    fixed = tuple(each for each in one.x if not each.is_floating_point())
    return One(
        index=index, ready=one, tap=tap, layer=dict(ready.model.named_modules())[tap.module], forward=forward,
        x=floating(one.x, one.x), origin=floating(one.origin, one.x), fixed=fixed or None,
    )  # fmt: skip


def _type(ready: Prepared) -> torch.dtype:
    return next(each.dtype for each in ready.x if each.is_floating_point())


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
