"""What are the arguments of an operation, one by one?

Operations take values and lists of values, no deeper; torch's own walk over any structure takes as long as they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Form:
    """lengths: of each argument that is a list, None of any other. names: of the last ones, given by name."""

    lengths: tuple[int | None, ...]
    names: tuple[str, ...]


def flattened(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], Form]:
    """All values in order, and what `rebuilt` needs."""
    leaves: list[Any] = []
    lengths: list[int | None] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, list | tuple):
            leaves.extend(value)
            lengths.append(len(value))
        else:
            leaves.append(value)
            lengths.append(None)
    return leaves, Form(tuple(lengths), tuple(kwargs))


def rebuilt(leaves: Sequence[Any], form: Form) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional arguments and those by name."""
    following = iter(leaves)
    values = [next(following) if n is None else list(islice(following, n)) for n in form.lengths]
    positional = len(values) - len(form.names)
    return tuple(values[:positional]), dict(zip(form.names, values[positional:], strict=True))


def results(made: Any) -> list[Any]:
    """What an operation gave: one value, or several."""
    return list(made) if isinstance(made, list | tuple) else [made]


def tensors(values: Sequence[Any]) -> list[Tensor]:
    """Those of `values` that are tensors."""
    return [value for value in values if isinstance(value, Tensor)]
