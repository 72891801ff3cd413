"""When is a number broken, and what is climbed to break it? Goals over outputs that are one number, (rows,)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

UP, DOWN = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Shifted:
    """The output moves by more than `tolerance` from what it was, up or down. before: (N,), in the output's unit."""

    before: Tensor
    tolerance: float

    @property
    def losses(self) -> tuple[str, ...]:
        return ("shift", "shift-to")

    @property
    def targeted(self) -> tuple[str, ...]:
        return ("shift-to",)

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:
        return torch.isfinite(outputs) & ((outputs - self._before(index)).abs() > self.tolerance)

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:
        """What is left of the tolerance."""
        return torch.nan_to_num(self.tolerance - (outputs - self._before(index)).abs(), nan=torch.inf)

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:  # noqa: ARG002  # two directions
        return torch.tensor([UP, DOWN], device=index.device)[: max(1, count)].expand(len(index), -1)

    def loss(self, name: str, outputs: Tensor, index: Tensor, towards: Tensor | None) -> Tensor:
        change = outputs - self._before(index)
        if towards is not None and name == "shift-to":
            return torch.where(towards == UP, change, -change)
        return torch.where(change >= 0, change, -change)  # at no change its slope is that of up, and not zero

    def _before(self, index: Tensor) -> Tensor:
        return self.before.to(index.device)[index]


@dataclass(frozen=True, slots=True, eq=False)
class Hidden:
    """The output falls to `threshold` or below: an anomaly is not seen any more; above it, where `raised`."""

    threshold: float
    raised: bool = False

    @property
    def losses(self) -> tuple[str, ...]:
        return ("level",)

    @property
    def targeted(self) -> tuple[str, ...]:
        return ()

    def broken(self, outputs: Tensor, index: Tensor) -> Tensor:  # noqa: ARG002  # one threshold for all
        return torch.isfinite(outputs) & ((outputs > self.threshold) if self.raised else (outputs <= self.threshold))

    def margin(self, outputs: Tensor, index: Tensor) -> Tensor:  # noqa: ARG002  # as above
        """How far it is from the threshold."""
        left = outputs - self.threshold
        return torch.nan_to_num(-left if self.raised else left, nan=torch.inf)

    def towards(self, outputs: Tensor, index: Tensor, count: int) -> Tensor:  # noqa: ARG002  # there is one way
        return torch.full((len(index), 0), -1, dtype=torch.int64, device=index.device)

    def loss(
        self,
        name: str,  # noqa: ARG002  # there is one
        outputs: Tensor,
        index: Tensor,  # noqa: ARG002  # as above
        towards: Tensor | None,  # noqa: ARG002  # as above
    ) -> Tensor:
        return outputs if self.raised else -outputs
