"""Which parts of an input are hidden together, and what does each element get from the parts it lies in?

A window is a box over the axes of one example: 0 stands for a whole axis. (0, 4, 4) is a patch of a (C, H, W) image,
(1,) a column of a table, (0, 5) five steps of a (C, T) series, (1, 0) one token of (T, C).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import torch
from pydantic import JsonValue
from torch import Tensor

Box = tuple[int, ...]
"""Per axis of one example, a number of elements; 0 for all."""


@dataclass(frozen=True, slots=True)
class Windows:
    """All places of a window of `size` elements per axis, `stride` apart, in `shape`; the last are cut at the edge."""

    shape: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int], window: Box, stride: Box) -> Windows:
        """`window` and `stride` with their zeros filled in. They fit, as `misfit` says."""
        size = tuple(length if each == 0 else each for each, length in zip(window, shape, strict=True))
        steps = tuple(length if each == 0 else each for each, length in zip(stride, size, strict=True))
        return cls(tuple(shape), size, steps)

    @property
    def places(self) -> tuple[int, ...]:
        """How many there are along each axis."""
        return tuple(
            ceil((length - size) / stride) + 1
            for length, size, stride in zip(self.shape, self.size, self.stride, strict=True)
        )

    @property
    def count(self) -> int:
        return prod(self.places)

    @property
    def parts(self) -> bool:
        """Whether each element lies in exactly one."""
        return all(
            stride == size or places == 1
            for stride, size, places in zip(self.stride, self.size, self.places, strict=True)
        )

    def members(self, start: int, stop: int, device: torch.device) -> Tensor:
        """(stop - start, units...), Boolean: what the windows start:stop cover."""
        rest = torch.arange(start, stop, device=device)
        inside = torch.ones(stop - start, *[1] * len(self.shape), dtype=torch.bool, device=device)
        for axis in reversed(range(len(self.shape))):
            length, size, places = self.shape[axis], self.size[axis], self.places[axis]
            first = (rest % places * self.stride[axis])[:, None]
            rest = rest // places
            at = torch.arange(length, device=device)
            along = [1] * len(self.shape)
            along[axis] = length
            inside = inside & ((at >= first) & (at < first + size)).view(stop - start, *along)
        return inside

    def averaged(self, numbers: Tensor) -> Tensor:
        """(examples, windows) -> (examples, *shape): the mean over the windows that an element lies in."""
        total = torch.zeros(len(numbers), *self.shape, dtype=numbers.dtype, device=numbers.device)
        for box, each in zip(self._boxes(), numbers.unbind(1), strict=True):
            total[(slice(None), *box)] += each.view(-1, *[1] * len(self.shape))
        return total / self.covered().to(numbers)

    def covered(self) -> Tensor:
        """In how many windows each element lies: int64, `shape`."""
        count = torch.zeros(self.shape, dtype=torch.int64)
        for box in self._boxes():
            count[box] += 1
        return count

    def numbered(self, first: int = 0) -> Tensor:
        """Each element's window where each lies in one: int64, `shape`; counted from `first`."""
        number = torch.empty(self.shape, dtype=torch.int64)
        for at, box in enumerate(self._boxes(), first):
            number[box] = at
        return number

    def _boxes(self) -> Iterator[tuple[slice, ...]]:
        """The elements of each window."""
        starts = [[at * stride for at in range(n)] for n, stride in zip(self.places, self.stride, strict=True)]
        for corner in product(*starts):
            yield tuple(slice(at, at + size) for at, size in zip(corner, self.size, strict=True))


def misfit(shape: Sequence[int], window: Box, stride: Box) -> str:
    """Why windows so do not cover an input of `shape`; empty where they do."""
    for name, given in (("window", window), ("stride", stride)):
        if len(given) != len(shape):
            return f"the {name} has {len(given)} axes and one example {len(shape)} {tuple(shape)}; give one number each"
        if any(each < 0 for each in given):
            return f"the {name} {given} has a negative number; 0 stands for a whole axis"
    if any(size > length for size, length in zip(window, shape, strict=True)):
        return f"the window {window} is larger than one example {tuple(shape)}; 0 stands for a whole axis"
    made = Windows.of(shape, window, stride)
    if any(step > size for step, size in zip(made.stride, made.size, strict=True)):
        return f"the stride {stride} is larger than the window {window}, so some elements would never be hidden"
    return ""


def as_lists(given: Sequence[Box]) -> list[JsonValue]:
    """As JSON has it."""
    return [list(each) for each in given]
