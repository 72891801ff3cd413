"""Does a network that came in give what it gave before? Its outputs, and what captum says of each layer, on both sides.

captum works on the network as its owner has it and on what intake made of it, layer by layer, with the same inputs.
Layers that captum cannot do (several tensors, several calls) are compared by values and gradients taken by hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from captum.attr import LayerConductance, LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn

from lamina.zoo.family import Family
from workers.subject.network import Loaded
from workers.sweep.rules import nodes
from workers.sweep.target import Target
from workers.sweep.tree import tensors
from workers.sweep.watch import Watch, frozen, layer_name

OUTPUT_TOLERANCE, OTHER_KERNELS = 3e-7, 1e-5
"""Of float32 outputs, relative to the largest (at least 1); the second for onnxruntime, whose kernels are others."""
LAYER_TOLERANCE = 1e-5
"""Of a layer's attributions, relative to the largest of the layer, or of the products that cancel in it."""
CONDUCTANCE, PRODUCT, CAM = "captum: conductance", "captum: gradient x activation", "captum: Grad-CAM"
_STEPS = 8
_FAILS = (RuntimeError, AssertionError, TypeError, ValueError, IndexError, AttributeError)

Given = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison: of the outputs, or of all layers by one method."""

    what: str
    state: Literal["ok", "not applicable", "failed"]
    reason: str


class CannotCompare(Exception):
    """A layer, or a method, for which there is nothing to compare; the text says why."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The original or what came of it, and which number of its output is explained."""

    model: nn.Module
    output: int
    target: Target

    def score(self, *rows: Tensor) -> Tensor:
        """(rows,)"""
        return self.target.select(tensors(self.model(*rows))[self.output], len(rows[0]))


def compared(family: Family, network: nn.Module, loaded: Loaded) -> Iterator[Compared]:
    """Outputs first; then, unless it is a black box, three methods over all layers."""
    given = tuple(each[: loaded.batch or len(each)] for each in family.prepared(family.examples()))
    with torch.no_grad():
        expected = tensors(network(*_copies(given)))[loaded.chosen]
        found = loaded.model(*_copies(given))
    yield _outputs(expected, found, OTHER_KERNELS if loaded.black_box else OUTPUT_TOLERANCE)
    if loaded.black_box:
        return
    target = _target(family, expected)
    sides = (_Side(network, loaded.chosen, target), _Side(loaded.model, 0, target))
    calls = _calls(network, given)
    for what, method in _METHODS.items():
        with frozen(network):  # as intake freezes it; what needs a gradient decides which tensors of a layer get one
            made = _layers(what, method, sides, given, calls)
        yield made


def _outputs(expected: Tensor, found: Tensor, allowed: float) -> Compared:
    if expected.shape != found.shape:
        return Compared(what="outputs", state="failed", reason=f"{list(found.shape)}, not {list(expected.shape)}")
    gap = float((expected - found).abs().max()) / max(1.0, float(expected.abs().max()))
    if gap <= allowed:
        return Compared(what="outputs", state="ok", reason=f"within {allowed:g}")
    return Compared(what="outputs", state="failed", reason=f"differ by {gap:.3g}")


# --- layers


@dataclass(slots=True)
class _Tally:
    """How the layers of one method came out."""

    by_captum: int = 0
    by_hand: int = 0
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    apart: list[str] = field(default_factory=list)

    def outcome(self, what: str) -> Compared:
        """In words, and whether it is well."""
        said = [f"{count} by {whom}" for count, whom in ((self.by_captum, "captum"), (self.by_hand, "hand")) if count]
        said += [f"not {', '.join(names)}: {why}" for why, names in self.passed_over.items()]
        if self.apart:
            return Compared(what=what, state="failed", reason=f"differs: {', '.join(self.apart)}")
        state: Literal["ok", "not applicable"] = "ok" if self.by_captum + self.by_hand else "not applicable"
        return Compared(what=what, state=state, reason="; ".join(said))


@dataclass(frozen=True, slots=True)
class _Method:
    captum: Callable[[_Side, nn.Module, Given], Tensor]
    by_hand: Callable[[_Side, str, Given], Tensor]


def _layers(what: str, method: _Method, sides: tuple[_Side, _Side], given: Given, calls: dict[str, int]) -> Compared:
    if what == CONDUCTANCE and not any(each.is_floating_point() for each in given):
        return Compared(what=what, state="not applicable", reason="between two ids there is no path")
    there, here = (_by_layer(side.model) for side in sides)
    tally = _Tally()
    for name, count in calls.items():
        if name not in here:
            tally.passed_over.setdefault("no module of the export", []).append(name)
            continue
        try:
            one, other = _both(method, sides, (there[name], here[name]), given, name if count > 1 else None)
            tally.by_captum += count == 1
            tally.by_hand += count > 1
        except _FAILS:
            try:
                one, other = (method.by_hand(side, name, given) for side in sides)
                tally.by_hand += 1
            except CannotCompare as reason:
                tally.passed_over.setdefault(str(reason), []).append(name)
                continue
        except CannotCompare as reason:
            tally.passed_over.setdefault(str(reason), []).append(name)
            continue
        if not _close(one, other) and not _cancelled(one, other, sides[0], name, given):
            tally.apart.append(name)
    return tally.outcome(what)


