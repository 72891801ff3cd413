"""How does what each layer changed by, between baseline and input, contribute to what the target changed by?

Shrikumar, Greenside and Kundaje, Learning important features through propagating activation differences,
arXiv:1704.02685: the contribution of unit j of a layer is m_j (h_j - h'_j), with m_j the multiplier of the target by
the chain rule (equation 3). One pass forward from the baselines, one from the inputs, and one back serve all layers.
The two passes run the same operations, so that what the rules need is found by counting, wherever the examples lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from workers.numerics.determinism import NotFinite
from workers.rescale.calls import Calls
from workers.rescale.graph import Graph, paired
from workers.rescale.rules import needs_values
from workers.rescale.secants import Pair
from workers.sweep.completeness import Endpoints
from workers.sweep.halving import Chunks, OnChunk
from workers.sweep.looks import Place
from workers.sweep.plan import Plan
from workers.sweep.probe import Probe, Tap
from workers.sweep.reducers import Block, Reducer
from workers.sweep.refusals import ChangingGraph, IntegerInputs, SweepRefused
from workers.sweep.summed import summed
from workers.sweep.target import Target
from workers.sweep.watch import Watch, differentiable_recurrence, frozen


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ends:
    """Examples and their baselines. inputs, origin: (rows, ...), of which `count` are examples and the rest padding.
    target: of these examples, which are those from `start` on."""

    inputs: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    count: int
    start: int
    target: Target


def ends_of(
    probe: Probe,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    start: int,
    stop: int,
    device: torch.device,
) -> Ends:
    """The examples start:stop, with as many rows as the model takes."""
    some = tuple(x[start:stop].to(device) for x in inputs)
    origin = tuple(
        (b if len(b) == 1 else b[start:stop]).to(device).expand_as(x) if x.is_floating_point() else x
        for b, x in zip(baselines, some, strict=True)
    )
    rows = probe.rows or probe.least_rows
    return Ends(
        inputs=_padded(some, rows), origin=_padded(origin, rows), count=len(some[0]), start=start,
        target=target.of(start, stop),
    )  # fmt: skip


def _padded(tensors: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    short = rows - len(tensors[0])
    if short <= 0:
        return tensors
    return tuple(torch.cat([t, t[-1:].expand(short, *t.shape[1:])]) for t in tensors)


@dataclass(slots=True)
class Forward:
    """One pass. scores: (examples,), the targets, with their graph. values: what each tap gave."""

    scores: Tensor
    values: dict[Place, Tensor]


@contextmanager
def seen_through(model: nn.Module) -> Iterator[None]:
    """Inside, the model's passes come down to operations that have rules, and parameters ask for no gradient."""
    with ExitStack() as stack:
        stack.enter_context(frozen(model))
        stack.enter_context(differentiable_recurrence(model))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.enable_grad())
        if _has_lstm(model):
            stack.enter_context(_without_onednn())
        yield


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Inside, an LSTM in float32 is not one operation of the oneDNN library."""
    before = torch.backends.mkldnn.enabled
    # `flags` would set TF32 as well, and warns of that
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment] # a property of the module
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def _has_lstm(model: nn.Module) -> bool:
    graphs = (graph for each in model.modules() if isinstance(graph := getattr(each, "graph", None), fx.Graph))
    called = any(str(node.target).startswith("aten.lstm") for graph in graphs for node in graph.nodes)
    return called or any(isinstance(each, nn.LSTM) for each in model.modules())


class Passes:
    """Passes of a model, from inputs or from baselines, that look at `taps`."""

    def __init__(self, model: nn.Module, probe: Probe, taps: Mapping[Place, Tap]) -> None:
        self._model, self._probe, self._taps = model, probe, taps
        self._moved = {tap.place for tap in probe.taps if tap.clone}
        self._layers = {tap.layer for tap in probe.taps if tap.place in taps or tap.clone}

    def forward(self, ends: Ends, given: tuple[Tensor, ...], under: TorchDispatchMode) -> Forward:
        """One pass from `given`, the inputs or the baselines of `ends`, while `under` looks. Raises ChangingGraph."""
        values: dict[Place, Tensor] = {}
        see = partial(self._see, values)
        leaves = tuple(t.detach().clone().requires_grad_(t.is_floating_point()) for t in given)
        with Watch(self._model, see, self._layers) as watch, under:
            output = watch.run(tuple(t.clone() for t in leaves) if self._probe.clones_input else leaves)
            scores = ends.target.select(output, ends.count)
        lost = next((tap.key for place, tap in self._taps.items() if place not in values), None)
        if lost is not None:
            raise ChangingGraph(f"'{lost}' ran in the probe but not now: what runs depends on the values of the input")
        return Forward(scores, values)

    def origin(self, ends: Ends, under: TorchDispatchMode) -> Forward:
        """The pass from the baselines, whose graph is let go."""
        made = self.forward(ends, ends.origin, under)
        return Forward(made.scores.detach(), {place: each.detach() for place, each in made.values.items()})

    def _see(
        self, values: dict[Place, Tensor], _module: str, layer: str, call: int, position: int, tensor: Tensor
    ) -> Tensor:
        place = (layer, call, position)
        if place in self._taps:
            tensor = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            values[place] = tensor
        return tensor.clone() if place in self._moved else tensor


def deeplift(
    model: nn.Module,
    probe: Probe,
    plan: Plan,
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    target: Target,
    reducers: Sequence[Reducer],
    on_chunk: OnChunk | None = None,
) -> Endpoints:
    """Contributions of every tap of `plan` by the rescale rule; each reducer takes each block of `plan.examples`.

    inputs: one tensor per argument, examples along axis 0; baselines: the same shapes, or one row for all examples;
    integers stay as they are in `inputs`. Where the device runs out of memory the chunks are halved from that block on,
    which the ends tell. Raises IntegerInputs, NotFinite, BadTarget, ChangingGraph, and SweepRefused where something
    without a rule lies between a tap and the target, or no example fits. Hooks and flags are put back also then.
    """
    if not any(tensor.is_floating_point() for tensor in inputs):
        raise IntegerInputs(str(inputs[0].dtype).removeprefix("torch."))
    target.check((0, *probe.output_shape), len(inputs[0]))
    found, chunks, device = list[Endpoints](), Chunks.of(plan, probe, on_chunk=on_chunk), torch.device(plan.device)
    with seen_through(model):
        passes = _Contributions(model, probe, plan)

        def work(start: int, stop: int) -> tuple[Endpoints, list[Block]]:
            made = passes.of(ends_of(probe, inputs, baselines, target, start, stop, device))
            chunks.finished()
            return made

        for ended, blocks in chunks.over(len(inputs[0]), work):
            found.append(ended)
            for block in blocks:
                for reducer in reducers:
                    reducer.take(block)
            blocks.clear()  # not held while the next ones are found
    output, origin = ([getattr(each, end) for each in found] for end in ("output", "baseline_output"))
    return Endpoints(torch.cat(output), torch.cat(origin), tuple(chunks.shrunk))


class _Contributions:
    """Contributions of a block of examples at a time."""

    def __init__(self, model: nn.Module, probe: Probe, plan: Plan) -> None:
        self._taps: dict[Place, Tap] = {tap.place: tap for tap in (probe.tap(key) for key in plan.taps)}
        self._first = {tap.place for tap in self._taps.values() if not tap.upstream & set(plan.taps)}
        self._passes = Passes(model, probe, self._taps)

    def of(self, ends: Ends) -> tuple[Endpoints, list[Block]]:
        """The targets of a block, and its contributions at each tap."""
        before, after = Calls(needs_values), Calls(needs_values)
        origin = self._passes.origin(ends, before)
        here = self._passes.forward(ends, ends.inputs, after)
        self._prepare(here, paired(after.made, before.made))
        outputs = here.scores.detach()
        made = self._back(here, origin.values, ends)
        blocks = [self._block(tap, made[place], ends) for place, tap in self._taps.items()]
        if blocks and not bool(torch.isfinite(torch.stack([each.absolute for each in blocks])).all()):
            raise NotFinite(next(each.key for each in blocks if not bool(torch.isfinite(each.absolute).all())))
        return Endpoints(outputs.to("cpu", torch.float64), origin.scores.to("cpu", torch.float64)), blocks

    def _prepare(self, here: Forward, pairs: Sequence[Pair]) -> None:
        """Puts the rules in the place of derivatives. Raises SweepRefused where one is missing."""
        if not here.scores.requires_grad:
            return
        graph = Graph(here.scores, pairs)
        obstacles = graph.obstacles({self._taps[place].key: each for place, each in here.values.items()})
        for key, reason in obstacles.items():
            raise SweepRefused(f"DeepLIFT cannot attribute to '{key}': {reason}; leave it out, or ask for conductance")
        graph.apply()

    def _back(self, here: Forward, origin: Mapping[Place, Tensor], ends: Ends) -> dict[Place, Tensor]:
        """The contributions of each tap, (examples, ...)."""
        made: dict[Place, Tensor] = {}
        waiting = {place: (each.detach(), each._version) for place, each in here.values.items()}

        def add(place: Place, multiplier: Tensor | None) -> None:
            value, version = waiting.pop(place)
            made[place] = self._contribution(self._taps[place], value, version, origin[place], multiplier, ends)

        for place, each in here.values.items():
            if each.requires_grad:
                each.register_hook(partial(add, place))  # type: ignore[no-untyped-call] # torch leaves it so
        sources = [each for place, each in here.values.items() if place in self._first]
        score, here.values = here.scores.sum(), {}
        if score.requires_grad and sources:
            torch.autograd.grad(score, sources, allow_unused=True)
        for place in list(waiting):
            add(place, None)  # no multiplier gets here: on this block it is zero
        return made

    def _contribution(
        self, tap: Tap, value: Tensor, version: int, origin: Tensor, multiplier: Tensor | None, ends: Ends
    ) -> Tensor:
        if value._version != version:
            raise ChangingGraph(f"the output of '{tap.key}' was changed in place on the path, but not in the probe")
        if tap.layout is None:
            raise ChangingGraph(f"'{tap.key}' has no axis of examples and cannot be attributed")
        change = torch.where(value == origin, 0, value - origin)  # also where both are infinite, as in a mask
        whole = torch.zeros_like(value) if multiplier is None else multiplier.detach() * change
        return tap.layout.split(whole, len(ends.inputs[0]))[: ends.count]

    def _block(self, tap: Tap, made: Tensor, ends: Ends) -> Block:
        return Block(tap.key, ends.start, ends.start + ends.count, made, *summed(made))
