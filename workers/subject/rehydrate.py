"""Which layers of an unflattened program are modules of torch.nn, and do they give the very same numbers?

torch.export.unflatten gives every layer back under its name, but as a small graph: what goes by the type of a module
(DeepLift, LRP, guided backpropagation) sees no ReLU and is silently wrong. A layer whose graph is one operator becomes
the module that makes this call, with the same parameters; what it gives is compared with the graph bit by bit.
"""

import copy
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from workers.subject.by_type import RULED, joined
from workers.subject.calls import arguments, nodes
from workers.subject.leaves import NoModule, Operator, module_of
from workers.subject.refusal import out_of_memory, quoted
from workers.sweep.watch import layer_name

_FREE_ROWS = 2


def rehydrate(model: nn.Module, inputs: Sequence[Tensor]) -> tuple[int, tuple[str, ...]]:
    """Turns layers of `model` into modules of torch.nn, in place. Returns how many, and in words what was left alone.

    inputs: what the network was exported with (see Loaded.inputs). One pass with random numbers of these shapes runs
    each new module beside the graph it stands for; one that differs in a single bit is taken back.
    """
    graphs, made = {}, {}
    for module in model.modules():
        found = _module_for(module)
        if found is not None:
            graphs[id(module)], made[id(module)] = module, found
    swapped = {id(new): graphs[key] for key, new in made.items()}
    names = _swap(model, made)
    unlike, failed = _unlike(model, swapped, inputs)
    back = {key: swapped[key] for key in (swapped if failed else unlike)}
    taken_back = _swap(model, back)
    kept = {layer_name(name) for name in names} - {layer_name(name) for name in taken_back}
    _tell_calls_apart(model)
    _part_tensors(model)
    return len(kept), _told(failed, taken_back)


def _told(failed: str, taken_back: Sequence[str]) -> tuple[str, ...]:
    if failed:
        return (f"layers were not turned into modules of torch.nn, because a pass with random numbers fails: {failed}",)
    if not taken_back:
        return ()
    some = ", ".join(quoted(name) for name in taken_back[:10])
    return (f"left as they were, because the module of torch.nn gives other numbers: {some}",)


def _module_for(module: nn.Module) -> nn.Module | None:
    graph = getattr(module, "graph", None)
    if not isinstance(graph, fx.Graph) or any(True for _ in module.children()):
        return None
    try:
        new = module_of(_operator(module, graph))
        _keep_names(module, new)
    except NoModule:
        return None
    if getattr(module, "_ty", None):
        vars(new)["_ty"] = getattr(module, "_ty")  # noqa: B009 # a private name of torch, which no stub declares
    return new


def _keep_names(old: nn.Module, new: nn.Module) -> None:
    """Everything `old` holds stays where it was: other layers may read it there."""
    if new._buffers.get("num_batches_tracked") is not None:
        counter = old._buffers.get("num_batches_tracked")
        new._buffers["num_batches_tracked"] = torch.zeros((), dtype=torch.int64) if counter is None else counter
    held = {**old._parameters, **old._buffers, **{k: v for k, v in vars(old).items() if isinstance(v, Tensor)}}
    for name, tensor in held.items():
        own = getattr(new, name, None)
        if own is tensor:
            continue
        if own is not None:
            raise NoModule  # the name stands for something else there
        if isinstance(tensor, nn.Parameter):
            new._parameters[name] = tensor
        else:
            new.register_buffer(name, tensor, persistent=name in old._buffers)


def _operator(module: nn.Module, graph: fx.Graph) -> Operator:
    """The one operator of a layer. Raises NoModule where there are more, or where it reads anything unforeseen."""
    *calls, end = (node for node in graph.nodes if node.op not in ("placeholder", "get_attr"))
    given = [node for node in graph.nodes if node.op == "placeholder"]
    if len(given) != 1 or end.op != "output" or any(node.op != "call_function" for node in calls):
        raise NoModule
    result = end.args[0]
    if len(calls) > 1 and result is calls[-1] and result.target is operator.getitem and result.args == (calls[-2], 0):
        calls.pop()
        result = calls[-1]
    if len(calls) == 2 and _is_transposed_weight(calls[0]):
        return _transposed_linear(module, given[0], calls, result)
    if len(calls) != 1 or result is not calls[0] or not isinstance(calls[0].target, torch._ops.OpOverload):
        raise NoModule
    return _read(module, given[0], calls[0], calls[0].target)


