"""Which element of which input belongs to which player, and what does a network read when only some of them play?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.occlusion.boxes import inputs_on_path, over
from workers.occlusion.windows import Box
from workers.suffix.case import Case
from workers.sweep.ready import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """count: the players. numbers: by the key of the input, each element's player, (units...), int64.

    positions: by the key of the input, which argument of the network it is.
    """

    count: int
    numbers: dict[str, Tensor]
    positions: dict[str, int]

    @classmethod
    def of(cls, ready: Prepared, windows: Sequence[Box]) -> Parts:
        """The windows of every input that the target depends on, side by side."""
        count, numbers = 0, {}
        for tap in inputs_on_path(ready):
            parted = over(ready, tap, windows, windows)
            numbers[tap.key] = parted.numbered(count).to(ready.device)
            count += parted.count
        return cls(count, numbers, {key: ready.probe.inputs[key] for key in numbers})

    def mixed(self, case: Case, members: Tensor) -> tuple[Tensor, ...]:
        """members: (points, examples, players), Boolean. The inputs, (points * examples, units...), where the parts of
        the members come from x and the other parts from the baseline; what is not parted comes from x."""
        rows = [each.repeat(len(members), *[1] * (each.ndim - 1)) for each in case.x]
        for key, position in self.positions.items():
            present = members[:, :, self.numbers[key]].flatten(0, 1)
            origin = case.origin[position].repeat(len(members), *[1] * (present.ndim - 1))
            rows[position] = torch.where(present, rows[position], origin)
        return tuple(rows)

    def spread(self, key: str, values: Tensor) -> Tensor:
        """values: (examples, players). (examples, units...): each element of an input has its player's value."""
        return values[:, self.numbers[key]]
