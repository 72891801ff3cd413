"""Which tensors does a module's output hold, and how is one of them replaced?

LSTM gives (out, (h, c)), attention gives (out, None), language models give dataclasses: all are walked in the order
in which they are written, and rebuilt with their own type when a tensor in them changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Visit = Callable[[Tensor], Tensor]


def tensors(tree: object) -> list[Tensor]:
    """All tensors of `tree`, depth first, in order; whatever is neither a tensor nor a container is passed over."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(tree, keep)
    return found


def mapped(tree: Any, visit: Visit) -> Any:
    """`tree` with each tensor t replaced by visit(t), visited in order; the same object where nothing changed."""
    if isinstance(tree, Tensor):
        return visit(tree)
    parts = _parts(tree)
    if parts is None:
        return tree
    new = [mapped(part, visit) for part in parts]
    if all(a is b for a, b in zip(parts, new, strict=True)):
        return tree
    return _rebuilt(tree, new)


def _parts(tree: Any) -> list[Any] | None:
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [getattr(tree, field.name) for field in dataclasses.fields(tree) if field.init]
    if isinstance(tree, Mapping):
        return list(tree.values())
    if isinstance(tree, tuple | list):
        return list(tree)
    return None


def _rebuilt(tree: Any, parts: list[Any]) -> Any:
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree) if field.init]
        return dataclasses.replace(tree, **dict(zip(names, parts, strict=True)))
    if isinstance(tree, Mapping):
        return type(tree)(zip(tree.keys(), parts, strict=True))  # type: ignore[call-arg] # a mapping's own constructor
    if hasattr(tree, "_fields"):
        return type(tree)(*parts)
    return type(tree)(parts)
