"""By how much does the target fall when groups of a layer's units are replaced, group by group?

    drop_g = F(x) - F(x; the units of group g of layer l := their fill)

As many groups as fit the memory are one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
from torch import Tensor

from workers.numerics.memory import keep_freed_pages
from workers.suffix.blocks import Ends, joined, record
from workers.suffix.case import Case, case
from workers.suffix.groups import Groups
from workers.suffix.rerun import Rerun
from workers.suffix.scores import Scores
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.watch import differentiable_recurrence, frozen

Fill = Mapping[str, Tensor] | Literal["baseline"]
"""What the units are replaced by: (1, units...) by the key of the tap, or their values at the baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Drops:
    """For one tap and one case: (examples, groups), in the unit of the target."""

    tap: Tap
    case: Case
    of: Tensor


def drops(
    ready: Prepared,
    chunks: Plan,
    groups: Mapping[str, Groups],
    fill: Fill,
    take: Callable[[Drops], None],
    on_chunk: OnChunk | None,
) -> Endpoints:
    """Replaces every group of every tap of `chunks`; `take` gets each tap of each case, examples in order.

    groups: by the key of the tap. Returns the target's ends. Raises ChangingGraph, SweepRefused where no row fits the
    device, and whatever `on_chunk` raises.
    """
    keep_freed_pages()
    replacing = _Replacing(ready, chunks, groups, fill, on_chunk)
    ends = list[Ends]()
    with frozen(ready.model), differentiable_recurrence(ready.model):
        for ended, made in replacing.chunks.over(len(ready), replacing.block):
            ends.append(ended)
            for each in made:
                take(each)
            made.clear()  # not held while the next ones are found
    return joined(ends, replacing.chunks)


class _Replacing:
    """One pass over all examples, whose chunks may have to be halved."""

    def __init__(
        self, ready: Prepared, plan: Plan, groups: Mapping[str, Groups], fill: Fill, on_chunk: OnChunk | None
    ) -> None:
        self._ready, self._groups, self._fill, self._device = ready, groups, fill, plan.device
        self._taps = [ready.probe.tap(key) for key in plan.taps]
        self._rerun = Rerun(ready.model, ready.probe)
        self._scores: dict[int, Scores] = {}  # by a chunk's points: smaller ones learn anew where one row is enough
        self.chunks = Chunks.of(
            plan, ready.probe, lambda points: sum(ceil(groups[key].count / points) for key in plan.taps), on_chunk
        )

    def block(self, start: int, stop: int) -> tuple[Ends, list[Drops]]:
        """The drops of the examples start:stop, a tap at a time."""
        of, fill = case(self._ready, start, stop, self._device), self._fill
        ends, at_x, at_origin = record(self._rerun, of, self._taps, self._taps if fill == "baseline" else ())
        intact, made = ends.output.to(self._device), list[Drops]()
        for tap in self._taps:
            value = at_x.pop(tap.key)
            instead = at_origin.pop(tap.key) if fill == "baseline" else fill[tap.key]
            found = [(intact - target).to(value.dtype) for target in self._replaced(tap, of, value, instead)]
            made.append(Drops(tap, of, torch.cat(found).T.contiguous()))
        return ends, made

    def _replaced(self, tap: Tap, of: Case, value: Tensor, instead: Tensor) -> Iterator[Tensor]:
        """The target with each group replaced: (groups of the chunk, examples), chunk after chunk."""
        groups, points = self._groups[tap.key], self.chunks.points
        scores = self._scores.setdefault(points, Scores(self._rerun))
        for start in range(0, groups.count, points):
            members = groups.members(start, min(start + points, groups.count), value.device)
            rows = torch.where(members.unsqueeze(1), instead, value)
            yield scores.at(tap, of, rows, slopes=False).target.to(torch.float64)
            del rows
            self.chunks.finished()
