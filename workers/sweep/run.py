"""What is summed at each layer along a path, for all layers and several questions at once?

One forward pass per chunk of path points serves every question, and one backward pass each target: a forward hook keeps
each layer's value, a tensor hook hands its gradient to the readings as soon as it exists, and both are let go there and
then. What a reading makes of them is its own affair (`readings`); conductance is in `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Protocol

import torch
from torch import Tensor, nn

from workers.numerics.determinism import NotFinite
from workers.numerics.memory import KeptPages, keep_freed_pages
from workers.sweep.completeness import Endpoints
from workers.sweep.looks import Place
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.reducers import Block, Reducer
from workers.sweep.refusals import ChangingGraph, IntegerInputs
from workers.sweep.rules import PathSum, Rule, nodes
from workers.sweep.target import Target
from workers.sweep.watch import Watch, differentiable_recurrence, frozen

_EVALUATED_ROWS = 64

OnChunk = Callable[[float], None]
"""Called with the fraction done after every chunk; an exception from it ends the sweep."""


class Reading(Protocol):
    """What is made of one tap's values and gradients, for one block of examples; chunks come in the order of points."""

    def add(self, values: Tensor, gradients: Tensor) -> None:
        """values, gradients: (points, examples, ...) of the next chunk; may change neither."""

    def attribution(self, change: Tensor | None) -> Tensor:
        """(examples, ...). change: x - x' where the tap stands for an input, (examples, ...); else None."""


