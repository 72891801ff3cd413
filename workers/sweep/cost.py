"""What do the rows of a chunk cost, in bytes at the peak and in seconds?

Both are taken as a line through two small passes: what every pass needs, and what each row adds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

_IN_FLIGHT = 3
"""Gradients alive at once around a layer: that of its output, that of its input, and one product of them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """bytes, seconds = fixed + rows * per row. The seconds are an estimate."""

    fixed_bytes: int
    row_bytes: int
    fixed_seconds: float
    row_seconds: float

    @classmethod
    def through(cls, passes: Iterable[Pass]) -> Cost:
        """The line through two passes with different rows; through the origin for a single pass."""
        ordered = sorted(passes, key=lambda each: each.rows)
        low, high = ordered[0], ordered[-1]
        if low.rows == high.rows:
            return cls(0, high.bytes // high.rows, 0.0, high.seconds / high.rows)
        span = high.rows - low.rows
        row_bytes = max(0, high.bytes - low.bytes) // span
        row_seconds = max(0.0, high.seconds - low.seconds) / span
        return cls(
            max(0, high.bytes - row_bytes * high.rows), row_bytes,
            max(0.0, high.seconds - row_seconds * high.rows), row_seconds,
        )  # fmt: skip

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
            in_flight = _IN_FLIGHT if tensor.is_floating_point() else 0  # indices and workspaces have no gradient
            self.sizes.append((storage.nbytes(), in_flight * storage.nbytes()))
        return tensor

    def peak(self) -> int:
        """The most that is alive at once in the backward pass: what earlier layers saved, and gradients in flight."""
        so_far, most = 0, 0
        for size, in_flight in self.sizes:
            so_far += size
            most = max(most, so_far + in_flight)
        return most
