"""How is the conductance of a layer summed from values and gradients at points of the path?

For unit j of a layer with value h_j, and F the target, Dhamdhere et al. (arXiv:1805.12233, equation 2) integrate
dF/dh_j · dh_j along x' + α (x - x'). With S steps and points α_0 < ... < α_S both rules take the change of h_j over
a step:

    captum      Σ_i  g_i (h_{i+1} - h_i)                   α: S + 1 Gauss-Legendre nodes, as captum 0.9.0 does
    trapezoid   Σ_i  ½ (g_i + g_{i+1}) (h_{i+1} - h_i)     α_i = i / S
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from workers.numerics.quadrature import gauss_legendre, uniform

Rule = Literal["captum", "trapezoid"]

_LARGE = 1 << 21
"""Elements of a chunk from which a step at a time, in cache, is faster than all steps in one pass over memory."""


def nodes(rule: Rule, steps: int) -> tuple[float, ...]:
    """The steps + 1 points in [0, 1] at which the model is evaluated. Raises ValueError for steps < 1."""
    if steps < 1:
        raise ValueError(f"a path needs at least one step, not {steps}")
    return gauss_legendre(steps + 1).nodes if rule == "captum" else uniform(steps + 1).nodes


class PathSum:
    """The running sum for one tap and one block of examples; chunks of points come in order along the path.

    What outlives a chunk (the sum, and the end that the step to the next chunk needs) has its place before the first
    chunk runs: allocated between a chunk's own tensors it would leave holes there, a third more resident memory.
    """

    __slots__ = ("_begun", "_gradient", "_rule", "_value", "total")

    def __init__(self, rule: Rule, total: Tensor, *, chunks: int) -> None:
        """total: zeros, (examples, ...)."""
        self._rule, self._begun = rule, False
        self.total = total
        self._value = torch.empty_like(total) if chunks > 1 else None
        self._gradient = torch.empty_like(total) if chunks > 1 else None

    def attribution(self, _change: Tensor | None) -> Tensor:
        """(examples, ...): what has been summed."""
        return self.total

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (points, examples, ...) of the next chunk."""
        if self._value is None or self._gradient is None:
            self._add_inside(values, gradients)
            return
        if self._begun:
            change = values[0] - self._value
            self.total.add_(change.mul_(self._at_step(self._gradient, gradients[0])))
        self._add_inside(values, gradients)
        self._value.copy_(values[-1])
        self._gradient.copy_(gradients[-1])
        self._begun = True

    def _at_step(self, before: Tensor, after: Tensor) -> Tensor:
        """The gradient that the rule gives a step, from those at its two ends."""
        return before if self._rule == "captum" else (before + after).mul_(0.5)

    def _add_inside(self, values: Tensor, gradients: Tensor) -> None:
        """Adds the steps that lie within this chunk."""
        if len(values) == 1:
            return
        if values.numel() >= _LARGE:
            points, slopes = values.unbind(0), gradients.unbind(0)
            for i in range(len(points) - 1):
                self.total.addcmul_(points[i + 1] - points[i], self._at_step(slopes[i], slopes[i + 1]))
            return
        change = values[1:] - values[:-1]
        self.total.add_(change.mul_(self._at_step(gradients[:-1], gradients[1:])).sum(0))
