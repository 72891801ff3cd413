"""What do forward passes of the same two examples, in different places of a batch, show?

The passes run without gradients. Each tensor is copied as its module gives it, so that what changes it in place
afterwards is seen as a moved version counter and not as another value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from workers.sweep.refusals import UnusableBatch
from workers.sweep.tree import tensors
from workers.sweep.watch import Watch

Place = tuple[str, int, int]
"""(layer, call, position in the output)"""

_TRIED_ROWS = (2, 1, 3, 4, 8, 16, 32, 64)


@dataclass(slots=True)
class Seen:
    """One tensor as its module gave it, before anything could change it in place."""

    module: str
    tensor: Tensor
    version: int
    copy: Tensor


@dataclass(slots=True)
class Look:
    """One forward pass without gradients."""

    inputs: tuple[Tensor, ...]
    output: Any
    seen: dict[Place, Seen] = field(default_factory=dict)
    moved: frozenset[Place] = frozenset()
    same: dict[Place, Place] = field(default_factory=dict)
    moved_input: bool = False

    @property
    def rows(self) -> int:
        return len(self.inputs[0])


@dataclass(slots=True)
class Looks:
    """The passes that are compared: `first` (a, b, a, ...), `swapped` (b, a, a, ...), `alone` (a, a, a, ...), `other`
    with another number of rows where the model allows that."""

    first: Look
    swapped: Look
    alone: Look
    other: Look | None
    least_rows: int

    @classmethod
    def take(cls, model: nn.Module, pair: tuple[Tensor, ...], rows: int | None) -> Looks:
        first = _first_look(model, pair, rows or _exported_rows(model))
        n = first.rows
        orders = ([1, *([0] * (n - 1))], [0] * n)
        swapped, alone = (_look(model, _rows(pair, order)) for order in orders)
        fixed = (rows or _exported_rows(model)) is not None
        for count in () if fixed else (1, 3):
            other = _try_look(model, _rows(pair, [0, 1, 0][:count])) if count != n else None
            if isinstance(other, Look) and _shapes_agree(first, other):
                return cls(first, swapped, alone, other, min(count, 2))
        return cls(first, swapped, alone, None, n)


def two_examples(inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Two different rows per argument: the first example, and its baseline unless that is the same point."""
    if all(torch.equal(x[:1], b[:1]) for x, b in zip(inputs, baselines, strict=True)):
        return tuple(torch.cat([x[:1], x[:1] + 1 if x.is_floating_point() else x[:1]]) for x in inputs)
    return tuple(torch.cat([x[:1], b[:1]]) for x, b in zip(inputs, baselines, strict=True))


def _rows(pair: tuple[Tensor, ...], order: list[int]) -> tuple[Tensor, ...]:
    return tuple(tensor[torch.tensor(order, device=tensor.device)] for tensor in pair)


def _exported_rows(model: nn.Module) -> int | None:
    """The batch size fixed in the graph of an exported model, if it says one."""
    graph = getattr(model, "graph", None)
    if not isinstance(graph, torch.fx.Graph):
        return None
    values = [node.meta.get("val") for node in graph.nodes if node.op == "placeholder"]
    sizes = [value.shape[0] for value in values if isinstance(value, Tensor) and value.ndim > 0]
    return sizes[0] if sizes and isinstance(sizes[0], int) else None


def _first_look(model: nn.Module, pair: tuple[Tensor, ...], rows: int | None) -> Look:
    tried = (rows,) if rows else _TRIED_ROWS
    failed = ""
    for count in tried:
        look = _try_look(model, _rows(pair, [0, 1][:count] + [0] * (count - 2)))
        if isinstance(look, Look):
            return look
        failed = look
    raise UnusableBatch(tried, failed)


def _try_look(model: nn.Module, inputs: tuple[Tensor, ...]) -> Look | str:
    """A look, or what the model said against this batch size (an exception, or an output of another size)."""
    try:
        look = _look(model, inputs)
    except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    if not any(tensor.ndim > 0 and len(tensor) == len(inputs[0]) for tensor in tensors(look.output)):
        return f"no output has {len(inputs[0])} rows"
    return look


def _look(model: nn.Module, inputs: tuple[Tensor, ...]) -> Look:
    look = Look(inputs, None)
    owners: dict[tuple[int, int], Place] = {}

    def see(module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        place = (layer, call, position)
        look.seen[place] = Seen(module, tensor, tensor._version, tensor.clone())
        owner = owners.setdefault((id(tensor), tensor._version), place)
        if owner != place:
            look.same[place] = owner
        return tensor

    with torch.no_grad(), Watch(model, see) as watch:
        versions = [tensor._version for tensor in inputs]
        given = tuple(tensor.clone() for tensor in inputs)
        versions = [tensor._version for tensor in given]
        look.output = watch.run(given)
    look.moved_input = any(tensor._version != before for tensor, before in zip(given, versions, strict=True))
    look.moved = frozenset(place for place, seen in look.seen.items() if seen.tensor._version != seen.version)
    for seen in look.seen.values():
        seen.tensor = seen.copy
    return look


def _shapes_agree(first: Look, other: Look) -> bool:
    """Whether both passes ran the same modules and gave tensors with as many axes."""
    return first.seen.keys() == other.seen.keys() and all(
        seen.copy.ndim == other.seen[place].copy.ndim for place, seen in first.seen.items()
    )