class Begin(Protocol):
    """Makes the reading of one tap for one block of examples."""

    def __call__(self, tap: Tap, zeros: Tensor, chunks: int, /) -> Reading:
        """zeros: (examples, ...) of the tap's type, its own to keep; chunks: how many times `add` will be called."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Question:
    """What is read, for which target, at which taps, and who takes it.

    still: the attribution of an example that equals its baseline is exactly zero (there is no path).
    """

    target: Target
    begin: Begin
    taps: tuple[str, ...]
    reducers: Sequence[Reducer]
    still: bool = True


def sweep(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    reducers: Sequence[Reducer],
    on_chunk: OnChunk | None = None,
    *,
    rule: Rule = "captum",
) -> Endpoints:
    """Conductance of every tap of `plan`, in its evaluations - 1 steps; the other arguments are those of `walk`."""
    question = Question(target=target, begin=partial(begin_conductance, rule), taps=plan.taps, reducers=reducers)
    (ends,) = walk(model, probe, plan, inputs, baselines, nodes(rule, plan.evaluations - 1), [question], on_chunk)
    return ends


def begin_conductance(rule: Rule, _tap: Tap, zeros: Tensor, chunks: int) -> Reading:
    """The sum of `rules.PathSum`."""
    return PathSum(rule, zeros, chunks=chunks)


def walk(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    points: Sequence[float],
    questions: Sequence[Question],
    on_chunk: OnChunk | None = None,
) -> list[Endpoints]:
    """Takes the examples along x' + α (x - x') for α in `points`; every reducer of a question takes each of its blocks.

    inputs: one tensor per argument, examples along axis 0; baselines: the same shapes, or one row for all examples.
    All floating-point inputs go from baseline to input together; integers (ids, masks) stay as they are in `inputs`.
    Returns each question's target at the ends. Raises IntegerInputs, NotFinite, BadTarget, ChangingGraph. Hooks and
    gradient flags are put back also then.
    """
    if not any(tensor.is_floating_point() for tensor in inputs):
        raise IntegerInputs(str(inputs[0].dtype).removeprefix("torch."))
    keep_freed_pages()
    examples = len(inputs[0])
    for question in questions:
        question.target.check((0, *probe.output_shape), examples)
    ends: list[list[Endpoints]] = []
    with frozen(model), differentiable_recurrence(model):
        run = _Walk(model, probe, plan, points, questions)
        chunks = ceil(examples / plan.examples) * len(run.spans)
        done, pages = 0, KeptPages() if chunks > 1 else None
        for start in range(0, examples, plan.examples):
            block = _Examples.cut(inputs, baselines, start, min(start + plan.examples, examples), plan.device)
            ends.append(run.ends(block))
            for _ in run.chunks(block):
                done += 1
                if pages is not None:
                    pages.after_chunk()
                if on_chunk is not None:
                    on_chunk(done / chunks)
            run.finish(block)
    return [_joined(each) for each in zip(*ends, strict=True)]


def outputs(model: nn.Module, inputs: tuple[Tensor, ...], rows: int | None, target: Target) -> Tensor:
    """The output that `target` reads, for all examples: (examples, ...), without gradients.

    rows: the one batch size the model takes, None if any.
    """
    size, read = rows or _EVALUATED_ROWS, []
    with torch.no_grad():
        for start in range(0, len(inputs[0]), size):
            some = tuple(tensor[start : start + size] for tensor in inputs)
            count = len(some[0])
            read.append(target.read(model(*_padded(some, rows or 1)))[:count].clone())
    return torch.cat(read)


def _joined(ends: Sequence[Endpoints]) -> Endpoints:
    return Endpoints(torch.cat([end.output for end in ends]), torch.cat([end.baseline_output for end in ends]))


class _Examples:
    """A block of examples that share their chunks."""

    __slots__ = ("baselines", "differences", "start", "still", "stop")

    def __init__(self, start: int, baselines: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
        self.start, self.stop, self.baselines = start, start + len(inputs[0]), baselines
        self.differences = tuple(
            x - b if x.is_floating_point() else None for x, b in zip(inputs, baselines, strict=True)
        )
        moves = torch.stack([d.flatten(1).ne(0).any(1) for d in self.differences if d is not None]).any(0)
        self.still = (~moves).nonzero().flatten()

    @classmethod
    def cut(
        cls, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], start: int, stop: int, device: str
    ) -> _Examples:
        some = tuple(x[start:stop].to(device) for x in inputs)
        origin = tuple(
            (b if len(b) == 1 else b[start:stop]).to(device).expand_as(x) if x.is_floating_point() else x
            for b, x in zip(baselines, some, strict=True)
        )
        return cls(start, origin, some)

    def __len__(self) -> int:
        return self.stop - self.start

    def at(self, alphas: Sequence[float]) -> tuple[Tensor, ...]:
        """The points x' + α (x - x'), all examples of the first α, then of the next: (alphas * examples, ...)."""
        made = []
        for base, change in zip(self.baselines, self.differences, strict=True):
            if change is None:
                made.append(base.repeat(len(alphas), *[1] * (base.ndim - 1)))
                continue
            weights = torch.tensor(alphas, dtype=base.dtype, device=base.device).view(-1, *[1] * base.ndim)
            made.append((weights * change).add_(base).flatten(0, 1))
        return tuple(made)


class _Walk:
    """The state of one walk: what is watched, and the readings of the block in hand."""

    def __init__(
        self, model: nn.Module, probe: Probe, plan: Plan, points: Sequence[float], questions: Sequence[Question]
    ) -> None:
        self._model, self._probe, self._plan = model, probe, plan
        self._taps: dict[Place, Tap] = {tap.place: tap for tap in (probe.tap(key) for key in plan.taps)}
        self._first = {tap.place for tap in self._taps.values() if not tap.upstream & set(plan.taps)}
        self.spans = [points[at : at + plan.points] for at in range(0, len(points), plan.points)]
        self._questions = questions
        self._sharing: dict[int, list[int]] = {}  # questions by the first that has their very target
        for at, question in enumerate(questions):
            owner = next(i for i, each in enumerate(questions) if each.target is question.target)
            self._sharing.setdefault(owner, []).append(at)
        self._readings: dict[tuple[int, Place], Reading] = {}
        self._values: dict[Place, tuple[Tensor, int]] = {}
        self._waiting: set[Place] = set()
        self._asking: tuple[list[int], bool] = ([], True)
        self._sources: list[Tensor] = []
        self._rows, self._points = (0, 0), 0

    def ends(self, block: _Examples) -> list[Endpoints]:
        """Each question's target at the block's inputs and baselines."""
        n, fixed = len(block), self._probe.rows
        if fixed is None or fixed >= 2 * n:
            read = self._evaluate(block, block.at([1.0, 0.0]), 2 * n)
            return [Endpoints(each[:n], each[n:]) for each in read]
        output, origin = (self._evaluate(block, block.at([alpha]), n) for alpha in (1.0, 0.0))
        return [Endpoints(at_x, at_base) for at_x, at_base in zip(output, origin, strict=True)]

    def chunks(self, block: _Examples) -> Iterator[None]:
        """Runs forward and backward for each span of points, yielding after each."""
        self._readings = {
            (at, place): question.begin(tap, self._zeros(tap, block), len(self.spans))
            for at, question in enumerate(self._questions)
            for place, tap in self._taps.items()
            if tap.key in question.taps
        }
        layers = {tap.layer for tap in self._taps.values()}
        with torch.enable_grad(), Watch(self._model, self._see, layers) as watch:
            for alphas in self.spans:
                self._step(watch, block, alphas)
                yield

    def finish(self, block: _Examples) -> None:
        """Gives the block's attributions to the reducers, one question after the other, one tap at a time."""
        for at, question in enumerate(self._questions):
            made = [
                self._block(tap, self._readings.pop((at, place)), block, question)
                for place, tap in self._taps.items()
                if tap.key in question.taps
            ]
            if made and not bool(torch.isfinite(torch.stack([each.absolute for each in made])).all()):
                raise NotFinite(next(each.key for each in made if not bool(torch.isfinite(each.absolute).all())))
            for each in made:
                for reducer in question.reducers:
                    reducer.take(each)

    def _zeros(self, tap: Tap, block: _Examples) -> Tensor:
        return torch.zeros(len(block), *tap.shape, dtype=getattr(torch, tap.dtype), device=self._plan.device)

    def _block(self, tap: Tap, reading: Reading, block: _Examples, question: Question) -> Block:
        position = self._probe.inputs.get(tap.key)
        total = reading.attribution(None if position is None else block.differences[position])
        if question.still and len(block.still):
            total[block.still] = 0  # what is there is rounding between rows of one batch
        flat = total.reshape(len(total), -1)
        signed = flat.sum(1, dtype=torch.float64)
        absolute = torch.linalg.vector_norm(flat, 1, 1, dtype=torch.float64)
        return Block(tap.key, block.start, block.stop, total, signed, absolute)

    def _step(self, watch: Watch, block: _Examples, alphas: Sequence[float]) -> None:
        points = _padded(block.at(alphas), self._probe.rows or self._probe.least_rows)
        leaves = tuple(tensor.requires_grad_(tensor.is_floating_point()) for tensor in points)
        count = len(alphas) * len(block)
        self._rows = (len(points[0]), count)
        self._points = len(alphas)
        given = tuple(leaf.clone() for leaf in leaves) if self._probe.clones_input else leaves
        output = watch.run(given)
        if len(self._values) < len(self._taps):
            raise ChangingGraph(_not_run(next(tap for place, tap in self._taps.items() if place not in self._values)))
        owners = list(self._sharing)
        scores = [self._target(owner, block).select(output, count).sum() for owner in owners]
        del output, given
        sources, self._sources = self._sources, []
        for at, owner in enumerate(owners):
            last = at == len(owners) - 1
            self._asking, self._waiting = (self._sharing[owner], last), set(self._values)
            score, scores[at] = scores[at], scores[at].detach()
            if score.requires_grad and sources:
                torch.autograd.grad(score, sources, allow_unused=True, retain_graph=not last)
            for place in list(self._waiting):
                self._add(place, None)  # the gradient did not get here: on this chunk it is zero

    def _target(self, question: int, block: _Examples) -> Target:
        return self._questions[question].target.of(block.start, block.stop)

    def _see(self, _module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        place = (layer, call, position)
        tap = self._taps.get(place)
        if tap is None:
            return tensor
        value = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        value.register_hook(partial(self._add, place))  # type: ignore[no-untyped-call] # torch leaves it so
        held = value.detach()
        self._values[place] = (held, held._version)
        if place in self._first:
            self._sources.append(value)
        return value.clone() if tap.clone else value

    def _add(self, place: Place, gradient: Tensor | None) -> None:
        tap = self._taps[place]
        if place not in self._waiting:
            raise ChangingGraph(_not_run(tap))
        self._waiting.discard(place)
        questions, last = self._asking
        value, version = self._values.pop(place) if last else self._values[place]
        if value._version != version:
            raise ChangingGraph(f"the output of '{tap.key}' was changed in place on the path, but not in the probe")
        slope = torch.zeros_like(value) if gradient is None else gradient.detach()
        values, slopes = self._shaped(tap, value), self._shaped(tap, slope)
        for question in questions:
            reading = self._readings.get((question, place))
            if reading is not None:
                reading.add(values, slopes)

    def _shaped(self, tap: Tap, tensor: Tensor) -> Tensor:
        """(points, examples, ...) of the rows that are not padding."""
        if tap.layout is None:
            raise ChangingGraph(f"'{tap.key}' has no axis of examples and cannot be attributed")
        rows, count = self._rows
        examples = tap.layout.split(tensor, rows)
        if rows > count:
            examples = examples[:count]
        return examples.view(self._points, count // self._points, *examples.shape[1:])

    def _evaluate(self, block: _Examples, points: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        """Each question's target, (rows,) in float64."""
        with torch.no_grad():
            given = _padded(points, self._probe.rows or self._probe.least_rows)
            output = self._model(*(t.clone() for t in given) if self._probe.clones_input else given)
            return [
                self._target(at, block).select(output, rows).to("cpu", torch.float64)
                for at in range(len(self._questions))
            ]


def _padded(points: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """The points, and their last row again as often as it takes to have `rows`."""
    short = rows - len(points[0])
    if short <= 0:
        return points
    return tuple(torch.cat([t, t[-1:].expand(short, *t.shape[1:])]) for t in points)


def _not_run(tap: Tap) -> str:
    return f"'{tap.key}' ran in the probe but not along the path: what runs depends on the values of the input"
