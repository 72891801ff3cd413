"""How much does what a layer changed by, from baseline to input, add to what the target changed by?

Shrikumar, Greenside and Kundaje, arXiv:1704.02685, the rescale rule of section 3.5.1; rules for what is not elementwise
are stated in `secants`, `selections` and `normalised`, and the table of all operations is in `rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from pydantic import JsonValue
from torch import Tensor

from workers.rescale.against_captum import verify
from workers.rescale.run import deeplift
from workers.rescale.secants import TINY
from workers.rescale.survey import survey
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import OnChunk
from workers.sweep.plan import Plan, Quote, quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.refusals import SweepRefused

_TOGETHER = 2
"""Rows in memory for each example: its own, and its baseline's."""

_LOOKING_SECONDS = 1.2e-4
"""What each operation of a chunk takes to be seen in both passes and put into the pass back; an estimate."""

_SEEN_BYTES = 12 << 10
"""What an operation takes beside its numbers, however few they are: it is kept with its operands from both passes, and
has a node in the pass back. Read off an LSTM of 1377 operations on tensors of some hundred bytes."""


@dataclass(frozen=True, slots=True)
class DeepLift:
    """Nothing is set: the rules are fixed, and their threshold is captum's."""

    @property
    def name(self) -> str:
        return "layer_deeplift"

    def as_json(self) -> dict[str, JsonValue]:
        return {"rule": "rescale", "derivative_below": TINY}

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """What has no rule between the tap and the target."""
        reason = survey(ready).obstacles.get(ready.probe.own(tap).key, "")
        return f"not applicable, because {reason}; ask for layer_conductance" if reason else ""

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tap.shape

    def complete(self, ready: Prepared, tap: Tap) -> bool:
        """At every cut: the rules of all that follows are exact."""
        return tap.cut and not self.obstacle(ready, tap)

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        """Of the layers named, those without an obstacle."""
        made = ready.plan(1, memory_bytes, threads, layers, together=_TOGETHER)
        obstacles = {key: self.obstacle(ready, ready.probe.tap(key)) for key in made.taps}
        able = tuple(key for key, reason in obstacles.items() if not reason)
        if made.taps and not able:
            raise SweepRefused(f"DeepLIFT: no layer can be attributed to; '{made.taps[0]}': {obstacles[made.taps[0]]}")
        return replace(made, taps=able)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        made = quote(ready.probe, chunks, len(ready), together=_TOGETHER)
        looking = ceil(len(ready) / chunks.examples) * survey(ready).operations * _LOOKING_SECONDS
        seen = survey(ready).operations * _SEEN_BYTES
        return replace(made, seconds=made.seconds + looking, bytes=made.bytes + seen)

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        return deeplift(ready.model, ready.probe, chunks, ready.x, ready.origin, ready.target, reducers, on_chunk)

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,  # noqa: ARG002  # captum takes one example at a time
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        return verify(ready, ours)
