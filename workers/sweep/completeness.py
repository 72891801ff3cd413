"""Do the conductances of a layer add up to what the output changed by?

They must where everything passes through the layer (Dhamdhere et al., arXiv:1805.12233, section 2); what is missing is
the error of the steps. Sign as in captum: delta = Σ_j conductance_j - (F(x) - F(x')).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shrunk:
    """From example `start` on the chunks were smaller than planned: the device had no memory for larger ones."""

    start: int
    points: int
    examples: int


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The target at the inputs and at the baselines; (examples,), float64. shrunk: where the plan was departed from."""

    output: Tensor
    baseline_output: Tensor
    shrunk: tuple[Shrunk, ...] = ()

    @property
    def difference(self) -> Tensor:
        return self.output - self.baseline_output


@dataclass(frozen=True, slots=True)
class Completeness:
    """delta: (examples,), in the unit of the target. relative: |delta| / |F(x) - F(x')|, NaN where that is zero."""

    delta: Tensor
    relative: Tensor

    @property
    def worst(self) -> float:
        """The largest |delta|."""
        return float(self.delta.abs().max())

    @property
    def worst_relative(self) -> float | None:
        """The largest relative delta; None where no output changed."""
        known = self.relative[~self.relative.isnan()]
        return float(known.max()) if len(known) else None


def completeness(signed: Tensor, ends: Endpoints) -> Completeness:
    """signed: (examples,), the sum of one cut layer's attributions."""
    delta = signed - ends.difference
    change = ends.difference.abs()
    return Completeness(delta, torch.where(change > 0, delta.abs() / change, torch.nan))
