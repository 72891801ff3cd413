"""What does the model give when the output of one layer is replaced?

A forward hook on the layer gives the model the values it is to go on with: at one call of a layer that runs more than
once, at one position of a layer that gives several tensors; the other calls and positions stay as they are.

What lies before the layer need not run as often as there are values: where the model goes on from one row there and
many rows at the layer (skip connections broadcast), one row is enough. Whether it does is found by running, in
`scores`; many models refuse, and some would give wrong numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workers.sweep.layout import Layout
from workers.sweep.looks import Place
from workers.sweep.probe import Probe, Tap
from workers.sweep.refusals import ChangingGraph
from workers.sweep.watch import Watch


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What one forward pass showed: the model's output, and the taps' values by key, (rows, units...)."""

    output: Any
    values: dict[str, Tensor]


class Rerun:
    """Runs one model with and without replaced values."""

    def __init__(self, model: nn.Module, probe: Probe) -> None:
        self._model, self._probe = model, probe
        self._least = probe.rows or probe.least_rows

    @property
    def broadcasts(self) -> bool:
        """Whether the model takes one row where it takes many, without which nothing can broadcast."""
        return self._probe.rows is None and self._probe.least_rows == 1

    def record(self, inputs: tuple[Tensor, ...], taps: Sequence[Tap]) -> Recorded:
        """The values of `taps` for the rows of `inputs`, without gradients. Raises ChangingGraph."""
        count, given = len(inputs[0]), self._given(inputs)
        wanted: dict[Place, Tap] = {tap.place: tap for tap in taps}
        values: dict[str, Tensor] = {}

        def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
            tap = wanted.get((layer, call, position))
            if tap is not None:
                values[tap.key] = layout_of(tap).split(tensor.detach(), len(given[0]))[:count].clone()
            return tensor

        with torch.no_grad(), Watch(self._model, see, {tap.layer for tap in taps}) as watch:
            output = watch.run(given)
        for tap in taps:
            _require(tap, ran=tap.key in values)
        return Recorded(output, values)

    def output(self, tap: Tap, inputs: tuple[Tensor, ...], values: Tensor) -> Any:
        """The model's output for `inputs` when `tap` gives `values`, (rows, units...).

        inputs: as many rows, or one, which then has to broadcast. Gradients lead from the output to `values` if they
        ask for them. Raises ChangingGraph where the layer does not run, and what the model raises.
        """
        alone = len(inputs[0]) == 1 < len(values)
        given, rows = (inputs, values) if alone else (self._given(inputs), _padded(values, self._least))
        if alone and self._probe.clones_input:
            given = tuple(each.clone() for each in inputs)
        ran = False

        def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
            nonlocal ran
            if (layer, call, position) != tap.place:
                return tensor
            ran = True
            new = joined(rows, layout_of(tap), tensor)
            return new.clone() if tap.clone else new

        with Watch(self._model, see, {tap.layer}) as watch:
            output = watch.run(given)
        _require(tap, ran=ran)
        return output

    def plain(self, inputs: tuple[Tensor, ...]) -> Any:
        """The model's output for `inputs`, without gradients; their rows come first."""
        with torch.no_grad():
            return self._model(*self._given(inputs))

    def _given(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        padded = tuple(_padded(each, self._least) for each in inputs)
        if not self._probe.clones_input:
            return padded
        return tuple(new.clone() if new is old else new for new, old in zip(padded, inputs, strict=True))


def joined(rows: Tensor, layout: Layout, like: Tensor) -> Tensor:
    """The tensor that `layout.split` would part into `rows`, (rows, units...), laid out in memory as `like` is.

    The order in memory matters: what follows may take a view that only the layer's own order allows.
    """
    if layout.axis is None:
        return rows[0]
    folded = rows
    if layout.factor > 1:
        folded = (rows if layout.outer else rows.transpose(0, 1)).flatten(0, 1)
    moved = folded.movedim(0, layout.axis)
    strides = like.stride()
    order = sorted(range(like.ndim), key=lambda axis: (-strides[axis], axis))
    back = [order.index(axis) for axis in range(like.ndim)]
    return moved.permute(order).contiguous().permute(back)


def layout_of(tap: Tap) -> Layout:
    """Raises ChangingGraph where the examples cannot be told apart in it."""
    if tap.layout is None:
        raise ChangingGraph(f"'{tap.key}' has no axis of examples and cannot be replaced example by example")
    return tap.layout


def _padded(tensor: Tensor, rows: int) -> Tensor:
    """The tensor, and its last row again as often as it takes to have `rows`."""
    short = rows - len(tensor)
    return tensor if short <= 0 else torch.cat([tensor, tensor[-1:].expand(short, *tensor.shape[1:])])


def _require(tap: Tap, *, ran: bool) -> None:
    if not ran:
        raise ChangingGraph(f"'{tap.key}' ran in the probe but not here: what runs depends on the values of the input")
