"""What does the network read of ids of which some are masked?

Ids that come without a text: each position that is no padding is a feature, and another id stands in its place. Masks
of attention stay as they are: a masked position is one that says nothing, not one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from workers.kind import AnalysisError
from workers.neighbourhoods.removals import KERNEL_WIDTH, Removals
from workers.passes.baselines import pad_of
from workers.passes.positions import ids_of, real
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats, Samples

_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class IdsNeighbourhood:
    """One example of a network that reads ids.

    places: (K,), the position of each feature, ascending. mask: the id that stands where a feature is taken away.
    position: which of the inputs `example`, one row each, the ids are.
    """

    places: Tensor
    mask: int
    example: tuple[Tensor, ...]
    position: int

    @property
    def names(self) -> tuple[str, ...]:
        """Positions from 0, with their ids."""
        row = self.example[self.position][0]
        return tuple(f"position {at}: id {int(row[at])}" for at in self.places.tolist())

    @property
    def kernel_width(self) -> float:
        """lime's, for a hundred times the cosine distance."""
        return KERNEL_WIDTH

    @property
    def binary(self) -> bool:
        """There or masked."""
        return True

    def stream(self, seed: int, paired: bool) -> Removals:
        """lime's own samples of a text for `RandomState(seed)` where not paired. seed: below 2**32."""
        return Removals(len(self.places), seed, paired=paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """The ids with the mask where a feature is taken away; other inputs repeat."""
        made = [each.repeat(len(samples), *[1] * (each.ndim - 1)) for each in self.example]
        rows = made[self.position]
        shown = torch.from_numpy(samples.z != 0).to(rows.device)
        rows[:, self.places] = torch.where(shown, rows[:, self.places], self.mask)
        return tuple(made)

    def shares(self, attribution: Tensor) -> Floats:
        """(K,): the sum at each feature of an attribution of the ids, (positions, ...)."""
        each = attribution.detach().to("cpu", torch.float64).reshape(len(attribution), -1).sum(1)
        return np.asarray(each[self.places.cpu()].numpy())

    def as_json(self) -> dict[str, JsonValue]:
        """How many positions, and what masks them."""
        return {"kind": "ids", "input": self.position, "features": len(self.places), "mask_id": self.mask}


def ids(case: Predicting, index: int, mask: int | None) -> IdsNeighbourhood:
    """The neighbourhood of example `index`: of the first of its inputs that is ids.

    mask: the model's pad id, or 0 where none is known, if None. Raises AnalysisError where there are no ids, fewer than
    2 that are not the mask itself, or an id beyond the declared bounds.
    """
    found = ids_of(case.subject, case.x)
    if not found or case.x[found[0]].ndim != 2:
        raise AnalysisError(
            "text",
            "no input of the model is a row of ids",
            remedy="Ask for the LIME of its own kind of input.",
        )
    position = found[0]
    chosen = pad_of(case.subject) if mask is None else mask
    bounds = case.subject.declared[position].bounds
    low, high = int(min(bounds.low)), int(max(bounds.high))
    if not low <= chosen <= high:
        raise AnalysisError(
            "text",
            f"the id {chosen}, which would stand for what is taken away, is none of the declared {low} to {high}",
            remedy="Give mask_id, an id within these bounds that says nothing.",
        )
    row = case.x[position][index]
    kept = real(case.subject, case.x, position)[index] & (row != chosen)
    places = kept.nonzero()[:, 0]
    if len(places) < _LEAST:
        raise AnalysisError(
            "text",
            f"example {index} has {len(places)} positions that hold another id than padding and the mask {chosen};"
            f" a surrogate needs {_LEAST}",
            remedy="Leave that example out, or give another mask_id.",
        )
    return IdsNeighbourhood(
        places=places, mask=chosen, position=position, example=tuple(each[index : index + 1] for each in case.x)
    )
