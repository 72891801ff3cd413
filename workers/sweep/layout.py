"""Where in a tensor do the examples of a batch lie?

Mostly along axis 0; along axis 1 in an LSTM's last state or in time-first data; folded with another axis where tokens
or heads are flattened into the batch. Shapes propose, values decide: an example's share must not change when other
examples take other places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_COARSE = 1e-2  # half precisions


@dataclass(frozen=True, slots=True)
class Layout:
    """axis: which axis holds the examples, None where the whole tensor belongs to one. That axis holds `factor`
    entries for each example; they lie together if `outer` (example by example), else apart (entry by entry)."""

    axis: int | None
    factor: int = 1
    outer: bool = True

    def split(self, tensor: Tensor, rows: int) -> Tensor:
        """A view of shape (rows, ...) of `tensor`, one row per example; a copy where folded axes cannot be viewed."""
        if self.axis is None:
            return tensor.unsqueeze(0)
        moved = tensor if self.axis == 0 else tensor.movedim(self.axis, 0)
        if self.factor == 1:
            return moved
        if self.outer:
            return moved.reshape(rows, self.factor, *moved.shape[1:])
        return moved.reshape(self.factor, rows, *moved.shape[1:]).transpose(0, 1)


def candidates(shape: Sequence[int], rows: int, other: Sequence[int] | None, other_rows: int) -> list[Layout]:
    """The layouts that the shapes of a pass with `rows` allow, and of another with `other_rows` if there is one."""
    if rows == 1 and other is None:
        return [Layout(0 if shape and shape[0] == 1 else None)]
    if other is not None and len(other) != len(shape):
        return []
    return [layout for axis in range(len(shape)) for layout in _along(axis, shape, rows, other, other_rows)]


def _along(
    axis: int, shape: Sequence[int], rows: int, other: Sequence[int] | None, other_rows: int
) -> Iterator[Layout]:
    factor, rest = divmod(shape[axis], rows)
    if rest or factor == 0 or (other is not None and other[axis] != factor * other_rows):
        return
    if other is not None and any(a != b for i, (a, b) in enumerate(zip(shape, other, strict=True)) if i != axis):
        return
    yield Layout(axis, factor)
    if factor > 1:
        yield Layout(axis, factor, outer=False)


def alike(a: Tensor, b: Tensor) -> bool:
    """Equal up to the rounding by which one kernel differs between two places in a batch."""
    if a.shape != b.shape:
        return False
    if not a.is_floating_point() or a.numel() == 0:
        return torch.equal(a, b)
    known = a[a.isfinite()]
    scale = float(known.abs().max()) if len(known) else 0.0
    tolerance = _TOLERANCE.get(a.dtype, _COARSE) * scale
    return bool(torch.isclose(a, b, rtol=0, atol=tolerance, equal_nan=True).all())
