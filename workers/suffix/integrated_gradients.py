"""What does each unit of a layer contribute as that layer alone goes from its baseline activation to its activation?

Integrated gradients (Sundararajan, Taly and Yan, arXiv:1703.01365, equation 1) with a layer's output in the place of
the input: a_l moves on the straight line from a_l(x') to a_l(x) while the rest of the network sees x, as captum does:

    (a_l(x) - a_l(x'))_j · ∫ dF(x; a_l := a_l(x') + α (a_l(x) - a_l(x'))) / da_l,j dα

The units add up to F(x) - F(x; a_l := a_l(x')). Where everything passes through the layer that is F(x) - F(x'); at a
layer beside a skip connection it is what this branch alone contributes, and no check of completeness applies.

Each layer has a path of its own, so nothing but the prefix can be shared: see `rerun`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.memory import keep_freed_pages
from workers.numerics.quadrature import Quadrature, gauss_legendre, uniform
from workers.suffix import against_captum
from workers.suffix.blocks import Ends, block_of, joined, record
from workers.suffix.case import Case, case
from workers.suffix.own_line import why_own_line_jumps
from workers.suffix.quote import quote
from workers.suffix.rerun import Rerun
from workers.suffix.scores import Scores
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.method import settings
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Block, Reducer
from workers.sweep.rules import Rule
from workers.sweep.watch import differentiable_recurrence, frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerIntegratedGradients:
    """rule: `captum` takes `steps` Gauss-Legendre points, as captum 0.9.0 does by default; `trapezoid` the steps + 1
    points of `steps` equal steps."""

    steps: int
    rule: Rule = "captum"

    @property
    def name(self) -> str:
        return "layer_integrated_gradients"

    @property
    def quadrature(self) -> Quadrature:
        """Where between the two activations the network is evaluated, and with which weights; they sum to one.

        captum 0.9.0 holds its weights in float32 whatever the network computes in, which shows in digit 8; so do these.
        """
        if self.rule == "trapezoid":
            return uniform(self.steps + 1)
        exact = gauss_legendre(self.steps)
        return Quadrature(exact.nodes, tuple(torch.tensor(exact.weights, dtype=torch.float32).tolist()))

    def as_json(self) -> dict[str, JsonValue]:
        return settings(self)

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """Every tap on the path can be moved along its own line, if only steps can follow that."""
        return why_own_line_jumps(ready, tap) if tap.status == "on_path" else ""

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tap.shape

    def complete(self, _ready: Prepared, tap: Tap) -> bool:
        return tap.cut

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        return ready.plan(len(self.quadrature.nodes), memory_bytes, threads, layers)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        evaluations = dict.fromkeys(chunks.taps, chunks.evaluations)
        return quote(ready.probe, chunks, len(ready), evaluations, slopes=True)

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        keep_freed_pages()
        walked, ends = _Lines(ready, chunks, self.quadrature, on_chunk), list[Ends]()
        with frozen(ready.model), differentiable_recurrence(ready.model):
            for ended, made in walked.chunks.over(len(ready), walked.block):
                ends.append(ended)
                for block in made:
                    for reducer in reducers:
                        reducer.take(block)
                made.clear()  # not held while the next ones are found
        return joined(ends, walked.chunks)

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        """captum's LayerIntegratedGradients, one layer and one example at a time; its call with a list of layers moves
        all of them together, which is another question."""
        return against_captum.integrated_gradients(ready, chunks, ours, steps=self.steps, rule=self.rule)


class _Lines:
    """Every layer along its own line, for one block of examples after the other, whose chunks may have to be halved."""

    def __init__(self, ready: Prepared, plan: Plan, quadrature: Quadrature, on_chunk: OnChunk | None) -> None:
        self._ready, self._quadrature, self._device = ready, quadrature, plan.device
        self._taps = [ready.probe.tap(key) for key in plan.taps]
        self._rerun = Rerun(ready.model, ready.probe)
        self._scores: dict[int, Scores] = {}  # by a chunk's points: smaller ones learn anew where one row is enough
        self.chunks = Chunks.of(
            plan, ready.probe, lambda points: ceil(len(quadrature.nodes) / points) * len(plan.taps), on_chunk
        )

    def block(self, start: int, stop: int) -> tuple[Ends, list[Block]]:
        """The attributions of the examples start:stop at each tap."""
        of, made = case(self._ready, start, stop, self._device), list[Block]()
        ends, at_x, at_origin = record(self._rerun, of, self._taps, self._taps)
        for tap in self._taps:
            change = at_x.pop(tap.key).sub_(base := at_origin.pop(tap.key))
            mean = torch.zeros_like(base)
            for step in self._mean_slopes(tap, of, base, change):
                mean += step
            made.append(block_of(tap, of, mean.mul_(change), still=True))
        return ends, made

    def _mean_slopes(self, tap: Tap, of: Case, base: Tensor, change: Tensor) -> Iterator[Tensor]:
        """The weighted gradients of each chunk, summed over its points: (examples, units...)."""
        points = self.chunks.points
        scores = self._scores.setdefault(points, Scores(self._rerun))
        for at in range(0, len(self._quadrature.nodes), points):
            along = [
                torch.tensor(each[at : at + points], dtype=base.dtype, device=base.device).view(-1, *[1] * base.ndim)
                for each in (self._quadrature.nodes, self._quadrature.weights)
            ]
            scored = scores.at(tap, of, (along[0] * change).add_(base), slopes=True)
            if scored.slope is not None:
                yield scored.slope.mul_(along[1]).sum(0)
            del scored
            self.chunks.finished()
