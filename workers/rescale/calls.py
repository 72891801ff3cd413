"""Which operations does a forward pass make, with which values?

A network reaches its operations through modules, functions, Python operators, graphs of an export or compound
operations such as `aten.lstm`. All come down to the operations that autograd differentiates, and those are seen here
as they run, in order, whoever calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from workers.rescale.flat import Form, flattened, rebuilt, results, tensors


class _Varying:
    """Stands for a tensor that varies with the input and whose values no rule needs."""

    def __repr__(self) -> str:
        return "..."


VARYING = _Varying()


@dataclass(frozen=True, slots=True)
class View:
    """Where in its base a tensor lies that was changed in place."""

    size: Sequence[int]
    stride: Sequence[int]
    offset: int
    base_size: Sequence[int]
    base_stride: Sequence[int]

    def of(self, base: Tensor) -> Tensor:
        """The part of `base`, a tensor laid out as the base was."""
        return base.as_strided(self.size, self.stride, base.storage_offset() + self.offset)

    def laid_out(self, tensor: Tensor) -> Tensor:
        """A copy of `tensor`, of the base's shape, laid out as the base was."""
        return tensor.new_empty_strided(self.base_size, self.base_stride).copy_(tensor)


@dataclass(slots=True, eq=False)
class Call:
    """One operation on something that varies with the input.

    leaves: its arguments, flattened; tensors as they were before it ran. varying: which of them carry a gradient.
    shapes: of those. imaginary: one of them is complex. end: the number of the first node of the graph made after it.
    module: where it was called from, if that was asked for. view: set where it changed a part of a tensor in place.
    name: as the documentation has it, without the underscore of an in-place form: relu, _softmax.
    results: what it gave, where its rule reads that.
    """

    name: str
    operation: torch._ops.OpOverload[..., Any]
    leaves: list[Any]
    form: Form
    varying: tuple[int, ...]
    shapes: tuple[torch.Size, ...]
    imaginary: bool
    end: int
    module: str = ""
    view: View | None = None
    results: list[Any] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"aten.{self.name}"

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional arguments and those by name."""
        return rebuilt(self.leaves, self.form)

    def argument(self, name: str) -> Any:
        """The argument that the schema calls `name`."""
        args, kwargs = self.arguments
        schema = self.operation._schema.arguments
        position = next(at for at, each in enumerate(schema) if each.name == name)
        if position < len(args):
            return args[position]
        return kwargs.get(name, schema[position].default_value)

    @property
    def out_of_place(self) -> Callable[..., Any]:
        """The operation, in the form that changes nothing."""
        name = self.operation._schema.name
        if not self.operation._schema.is_mutable:
            return self.operation
        form: Callable[..., Any] = getattr(getattr(torch.ops.aten, plain(name)), self.operation._overloadname)
        return form


@cache
def plain(name: str) -> str:
    """The name of an operation without its namespace and the underscore of an in-place form."""
    bare = name.rpartition("::")[2]
    return bare.rstrip("_") if not bare.startswith("__") else bare


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves its subclassing so
    """A context in which every operation on what varies is kept, in order, with the values that `needs` asks for.

    needs: whether the rule for an operation reads its values. Memory: those values. Where a kept tensor is changed in
    place afterwards, the values it had are kept. module: says where the model is.
    """

    def __init__(self, needs: Callable[[Call], bool], module: Callable[[], str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # as above
        self.made: list[Call] = []
        self._module = module or (lambda: "")
        self._needs = needs
        self._places: dict[int, list[tuple[list[Any], int]]] = {}  # by storage: where its tensors are kept

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves, form = flattened(args, kwargs or {})
        written = _written(func, args, kwargs or {})
        self._preserve(written)
        varying = tuple(at for at, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad)
        if not (varying and torch.is_grad_enabled()):
            return func(*args, **(kwargs or {}))
        call = self._call(func, leaves, form, varying)
        needed = self._needs(call)
        skipped = () if needed else varying
        call.leaves = [VARYING if at in skipped else _kept(leaf, written) for at, leaf in enumerate(leaves)]
        result = func(*args, **(kwargs or {}))
        self._remember(call.leaves)
        if needed:
            call.results = [each.detach() if isinstance(each, Tensor) else None for each in results(result)]
            self._remember(call.results)
        self.made.append(call)
        return result

    def _call(self, func: Any, leaves: list[Any], form: Form, varying: tuple[int, ...]) -> Call:
        end = torch._C._autograd._get_sequence_nr()
        return Call(
            plain(func._schema.name), func, leaves, form, varying, tuple(leaves[at].shape for at in varying),
            any(leaves[at].is_complex() for at in varying), end, self._module(),
            _view(leaves[0]) if func._schema.is_mutable else None,
        )  # fmt: skip

    def _remember(self, values: list[Any]) -> None:
        for at, value in enumerate(values):
            if isinstance(value, Tensor) and value.layout == torch.strided:
                self._places.setdefault(value.untyped_storage().data_ptr(), []).append((values, at))

    def _preserve(self, written: list[Tensor]) -> None:
        """Copies what is kept of tensors that are about to change."""
        for tensor in written:
            for values, at in self._places.pop(tensor.untyped_storage().data_ptr(), ()):
                values[at] = values[at].clone()


def _kept(leaf: Any, written: list[Tensor]) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.detach().clone() if any(leaf is each for each in written) else leaf.detach()


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that `func` is about to change."""
    changed: list[Tensor] = []
    for at, name in _changes(func):
        value = args[at] if at < len(args) else kwargs.get(name)
        changed += tensors(results(value))
    return changed


@cache
def _changes(func: Any) -> tuple[tuple[int, str], ...]:
    """The arguments that `func` changes, by position and name."""
    schema = enumerate(func._schema.arguments) if func._schema.is_mutable else ()
    return tuple((at, each.name) for at, each in schema if each.alias_info is not None and each.alias_info.is_write)


def _view(tensor: Any) -> View | None:
    """Where `tensor` lies in its base, None where it is none of a larger one."""
    base = tensor._base if isinstance(tensor, Tensor) and tensor._is_view() else None
    if base is None:
        return None
    offset = tensor.storage_offset() - base.storage_offset()
    return View(tensor.shape, tensor.stride(), offset, base.shape, base.stride())


def differing(here: Call, there: Call) -> str:
    """Why two calls at the same place of two passes are not one function at two points; empty where they are."""
    if here.operation is not there.operation or here.varying != there.varying or here.shapes != there.shapes:
        return f"the input runs {here.label} where the baseline runs {there.label}, on other shapes or operands"
    skipped = _UNREAD.get(here.name, ())
    for at, (one, other) in enumerate(zip(here.leaves, there.leaves, strict=True)):
        if at in here.varying or at in skipped:
            continue
        if not (_same(one, other) if isinstance(one, Tensor) else one == other):
            return f"{here.label} chooses, or is given, something else at the baseline, which no gradient follows"
    return ""


_UNREAD = {"rrelu_with_noise": (1,)}
"""Arguments that an operation does not read in evaluation mode, by their place among the leaves."""


def _same(one: Tensor, other: Any) -> bool:
    if not isinstance(other, Tensor) or one.shape != other.shape or one.dtype != other.dtype:
        return False
    at_once = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return at_once or torch.equal(one, other)
