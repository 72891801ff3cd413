"""What does one forward pass of this model show: which layers give what, and which of it can be attributed?

Everything the sweep must know is found by running, never by trusting a type name: shapes and the place of the
examples in them, modules that run twice, outputs that are changed in place afterwards, examples that influence each
other, layers that the target does not depend on, and the layers through which everything passes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor, nn

from workers.numerics.determinism import NotFinite
from workers.sweep.cost import Cost, Pass, Saved
from workers.sweep.layout import Layout, alike, candidates
from workers.sweep.looks import Look, Looks, Place, two_examples
from workers.sweep.paths import Paths, paths
from workers.sweep.refusals import (
    ChangingGraph,
    CoupledExamples,
    NotRepeatable,
    SweepRefused,
    TrainingMode,
)
from workers.sweep.target import Target
from workers.sweep.watch import Watch, differentiable_recurrence, frozen, leaf_copy

Status = Literal["on_path", "off_path", "constant", "refused"]
_TRAINING_KINDS = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd, nn.AlphaDropout)
_TIMED_ROWS, _TIMED_BYTES = 16, 64 << 20
_OFF_PATH = "the target does not depend on its output"
_CONSTANT = "its output does not change with the input"
_SPOILT = "its output is changed in place through another view of its memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """One tensor that one call of one module gives.

    key: the name it is reported under: the layer, `@call` where the module runs more than once, `:position` where the
         call gives more than one tensor. module: its name in this model. kind: its class, for display only.
    shape: the units of one example. status, reason: whether it is attributed, and in words why not.
    same_as: the key of the earlier tap that gives the very same tensor, whose numbers are also this tap's.
    clone: the tensor is changed in place after the module gave it.
    cut: every path from the input to the target passes through it. upstream: taps nearer to the input that lead here.
    sequence: the axis of `shape` along which the input's sequence lies, None where that is not shown (`sequence`).
    """

    key: str
    layer: str
    module: str
    kind: str
    call: int
    calls: int
    position: int
    positions: int
    container: bool
    shape: tuple[int, ...]
    dtype: str
    layout: Layout | None
    status: Status
    reason: str = ""
    same_as: str | None = None
    clone: bool = False
    cut: bool = False
    upstream: frozenset[str] = frozenset()
    bytes_per_example: int = 0
    sequence: int | None = None

    @property
    def place(self) -> Place:
        return (self.layer, self.call, self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """All taps in the order in which they ran, and what one row costs.

    silent: modules that did not run. rows: the one batch size that the model accepts, None if any from `least_rows` up.
    clones_input: the model changes its input in place. output_shape: per example.
    cost: of a chunk, by its rows; its seconds are an estimate and never a budget.
    inputs: keys of the taps that give a floating-point input as it is, with that input's position.
    """

    taps: tuple[Tap, ...]
    silent: tuple[str, ...]
    rows: int | None
    least_rows: int
    clones_input: bool
    output_shape: tuple[int, ...]
    cost: Cost
    inputs: Mapping[str, int] = field(default_factory=dict)

    def tap(self, key: str) -> Tap:
        """Raises KeyError where no tap has this key."""
        return next(tap for tap in self.taps if tap.key == key)

    def own(self, tap: Tap) -> Tap:
        """The tap that holds the numbers of `tap`: itself, or the earlier one that gives the same tensor."""
        return tap if tap.same_as is None else self.tap(tap.same_as)


def probe(
    model: nn.Module, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], target: Target, rows: int | None = None
) -> Probe:
    """Looks at `model` with the first example and its baseline.

    inputs, baselines: one tensor per argument of the model, examples along axis 0; a baseline may have one row for all.
    Integer inputs are indices, to which no gradient leads: what is attributed begins where the first floating-point
    tensors come out of a module (an embedding), and cuts are told from there.
    target: of all examples; what any of them depends on is on the path, and a cut is one for every target.
    rows: the batch size a static export accepts, if the caller knows it. Raises SweepRefused, each with its remedy.
    """
    _refuse_training(model)
    pair = two_examples(inputs, baselines)
    with frozen(model), differentiable_recurrence(model):
        looks = Looks.take(model, pair, rows)
        _refuse_coupling(looks, target)
        taps = _describe(model, looks)
        return _follow_gradient(model, looks, target, taps)


def _refuse_training(model: nn.Module) -> None:
    for name, module in model.named_modules():
        uses_batch = isinstance(module, _TRAINING_KINDS) or (isinstance(module, nn.RNNBase) and module.dropout > 0)
        if module.training and uses_batch:
            raise TrainingMode(name, type(module).__name__)


def _refuse_coupling(looks: Looks, target: Target) -> None:
    first, swapped, alone = (target.read(look.output) for look in (looks.first, looks.swapped, looks.alone))
    if not bool(torch.isfinite(first).all()):
        seen = looks.first.seen
        bad = (place[0] for place, each in seen.items() if bool(each.copy.isnan().any() or each.copy.isinf().any()))
        raise NotFinite(next(bad, "output"))
    if looks.first.rows == 1:
        again = target.read(looks.alone.output)
        if not alike(first, again):
            raise NotRepeatable
        return
    if not alike(alone[0], alone[1]):
        raise NotRepeatable
    if not (alike(first[0], swapped[1]) and alike(first[1], swapped[0]) and alike(first[0], alone[0])):
        raise CoupledExamples


def _describe(model: nn.Module, looks: Looks) -> dict[Place, Tap]:
    seen = looks.first.seen
    modules = dict(model.named_modules())
    ran = {each.module for each in seen.values()}
    calls = {layer: 1 + max(call for name, call, _ in seen if name == layer) for layer in {place[0] for place in seen}}
    positions: dict[tuple[str, int], int] = {}
    for layer, call, _ in seen:
        positions[layer, call] = positions.get((layer, call), 0) + 1
    taps: dict[Place, Tap] = {}
    for place, each in seen.items():
        layer, call, position = place
        layout, status, reason = _find_layout(looks, place)
        owner = looks.first.same.get(place)
        units = () if layout is None else tuple(layout.split(each.copy, looks.first.rows).shape[1:])
        taps[place] = Tap(
            key=_key(place, calls[layer], positions[layer, call]), layer=layer, module=each.module,
            kind=_kind(modules[each.module]), call=call, calls=calls[layer], position=position,
            positions=positions[layer, call], container=any(name.startswith(f"{each.module}.") for name in ran),
            shape=units, dtype=str(each.copy.dtype).removeprefix("torch."), layout=layout, status=status, reason=reason,
            same_as=None if owner is None else taps[owner].key, clone=place in looks.first.moved,
            bytes_per_example=each.copy.element_size() * each.copy.numel() // looks.first.rows,
        )  # fmt: skip
    if len({tap.key for tap in taps.values()}) != len(taps):
        raise SweepRefused("two layers have the same name once their calls are numbered; rename one")
    return taps


def _find_layout(looks: Looks, place: Place) -> tuple[Layout | None, Status, str]:
    a, rows = looks.first.seen[place].copy, looks.first.rows
    if not a.is_floating_point():
        return None, "refused", f"its output is of type {str(a.dtype).removeprefix('torch.')}, not floating point"
    if any(place not in look.seen for look in (looks.swapped, looks.alone)):
        return None, "refused", "whether it runs depends on the values of the input"
    other = None if looks.other is None else looks.other.seen[place].copy.shape
    other_rows = 0 if looks.other is None else looks.other.rows
    swapped, alone = looks.swapped.seen[place].copy, looks.alone.seen[place].copy
    possible = candidates(a.shape, rows, other, other_rows)
    if rows == 1 and other is None:
        return possible[0], "on_path", ""
    for layout in possible:
        if a.shape == swapped.shape == alone.shape and _holds(layout, rows, a, swapped, alone):
            return layout, "on_path", ""
    if torch.equal(a, swapped) and torch.equal(a, alone):
        return None, "constant", _CONSTANT
    return None, "refused", "the examples cannot be told apart in its output: no axis of it follows the batch"


def _holds(layout: Layout, rows: int, a: Tensor, swapped: Tensor, alone: Tensor) -> bool:
    a, swapped, alone = (layout.split(tensor, rows) for tensor in (a, swapped, alone))
    return alike(a[0], swapped[1]) and alike(a[1], swapped[0]) and alike(a[0], alone[0])


def _key(place: Place, calls: int, positions: int) -> str:
    layer, call, position = place
    return layer + (f"@{call}" if calls > 1 else "") + (f":{position}" if positions > 1 else "")


def _kind(module: nn.Module) -> str:
    exported = getattr(module, "_ty", None)
    return str(exported).rsplit(".", 1)[-1] if exported else type(module).__name__


@dataclass(slots=True)
class _Walk:
    """One forward and backward pass with gradients, as the sweep will make them."""

    output: Tensor
    held: dict[Place, tuple[Tensor, int]]
    found: Paths
    cost: Pass


def _walk(model: nn.Module, looks: Looks, look: Look, target: Target, taps: Mapping[Place, Tap]) -> _Walk:
    given = tuple(leaf_copy(tensor) for tensor in look.inputs)
    leaves = tuple(tensor for tensor in given if tensor.requires_grad)
    held: dict[Place, tuple[Tensor, int]] = {}
    saved = Saved({t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())})

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        place = (layer, call, position)
        tap = taps.get(place)
        if tap is None:
            raise ChangingGraph(f"layer '{layer}' ran with gradients but not without; remove what depends on the mode")
        if tap.layout is None or tap.same_as is not None or not (tensor.requires_grad or _varies(looks, place)):
            return tensor
        new = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        held[place] = (new, new._version)
        saved.note(new)
        return new.clone() if tap.clone else new

    started = perf_counter()
    on_saved = torch.autograd.graph.saved_tensors_hooks(saved.note, lambda tensor: tensor)
    with torch.enable_grad(), on_saved, Watch(model, see) as watch:
        output = watch.run(tuple(t.clone() for t in given) if look.moved_input else given)
        chosen = target.read(output)
        target.check(chosen.shape, 1 if target.index is None else len(target.index))
        score = target.every(output)
    forward = perf_counter() - started
    found = paths(score, leaves, {taps[place].key: tensor for place, (tensor, _) in held.items()})
    started = perf_counter()
    sources = (*leaves, *(tensor for tensor, _ in held.values() if tensor.is_leaf))
    if score.grad_fn is not None and sources:
        torch.autograd.grad(score, sources, allow_unused=True)
    seconds = forward + perf_counter() - started
    return _Walk(chosen.detach(), held, found, Pass(look.rows, saved.peak(found.kinds), seconds))


def _follow_gradient(model: nn.Module, looks: Looks, target: Target, taps: Mapping[Place, Tap]) -> Probe:
    """Passes with gradients: what is on the path, what is a cut, and what rows cost (the first pass is a warm-up)."""
    small = looks.other or looks.first
    _walk(model, looks, small, target, taps)
    walk = _walk(model, looks, looks.first, target, taps)
    passes = [walk.cost, walk.cost if looks.other is None else _walk(model, looks, small, target, taps).cost]
    many = None if looks.other is None else _many(looks.first, Cost.through(passes))
    cost = Cost.through(passes, None if many is None else _walk(model, looks, many, target, taps).cost)
    spoilt = {taps[place].key for place, (tensor, version) in walk.held.items() if tensor._version != version}
    finished = {place: _settle(tap, walk.found, walk.held.keys(), spoilt) for place, tap in taps.items()}
    ran = {tap.module for tap in taps.values()}
    return Probe(
        taps=tuple(_follow_owner(tap, finished) for tap in finished.values()),
        silent=tuple(name for name, _ in model.named_modules() if name and name not in ran),
        rows=looks.first.rows if looks.other is None else None, least_rows=looks.least_rows,
        clones_input=looks.first.moved_input, output_shape=tuple(walk.output.shape[1:]), cost=cost,
    )  # fmt: skip


def _many(first: Look, cost: Cost) -> Look | None:
    """As many rows as tell what a row of a chunk takes, where they take little memory; None where few are too many."""
    affordable = (_TIMED_BYTES - cost.bytes(0)) // max(1, cost.bytes(1) - cost.bytes(0))
    rows = min(_TIMED_ROWS, affordable)
    if rows <= 2 * first.rows:
        return None
    order = torch.arange(rows, device=first.inputs[0].device) % first.rows
    return Look(tuple(tensor[order] for tensor in first.inputs), None, moved_input=first.moved_input)


def _varies(looks: Looks, place: Place) -> bool:
    return not torch.equal(looks.first.seen[place].copy, looks.swapped.seen[place].copy)


def _settle(tap: Tap, found: Paths, held: Collection[Place], spoilt: set[str]) -> Tap:
    if tap.layout is None or tap.same_as is not None:
        return tap
    if tap.place not in held:
        return replace(tap, status="constant", reason=_CONSTANT)
    if tap.key in spoilt:
        return replace(tap, status="refused", reason=_SPOILT)
    tap = replace(tap, upstream=found.upstream[tap.key], cut=tap.key in found.cut)
    return tap if tap.key in found.reached else replace(tap, status="off_path", reason=_OFF_PATH)


def _follow_owner(tap: Tap, finished: Mapping[Place, Tap]) -> Tap:
    """A tap that gives the tensor of an earlier one shares its fate."""
    if tap.same_as is None:
        return tap
    owner = next(each for each in finished.values() if each.key == tap.same_as)
    return replace(tap, status=owner.status, reason=owner.reason, cut=owner.cut, upstream=owner.upstream)
