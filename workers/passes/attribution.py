"""Which pass over the examples does an analysis need, and which of them can one walk through the network serve?

A request holds no tensors, only what determines them. Methods that read values and gradients at the same points of the
same path, in the same chunks, are served by one walk, for several targets too: the bits are those of a walk alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol, cast, runtime_checkable

import torch
from pydantic import JsonValue

from workers.kind import Context, Request
from workers.passes.asked import Asked, prepared
from workers.subject.subject import Subject
from workers.sweep.aggregates import Axis, Concentration, UnitMeans
from workers.sweep.completeness import Endpoints
from workers.sweep.method import Method
from workers.sweep.plan import Plan, sums_bytes
from workers.sweep.question import Question
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Block, Keep, Moments, Reducer, Totals
from workers.sweep.run import walk


@runtime_checkable
class AlongPath(Protocol):
    """A method that reads values and gradients at points of the path from baseline to input."""

    @property
    def points(self) -> tuple[float, ...]:
        """Where along the path, ascending in [0, 1]."""

    def question(self, ready: Prepared, taps: tuple[str, ...], reducers: Sequence[Reducer]) -> Question:
        """What it asks of a walk along its points."""


_SPREAD_OVER, _ROW_BY_ROW = 16, 1 << 14
"""Examples whose attributions are sorted; units from which on they are sorted one example at a time, to save memory."""

Map = tuple[str, tuple[int, ...]]
"""A tap, and the axes of its units that stay."""


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What one pass gives: the target's ends, totals per example, unit sums, unit means with intervals over all
    examples and by class, how few units carry an example, sums over axes, and a few attributions whole."""

    ends: Endpoints
    totals: Totals
    moments: Moments
    units: UnitMeans
    by_class: UnitMeans | None
    concentration: Concentration
    maps: Axis
    kept: Keep


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionPass:
    """One method over the examples asked for.

    Attributions of the taps `whole` are kept for the `first` examples, and for as many those of `maps`, summed over all
    axes but those named. by_class: whether units are told for each label too, which are classes.
    """

    asked: Asked
    method: Method
    chunks: Plan
    seed: int
    whole: tuple[str, ...] = ()
    maps: tuple[Map, ...] = ()
    first: int = 0
    by_class: bool = False

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it."""
        chunks = cast("dict[str, JsonValue]", self.chunks.as_json())
        asked: dict[str, JsonValue] = {"baseline": self.asked.baseline, "target": self.asked.target}
        return {"pass": self.method.name, "method": self.method.as_json(), **chunks, **asked}

    def make(self, subject: Subject, context: Context) -> Swept:
        """Makes this pass alone; reports after each chunk."""
        ready = prepared(subject, self.asked)
        swept = self._empty(ready)
        ends = self.method.attribute(
            ready, self.chunks, _reducers(swept), lambda fraction: context.progress(fraction, _stage(self)), self.seed
        )
        return swept.ending(ends)

    def shares(self) -> Hashable | None:
        """What passes must have in common to be made in one walk; None where this one is not a walk."""
        if not isinstance(self.method, AlongPath):
            return None
        asked = replace(self.asked, target=_network(self.asked.target), scale="output")
        return (asked, self.method.points, replace(self.chunks, taps=()))

    def together(self, others: Sequence[Request], subject: Subject, context: Context) -> dict[Request, Swept]:
        """This pass and those of `others`, whose `shares` are equal, whose sums fit into memory, by one walk."""
        passes = self._fitting([each for each in others if isinstance(each, AttributionPass)], subject, context)
        asked = [prepared(subject, each.asked) for each in passes]
        empties = [each._empty(ready) for each, ready in zip(passes, asked, strict=True)]
        questions = [
            cast("AlongPath", each.method).question(ready, each.chunks.taps, _reducers(swept))
            for each, ready, swept in zip(passes, asked, empties, strict=True)
        ]
        first, wanted = asked[0], {key for each in passes for key in each.chunks.taps}
        chunks = replace(self.chunks, taps=tuple(tap.key for tap in first.probe.taps if tap.key in wanted))
        points = cast("AlongPath", self.method).points
        ends = walk(
            first.model, first.probe, chunks, first.x, first.origin, points, questions,
            lambda fraction: context.progress(fraction, f"{_stage(self)}, with {len(passes) - 1} more"),
        )  # fmt: skip
        return {each: swept.ending(end) for each, swept, end in zip(passes, empties, ends, strict=True)}

    def _fitting(self, others: Sequence[AttributionPass], subject: Subject, context: Context) -> list[AttributionPass]:
        ready = prepared(subject, self.asked)
        passes, left = [self], context.memory_bytes - self.method.quote(ready, self.chunks).bytes - self.means(ready)
        for other in others:
            seen = prepared(subject, other.asked)
            left -= sums_bytes(seen.probe, other.chunks) + other.means(seen)
            if left < 0:
                break
            passes.append(other)
        return passes

    def means(self, ready: Prepared) -> int:
        """The bytes that unit means take."""
        held = unit_means(self.method, ready, self.chunks.taps, by_class=self.by_class)
        return sum(each.bytes for each in held if each is not None)

    def _empty(self, ready: Prepared) -> _Taking:
        maps = Axis(dict(self.maps), self.first)
        units, by_class = unit_means(self.method, ready, self.chunks.taps, by_class=self.by_class)
        return _Taking(
            Totals(), Moments(), units, by_class, Concentration(_SPREAD_OVER), maps, Keep(self.whole, self.first)
        )


def unit_means(
    method: Method, ready: Prepared, taps: Sequence[str], *, by_class: bool
) -> tuple[UnitMeans, UnitMeans | None]:
    """What an analysis holds of the units of `taps`: over all examples, and for each label that there is, ascending."""
    sizes = {key: prod(method.units(ready.probe.tap(key))) for key in taps}
    if not by_class or ready.labels is None:
        return UnitMeans(sizes), None
    labels = ready.labels.cpu()
    known = torch.unique(labels[labels >= 0])
    rows = torch.where(labels >= 0, torch.searchsorted(known, labels), -1)
    return UnitMeans(sizes), UnitMeans(sizes, len(known), rows)


@dataclass(frozen=True, slots=True)
class _Taking:
    """The reducers of one pass while it runs."""

    totals: Totals
    moments: Moments
    units: UnitMeans
    by_class: UnitMeans | None
    concentration: Concentration
    maps: Axis
    kept: Keep

    def ending(self, ends: Endpoints) -> Swept:
        return Swept(
            ends, self.totals, self.moments, self.units, self.by_class, self.concentration, self.maps, self.kept
        )


@dataclass(frozen=True, slots=True)
class _RowByRow:
    """A reducer that is given large blocks one example at a time."""

    reducer: Reducer

    def take(self, block: Block) -> None:
        if block.attribution[0].numel() < _ROW_BY_ROW:
            self.reducer.take(block)
            return
        for at in range(min(len(block.attribution), max(0, _SPREAD_OVER - block.start))):
            row = slice(at, at + 1)
            self.reducer.take(
                Block(
                    block.key, block.start + at, block.start + at + 1,
                    block.attribution[row], block.signed[row], block.absolute[row],
                )
            )  # fmt: skip


def _reducers(taking: _Taking) -> list[Reducer]:
    of_units = [taking.units] if taking.by_class is None else [taking.units, taking.by_class]
    return [taking.totals, taking.moments, *of_units, _RowByRow(taking.concentration), taking.maps, taking.kept]


def _network(target: str) -> str:
    """What a target says of the network: another output is another network, whose tensors have other places; and a
    reconstruction error is read from a network that gives its input beside its output."""
    prefix, separator, rest = target.partition("/")
    named = bool(separator) and prefix.startswith("output:")
    form = (rest if named else target).partition(":")[0]
    return (prefix if named else "") + ("/error" if form == "error" else "")


def _stage(request: AttributionPass) -> str:
    return request.method.name.replace("_", " ")
