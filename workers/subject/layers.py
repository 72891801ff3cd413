"""Which layers does a loaded network have, and what can be asked of each?

Names, types and parameters are read from the modules; everything else from passes of two random examples within
the declared bounds, by the probe that the sweep uses, so that what is listed as auditable is what will be audited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from service.contracts.facts import InputFacts, ModelFacts
from service.contracts.manifest import Auditable, Layer
from workers.numerics.determinism import NotFinite
from workers.subject.auditable import EXPORTED, NOT_FIRED, Seen, State, exported, verdict, verdicts
from workers.subject.flops import Flops
from workers.subject.forward import forward_only, shape_words
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal
from workers.subject.subject import along_channels
from workers.sweep.probe import Probe, Tap, probe
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target
from workers.sweep.watch import Watch, layer_name

_INTERNAL = ("_guards", "_empty_nn_module_stack", "true_graph_", "false_graph_", "submod_")
_TARGETS = 16
_TEXTS = ("The film was a delight from beginning to end.", "Nobody could say what had become of 17 letters.")
_MAX_LAYERS = 20_000
_MOST_CALLS, _MOST_SHAPES = 64, 50_000
Call = tuple[str, int]
"""(layer, which of its calls)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Every layer in the file's order, and why no gradient can be asked of any, if so."""

    layers: tuple[Layer, ...]
    refused: Exception | None


def random_inputs(loaded: Loaded, facts: ModelFacts, rows: int) -> tuple[Tensor, ...]:
    """`rows` examples drawn uniformly within the declared bounds, as the network reads them; one tensor per input.

    Ids are whole numbers within their bounds. A model of texts gets texts.
    """
    if facts.input.kind == "text" and loaded.tokenizer is not None:
        texts = [_TEXTS[at % len(_TEXTS)] for at in range(rows)]
        given = loaded.tokenizer.encode(texts, facts.input.shape[0])
        return tuple(ids.to(like.dtype) for ids, like in zip(given, loaded.inputs, strict=True))
    declared = (facts.input, *(further.input for further in facts.further_inputs))
    generator = torch.Generator().manual_seed(0)
    return tuple(_drawn(each, rows, like, generator) for each, like in zip(declared, loaded.inputs, strict=True))


def _drawn(facts: InputFacts, rows: int, like: Tensor, generator: torch.Generator) -> Tensor:
    raw = torch.rand((rows, *facts.shape), generator=generator, dtype=torch.float64)
    low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
    if like.is_floating_point():
        raw = low + (high - low) * raw
        mean, std = (along_channels(v, facts, raw) for v in (facts.preprocessing.mean, facts.preprocessing.std))
        return ((raw - mean) / std).to(like.dtype)
    apart = torch.arange(rows, dtype=torch.float64).view(-1, *[1] * len(facts.shape)) / 2
    ids = torch.minimum(low + ((high - low + 1) * ((raw[:1] + apart) % 1)).floor(), high)  # neighbours differ
    if float((high - low).max()) == 1 and facts.shape and facts.shape[0] > 1:
        ids[:, 0], ids[:, -1] = 1, 0  # a mask that left out everything, read either way, would leave nothing
    return ids.to(like.dtype)


