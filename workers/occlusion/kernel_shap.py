"""What is the Shapley value of each part of the input, where the absent parts are at the baseline?

The game's worth is v(z) = F(the parts of z from x, the others from x'); see `shapley`. All inputs are parted and play
together. As in captum 0.9.0 every element of a part has the part's value, so that the parts' values, and not those of
the elements, add up to F(x) - F(x').
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, prod

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.determinism import seed_for
from workers.numerics.memory import keep_freed_pages
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
from workers.suffix.blocks import Ends, block_of, joined, record
from workers.suffix.case import Case, case
from workers.suffix.quote import quote_forward, widened
from workers.suffix.rerun import Rerun
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.refusals import SweepRefused
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
        game, ends = self._game(ready, chunks, on_chunk, seed), list[Ends]()
        taps = [ready.probe.tap(key) for key in chunks.taps]
        for of, ended, found in game.played():
            ends.append(ended)
            values = torch.stack([each.values for each in found])
            for tap in taps:
                exact = game.parts.spread(tap.key, values.to(chunks.device))
                made = block_of(tap, of, exact.to(getattr(torch, tap.dtype)), still=True)
                for reducer in reducers:
                    reducer.take(made)
        return joined(ends, game.chunks)

    def standard_errors(self, ready: Prepared, chunks: Plan, seed: int) -> dict[str, Tensor]:
        """The standard errors of what `attribute` gives for these examples, by input: (examples, units...), float64.

        They are over other draws of the coalitions; zero where all coalitions were seen. Takes as long as `attribute`.
        """
        game = self._game(ready, chunks, None, seed)
        errors = torch.stack([each.standard_error for _, _, some in game.played() for each in some])
        return {key: game.parts.spread(key, errors.to(ready.device)).cpu() for key in chunks.taps}

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

    def _game(self, ready: Prepared, chunks: Plan, on_chunk: OnChunk | None, seed: int) -> _Game:
        parts = Parts.of(ready, self.windows)
        drawn = partial(self.coalitions, parts.count, seed)
        return _Game(ready, chunks, parts, drawn, self._evaluations(parts.count), on_chunk)


class _Game:
    """All examples' games, for one block of examples after the other, whose chunks may have to be halved."""

    def __init__(
        self, ready: Prepared, plan: Plan, parts: Parts, drawn: Callable[[int], Coalitions], count: int,
        on_chunk: OnChunk | None,
    ) -> None:  # fmt: skip
        """drawn: the coalitions of an example by its place among all, `count` of them."""
        self._ready, self._drawn, self._count, self._device = ready, drawn, count, plan.device
        self._rerun, self.parts = Rerun(ready.model, ready.probe), parts
        self.chunks = Chunks.of(plan, ready.probe, lambda points: ceil(count / points), on_chunk)

    def played(self) -> Iterator[tuple[Case, Ends, list[Shapley]]]:
        """The values of the players, a list of examples for each case. Raises SweepRefused."""
        keep_freed_pages()
        with frozen(self._ready.model), differentiable_recurrence(self._ready.model):
            yield from self.chunks.over(len(self._ready), self._block)

    def _block(self, start: int, stop: int) -> tuple[Case, Ends, list[Shapley]]:
        of = case(self._ready, start, stop, self._device)
        ends, _, _ = record(self._rerun, of, (), ())
        drawn = [self._drawn(self._ready.first + i) for i in range(start, stop)]
        members, points = torch.stack([each.members for each in drawn], 1), self.chunks.points
        worth = [torch.empty(0, len(of), dtype=torch.float64)]
        for at in range(0, self._count, points):
            rows = self.parts.mixed(of, members[at : at + points].to(self._device))
            target = of.target.select(self._rerun.plain(rows), len(rows[0]))
            worth.append(target.to("cpu", torch.float64).reshape(-1, len(of)))
            del rows, target
            self.chunks.finished()
        return of, ends, _values(drawn, torch.cat(worth), ends)


_MOST_ENUMERATED = 30
"""Players whose coalitions can be counted in a number; far more than anyone waits for."""


def _values(drawn: Sequence[Coalitions], worth: Tensor, ends: Ends) -> list[Shapley]:
    """worth: (coalitions, examples), the target itself."""
    output, origin = ends.output, ends.origin
    try:
        return [shapley(each, worth[:, i] - origin[i], float(output[i] - origin[i])) for i, each in enumerate(drawn)]
    except TooFewCoalitions as error:
        raise SweepRefused(str(error)) from error
