"""Does captum, layer by layer, give the same numbers as the sweep?

captum's LayerConductance sums left differences. At Gauss-Legendre nodes that is the rule `captum` itself. The rule
`trapezoid` follows from two of its runs at equally spaced nodes, A from x' to x and B from x to x': the left ends of
the way back are the right ends of the way there and the differences change sign, so the trapezoid sum is (A - B) / 2.

captum takes its points and weights in torch's default type, which is float32: seven digits of a float64 result. Here
the default is the type of the examples while captum works, and what it was while the network does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from workers.numerics.determinism import seed_for
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.rules import Rule
from workers.sweep.target import Target
from workers.sweep.watch import differentiable_recurrence, frozen


@dataclass(frozen=True, slots=True)
class Verification:
    """One layer against captum. difference: max |ours - captum's| / max |captum's|, or None and the reason why not.

    gap: max |ours - captum's|, in the unit of the attributions: where those cancel to rounding it is all that counts.
    """

    layer: str
    difference: float | None
    reason: str = ""
    gap: float = 0.0

    @property
    def applicable(self) -> bool:
        return self.difference is not None


def drawn(keys: Sequence[str], n: int, seed: int) -> tuple[str, ...]:
    """`n` of `keys`, or all, drawn with `seed`; in their own order."""
    order = sorted(range(len(keys)), key=lambda i: seed_for(str(seed), i))
    return tuple(keys[i] for i in sorted(order[:n]))


def verify(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    attributions: Mapping[str, Tensor],
    *,
    rule: Rule,
) -> list[Verification]:
    """Recomputes with captum, at as many points as the plan has, what a sweep gave for these examples, by tap.

    inputs, baselines, target: as for `sweep`; a few examples are enough. captum gets as many rows at once as a chunk.
    """
    return [
        _against_captum(model, probe, plan, inputs, baselines, target, key, ours, rule)
        for key, ours in attributions.items()
    ]


def _against_captum(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    key: str,
    ours: Tensor,
    rule: Rule,
) -> Verification:
    reason = obstacle(probe, probe.tap(key))
    if reason:
        return Verification(key, None, reason)
    try:
        theirs = torch.cat([
            _captum(model, probe, plan, _row(inputs, i), _row(baselines, i), target.of(i, i + 1), key, rule)
            for i in range(len(inputs[0]))
        ])  # fmt: skip
    except (RuntimeError, AssertionError, TypeError, ValueError, IndexError) as error:
        return Verification(key, None, f"captum failed: {type(error).__name__}: {str(error)[:200]}")
    if theirs.shape != ours.shape:
        return Verification(key, None, f"captum gave shape {tuple(theirs.shape)} for {tuple(ours.shape)}")
    scale = float(theirs.abs().max())
    gap = float((ours - theirs.cpu()).abs().max())
    return Verification(key, gap / scale if scale > 0 else gap, gap=gap)


def obstacle(probe: Probe, tap: Tap) -> str:
    """Why captum 0.9 cannot attribute this tap, or does so wrongly without a word; empty where it can."""
    if tap.calls > 1:
        return f"'{tap.layer}' runs {tap.calls} times and captum keeps only its last call"
    if tap.positions > 1 or tap.position:
        return f"'{tap.layer}' gives {tap.positions} tensors and captum takes layers that give one"
    if tap.layout is None or tap.layout.axis != 0 or tap.layout.factor != 1:
        return f"the first axis of the output of '{tap.layer}' is not the batch, which captum takes it to be"
    if probe.rows is not None:
        return f"the model takes exactly {probe.rows} rows and captum sends all steps at once"
    return ""


def _row(tensors: tuple[Tensor, ...], i: int) -> tuple[Tensor, ...]:
    return tuple(tensor[:1] if len(tensor) == 1 else tensor[i : i + 1] for tensor in tensors)


def _captum(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    key: str,
    rule: Rule,
) -> Tensor:
    """The same rule by captum, for one example."""
    forward = scores_of(model, probe, target, inputs)
    layer = dict(model.named_modules())[probe.tap(key).module]
    method = LayerConductance(forward, layer)
    with frozen(model), differentiable_recurrence(model), _severed(layer), default_of(inputs):
        if rule == "captum":
            return _along(method, plan, "gausslegendre", baselines, inputs)
        there = _along(method, plan, "riemann_trapezoid", baselines, inputs)
        back = _along(method, plan, "riemann_trapezoid", inputs, baselines)
        return (there - back) / 2


@contextmanager
def default_of(inputs: tuple[Tensor, ...]) -> Iterator[None]:
    """Inside, torch's default type is that of the floating-point inputs."""
    with _default(next(each.dtype for each in inputs if each.is_floating_point())):
        yield


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _severed(layer: nn.Module) -> Iterator[None]:
    """Inside, what `layer` gives begins a graph of its own: captum's sums would keep what leads there at every step."""

    def sever(_layer: nn.Module, _given: object, output: object) -> object:
        return output.detach().requires_grad_().clone() if isinstance(output, Tensor) else output

    handle = layer.register_forward_hook(sever)
    try:
        yield
    finally:
        handle.remove()


def floating(tensors: tuple[Tensor, ...], like: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Those of `tensors` that stand where `like` is floating point."""
    return tuple(tensor for tensor, each in zip(tensors, like, strict=True) if each.is_floating_point())


def _along(
    method: LayerConductance, plan: Plan, points: str, start: tuple[Tensor, ...], end: tuple[Tensor, ...]
) -> Tensor:
    fixed = tuple(tensor for tensor in end if not tensor.is_floating_point())
    made: Tensor | tuple[Tensor, ...] = method.attribute(
        floating(end, end), floating(start, end), n_steps=plan.evaluations - 1, method=points,
        internal_batch_size=max(2, plan.points * plan.examples), additional_forward_args=fixed or None,
    )  # fmt: skip
    return (made[0] if isinstance(made, tuple) else made).detach()


def scores_of(model: nn.Module, probe: Probe, target: Target, like: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    """captum gives the floating-point inputs first and then the others; the model takes them as `like` lie. It runs
    with the default type that there is now."""
    count, usual = len(floating(like, like)), torch.get_default_dtype()

    def scores(*rows: Tensor) -> Tensor:
        moving, fixed = iter(rows[:count]), iter(rows[count:])
        rows = tuple(next(moving) if each.is_floating_point() else next(fixed) for each in like)
        given = tuple(row.clone() for row in rows) if probe.clones_input else rows
        with _default(usual):
            return target.select(model(*given), len(rows[0]))

    return scores
