"""What is the Shapley value of each part of the input, where the absent parts are at the baseline?

The game's worth is v(z) = F(the parts of z from x, the others from x'); see `shapley`. All inputs are parted and play
together. As in captum 0.9.0 every element of a part has the part's value, so that the parts' values, and not those of
the elements, add up to F(x) - F(x').
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.determinism import seed_for
from workers.numerics.memory import KeptPages, keep_freed_pages
from workers.occlusion import against_captum
from workers.occlusion.boxes import inputs_on_path, over, unfit
from workers.occlusion.parts import Parts
from workers.occlusion.shapley import (
    Coalitions,
    Shapley,
    TooFewCoalitions,
    drawn_coalitions,
    every_coalition,
    shapley,
)
from workers.occlusion.windows import Box, as_lists
from workers.suffix.blocks import Ends, block_of
from workers.suffix.case import Case, cases
from workers.suffix.quote import quote_forward, widened
from workers.suffix.rerun import Rerun
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import OnChunk
from workers.sweep.watch import differentiable_recurrence, frozen

MOST_PARTS = 2048
"""Players of one game; the fit solves a system of as many equations for each example."""

_SAMPLES_A_PART = 4
"""Two pairs of coalitions; with fewer, drawn ones often leave the value of some part open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShap:
    """samples: coalitions for each example, an even number; all of them, and the exact values, where there are no more.

    windows: the box that parts each input, or one for all, see `windows`; parts lie side by side.
    """

    samples: int
    windows: tuple[Box, ...]

    @property
    def name(self) -> str:
        return "kernel_shap"

    def as_json(self) -> dict[str, JsonValue]:
        return {"samples": self.samples, "windows": as_lists(self.windows)}

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        """Windows that do not fit, more parts than can play, or too few samples for them."""
        reason = unfit(ready, tap, self.windows, self.windows)
        if reason:
            return reason
        for other in inputs_on_path(ready):
            reason = unfit(ready, other, self.windows, self.windows)
            if reason:
                return f"all inputs play together, and '{other.key}' cannot: {reason}"
        count = sum(over(ready, each, self.windows, self.windows).count for each in inputs_on_path(ready))
        if count > MOST_PARTS:
            return f"there are {count} parts and at most {MOST_PARTS} can play; ask for larger windows"
        least = _SAMPLES_A_PART * count
        if not self._exact(count) and self.samples < least:
            return f"{self.samples} samples cannot tell {count} parts apart; ask for {least} or more"
        return ""

    def units(self, tap: Tap) -> tuple[int, ...]:
        """One number for each element of the input."""
        return tap.shape

    def complete(self, ready: Prepared, tap: Tap) -> bool:
        """Only where there is one input and each of its elements is a part."""
        if ready.inputs != (tap.key,) or self.obstacle(ready, tap):
            return False
        return over(ready, tap, self.windows, self.windows).count == prod(tap.shape)

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        taps = [tap for tap in inputs_on_path(ready) if not layers or tap.key in layers]
        able = [tap for tap in taps if not self.obstacle(ready, tap)]
        if not able:
            raise SweepRefused("; ".join(f"'{tap.key}': {self.obstacle(ready, tap)}" for tap in taps))
        evaluations = self._evaluations(Parts.of(ready, self.windows).count)
        chunks = ready.plan(max(1, evaluations), memory_bytes, threads, tuple(tap.key for tap in able))
        return widened(ready.probe, chunks)

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        players = Parts.of(ready, self.windows).count
        fit = 4 * 8 * players * (chunks.evaluations + players)  # coalitions, their scores and the system, float64
        return quote_forward(ready.probe, chunks, len(ready), fit)

    def attribute(
        self, ready: Prepared, chunks: Plan, reducers: Sequence[Reducer], on_chunk: OnChunk | None, seed: int
    ) -> Endpoints:
        parts, ends = Parts.of(ready, self.windows), Ends()
        taps = [ready.probe.tap(key) for key in chunks.taps]
        for case, found in self._played(ready, chunks, parts, ends, on_chunk, seed):
            values = torch.stack([each.values for each in found])
            for tap in taps:
                exact = parts.spread(tap.key, values.to(chunks.device))
                made = block_of(tap, case, exact.to(getattr(torch, tap.dtype)), still=True)
                for reducer in reducers:
                    reducer.take(made)
        return ends.joined()

    def standard_errors(self, ready: Prepared, chunks: Plan, seed: int) -> dict[str, Tensor]:
        """The standard errors of what `attribute` gives for these examples, by input: (examples, units...), float64.

        They are over other draws of the coalitions; zero where all coalitions were seen. Takes as long as `attribute`.
        """
        parts, found = Parts.of(ready, self.windows), []
        for _, some in self._played(ready, chunks, parts, Ends(), None, seed):
            found += [each.standard_error for each in some]
        errors = torch.stack(found)
        return {key: parts.spread(key, errors.to(ready.device)).cpu() for key in chunks.taps}

    def verify(
        self,
        ready: Prepared,
        chunks: Plan,  # noqa: ARG002  # captum's fit takes one coalition at a time
        ours: Mapping[str, Tensor],
        seed: int,
    ) -> list[Verification]:
        """captum's KernelShap on the coalitions that are drawn here, one example at a time."""
        parts = Parts.of(ready, self.windows)
        drawn = [self.coalitions(parts.count, seed, ready.first + i) for i in range(len(ready))]
        return against_captum.kernel_shap(ready, ours, parts, drawn)

    def coalitions(self, players: int, seed: int, example: int) -> Coalitions:
        """Those of one example: all where there are no more than `samples`, else drawn for its place."""
        if self._exact(players):
            return every_coalition(players)
        return drawn_coalitions(players, self.samples, seed_for(str(seed), example))

    def _exact(self, players: int) -> bool:
        return players <= _MOST_ENUMERATED and 2**players <= self.samples

    def _evaluations(self, players: int) -> int:
        return 2**players - 2 if self._exact(players) else self.samples // 2 * 2

    def _played(
        self, ready: Prepared, chunks: Plan, parts: Parts, ends: Ends, on_chunk: OnChunk | None, seed: int
    ) -> Iterator[tuple[Case, list[Shapley]]]:
        """The values of the players, a list of examples for each case."""
        keep_freed_pages()
        rerun, pages, done = Rerun(ready.model, ready.probe), KeptPages(), 0
        spans = range(0, self._evaluations(parts.count), chunks.points)
        total = ceil(len(ready) / chunks.examples) * len(spans)
        with frozen(ready.model), differentiable_recurrence(ready.model):
            for case in cases(ready, chunks):
                ends.record(rerun, case, (), ())
                drawn = [self.coalitions(parts.count, seed, ready.first + i) for i in range(case.start, case.stop)]
                members = torch.stack([each.members for each in drawn], 1)
                worth = [torch.empty(0, len(case), dtype=torch.float64)]
                for at in spans:
                    rows = parts.mixed(case, members[at : at + chunks.points].to(chunks.device))
                    target = case.target.select(rerun.plain(rows), len(rows[0]))
                    worth.append(target.to("cpu", torch.float64).reshape(-1, len(case)))
                    done += 1
                    pages.after_chunk()
                    if on_chunk is not None:
                        on_chunk(done / total)
                yield case, _values(drawn, torch.cat(worth), ends)


_MOST_ENUMERATED = 30
"""Players whose coalitions can be counted in a number; far more than anyone waits for."""


def _values(drawn: Sequence[Coalitions], worth: Tensor, ends: Ends) -> list[Shapley]:
    """worth: (coalitions, examples), the target itself."""
    output, origin = ends.latest
    try:
        return [shapley(each, worth[:, i] - origin[i], float(output[i] - origin[i])) for i, each in enumerate(drawn)]
    except TooFewCoalitions as error:
        raise SweepRefused(str(error)) from error
