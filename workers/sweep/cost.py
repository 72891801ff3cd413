"""What do the rows of a chunk cost, in bytes at the peak and in seconds?

Both are taken as a line through two small passes: what every pass needs, and what each row adds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from torch import Tensor

_IN_FLIGHT = 2
"""Gradients alive at once around a layer: that of its output and that of its input."""


_TOUCHED = 0.75
"""Of the memory of indices and workspaces, which have no gradient: recurrent kernels pad theirs and touch a part."""

_HOLES, _CONVOLUTION_HOLES = 1.1, 1.75
"""Resident bytes for each byte alive. A convolution reorders its operands in buffers of their own, and glibc 2.36 puts
no aligned block where one of its own size was freed."""

_CHEAPEST = 0.1
"""What a row of a large chunk costs at least, as a share of a row of the small pass: two timings may say anything."""


@dataclass(frozen=True, slots=True)
class Cost:
    """bytes, seconds = fixed + rows * per row. The seconds are an estimate."""

    fixed_bytes: int
    row_bytes: int
    fixed_seconds: float
    row_seconds: float

    @classmethod
    def through(cls, passes: Iterable[Pass], timed: Pass | None = None) -> Cost:
        """The line through two passes with different rows; through the origin for a single pass.

        timed: a pass with more rows, which tells the seconds better.
        """
        ordered = sorted(passes, key=lambda each: each.rows)
        low, high = ordered[0], ordered[-1]
        most = timed or high
        row_seconds = _row_seconds(low, most)
        fixed_seconds = max(0.0, most.seconds - row_seconds * most.rows)
        if low.rows == high.rows:
            return cls(0, high.bytes // high.rows, fixed_seconds, row_seconds)
        row_bytes = max(0, high.bytes - low.bytes) // (high.rows - low.rows)
        return cls(max(0, high.bytes - row_bytes * high.rows), row_bytes, fixed_seconds, row_seconds)

    def bytes(self, rows: int) -> int:
        """At the peak of a chunk of `rows` rows."""
        return self.fixed_bytes + rows * self.row_bytes

    def seconds(self, rows: int) -> float:
        """For one chunk of `rows` rows."""
        return self.fixed_seconds + rows * self.row_seconds


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass."""

    rows: int
    bytes: int
    seconds: float


def _row_seconds(low: Pass, most: Pass) -> float:
    """Of one more row: the slope between two passes, no more than a row of the larger takes with all that it shares."""
    alone = most.seconds / most.rows
    if low.rows == most.rows:
        return alone
    slope = (most.seconds - low.seconds) / (most.rows - low.rows)
    return min(max(slope, _CHEAPEST * alone), alone)


@dataclass(slots=True)
class Saved:
    """Bytes of each storage that a forward pass keeps for the backward pass, in order; `known` ones are not its own."""

    known: set[int]
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def note(self, tensor: Tensor) -> Tensor:
        """Counts the storage of `tensor` once, and returns it."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.known.add(storage.data_ptr())
            kept, in_flight = (1.0, _IN_FLIGHT) if tensor.is_floating_point() else (_TOUCHED, 0)
            self.sizes.append((int(kept * storage.nbytes()), in_flight * storage.nbytes()))
        return tensor

    def peak(self, kinds: Collection[str]) -> int:
        """The most that is resident in the backward pass: what earlier layers saved, gradients in flight, and holes.

        kinds: the names of the graph's nodes.
        """
        so_far, most = 0, 0
        for size, in_flight in self.sizes:
            so_far += size
            most = max(most, so_far + in_flight)
        return int(most * (_CONVOLUTION_HOLES if any("Convolution" in kind for kind in kinds) else _HOLES))
