"""What does a layer hold at the input itself, and how steep is the target there?

layer_activation: h. layer_gradient_x_activation: h dF/dh. On inputs: saliency, dF/dx or its magnitude (Simonyan,
Vedaldi and Zisserman, arXiv:1312.6034, section 3), and input_x_gradient, x dF/dx (Shrikumar et al., arXiv:1605.01713).
One point is enough; the baseline is used for nothing but the target's end there.
"""

from __future__ import annotations

from dataclasses import dataclass

from captum import attr
from torch import Tensor

from workers.sweep.methods.along import Along, OnInputs, Shared, in_flight
from workers.sweep.methods.readings import AtInput, Local
from workers.sweep.methods.twin import One, Theirs, only
from workers.sweep.plan import Plan, Quote, quote
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared

_FORWARD = 1 / 3
"""The share of a forward pass in the time of forward and backward; a backward pass takes about twice as long."""

_FORWARDS = 3
"""Both ends of an example are evaluated at once, and what convolutions reorder leaves holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation(Along):
    """h at the input. It asks for no gradient, and shares no walk with methods that do: a forward pass without
    gradients may use other kernels, and the same question must give the same bits in any company."""

    gradients = False

    @property
    def name(self) -> str:
        return "layer_activation"

    @property
    def points(self) -> tuple[float, ...]:
        return (1.0,)

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return AtInput("value", zeros)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """A forward pass that saves nothing holds little beyond what is read."""
        whole, rows = quote(ready.probe, chunks, len(ready)), max(chunks.examples, ready.probe.least_rows)
        saved = ready.probe.cost.bytes(rows)
        return Quote(whole.seconds * _FORWARD, whole.bytes - saved + min(saved, _FORWARDS * in_flight(ready, chunks)))

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        def captum(one: One) -> Tensor:
            made = attr.LayerActivation(one.forward, one.layer).attribute(one.x, additional_forward_args=one.fixed)
            return only(made)

        return captum


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientXActivation(Shared):
    """h dF/dh at the input."""

    @property
    def name(self) -> str:
        return "layer_gradient_x_activation"

    @property
    def points(self) -> tuple[float, ...]:
        return (1.0,)

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return AtInput("product", zeros)

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        return product_by_captum


def product_by_captum(one: One) -> Tensor:
    """(1, units...): captum's LayerGradientXActivation."""
    method = attr.LayerGradientXActivation(one.forward, one.layer)
    return only(method.attribute(one.x, additional_forward_args=one.fixed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency(OnInputs, Shared):
    """dF/dx at the input; its magnitude where `absolute`, as the paper and captum have it."""

    absolute: bool = True

    @property
    def name(self) -> str:
        return "saliency"

    @property
    def points(self) -> tuple[float, ...]:
        return (1.0,)

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        kind: Local = "absolute" if self.absolute else "gradient"
        return AtInput(kind, zeros)

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        def captum(one: One) -> Tensor:
            method = attr.Saliency(one.forward)
            made = method.attribute(one.x, abs=self.absolute, additional_forward_args=one.fixed)
            return only(made[one.argument])

        return captum


@dataclass(frozen=True, slots=True, kw_only=True)
class InputXGradient(OnInputs, Shared):
    """x dF/dx at the input; for ids, with x what their embedding gives."""

    @property
    def name(self) -> str:
        return "input_x_gradient"

    @property
    def points(self) -> tuple[float, ...]:
        return (1.0,)

    def reading(self, _ready: Prepared, _tap: Tap, zeros: Tensor, _chunks: int) -> Reading:
        return AtInput("product", zeros)

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        def captum(one: One) -> Tensor:
            method = attr.InputXGradient(one.forward)
            return only(method.attribute(one.x, additional_forward_args=one.fixed)[one.argument])

        return captum
