"""Where does a layer hold what speaks for the target?

With h_cp the value of channel c at place p, and g its gradient, the map at place p is

    gradcam     Σ_c (mean_q g_cq) h_cp     Selvaraju et al., arXiv:1610.02391, equations 1 and 2
    hirescam    Σ_c g_cp h_cp              Draelos and Carin, arXiv:2011.08891, section 3.2
    layercam    Σ_c max(g_cp, 0) h_cp      Jiang et al., LayerCAM, IEEE TIP 2021, equations 2 and 3

A place is a pixel of a feature map, a token or a time step. Where the papers keep only what is positive of the finished
map, we keep the sign: what speaks against the target is an answer too. LayerCAM's weights are positive by definition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from captum import attr
from torch import Tensor

from workers.sweep.axes import Stays, Which, stays
from workers.sweep.methods.along import Shared
from workers.sweep.methods.at_input import product_by_captum
from workers.sweep.methods.twin import NoTwin, One, Theirs, only
from workers.sweep.plan import Plan, Quote, quote, sums_bytes
from workers.sweep.probe import Tap
from workers.sweep.question import Reading
from workers.sweep.ready import Prepared

Mode = Literal["gradcam", "hirescam", "layercam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradCam(Shared):
    """extent: the lengths of the input along what the map shows: (height, width), (tokens,) or (time steps,)."""

    mode: Mode = "gradcam"
    extent: tuple[int, ...]

    @property
    def name(self) -> str:
        return "layer_gradcam"

    @property
    def points(self) -> tuple[float, ...]:
        return (1.0,)

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """A map needs places, and channels at them; which axes those are must have been shown."""
        if not self.extent:
            return "the input has no places that a map could show; ask for layer_gradient_x_activation"
        if len(tap.shape) < 2:
            return f"its units {tap.shape} have no places; ask for layer_gradient_x_activation"
        return stays(ready.probe.taps, self._which, self.extent)[tap.key].reason

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tuple(tap.shape[axis] for axis in self._places(tap))

    def reading(self, _ready: Prepared, tap: Tap, _zeros: Tensor, _chunks: int) -> Reading:
        return _Map(self.mode, self._places(tap))

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """Of a tap only its map is held, and summed over examples."""
        whole, less = quote(ready.probe, chunks, len(ready)), 0.0
        for key in chunks.taps:
            tap, alone = ready.probe.tap(key), replace(chunks, taps=(key,))
            less += (1 - prod(self.units(tap)) / prod(tap.shape)) * sums_bytes(ready.probe, alone)
        return Quote(whole.seconds, whole.bytes - int(less))

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        def captum(one: One) -> Tensor:
            places, axes = self._places(one.tap), len(one.tap.shape)
            if self.mode == "layercam":
                raise NoTwin("captum has no LayerCAM")
            if self.mode == "hirescam":
                return product_by_captum(one).sum([1 + axis for axis in range(axes) if axis not in places])
            if places != tuple(range(1, axes)):
                raise NoTwin(
                    "captum takes the first axis for channels and the others for places; here they lie otherwise"
                )
            method = attr.LayerGradCam(one.forward, one.layer)
            made = method.attribute(one.x, additional_forward_args=one.fixed, relu_attributions=False)
            return only(made).squeeze(1)

        return captum

    @property
    def _which(self) -> Which:
        return "place" if len(self.extent) == 2 else "token"

    def _places(self, tap: Tap) -> tuple[int, ...]:
        """The axes of one example's units that are places."""
        found: Stays = stays((tap,), self._which, self.extent)[tap.key]
        if found.axes is None:
            raise ValueError(f"'{tap.key}' has no map: {found.reason}")
        return found.axes


class _Map:
    """The map of one tap, made at the one point x."""

    __slots__ = ("_map", "_mode", "_places")

    def __init__(self, mode: Mode, places: tuple[int, ...]) -> None:
        self._mode, self._places = mode, places
        self._map: Tensor | None = None

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (1, examples, ...)."""
        value, weight = values[0], gradients[0]
        places = [1 + axis for axis in self._places]
        if self._mode == "gradcam":
            weight = weight.mean(places, keepdim=True)
        elif self._mode == "layercam":
            weight = weight.clamp(min=0)
        self._map = (weight * value).sum([axis for axis in range(1, value.ndim) if axis not in places])

    def attribution(self, _change: Tensor | None) -> Tensor:
        """(examples, places...)."""
        if self._map is None:
            raise ValueError("the walk has come to no point yet")
        return self._map
