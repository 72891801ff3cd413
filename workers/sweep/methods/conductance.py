"""How much of the output's change flows through each unit of every layer?

Dhamdhere, Sundararajan and Yan, How important is a neuron?, arXiv:1805.12233, equation 2; the sums are in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue
from torch import Tensor

from workers.sweep.captum_check import Verification, verify
from workers.sweep.completeness import Endpoints
from workers.sweep.jump import why_jumps
from workers.sweep.method import settings
from workers.sweep.methods.along import applicable
from workers.sweep.plan import Plan, Quote, quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.rules import Rule, nodes
from workers.sweep.run import OnChunk, Question, begin_conductance, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductance:
    """steps: along the path from baseline to input; rule: how a step is summed."""

    steps: int
    rule: Rule = "trapezoid"

    @property
    def name(self) -> str:
        return "layer_conductance"

    @property
    def points(self) -> tuple[float, ...]:
        """Where along the path the network is evaluated."""
        return nodes(self.rule, self.steps)

    def as_json(self) -> dict[str, JsonValue]:
        return settings(self)

    def obstacle(self, ready: Prepared, _tap: Tap) -> str:
        """Every tap has a conductance, if only steps can follow the path."""
        return why_jumps(ready.jump)

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tap.shape

    def complete(self, _ready: Prepared, tap: Tap) -> bool:
        return tap.cut

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        named = applicable(ready, layers or tuple(tap.key for tap in ready.layers), self.obstacle, self.name)
        return ready.plan(self.steps + 1, memory_bytes, threads, named)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        return quote(ready.probe, chunks, len(ready))

    def question(self, ready: Prepared, taps: tuple[str, ...], reducers: Sequence[Reducer]) -> Question:
        """What this asks of a walk along its points."""
        begin = partial(begin_conductance, self.rule)
        return Question(target=ready.target, begin=begin, taps=taps, reducers=reducers)

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        question = self.question(ready, chunks.taps, reducers)
        (ends,) = walk(ready.model, ready.probe, chunks, ready.x, ready.origin, self.points, [question], on_chunk)
        return ends

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        return verify(ready.model, ready.probe, chunks, ready.x, ready.origin, ready.target, ours, rule=self.rule)
