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
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal
from workers.subject.subject import along_channels
from workers.sweep.probe import Probe, Tap, probe
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target
from workers.sweep.watch import Watch, layer_name

_INTERNAL = ("_guards", "_empty_nn_module_stack", "true_graph_", "false_graph_", "submod_")
_NOT_FIRED = (
    "it never runs as a module of its own: it only holds other modules, or its parameters are used from outside or in a"
    " conditional branch"
)
_TARGETS = 16
_TEXTS = ("The film was a delight from beginning to end.", "Nobody could say what had become of 17 letters.")
_MAX_LAYERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What running one layer showed: its calls, and the shape of its first output with N for the batch axis."""

    calls: int
    shape: tuple[str, ...]
    auditable: Auditable
    reason: str | None


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


def inventory(loaded: Loaded, facts: ModelFacts) -> tuple[Layer, ...]:
    """Every layer in the file's order. Raises Refusal where examples depend on each other or passes differ."""
    modules = _modules(loaded.model)
    if len(modules) > _MAX_LAYERS:
        raise Refusal("too-many-layers", f"the model has {len(modules):,} layers; {_MAX_LAYERS:,} are read", None)
    pair = random_inputs(loaded, facts, 2)
    try:
        probes = tuple(_probes(loaded, pair, facts))
    except SweepRefused as error:
        raise Refusal("not-auditable", str(error), "See docs/exporting.md for what a model must keep to.") from error
    seen = _seen(probes, _shapes(loaded, pair))
    parents = {name.rsplit(".", depth)[0] for name in seen for depth in range(1, name.count(".") + 1)}
    return tuple(_layer(name, found, seen.get(name), leaf=name not in parents) for name, found in modules.items())


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
    fixed = all(isinstance(axis, int) for axis in output.shape[1:])
    axes = tuple(int(axis) for axis in output.shape[1:]) if fixed else None
    single = axes is not None and prod(axes) == 1
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


def _targets(axes: tuple[int, ...] | None, classes: int) -> list[Target]:
    depth = len(axes) if axes else 1
    count = min(_TARGETS, axes[0] if axes else max(classes, 1))
    return [Target.element(*(at, *([0] * (depth - 1)))) for at in range(count)]


def _shapes(loaded: Loaded, pair: tuple[Tensor, ...]) -> dict[str, tuple[int, ...]]:
    """The whole shape of each layer's first output, from one forward pass of the probe's batch size."""
    shapes: dict[str, tuple[int, ...]] = {}

    def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        if call == 0 and position == 0:
            shapes[layer] = tuple(tensor.shape)
        return tensor

    rows = loaded.batch or 2
    with torch.no_grad(), Watch(loaded.model, see) as watch:
        watch.run(tuple(tensor[torch.arange(rows) % 2] for tensor in pair))
    return shapes


def _seen(probes: tuple[Probe, ...], shapes: dict[str, tuple[int, ...]]) -> dict[str, Seen]:
    best: dict[str, Tap] = {}
    calls: dict[str, int] = {}
    for found in probes:
        for tap in found.taps:
            before = best.get(tap.layer)
            calls[tap.layer] = tap.calls
            if before is None or (tap.status == "on_path" and before.status != "on_path"):
                best[tap.layer] = tap
    return {layer: _judged(tap, calls[layer], shapes.get(layer, ())) for layer, tap in best.items()}


def _judged(tap: Tap, calls: int, shape: tuple[int, ...]) -> Seen:
    words = [str(axis) for axis in shape]
    if tap.layout is not None and tap.layout.axis is not None and tap.layout.axis < len(words):
        factor = tap.layout.factor
        words[tap.layout.axis] = "N" if factor == 1 else f"{factor}N"
    kinds: dict[str, Auditable] = {
        "on_path": "auditable",
        "off_path": "no_gradient_path",
        "constant": "no_gradient_path",
        "refused": "forward_only",
    }
    return Seen(calls=calls, shape=tuple(words[:16]), auditable=kinds[tap.status], reason=tap.reason or None)


def _layer(name: str, module: nn.Module, seen: Seen | None, *, leaf: bool) -> Layer:
    kind = str(getattr(module, "_ty", None) or type(module).__name__).rsplit(".", 1)[-1][:256]
    parameters = sum(parameter.numel() for parameter in module.parameters())
    if seen is None:
        return Layer(
            name=name, type=kind if leaf else "container", calls=0, output_shape=(), parameters=parameters, leaf=leaf,
            auditable="not_fired", reason=_NOT_FIRED,
        )  # fmt: skip
    return Layer(
        name=name, type=kind, calls=seen.calls, output_shape=seen.shape, parameters=parameters, leaf=leaf,
        auditable=seen.auditable, reason=seen.reason,
    )  # fmt: skip