def _both(
    method: _Method, sides: tuple[_Side, _Side], layers: tuple[nn.Module, nn.Module], given: Given, several: str | None
) -> tuple[Tensor, Tensor]:
    """By captum; by hand where the layer of the name `several` runs more than once."""
    if several is not None:
        one, other = (method.by_hand(side, several, given) for side in sides)
    else:
        one, other = (method.captum(side, layer, given) for side, layer in zip(sides, layers, strict=True))
    return one, other


def _close(one: Tensor, other: Tensor, scale: float | None = None) -> bool:
    """Whether two attributions are equal up to rounding."""
    if one.shape != other.shape:
        return False
    if not one.numel():
        return True
    return float((one - other).abs().max()) <= LAYER_TOLERANCE * (float(one.abs().max()) if scale is None else scale)


def _cancelled(one: Tensor, other: Tensor, side: _Side, layer: str, given: Given) -> bool:
    """Whether they are equal beside the products they sum: before a layer norm, sums over channels are rounding."""
    try:
        return _close(one, other, float(_hand_product(side, layer, given).abs().max()))
    except CannotCompare:
        return False


def _captum_conductance(side: _Side, layer: nn.Module, given: Given) -> Tensor:
    moving = tuple(each.clone() for each in given if each.is_floating_point())
    fixed = tuple(each for each in given if not each.is_floating_point())

    def score(*rows: Tensor) -> Tensor:
        first, last = iter(rows[: len(moving)]), iter(rows[len(moving) :])
        return side.score(*(next(first) if each.is_floating_point() else next(last) for each in given))

    origin = tuple(torch.zeros_like(each) for each in moving)
    return _single(
        LayerConductance(score, layer).attribute(moving, origin, n_steps=_STEPS, additional_forward_args=fixed or None)
    )


def _captum_product(side: _Side, layer: nn.Module, given: Given) -> Tensor:
    return _single(LayerGradientXActivation(side.score, layer).attribute(_copies(given)))


def _captum_cam(side: _Side, layer: nn.Module, given: Given) -> Tensor:
    return _single(LayerGradCam(side.score, layer).attribute(_copies(given)))


# --- by hand


def _seen(side: _Side, layer: str, given: Given) -> list[tuple[Tensor, Tensor]]:
    """Value and gradient of every tensor that every call of a layer gives and that the target depends on."""
    held: list[Tensor] = []

    def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        held.append(tensor if tensor.requires_grad else tensor.detach().requires_grad_())
        return held[-1].clone()  # what follows may change it in place

    with torch.enable_grad(), Watch(side.model, see, {layer}) as watch:
        output = tensors(watch.run(tuple(e.clone().requires_grad_(e.is_floating_point()) for e in given)))
        score = side.target.select(output[side.output], len(given[0])).sum()
        slopes = torch.autograd.grad(score, held, allow_unused=True) if held and score.requires_grad else ()
    seen = [(value.detach(), slope) for value, slope in zip(held, slopes, strict=False) if slope is not None]
    if not seen:
        raise CannotCompare("the target does not depend on it")
    return seen


def _hand_product(side: _Side, layer: str, given: Given) -> Tensor:
    return torch.cat([(value * slope).flatten() for value, slope in _seen(side, layer, given)])


def _hand_cam(side: _Side, layer: str, given: Given) -> Tensor:
    """Gradients averaged over places weigh the channels of each value (Selvaraju et al., arXiv:1610.02391)."""
    maps = []
    for value, slope in _seen(side, layer, given):
        weights = slope if slope.ndim < 3 else slope.mean(tuple(range(2, slope.ndim)), keepdim=True)
        maps.append((weights * value).sum(1).flatten() if value.ndim > 1 else (weights * value).flatten())
    return torch.cat(maps)


def _hand_conductance(side: _Side, layer: str, given: Given) -> Tensor:
    """Left differences at captum's own points (Dhamdhere et al., arXiv:1805.12233)."""
    points = [
        _seen(side, layer, tuple(alpha * each if each.is_floating_point() else each for each in given))
        for alpha in nodes("captum", _STEPS)
    ]
    if len({tuple(value.shape for value, _ in point) for point in points}) > 1:
        raise CannotCompare("how many rows it gets changes along the path")
    steps = [
        torch.cat([(slope * (after - value)).flatten() for (value, slope), (after, _) in zip(one, two, strict=True)])
        for one, two in pairwise(points)
    ]
    return torch.stack(steps).sum(0)


_METHODS = {
    CONDUCTANCE: _Method(_captum_conductance, _hand_conductance),
    PRODUCT: _Method(_captum_product, _hand_product),
    CAM: _Method(_captum_cam, _hand_cam),
}


# --- around them


def _by_layer(model: nn.Module) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        found.setdefault(layer_name(name), module)
    return found


def _calls(network: nn.Module, given: Given) -> dict[str, int]:
    """How often each module of the original runs, of those that give numbers."""
    counts: dict[str, int] = {}

    def see(_module: str, layer: str, call: int, _position: int, tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            counts[layer] = call + 1
        return tensor

    with torch.no_grad(), Watch(network, see) as watch:
        watch.run(_copies(given))
    return counts


def _target(family: Family, output: Tensor) -> Target:
    name, _, which = family.target.partition(":")
    if name == "element":
        return Target.element(*(int(at) for at in which.split(",")))
    return Target.value() if output[0].numel() == 1 else Target.classes(output.argmax(1))


def _copies(given: Given) -> Given:
    return tuple(each.clone() for each in given)


def _single(made: Any) -> Tensor:
    tensor: Tensor = made[0] if isinstance(made, tuple) else made
    return tensor.detach()
