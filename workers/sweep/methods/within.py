"""How many steps does each example need, for its attributions to add up to what the output changed by?

The steps are doubled until the completeness error of the example, |Σ_j a_j - (F(x) - F(x'))| / |F(x) - F(x')|, is
within the tolerance at every tap that must be complete, or the budget ends. Each example is settled by itself: so the
answer does not depend on which examples share a block or a pass, an easy example costs few steps, and what holds for
each holds for their mean.

Nothing is kept from fewer steps for more. The trapezoid of conductance pairs each value with its neighbour's gradient,
so its points would have to be held, with all their layers; doubling costs at most as much again as the last round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, sqrt

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.numerics.memory import give_back_freed_pages
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints, completeness
from workers.sweep.halving import OnChunk
from workers.sweep.method import Method, settings
from workers.sweep.methods.along import fitting, held
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.plan import Plan, Quote
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Block, Keep, Reducer
from workers.sweep.refusals import SweepRefused

LEAST_STEPS = 8
"""Steps of the first round."""

_HELD = 4
"""Tensors of a tap's size beyond those of the first round: the block's, a round's, and what chunks carry."""

_ROUNDING = 8
"""Units in the last place of the target that two passes in different batches may lie apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Endpoints):
    """steps: of each example, (examples,) int64. errors: by tap that must be complete, of each example, (examples,)
    float64; zero where what is missing is within the rounding of the target."""

    steps: Tensor
    errors: Mapping[str, Tensor]

    def missed(self, tolerance: float) -> tuple[str, ...]:
        """The taps at which some example is not within `tolerance`, though the budget has ended."""
        return tuple(key for key, error in self.errors.items() if bool((error > tolerance).any()))


class _Within(ABC):
    """The members of `Method` for a frozen dataclass of a tolerance and the most steps."""

    __slots__ = ()
    tolerance: float
    most_steps: int

    @abstractmethod
    def at(self, steps: int) -> Method:
        """The method with so many steps."""

    @property
    def name(self) -> str:
        return self.at(LEAST_STEPS).name

    @property
    def steps(self) -> str:
        """Chosen by example."""
        return "auto"

    def as_json(self) -> dict[str, JsonValue]:
        return {"steps": "auto", "least_steps": LEAST_STEPS, **settings(self)}

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        return self.at(LEAST_STEPS).obstacle(ready, tap)

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tap.shape

    def complete(self, ready: Prepared, tap: Tap) -> bool:
        return self.at(LEAST_STEPS).complete(ready, tap)

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        """Of the first round; later rounds have chunks of as many rows."""
        made = self.at(LEAST_STEPS).plan(ready, memory_bytes, threads, layers)
        if not self._controlled(ready, made):
            raise SweepRefused(
                f"a tolerance for {self.name} is not applicable, because nothing asked for must add up to the output's"
                " change: paths pass it by; name a number of steps, or ask for a layer that everything passes through"
            )
        return fitting(made, memory_bytes, lambda chunks: self.quote(ready, chunks))

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """Steps are known afterwards: the estimate lies midway, as a ratio, between the least and the most."""
        first = self.at(LEAST_STEPS).quote(ready, chunks)
        rounds = 2 * sqrt(max(1.0, self.most_steps / LEAST_STEPS)) - 1
        return Quote(first.seconds * rounds, first.bytes + _HELD * held(ready, chunks))

    def attribute(
        self, ready: Prepared, chunks: Plan, reducers: Sequence[Reducer], on_chunk: OnChunk | None, seed: int
    ) -> Settled:
        done, n = list[Settled](), len(ready)
        for start in range(0, n, chunks.examples):
            some = ready.examples(start, min(start + chunks.examples, n))
            told = None if on_chunk is None else _Told(on_chunk, start / n, len(some) / n)
            values, settled = self._settle(some, chunks, told, seed)
            done.append(replace(settled, shrunk=tuple(replace(s, start=s.start + start) for s in settled.shrunk)))
            _give(start, values, reducers)
            give_back_freed_pages()  # rounds have chunks of several sizes, and leave holes of each
            if told is not None:
                told.finish()
        return Settled(
            torch.cat([each.output for each in done]), torch.cat([each.baseline_output for each in done]),
            tuple(each for some in done for each in some.shrunk), steps=torch.cat([each.steps for each in done]),
            errors={key: torch.cat([each.errors[key] for each in done]) for key in done[0].errors},
        )  # fmt: skip

    def verify(self, ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], seed: int) -> list[Verification]:
        """captum at the steps that each of these examples needed."""
        worst: dict[str, Verification] = {}
        for i in range(len(ready)):
            one = ready.examples(i, i + 1)
            _, settled = self._settle(one, chunks, None, seed)
            method = self.at(int(settled.steps))
            wide = replace(chunks, evaluations=method.plan(one, chunks.memory_bytes, 1, chunks.taps).evaluations)
            for check in method.verify(one, wide, {key: each[i : i + 1] for key, each in ours.items()}, seed):
                before = worst.get(check.layer)
                if before is None or (before.difference or 0.0) <= (check.difference or 0.0):
                    worst[check.layer] = check
        return list(worst.values())

    def _controlled(self, ready: Prepared, chunks: Plan) -> tuple[str, ...]:
        return tuple(key for key in chunks.taps if self.complete(ready, ready.probe.tap(key)))

    def _settle(
        self, ready: Prepared, chunks: Plan, told: _Told | None, seed: int
    ) -> tuple[dict[str, Tensor], Settled]:
        """The attributions of a block of examples, (examples, ...) by tap, each with the steps it needs."""
        keys, rows, steps = self._controlled(ready, chunks), chunks.points * chunks.examples, LEAST_STEPS
        used = torch.full((len(ready),), steps)
        values, ends, rows = self._round(ready, chunks, steps, rows, told, seed)
        shrunk = list(ends.shrunk)
        while True:
            errors = {key: _error(values[key], ends) for key in keys}
            open_ = torch.stack([error > self.tolerance for error in errors.values()]).any(0)
            if told is not None:
                told.settled = 1 - float(open_.double().mean())
            steps *= 2
            if steps > self.most_steps or not bool(open_.any()):
                break
            for first, last in _runs(open_):
                finer, ended, rows = self._round(ready.examples(first, last), chunks, steps, rows, told, seed)
                shrunk += [replace(each, start=each.start + first) for each in ended.shrunk]
                used[first:last] = steps
                for key, each in finer.items():
                    values[key][first:last] = each
        settled = Settled(ends.output, ends.baseline_output, tuple(shrunk), steps=used, errors=errors)
        return values, settled

    def _round(
        self, ready: Prepared, chunks: Plan, steps: int, rows: int, told: _Told | None, seed: int
    ) -> tuple[dict[str, Tensor], Endpoints, int]:
        """All of these examples at so many steps, in chunks of at most `rows` rows; and how many did fit."""
        method, kept = self.at(steps), Keep()
        whole = method.plan(ready, chunks.memory_bytes, chunks.threads, chunks.taps).evaluations
        points = whole if rows >= whole else ceil(whole / ceil(whole / rows))
        cut = replace(chunks, evaluations=whole, points=points, examples=max(1, min(len(ready), rows // whole)))
        ends = method.attribute(ready, cut, [kept], told, seed)
        if ends.shrunk:
            rows = ends.shrunk[-1].points * ends.shrunk[-1].examples
        return {key: kept.of(key) for key in chunks.taps}, ends, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductanceWithin(_Within):
    """layer_conductance by the trapezoid rule, in as many steps as each example needs."""

    tolerance: float
    most_steps: int = 512

    def at(self, steps: int) -> Conductance:
        return Conductance(steps=steps, rule="trapezoid")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradientsWithin(_Within):
    """integrated_gradients over Gauss-Legendre nodes, in as many steps as each example needs."""

    tolerance: float
    most_steps: int = 512

    def at(self, steps: int) -> IntegratedGradients:
        return IntegratedGradients(steps=steps, rule="captum")


class _Told:
    """Reports progress by the share of examples that are settled, which never falls; rounds have no number yet."""

    def __init__(self, on_chunk: OnChunk, before: float, share: float) -> None:
        self._on_chunk, self._before, self._share = on_chunk, before, share
        self.settled = 0.0

    def finish(self) -> None:
        """The block has been given away, whether or not every example met the tolerance."""
        self.settled = 1.0
        self(1.0)

    def __call__(self, _fraction: float) -> None:
        self._on_chunk(self._before + self._share * self.settled)


def _error(values: Tensor, ends: Endpoints) -> Tensor:
    """(examples,), float64."""
    delta = completeness(values.flatten(1).sum(1, dtype=torch.float64), ends).delta.abs()
    rounding = _ROUNDING * torch.finfo(values.dtype).eps * torch.maximum(ends.output.abs(), ends.baseline_output.abs())
    return torch.where(delta <= rounding, 0.0, delta / ends.difference.abs())


def _runs(chosen: Tensor) -> Iterator[tuple[int, int]]:
    """first, last + 1 of each run of True."""
    edges = [0, *(i for i in range(1, len(chosen)) if bool(chosen[i]) != bool(chosen[i - 1])), len(chosen)]
    for first, last in pairwise(edges):
        if bool(chosen[first]):
            yield first, last


def _give(start: int, values: Mapping[str, Tensor], reducers: Sequence[Reducer]) -> None:
    for key, each in values.items():
        flat = each.flatten(1)
        signed, absolute = flat.sum(1, dtype=torch.float64), torch.linalg.vector_norm(flat, 1, 1, dtype=torch.float64)
        for reducer in reducers:
            reducer.take(Block(key, start, start + len(each), each, signed, absolute))
