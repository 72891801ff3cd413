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

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.memory import KeptPages, keep_freed_pages
from workers.numerics.quadrature import Quadrature, gauss_legendre, uniform
from workers.suffix import against_captum
from workers.suffix.blocks import Ends, block_of
from workers.suffix.case import Case, cases
from workers.suffix.own_line import why_own_line_jumps
from workers.suffix.quote import quote
from workers.suffix.rerun import Rerun
from workers.suffix.scores import Scores
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.method import settings
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.rules import Rule
from workers.sweep.run import OnChunk
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
        taps = [ready.probe.tap(key) for key in chunks.taps]
        rerun, ends, pages = Rerun(ready.model, ready.probe), Ends(), KeptPages()
        spans = _spans(self.quadrature, chunks.points)
        total, done = len(range(0, len(ready), chunks.examples)) * len(taps) * len(spans), 0
        with frozen(ready.model), differentiable_recurrence(ready.model):
            scores = Scores(rerun)
            for case in cases(ready, chunks):
                at_x, at_origin = ends.record(rerun, case, taps, taps)
                for tap in taps:
                    change = at_x.pop(tap.key).sub_(base := at_origin.pop(tap.key))
                    mean = torch.zeros_like(base)
                    for step in _mean_slopes(scores, tap, case, base, change, spans):
                        mean += step
                        done += 1
                        pages.after_chunk()
                        if on_chunk is not None:
                            on_chunk(done / total)
                    made = block_of(tap, case, mean.mul_(change), still=True)
                    for reducer in reducers:
                        reducer.take(made)
        return ends.joined()

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


def _spans(quadrature: Quadrature, points: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Nodes and weights in chunks."""
    nodes, weights = quadrature.nodes, quadrature.weights
    return [(nodes[at : at + points], weights[at : at + points]) for at in range(0, len(nodes), points)]


def _mean_slopes(
    scores: Scores,
    tap: Tap,
    case: Case,
    base: Tensor,
    change: Tensor,
    spans: Sequence[tuple[tuple[float, ...], tuple[float, ...]]],
) -> Iterator[Tensor]:
    """The weighted gradients of each chunk, summed over its points: (examples, units...)."""
    for alphas, weights in spans:
        along = [
            torch.tensor(each, dtype=base.dtype, device=base.device).view(-1, *[1] * base.ndim)
            for each in (alphas, weights)
        ]
        scored = scores.at(tap, case, (along[0] * change).add_(base), slopes=True)
        if scored.slope is not None:
            yield scored.slope.mul_(along[1]).sum(0)
