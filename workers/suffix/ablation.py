"""By how much does the target fall when a channel, a token or a unit of a layer is taken away?

    drop_g = F(x) - F(x; the units of group g of layer l := their fill)

for each group of units alone, the rest of the network running on (Meyes, Lu, de Puiseau and Meisen, arXiv:1901.08644,
ablate units so; captum's LayerFeatureAblation with a mask of groups gives each unit its group's number). Drops do not
add up to anything: two groups that stand in for each other both have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.suffix import against_captum
from workers.suffix.blocks import block_of
from workers.suffix.drops import Drops, Fill, drops
from workers.suffix.groups import Along, AlongAxis
from workers.suffix.quote import quote, widened
from workers.suffix.rerun import Rerun
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.method import settings
from workers.sweep.plan import Plan, Quote, select
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.watch import differentiable_recurrence, frozen

MOST_GROUPS = 1 << 14
"""A layer with more is not ablated: each group takes a pass of the network for each example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAblation:
    """along: which units are one group, see `groups`.

    fill: what they are replaced by: zero, the layer's value at the baseline, or its mean over the examples asked about,
          unit by unit (Wang et al., arXiv:2211.00593, ablate to the mean).
    """

    along: Along = "first"
    fill: Literal["zero", "baseline", "mean"] = "zero"

    @property
    def name(self) -> str:
        return "layer_ablation"

    def as_json(self) -> dict[str, JsonValue]:
        return settings(self)

    def obstacle(self, _ready: Prepared, tap: Tap) -> str:
        """Too many groups."""
        count = self.groups(tap).count
        if count <= MOST_GROUPS:
            return ""
        return (
            f"it has {count} groups of units and each takes a pass of the network for each example; "
            f'at most {MOST_GROUPS} are taken: ask for groups along the "first" or the "last" axis'
        )

    def groups(self, tap: Tap) -> AlongAxis:
        """The groups of units at `tap`."""
        return AlongAxis.of(self.along, tap.shape)

    def units(self, tap: Tap) -> tuple[int, ...]:
        """One number for each group."""
        return self.groups(tap).units

    def complete(self, _ready: Prepared, _tap: Tap) -> bool:
        """Drops have no such axiom."""
        return False

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        named = select(ready.probe, layers) if layers else ready.layers
        able = [tap for tap in named if tap.status == "on_path" and not self.obstacle(ready, tap)]
        most = max((self.groups(tap).count for tap in able), default=1)
        chunks = ready.plan(most, memory_bytes, threads, tuple(tap.key for tap in able) or layers)
        return widened(ready.probe, chunks)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        evaluations = {key: self.groups(ready.probe.tap(key)).count for key in chunks.taps}
        return quote(ready.probe, chunks, len(ready), evaluations, slopes=False)

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        groups = {key: self.groups(ready.probe.tap(key)) for key in chunks.taps}

        def take(found: Drops) -> None:
            units = self.units(found.tap)
            made = block_of(found.tap, found.case, found.of.reshape(len(found.case), *units), still=False)
            for reducer in reducers:
                reducer.take(made)

        return drops(ready, chunks, groups, self._fill(ready, chunks), take, on_chunk)

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        """captum's LayerFeatureAblation with the groups as its mask, one example at a time."""
        groups = {key: self.groups(ready.probe.tap(key)) for key in ours}
        fill = self._fill(ready, replace(chunks, taps=tuple(ours)))
        return against_captum.ablation(ready, chunks, ours, groups, fill)

    def _fill(self, ready: Prepared, chunks: Plan) -> Fill:
        if self.fill == "baseline":
            return "baseline"
        return _means(ready, chunks) if self.fill == "mean" else _zeros(ready, chunks)


def _zeros(ready: Prepared, chunks: Plan) -> dict[str, Tensor]:
    taps = (ready.probe.tap(key) for key in chunks.taps)
    return {tap.key: torch.zeros(1, *tap.shape, dtype=getattr(torch, tap.dtype), device=chunks.device) for tap in taps}


def _means(ready: Prepared, chunks: Plan) -> dict[str, Tensor]:
    """Each unit's mean over all examples of the question, of which these may be a few: (1, units...)."""
    taps, inputs = [ready.probe.tap(key) for key in chunks.taps], ready.others or ready.x
    rerun, sums = Rerun(ready.model, ready.probe), _zeros(ready, chunks)

    def recorded(start: int, stop: int) -> dict[str, Tensor]:
        some = tuple(each[start:stop].to(chunks.device) for each in inputs)
        return rerun.record(some, taps).values

    with frozen(ready.model), differentiable_recurrence(ready.model):
        for values in Chunks(1, chunks.examples, fixed=ready.probe.rows).over(len(inputs[0]), recorded):
            for key, value in values.items():
                sums[key] += value.sum(0, keepdim=True)
    return {key: total / len(inputs[0]) for key, total in sums.items()}