def _read(module: nn.Module, given: fx.Node, call: fx.Node, target: torch._ops.OpOverload) -> Operator:
    settings: dict[str, Any] = {}
    owned: dict[str, Tensor] = {}
    reads_given = 0
    for name, value in arguments(call).items():
        if value is given:
            reads_given += 1
        elif isinstance(value, fx.Node):
            owned[name] = _tensor(module, value)
        elif nodes(value):
            raise NoModule
        else:
            settings[name] = value
    if reads_given != 1 or target.namespace != "aten":
        raise NoModule
    name = target._schema.name.removeprefix("aten::")
    inplace = name.endswith("_")
    return Operator(name=name.removesuffix("_"), inplace=inplace, settings=settings, owned=owned, shape=_shape(given))


def _tensor(module: nn.Module, node: fx.Node) -> Tensor:
    if node.op != "get_attr":
        raise NoModule
    found = getattr(module, str(node.target), None)
    if not isinstance(found, Tensor):
        raise NoModule
    return found


def _shape(given: fx.Node) -> tuple[Any, ...]:
    value = given.meta.get("val")
    if not isinstance(value, Tensor):
        raise NoModule
    return tuple(value.shape)


def _is_transposed_weight(node: fx.Node) -> bool:
    called = node.target
    permuted = called is torch.ops.aten.permute.default and node.args[1:] in (([1, 0],), ((1, 0),))
    return permuted or called is torch.ops.aten.t.default


def _transposed_linear(module: nn.Module, given: fx.Node, calls: Sequence[fx.Node], result: Any) -> Operator:
    """A linear layer as torch decomposes it: x Wᵀ (+ b) for x of two axes."""
    turned, product = calls
    weight = turned.args[0]
    bias = product.args[:1] if product.target is torch.ops.aten.addmm.default else ()
    plain = product.target is torch.ops.aten.mm.default or bias
    if result is not product or not plain or product.kwargs or product.args != (*bias, given, turned):
        raise NoModule
    read = {"weight": weight, **({"bias": bias[0]} if bias else {})}
    owned = {name: _tensor(module, node) for name, node in read.items() if isinstance(node, fx.Node)}
    return Operator(name="linear", inplace=False, settings={}, owned=owned, shape=_shape(given))


def _swap(model: nn.Module, new: Mapping[int, nn.Module]) -> list[str]:
    """Puts each module of `new` where the module with that id is; the names at which that happened."""
    names = [name for name, module in model.named_modules(remove_duplicate=False) if name and id(module) in new]
    holders = [module for module in model.modules() if isinstance(vars(module).get("graph_module"), nn.Module)]
    # each graph also keeps its modules for itself: they would be copied and moved along with the model
    own = [each for module in holders for each in vars(module)["graph_module"].modules()]
    for holder in (*model.modules(), *own):
        for name, module in holder._modules.items():
            if id(module) in new:
                holder._modules[name] = new[id(module)]
    return names


def _tell_calls_apart(model: nn.Module) -> None:
    """Gives each call of a non-linearity without weights a module of its own: `act`, `act@1` and so on.

    What goes by type keeps one input and one output for a module, so a second call would overwrite the first.
    """
    for holder in list(model.modules()):
        compiled = vars(holder).get("graph_module")
        if not isinstance(compiled, fx.GraphModule):
            continue
        again = list(_called_again(holder, compiled.graph))
        for node in again:
            place, _, name = str(node.target).partition("@")[0].rpartition(".")
            siblings = holder.get_submodule(place)._modules
            free = next(f"{name}@{at}" for at in range(1, len(siblings) + 2) if f"{name}@{at}" not in siblings)
            siblings[free] = copy.deepcopy(holder.get_submodule(str(node.target)))
            compiled.get_submodule(place)._modules[free] = siblings[free]  # it is copied by what its graph names
            node.target = f"{place}.{free}" if place else free
        if again:
            compiled.recompile()


