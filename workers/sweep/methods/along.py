"""What do all methods have in common that read values and gradients at some points, for all layers at once?

Each says at which points, mostly of the path from baseline to input, and what it makes of what is seen there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil

from pydantic import JsonValue
from torch import Tensor

from workers.sweep.block import At, straight
from workers.sweep.captum_check import Verification
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import OnChunk
from workers.sweep.method import settings
from workers.sweep.methods.twin import NoTwin, One, Theirs, compared
from workers.sweep.plan import Plan, Quote, quote, select
from workers.sweep.probe import Tap
from workers.sweep.question import Question, Reading
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Reducer
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import walk

_NAMED = 3


class Along(ABC):
    """The members of `Method` for a frozen dataclass of settings, which names itself, its points and its reading.

    gradients: whether it needs a backward pass. still: whether an example that equals its baseline has an attribution
    of exactly zero. tensors: how many of a tap's size its reading holds, at the most.
    """

    __slots__ = ()
    gradients = True
    still = False
    tensors = 1

    @property
    @abstractmethod
    def name(self) -> str:
        """As the field calls it."""

    @property
    @abstractmethod
    def points(self) -> tuple[float, ...]:
        """Where along the path, ascending in [0, 1]; or whatever else `rows` makes rows of."""

    @abstractmethod
    def reading(self, ready: Prepared, tap: Tap, zeros: Tensor, chunks: int) -> Reading:
        """What is made of one tap; zeros, chunks: see `question.Begin`."""

    def theirs(self, _ready: Prepared, _chunks: Plan, _seed: int) -> Theirs:
        """captum's way to the same numbers, where a method has one."""

        def nothing(_one: One) -> Tensor:
            raise NoTwin(f"captum has no {self.name}")

        return nothing

    def as_json(self) -> dict[str, JsonValue]:
        return settings(self)

    def obstacle(self, _ready: Prepared, _tap: Tap) -> str:
        """Every tap on the path has a number."""
        return ""

    def units(self, tap: Tap) -> tuple[int, ...]:
        return tap.shape

    def complete(self, _ready: Prepared, _tap: Tap) -> bool:
        """Nothing promises what the attributions of a tap add up to."""
        return False

    def choice(self, ready: Prepared) -> tuple[str, ...]:
        """The taps meant where none is named: those of layers."""
        return tuple(tap.key for tap in ready.layers)

    def plan(self, ready: Prepared, memory_bytes: int, threads: int, layers: tuple[str, ...]) -> Plan:
        named = applicable(ready, layers or self.choice(ready), self.obstacle, self.name)
        made = ready.plan(len(self.points), memory_bytes, threads, named)
        return fitting(made, memory_bytes, lambda chunks: self.quote(ready, chunks))

    def quote(self, ready: Prepared, chunks: Plan) -> Quote:
        """For three tensors for each tap between chunks, and one where there is but one chunk; more is `tensors`."""
        whole, known = quote(ready.probe, chunks, len(ready)), 3 if chunks.points < chunks.evaluations else 1
        return Quote(whole.seconds, whole.bytes + max(0, self.tensors - known) * held(ready, chunks))

    def asks(self, ready: Prepared, taps: tuple[str, ...], reducers: Sequence[Reducer]) -> Question:
        """What this asks of a walk along its points."""

        def begin(tap: Tap, zeros: Tensor, chunks: int) -> Reading:
            return self.reading(ready, tap, zeros, chunks)

        return Question(
            target=ready.target, begin=begin, taps=taps, reducers=reducers, still=self.still, gradients=self.gradients
        )

    def rows(self, _ready: Prepared, _seed: int) -> At:
        """How points become rows."""
        return straight

    def attribute(
        self, ready: Prepared, chunks: Plan, reducers: Sequence[Reducer], on_chunk: OnChunk | None, seed: int
    ) -> Endpoints:
        question = self.asks(ready, chunks.taps, reducers)
        (ends,) = walk(
            ready.model, ready.probe, chunks, ready.x, ready.origin, self.points, [question], on_chunk,
            at=self.rows(ready, seed),
        )  # fmt: skip
        return ends

    def verify(self, ready: Prepared, chunks: Plan, ours: Mapping[str, Tensor], seed: int) -> list[Verification]:
        return compared(ready, ours, self.theirs(ready, chunks, seed))


class Shared(Along):
    """A method that can share its walk with others that want gradients at the same points of the path."""

    __slots__ = ()

    def question(self, ready: Prepared, taps: tuple[str, ...], reducers: Sequence[Reducer]) -> Question:
        """What this asks of a walk along its points."""
        return self.asks(ready, taps, reducers)


class OnInputs(Along):
    """A method that attributes to the inputs and to nothing else."""

    __slots__ = ()

    def choice(self, ready: Prepared) -> tuple[str, ...]:
        """The inputs."""
        return ready.inputs

    def obstacle(self, ready: Prepared, tap: Tap) -> str:
        return "" if tap.key in ready.inputs else f"{self.name} attributes to inputs, and this is a layer"


def held(ready: Prepared, chunks: Plan) -> int:
    """Bytes of one tensor for each tap, of a block's examples."""
    return sum(ready.probe.tap(key).bytes_per_example for key in chunks.taps) * chunks.examples


def in_flight(ready: Prepared, chunks: Plan) -> int:
    """Bytes alive at the widest layer beside what is kept: what goes in and what comes out, of a chunk's rows."""
    rows = max(chunks.points * chunks.examples, ready.probe.rows or ready.probe.least_rows)
    return 2 * rows * max((tap.bytes_per_example for tap in ready.probe.taps), default=0)


def fitting(chunks: Plan, memory_bytes: int, quoted: Callable[[Plan], Quote]) -> Plan:
    """The plan with as many rows as `quoted` leaves within the budget; at least one. For methods that take more beside
    their rows than `plan` knows."""
    while quoted(chunks).bytes > memory_bytes and chunks.points * chunks.examples > 1:
        if chunks.examples > 1:
            chunks = replace(chunks, examples=ceil(chunks.examples / 2))
        else:
            chunks = replace(chunks, points=ceil(chunks.points / 2))
    return chunks


def applicable(
    ready: Prepared, layers: Sequence[str], obstacle: Callable[[Prepared, Tap], str], name: str
) -> tuple[str, ...]:
    """The keys of the taps that `layers` names and that have a number. Raises SweepRefused where there are none."""
    reasons, keys = list[str](), list[str]()
    for tap in select(ready.probe, layers) if layers else ():
        reason = tap.reason if tap.status != "on_path" else obstacle(ready, ready.probe.own(tap))
        if reason:
            reasons.append(f"{tap.key}: {reason}")
        else:
            keys.append(tap.key)
    if not keys:
        said = "; ".join(reasons[:_NAMED]) or "this network has no layer of that sort"
        raise SweepRefused(f"{name} is not applicable, because {said}")
    return tuple(keys)
