"""Do a few units carry most of what is attributed, or all of them a little?

Three answers that do not depend on how much there is: how many units carry a given share, the effective number of
units (the exponential of the entropy of their shares; Jost 2006, Oikos 113:363), and the Gini coefficient (as a measure
of sparsity: Hurley and Rickard 2009, IEEE Transactions on Information Theory 55:4723, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Concentrations:
    """Of each row; all (rows,), float64, and NaN where nothing is attributed to a row.

    half, ninety: share of the units that together carry 50 % and 90 % of the magnitude, the largest first; in (0, 1],
    lower is more concentrated. effective: that many equal units would be as spread, in [1, units]. gini: 0 where all
    units are equal, 1 - 1/units where one carries everything.
    """

    half: Tensor
    ninety: Tensor
    effective: Tensor
    gini: Tensor

    @property
    def stacked(self) -> Tensor:
        """(rows, 4): half, ninety, effective, gini."""
        return torch.stack([self.half, self.ninety, self.effective, self.gini], 1)


def concentrations(values: Tensor) -> Concentrations:
    """values: (rows, units), at least one unit; of a row only the magnitudes count. One sort per row."""
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"concentration needs (rows, units) with at least one unit, not shape {tuple(values.shape)}")
    sizes = values.abs().sort(1, descending=True).values.to(torch.float64)
    units = sizes.shape[1]
    total = sizes.sum(1)
    shares = sizes / torch.where(total > 0, total, torch.nan)[:, None]
    rank = torch.arange(1, units + 1, dtype=torch.float64, device=values.device)
    reached = shares.cumsum(1)
    half, ninety = (_needed(reached, part) / units for part in (0.5, 0.9))
    entropy = -torch.special.xlogy(shares, shares).sum(1)
    gini = ((units + 1 - 2 * rank) * shares).sum(1) / units
    return Concentrations(half, ninety, entropy.exp(), gini)


def _needed(reached: Tensor, part: float) -> Tensor:
    """How many of the largest units it takes to reach `part`: (rows,), NaN where nothing is attributed."""
    count = 1 + (reached < part * (1 - _ROUNDING)).sum(1).to(torch.float64)
    return torch.where(reached[:, -1].isnan(), torch.nan, count)
