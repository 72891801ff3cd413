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

from workers.numerics.memory import KeptPages, keep_freed_pages
from workers.suffix.blocks import Ends
from workers.suffix.case import Case, cases
from workers.suffix.groups import Groups
from workers.suffix.rerun import Rerun
from workers.suffix.scores import Scores
from workers.sweep.completeness import Endpoints
from workers.sweep.plan import Plan
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.run import OnChunk
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

    groups: by the key of the tap. Returns the target's ends. Raises ChangingGraph, and whatever `on_chunk` raises.
    """
    keep_freed_pages()
    taps = [ready.probe.tap(key) for key in chunks.taps]
    rerun, ends, pages = Rerun(ready.model, ready.probe), Ends(), KeptPages()
    each = sum(ceil(groups[key].count / chunks.points) for key in chunks.taps)
    total, done = ceil(len(ready) / chunks.examples) * each, 0
    with frozen(ready.model), differentiable_recurrence(ready.model):
        scores = Scores(rerun)
        for case in cases(ready, chunks):
            at_x, at_origin = ends.record(rerun, case, taps, taps if fill == "baseline" else ())
            intact = ends.latest[0].to(chunks.device)
            for tap in taps:
                value = at_x.pop(tap.key)
                instead = at_origin.pop(tap.key) if fill == "baseline" else fill[tap.key]
                found = []
                for target in _replaced(scores, tap, case, value, instead, groups[tap.key], chunks.points):
                    found.append((intact - target).to(value.dtype))
                    done += 1
                    pages.after_chunk()
                    if on_chunk is not None:
                        on_chunk(done / total)
                take(Drops(tap, case, torch.cat(found).T.contiguous()))
    return ends.joined()


def _replaced(
    scores: Scores, tap: Tap, case: Case, value: Tensor, instead: Tensor, groups: Groups, points: int
) -> Iterator[Tensor]:
    """The target with each group replaced: (groups of the chunk, examples), chunk after chunk."""
    for start in range(0, groups.count, points):
        members = groups.members(start, min(start + points, groups.count), value.device)
        rows = torch.where(members.unsqueeze(1), instead, value)
        yield scores.at(tap, case, rows, slopes=False).target.to(torch.float64)
