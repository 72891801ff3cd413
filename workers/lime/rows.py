"""How many samples go through the network at once, and what does that take?

The number must not come from a clock, or the same audit would round differently from run to run. One pass of a single
row tells how much the largest layer gives; as many rows are taken as keep that within what a processor has caches for,
where more rows gain nothing (measured on convolutions and attention), and small networks get wide blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from workers.passes.predicting import Predicting
from workers.sweep.block import padded
from workers.sweep.watch import Watch

_BLOCK_BYTES = {"cpu": 16 << 20}
_ON_DEVICE = 512 << 20
LEAST_ROWS, MOST_ROWS = 8, 1024
_NEXT_TO_EACH_OTHER, _IN_FLIGHT = 4, 2.4
"""A forward pass without gradients takes at its peak so many times what so many layers in a row give: inputs, what
skips hold, what convolutions reorder, and the holes that blocks leave in the heap. Measured on convolutions and
attention; a small network that narrows early takes six times its largest layer, one of equal layers ten times."""

_TIMED = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """count: samples in one forward pass. row_bytes: what the largest layer gives for one of them. held_bytes: what a
    pass takes at its peak for one."""

    count: int
    row_bytes: int
    held_bytes: int

    @property
    def bytes(self) -> int:
        """What a pass takes at its peak, beside the network."""
        return self.count * self.held_bytes


def rows(case: Predicting, memory_bytes: int, asked: int = 0) -> Rows:
    """asked: by the parameters; 0 for as many as serve. Whole batches where the network takes one size only."""
    sizes = _sizes(case)
    each, held = max(1, *sizes), _held(sizes)
    wanted = asked or min(MOST_ROWS, max(LEAST_ROWS, _BLOCK_BYTES.get(case.x[0].device.type, _ON_DEVICE) // each))
    wanted = max(1, min(wanted, memory_bytes // held))
    if case.batch:
        wanted = max(1, wanted // case.batch) * case.batch
    return Rows(wanted, each, held)


def _held(sizes: list[int]) -> int:
    """Of so few layers nothing is known of what is between them: as if all were as large as the largest."""
    if len(sizes) <= _NEXT_TO_EACH_OTHER:
        return max(1, int(_IN_FLIGHT * _NEXT_TO_EACH_OTHER * max(sizes)))
    windows = range(len(sizes) - _NEXT_TO_EACH_OTHER + 1)
    return max(1, int(_IN_FLIGHT * max(sum(sizes[at : at + _NEXT_TO_EACH_OTHER]) for at in windows)))


def _sizes(case: Predicting) -> list[int]:
    """Bytes of the tensors that go into the network, and that its layers give, in their order, for one row."""
    one = tuple(each[case.first : case.first + 1] for each in case.x)
    found = [each.numel() * each.element_size() for each in one]
    made = case.batch or 1

    def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
        found.append(tensor.numel() * tensor.element_size() // made)
        return tensor

    with torch.no_grad(), Watch(case.network, see) as watch:
        watch.run(padded(one, made))
    return found


def row_seconds(case: Predicting, count: int) -> float:
    """What a row of a block of `count` takes; the faster of two passes, the first of which warms up."""
    first = case.first
    inputs = tuple(each[first : first + 1].expand(count, *each.shape[1:]).contiguous() for each in case.x)
    predict, taken = case.at(first), []
    for _ in range(_TIMED):
        started = perf_counter()
        predict(inputs)
        taken.append(perf_counter() - started)
    return min(taken) / count
