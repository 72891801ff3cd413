"""What is made of a tap's values and gradients, where that is more than a sum of conductance?

Every reading holds one tensor for the examples of a block, and what it must carry from one chunk to the next.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

_LARGE = 1 << 21
"""Elements of a chunk from which a point at a time, in cache, is faster than all points in one pass over memory."""

Local = Literal["value", "gradient", "absolute", "product"]


class AtInput:
    """Of the one point x: the value h, the gradient g, |g|, or h g."""

    __slots__ = ("_kind", "_total")

    def __init__(self, kind: Local, total: Tensor) -> None:
        """total: (examples, ...), which this may fill."""
        self._kind, self._total = kind, total

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (1, examples, ...); no gradients are needed for the value."""
        if self._kind == "value":
            self._total.copy_(values[0])
        elif self._kind == "product":
            torch.mul(values[0], gradients[0], out=self._total)
        else:
            self._total.copy_(gradients[0])

    def attribution(self, _change: Tensor | None) -> Tensor:
        """(examples, ...)."""
        return self._total.abs_() if self._kind == "absolute" else self._total


class Weighted:
    """Σ_i w_i g_i over the points in their order; times x - x' where `times_change`."""

    __slots__ = ("_at", "_times_change", "_total", "_weights")

    def __init__(self, weights: tuple[float, ...], total: Tensor, *, times_change: bool) -> None:
        """total: zeros, (examples, ...)."""
        self._weights, self._total, self._times_change, self._at = weights, total, times_change, 0

    def add(self, _values: Tensor, gradients: Tensor) -> None:
        """gradients: (points, examples, ...) of the next chunk."""
        weights = self._weights[self._at : self._at + len(gradients)]
        self._at += len(gradients)
        if gradients.numel() >= _LARGE:
            for weight, gradient in zip(weights, gradients.unbind(0), strict=True):
                self._total.add_(gradient, alpha=weight)
            return
        shaped = torch.tensor(weights, dtype=gradients.dtype, device=gradients.device)
        self._total.add_((gradients * shaped.view(-1, *[1] * (gradients.ndim - 1))).sum(0))

    def attribution(self, change: Tensor | None) -> Tensor:
        """(examples, ...)."""
        if not self._times_change:
            return self._total
        if change is None:
            raise ValueError("only the tap of an input has a change to be multiplied with")
        return self._total * change
