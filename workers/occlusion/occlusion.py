"""By how much does the target fall when a window of the input is replaced by the baseline?

Zeiler and Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.2, hide a grey
square; here any box of any input, at every place of a grid. As in captum 0.9.0 an element gets the mean of the drops of
all windows that it lies in, so that elements of windows side by side each repeat their window's whole drop: the
numbers say what hiding there does, and do not add up to F(x) - F(x'). One input at a time is hidden from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from torch import Tensor

from workers.occlusion import against_captum
from workers.occlusion.boxes import inputs_on_path, over, unfit
from workers.occlusion.windows import Box, Windows, as_lists
from workers.suffix.ablation import MOST_GROUPS
from workers.suffix.blocks import block_of
from workers.suffix.drops import Drops, drops
from workers.suffix.quote import quote, widened
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import OnChunk
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.refusals import SweepRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """windows, strides: a box for each input, or one for all, see `windows`; strides as the windows where empty.

    What is hidden is replaced by the baseline, which says what absence is.
    """

    windows: tuple[Box, ...]
    strides: tuple[Box, ...] = ()

    @property
    def name(self) -> str:
        return "occlusion"

    def as_json(self) -> dict[str, JsonValue]:
        return {"windows": as_lists(self.windows), "strides": as_lists(self._strides)}

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """A window that does not fit this input, or too many of them."""
        reason = unfit(ready, tap, self.windows, self._strides)
        if reason:
            return reason
        count = self._over(ready, tap).count
        if count > MOST_GROUPS:
            return f"it has {count} windows and each takes a pass of the network for each example; ask for larger ones"
        return ""

    def units(self, tap: Tap) -> tuple[int, ...]:
        """One number for each element of the input."""
        return tap.shape

    def complete(self, _ready: Prepared, _tap: Tap) -> bool:
        """Drops have no such axiom."""
        return False

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        taps = [tap for tap in inputs_on_path(ready) if not layers or tap.key in layers]
        able = [tap for tap in taps if not self.obstacle(ready, tap)]
        if not able:
            raise SweepRefused("; ".join(f"'{tap.key}': {self.obstacle(ready, tap)}" for tap in taps))
        most = max(self._over(ready, tap).count for tap in able)
        return widened(ready.probe, ready.plan(most, memory_bytes, threads, tuple(tap.key for tap in able)))

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        evaluations = {key: self._over(ready, ready.probe.tap(key)).count for key in chunks.taps}
        return quote(ready.probe, chunks, len(ready), evaluations, slopes=False)

    def attribute(
        self,
        ready: Prepared,
        chunks: Plan,
        reducers: Sequence[Reducer],
        on_chunk: OnChunk | None,
        seed: int,  # noqa: ARG002  # nothing is drawn
    ) -> Endpoints:
        windows = {key: self._over(ready, ready.probe.tap(key)) for key in chunks.taps}

        def take(found: Drops) -> None:
            made = block_of(found.tap, found.case, windows[found.tap.key].averaged(found.of), still=True)
            for reducer in reducers:
                reducer.take(made)

        return drops(ready, chunks, windows, "baseline", take, on_chunk)

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,
        ours: Mapping[str, Tensor],
        seed: int,  # noqa: ARG002  # as above
    ) -> list[Verification]:
        """captum's Occlusion, one example at a time."""
        able = [tap for tap in map(ready.probe.tap, ready.inputs) if not self.obstacle(ready, tap)]
        return against_captum.occlusion(ready, chunks, ours, {tap.key: self._over(ready, tap) for tap in able})

    @property
    def _strides(self) -> tuple[Box, ...]:
        return self.strides or self.windows

    def _over(self, ready: Prepared, tap: Tap) -> Windows:
        return over(ready, tap, self.windows, self._strides)
