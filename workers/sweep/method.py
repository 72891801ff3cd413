"""What is a way to attribute? The one interface behind every engine, and what all of them answer alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from pydantic import JsonValue
from torch import Tensor

from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import OnChunk
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep, Reducer

Explain = Callable[[Prepared], dict[str, Tensor]]
"""Whole attributions of a handful of examples: (n, units...) by the key of the tap."""


class Method(Protocol):
    """A way to attribute with its settings: a frozen dataclass of plain values, so that equal ones can share a pass."""

    @property
    def name(self) -> str:
        """As the field calls it, in the words of a kind: layer_conductance."""

    def as_json(self) -> dict[str, JsonValue]:
        """Its settings, as provenance keeps them."""

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """Why a tap on the path gets no number from this method; empty where it gets one."""

    def units(self, tap: Tap) -> tuple[int, ...]:
        """The shape of one example's attribution at `tap`."""

    def complete(self, ready: Prepared, tap: Tap) -> bool:
        """Whether the attributions of `tap` must add up to F(x) - F(x')."""

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        """How the work is cut for the layers named, all that it applies to where none is. Raises SweepRefused."""

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """What work cut so will take."""

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,
    ) -> Endpoints:
        """Gives every tap of `chunks` to every reducer, in blocks of examples, in order; returns the target's ends.

        seed: what an example draws comes from this and its place among the examples, never from its chunk.
        Raises SweepRefused, NotFinite, and whatever `on_chunk` raises.
        """

    def verify(self, ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], seed: int) -> list[Verification]:
        """captum's opinion of the attributions `ours`, by tap; why not, where captum cannot."""


def settings(method: object) -> dict[str, JsonValue]:
    """The members of a method that is a dataclass of plain values, as JSON has them: lists for tuples."""
    members = asdict(method)  # type: ignore[call-overload] # a Method is a dataclass by its contract
    made: dict[str, JsonValue] = json.loads(json.dumps(members, allow_nan=False))
    return made


def explain(method: Method, layers: tuple[str, ...], memory_bytes: int, threads: int, seed: int) -> Explain:
    """`method` as a function from a handful of examples to whole attributions, of the taps named."""

    def explained(ready: Prepared) -> dict[str, Tensor]:
        chunks = method.plan(ready, memory_bytes, threads, layers)
        kept = Keep()
        method.attribute(ready, chunks, [kept], None, seed)
        return {key: kept.of(key) for key in chunks.taps}

    return explained
