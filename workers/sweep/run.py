"""What is summed at each layer along a path, for all layers and several questions at once?

One forward pass per chunk of path points serves every question, and one backward pass each target: a forward hook keeps
each layer's value, a tensor hook hands its gradient to the readings as soon as it exists, and both are let go there and
then. What a reading makes of them is its own affair (`readings`); conductance is in `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn

from workers.numerics.determinism import NotFinite
from workers.numerics.memory import keep_freed_pages
from workers.sweep.block import At, Examples, padded, straight
from workers.sweep.completeness import Endpoints, Shrunk
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.looks import Place
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.question import Question, Reading
from workers.sweep.reducers import Block, Reducer
from workers.sweep.refusals import ChangingGraph, IntegerInputs
from workers.sweep.rules import PathSum, Rule, nodes
from workers.sweep.summed import summed
from workers.sweep.target import Target
from workers.sweep.watch import Watch, differentiable_recurrence, frozen

_EVALUATED_ROWS = 64


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
    *,
    at: At = straight,
) -> list[Endpoints]:
    """Takes the examples through the rows that `at` gives for `points`, those along x' + α (x - x') where it is not
    named; every reducer of a question takes each of its blocks.

    inputs: one tensor per argument, examples along axis 0; baselines: the same shapes, or one row for all examples.
    All floating-point inputs go from baseline to input together; integers (ids, masks) stay as they are in `inputs`.
    Returns each question's target at the ends. Where the device runs out of memory the chunks are halved from that
    block on, which the ends tell. Raises IntegerInputs, NotFinite, BadTarget, ChangingGraph, and SweepRefused where no
    row fits. Hooks and gradient flags are put back also then.
    """
    if not any(tensor.is_floating_point() for tensor in inputs):
        raise IntegerInputs(str(inputs[0].dtype).removeprefix("torch."))
    keep_freed_pages()
    examples = len(inputs[0])
    for question in questions:
        question.target.check((0, *probe.output_shape), examples)
    chunks = Chunks.of(plan, probe, lambda together: ceil(len(points) / together), on_chunk)
    ends: list[list[Endpoints]] = []
    with frozen(model), differentiable_recurrence(model):
        run = _Walk(model, probe, plan, points, questions, at, chunks)

        def work(start: int, stop: int) -> tuple[Examples, list[Endpoints]]:
            block = Examples.cut(inputs, baselines, start, stop, plan.device)
            return block, run.through(block)

        for block, ended in chunks.over(examples, work):
            run.finish(block)
            ends.append(ended)
            del block  # not held while the next one is worked out
    return [_joined(each, tuple(chunks.shrunk)) for each in zip(*ends, strict=True)]


def outputs(model: nn.Module, inputs: tuple[Tensor, ...], rows: int | None, target: Target) -> Tensor:
    """The output that `target` reads, for all examples: (examples, ...), without gradients.

    rows: the one batch size the model takes, None if any. Raises SweepRefused where the device has no memory for one.
    """

    def read(start: int, stop: int) -> Tensor:
        some = tuple(tensor[start:stop] for tensor in inputs)
        return target.read(model(*padded(some, rows or 1)))[: stop - start].clone()

    with torch.no_grad():
        return torch.cat(list(Chunks(1, rows or _EVALUATED_ROWS, fixed=rows).over(len(inputs[0]), read)))


def _joined(ends: Sequence[Endpoints], shrunk: tuple[Shrunk, ...]) -> Endpoints:
    return Endpoints(torch.cat([end.output for end in ends]), torch.cat([end.baseline_output for end in ends]), shrunk)


class _Walk:
    """The state of one walk: what is watched, and the readings of the block in hand."""

    def __init__(
        self, model: nn.Module, probe: Probe, plan: Plan, points: Sequence[float], questions: Sequence[Question],
        at: At, chunks: Chunks,
    ) -> None:  # fmt: skip
        self._model, self._probe, self._plan = model, probe, plan
        self._all, self._at, self._chunks = points, at, chunks
        self._backward = any(question.gradients for question in questions)
        self._taps: dict[Place, Tap] = {tap.place: tap for tap in (probe.tap(key) for key in plan.taps)}
        self._first = {tap.place for tap in self._taps.values() if not tap.upstream & set(plan.taps)}
        self._questions = questions
        self._sharing: dict[int, list[int]] = {}  # questions by the first that has their very target
        for number, question in enumerate(questions):
            owner = next(i for i, each in enumerate(questions) if each.target is question.target)
            self._sharing.setdefault(owner, []).append(number)
        self._readings: dict[tuple[int, Place], Reading] = {}
        self._values: dict[Place, tuple[Tensor, int]] = {}
        self._waiting: set[Place] = set()
        self._asking: tuple[list[int], bool] = ([], True)
        self._sources: list[Tensor] = []
        self._rows, self._points = (0, 0), 0

    def through(self, block: Examples) -> list[Endpoints]:
        """Runs every chunk of `block`, whose readings are then whole; each question's target at its ends."""
        try:
            ended = self._ends(block)
            self._run(block)
        except torch.OutOfMemoryError:
            self._readings, self._values, self._sources = {}, {}, []
            raise
        return ended

    def _ends(self, block: Examples) -> list[Endpoints]:
        """Each question's target at the block's inputs and baselines."""
        n, fixed = len(block), self._probe.rows
        if fixed is None or fixed >= 2 * n:
            read = self._evaluate(block, straight(block, [1.0, 0.0]), 2 * n)
            return [Endpoints(each[:n], each[n:]) for each in read]
        output, origin = (self._evaluate(block, straight(block, [alpha]), n) for alpha in (1.0, 0.0))
        return [Endpoints(at_x, at_base) for at_x, at_base in zip(output, origin, strict=True)]

    def _run(self, block: Examples) -> None:
        """Forward and backward for each span of points."""
        together = self._chunks.points
        spans = [self._all[first : first + together] for first in range(0, len(self._all), together)]
        self._readings = {
            (at, place): question.begin(tap, self._zeros(tap, block), len(spans))
            for at, question in enumerate(self._questions)
            for place, tap in self._taps.items()
            if tap.key in question.taps
        }
        layers = {tap.layer for tap in self._taps.values()}
        with torch.set_grad_enabled(self._backward), Watch(self._model, self._see, layers) as watch:
            for span in spans:
                self._step(watch, block, span)
                self._chunks.finished()

    def finish(self, block: Examples) -> None:
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

    def _zeros(self, tap: Tap, block: Examples) -> Tensor:
        return torch.zeros(len(block), *tap.shape, dtype=getattr(torch, tap.dtype), device=self._plan.device)

    def _block(self, tap: Tap, reading: Reading, block: Examples, question: Question) -> Block:
        position = self._probe.inputs.get(tap.key)
        total = reading.attribution(None if position is None else block.differences[position])
        if question.still and len(block.still):
            total[block.still] = 0  # what is there is rounding between rows of one batch
        return Block(tap.key, block.start, block.stop, total, *summed(total))

    def _step(self, watch: Watch, block: Examples, span: Sequence[float]) -> None:
        points = padded(self._at(block, span), self._probe.rows or self._probe.least_rows)
        leaves = tuple(tensor.requires_grad_(self._backward and tensor.is_floating_point()) for tensor in points)
        count = len(span) * len(block)
        self._rows = (len(points[0]), count)
        self._points = len(span)
        given = tuple(leaf.clone() for leaf in leaves) if self._probe.clones_input else leaves
        output = watch.run(given)
        if len(self._values) < len(self._taps):
            raise ChangingGraph(_not_run(next(tap for place, tap in self._taps.items() if place not in self._values)))
        if not self._backward:
            self._values.clear()
            return
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

    def _target(self, question: int, block: Examples) -> Target:
        return self._questions[question].target.of(block.start, block.stop)

    def _see(self, _module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        place = (layer, call, position)
        tap = self._taps.get(place)
        if tap is None:
            return tensor
        if not self._backward:
            self._values[place] = (tensor.new_empty(0), 0)
            self._read(tap, range(len(self._questions)), tensor, None)
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
        self._read(tap, questions, value, torch.zeros_like(value) if gradient is None else gradient.detach())

    def _read(self, tap: Tap, questions: Iterable[int], value: Tensor, slope: Tensor | None) -> None:
        values = self._shaped(tap, value)
        slopes = values.new_empty(0) if slope is None else self._shaped(tap, slope)
        for question in questions:
            reading = self._readings.get((question, tap.place))
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
        if len(examples) != count:
            raise ChangingGraph(_not_run(tap))  # it ran for some of the rows, and does not tell which
        return examples.view(self._points, count // self._points, *examples.shape[1:])

    def _evaluate(self, block: Examples, points: tuple[Tensor, ...], rows: int) -> list[Tensor]:
        """Each question's target, (rows,) in float64."""
        with torch.no_grad():
            given = padded(points, self._probe.rows or self._probe.least_rows)
            output = self._model(*(t.clone() for t in given) if self._probe.clones_input else given)
            return [
                self._target(at, block).select(output, rows).to("cpu", torch.float64)
                for at in range(len(self._questions))
            ]


def _not_run(tap: Tap) -> str:
    return f"'{tap.key}' ran in the probe but not along the path: what runs depends on the values of the input"