def inventory(loaded: Loaded, facts: ModelFacts, pair: tuple[Tensor, ...], flops: Flops | None) -> Inventory:
    """What is there and what can be asked of it. `pair`: two examples for each input, as `random_inputs` gives them.

    Where two passes differ or examples depend on each other, only values can be asked for. Raises Refusal.
    """
    if loaded.black_box:
        return Inventory(layers=(), refused=None)
    modules = _modules(loaded.model)
    if len(modules) > _MAX_LAYERS:
        raise Refusal("too-many-layers", f"the model has {len(modules):,} layers; {_MAX_LAYERS:,} are read", None)
    most_calls = max(1, min(_MOST_CALLS, _MOST_SHAPES // max(1, len(modules))))
    refused: Exception | None = None
    try:
        seen = _seen(tuple(_probes(loaded, pair, facts)), _shapes(loaded, pair, most_calls))
    except (SweepRefused, NotFinite) as error:
        refused = error
        seen = _values_only(loaded, pair, error, most_calls)
    parents = {name.rsplit(".", depth)[0] for name in seen for depth in range(1, name.count(".") + 1)}
    leaves = [modules[name] for name in seen if name not in parents and name in modules]
    based = loaded.type_based and loaded.type_based.removeprefix("not applicable, because ")
    rules = based or (EXPORTED if any(exported(module) for module in leaves) else None)
    counted = {} if flops is None else flops.layers
    return Inventory(
        layers=tuple(
            _layer(name, found, seen.get(name), leaf=name not in parents, flops=counted.get(name), rules=rules)
            for name, found in modules.items()
        ),
        refused=refused,
    )


def _values_only(loaded: Loaded, pair: tuple[Tensor, ...], why: Exception, most_calls: int) -> dict[str, Seen]:
    try:
        return forward_only(loaded, pair, why, most_calls)
    except SweepRefused as error:
        raise Refusal("not-auditable", str(error), "See docs/exporting.md for what a model must keep to.") from error


def _modules(model: nn.Module) -> dict[str, nn.Module]:
    """Layer name to module; `name@1`, a further graph of a shared module, is the same layer."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if name and not any(part.startswith(_INTERNAL) for part in name.split(".")):
            found.setdefault(layer_name(name), module)
    return found


def _probes(loaded: Loaded, pair: tuple[Tensor, ...], facts: ModelFacts) -> Iterator[Probe]:
    """A probe per target until every layer is on the path of one: heads of single classes are off the others' paths."""
    output = loaded.outputs[loaded.chosen]
    axes = tuple(axis if isinstance(axis, int) else None for axis in output.shape[1:])
    single = prod(axis or 2 for axis in axes) == 1
    targets = [Target.value()] if single else _targets(axes, len(facts.output.classes))
    left: set[str] | None = None
    for target in targets:
        one, other = (tuple(tensor[at : at + 1] for tensor in pair) for at in (0, 1))
        found = probe(loaded.model, one, other, target, rows=loaded.batch)
        off = {tap.key for tap in found.taps if tap.status == "off_path"}
        yield found
        left = off if left is None else left & off
        if not left:
            return


def _targets(axes: tuple[int | None, ...], classes: int) -> list[Target]:
    """The first elements along the first axis; an axis without a size is one that the file leaves open."""
    count = min(_TARGETS, axes[0] if axes and axes[0] is not None else max(classes, 1))
    return [Target.element(at, *([0] * (len(axes) - 1))) for at in range(count)]


def _shapes(loaded: Loaded, pair: tuple[Tensor, ...], most_calls: int) -> dict[Call, torch.Size]:
    """The whole shape of the first output of each layer's calls, from one forward pass of the probe's batch size."""
    shapes: dict[Call, torch.Size] = {}

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        if position == 0 and call < most_calls:
            shapes[layer, call] = tensor.shape
        return tensor

    rows = loaded.batch or 2
    with torch.no_grad(), Watch(loaded.model, see) as watch:
        watch.run(tuple(tensor[torch.arange(rows) % 2] for tensor in pair))
    return shapes


def _seen(probes: tuple[Probe, ...], shapes: dict[Call, torch.Size]) -> dict[str, Seen]:
    best: dict[str, Tap] = {}
    calls: dict[str, dict[int, Tap]] = {}
    for found in probes:
        for tap in found.taps:
            before = best.get(tap.layer)
            if tap.position == 0:
                calls.setdefault(tap.layer, {}).setdefault(tap.call, tap)
            if before is None or (tap.status == "on_path" and before.status != "on_path"):
                best[tap.layer] = tap
    return {layer: _judged(tap, calls[layer], shapes) for layer, tap in best.items()}


_AUDITABLE: dict[str, Auditable] = {
    "on_path": "auditable",
    "off_path": "no_gradient_path",
    "constant": "no_gradient_path",
    "refused": "forward_only",
}


def _judged(tap: Tap, calls: dict[int, Tap], shapes: dict[Call, torch.Size]) -> Seen:
    """`tap`: the one of the layer's tensors that says most for it. `calls`: its first tensor of each call."""
    reason = tap.reason or None
    told = tap.layout is not None or tap.status == "constant"
    return Seen(
        calls=tap.calls,
        shapes=tuple(
            shape_words(shapes[tap.layer, call], each.layout)
            for call, each in sorted(calls.items())
            if (tap.layer, call) in shapes
        ),
        auditable=_AUDITABLE[tap.status],
        reason=reason,
        forward=verdict("auditable") if told else verdict("not_applicable", reason),
        gradient=verdict(_GRADIENT[tap.status], reason),
        units=None if tap.layout is None else tap.shape,
    )


_GRADIENT: dict[str, State] = {
    "on_path": "auditable",
    "off_path": "not_reached",
    "constant": "forward_only",
    "refused": "forward_only",
}


def _layer(
    name: str, module: nn.Module, seen: Seen | None, *, leaf: bool, flops: int | None, rules: str | None
) -> Layer:
    kind = str(getattr(module, "_ty", None) or type(module).__name__).rsplit(".", 1)[-1][:256]
    if seen is None and not leaf:
        kind = "container"
    return Layer(
        name=name,
        type=kind,
        calls=0 if seen is None else seen.calls,
        output_shape=seen.shapes[0] if seen is not None and seen.shapes else (),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        leaf=leaf,
        auditable="not_fired" if seen is None else seen.auditable,
        reason=NOT_FIRED if seen is None else seen.reason,
        shapes=() if seen is None else seen.shapes,
        flops=flops,
        verdicts=dict(verdicts(seen, module, rules)),
    )
