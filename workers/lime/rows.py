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
_IN_FLIGHT = 10
"""Tensors of the largest layer's size that a forward pass without gradients takes at its peak: inputs, what skips hold,
what convolutions reorder, and the holes that blocks leave in the heap. Measured on convolutions and attention."""

_TIMED = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """count: samples in one forward pass. row_bytes: what the largest layer gives for one of them."""

    count: int
    row_bytes: int

    @property
    def bytes(self) -> int:
        """What a pass takes at its peak, beside the network."""
        return _IN_FLIGHT * self.count * self.row_bytes


def rows(case: Predicting, memory_bytes: int, asked: int = 0) -> Rows:
    """asked: by the parameters; 0 for as many as serve. Whole batches where the network takes one size only."""
    each = largest(case)
    wanted = asked or min(MOST_ROWS, max(LEAST_ROWS, _BLOCK_BYTES.get(case.x[0].device.type, _ON_DEVICE) // each))
    wanted = max(1, min(wanted, memory_bytes // (_IN_FLIGHT * each)))
    if case.batch:
        wanted = max(1, wanted // case.batch) * case.batch
    return Rows(wanted, each)


def largest(case: Predicting) -> int:
    """Bytes of the largest tensor that goes into the network, or that one of its layers gives, for one row."""
    one = tuple(each[case.first : case.first + 1] for each in case.x)
    found = [each.numel() * each.element_size() for each in one]
    made = case.batch or 1

    def see(_module: str, _layer: str, _call: int, _position: int, tensor: Tensor) -> Tensor:
        found.append(tensor.numel() * tensor.element_size() // made)
        return tensor

    with torch.no_grad(), Watch(case.network, see) as watch:
        watch.run(padded(one, made))
    return max(1, *found)


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