def _part_tensors(model: nn.Module) -> None:
    """Puts an alias before a non-linearity whose tensor is not its own, without which captum mixes gradients up."""
    for holder, node in dict.fromkeys(joined(model)):
        if getattr(holder.get_submodule(str(node.target)), "inplace", False):
            continue  # it would write into a view
        with node.graph.inserting_before(node):
            apart = node.graph.call_function(torch.ops.aten.alias.default, node.args[:1])
        apart.meta = dict(getattr(node.args[0], "meta", {}))
        node.args = (apart,)
        vars(holder)["graph_module"].recompile()


def _called_again(holder: nn.Module, graph: fx.Graph) -> Iterator[fx.Node]:
    """The calls of a ruled module that holds no tensors, but for its first."""
    seen: set[int] = set()
    for node in graph.nodes:
        module = holder.get_submodule(str(node.target)) if node.op == "call_module" else None
        if type(module) in RULED:
            if id(module) in seen:
                yield node
            seen.add(id(module))


def _unlike(model: nn.Module, swapped: Mapping[int, nn.Module], inputs: Sequence[Tensor]) -> tuple[frozenset[int], str]:
    """Which new modules do not give what their graph gives; or why no pass with random numbers runs."""
    if not swapped:
        return frozenset(), ""
    failed = ""
    for rows in (_FREE_ROWS, None):
        unlike: set[int] = set()
        try:
            with torch.no_grad(), _beside(model, swapped, unlike):
                model(*stand_ins(inputs, rows))
        except Exception as error:  # whatever a customer's program raises, its layers then stay graphs
            if out_of_memory(error):
                raise
            failed = type(error).__name__
        else:
            return frozenset(unlike), ""
    return frozenset(), failed


@contextmanager
def _beside(model: nn.Module, swapped: Mapping[int, nn.Module], unlike: set[int]) -> Iterator[None]:
    expected: dict[int, list[Any]] = {}

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        copies = tuple(each.clone() if isinstance(each, Tensor) else each for each in given)
        expected.setdefault(id(module), []).append(swapped[id(module)](*copies))

    def after(module: nn.Module, _given: tuple[Any, ...], output: Any) -> None:
        if not _same(expected[id(module)].pop(), output):
            unlike.add(id(module))

    handles = [
        handle
        for module in model.modules()
        if id(module) in swapped
        for handle in (module.register_forward_pre_hook(before), module.register_forward_hook(after))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _same(a: Any, b: Any) -> bool:
    """Equal in type, shape and every bit but the payload of NaN."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a, b) or bool(((a == b) | (a.isnan() & b.isnan())).all())


def stand_ins(inputs: Sequence[Tensor], rows: int | None) -> tuple[Tensor, ...]:
    """Inputs of the shapes and types that a network was exported with: normal numbers, zeros where it reads integers.

    rows: the size of an axis 0 that the file leaves open; None for the size it was exported with.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = [int(_known(each.shape[0])) for each in inputs if each.ndim and not isinstance(each.shape[0], int)]
    batch = {size: rows for size in sizes[:1] if rows is not None}
    made = []
    for each in inputs:
        shape = [axis if isinstance(axis, int) else batch.get(_known(axis), _known(axis)) for axis in each.shape]
        if each.is_floating_point():
            made.append(torch.randn(shape, generator=generator).to(each.device, each.dtype))
        else:
            made.append(torch.zeros(shape, dtype=each.dtype, device=each.device))
    return tuple(made)


def _known(size: Any) -> int:
    """What an open size was when the program was exported."""
    if isinstance(size, int):
        return size
    hint = size.node.hint
    return int(hint) if hint is not None else _FREE_ROWS
