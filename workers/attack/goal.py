"""When is an example broken, and which number does an attack climb to get there?"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Goal(Protocol):
    """What an attack wants of each example. index: int64 (rows,), the example that each row of `outputs` is of."""

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that this goal has, strongest alone first: names that `loss` takes."""

    @property
    def targeted(self) -> tuple[str, ...]:
        """Those of its losses that read `towards`."""

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:
        """Whether the goal is reached, bool (rows,). An output that is not finite is never a success."""

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        """How far from it, (rows,): above zero where not broken, at or below zero where it is."""

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:
        """Up to `count` places to lead each example to, the most promising first, int64 (rows, count); -1 is none.

        For classes the runners-up; for a number 0 is up and 1 is down.
        """

    def loss(self, name: str, outputs: Tensor, index: Tensor, towards: Tensor | None) -> Tensor:
        """What to climb, (rows,); differentiable. towards: int64 (rows,), where the loss is `targeted`."""
