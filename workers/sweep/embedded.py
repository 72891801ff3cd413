"""What does an embedding give for some examples, and where does the path to it begin?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from workers.sweep.entrances import AFTER, Call, Entrance, NoEmbedding, modules_of, taken

FEW, _ROWS = 2, 64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Average:
    """The mean of what the embedding gives at all real positions of these examples.

    inputs: as the model takes them. real: bool, shaped as the ids.
    """

    inputs: tuple[Tensor, ...]
    real: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ids:
    """An input of ids that moves, as what its embedding gives.

    origin: where its path begins: zero vectors, the embedding of other ids ((n or 1, ...), used where `real`), or the
            average embedding of some examples.
    real: bool, (n, ...) as the ids; False at padding, which does not move.
    low, high: the ids there are. pad: the id that stands for none, where it is known.
    """

    origin: Literal["zero"] | Tensor | Average
    real: Tensor
    low: int
    high: int
    pad: int | None = None


def copies(given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same numbers, for a model that may change its inputs in place."""
    return tuple(each.clone() for each in given)


def batch(some: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
    """With the last row again as often as it takes to have `rows`."""
    short = rows - len(some[0])
    return tuple(torch.cat([t, t[-1:].expand(short, *t.shape[1:])]) if short > 0 else t for t in some)


def _batches(
    model: nn.Module, inputs: tuple[Tensor, ...], found: tuple[Entrance, ...], rows: int | None
) -> Iterator[tuple[slice, list[Tensor]]]:
    """What the entrances give for the examples, some at a time."""
    modules, size = modules_of(model, found), rows or _ROWS
    for start in range(0, len(inputs[0]), size):
        some = tuple(each[start : start + size] for each in inputs)
        values: dict[Call, Tensor] = {}
        with torch.no_grad(), taken(modules, found, values):
            model(*copies(batch(some, rows or FEW)))
        part = slice(start, start + len(some[0]))
        yield part, [values[each.module, each.call][: len(some[0])] for each in found]


def through(
    model: nn.Module, inputs: tuple[Tensor, ...], found: tuple[Entrance, ...], rows: int | None
) -> tuple[Tensor, ...]:
    """What each entrance gives for all examples, (n, ...)."""
    if not found:
        return ()
    parts = [made for _, made in _batches(model, inputs, found, rows)]
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


def origin(
    model: nn.Module, inputs: tuple[Tensor, ...], about: Ids, place: Entrance, x: Tensor, rows: int | None
) -> Tensor:
    """Where the path of an embedded input begins; what is padding stays where it is."""
    if isinstance(about.origin, Tensor):
        ids = torch.where(about.real, about.origin.to(inputs[place.input].device), inputs[place.input])
        given = (*inputs[: place.input], ids, *inputs[place.input + 1 :])
        (start,) = through(model, given, (place,), rows)
    elif isinstance(about.origin, Average):
        start = _mean(model, about.origin, place, rows).expand_as(x[:1])
    else:
        start = torch.zeros_like(x[:1])
    if bool(about.real.all()):
        return start.contiguous()
    return torch.where(_placed(about.real, x, place), start, x)


def _placed(real: Tensor, x: Tensor, place: Entrance) -> Tensor:
    """`real`, to broadcast over what the entrance gives."""
    if real.shape != x.shape[: real.ndim]:
        raise NoEmbedding(
            f"which of the entries of '{place.module}' are padding cannot be told: it gives {list(x.shape)} for ids of"
            f" {list(real.shape)}; {AFTER}"
        )
    return real.reshape(*real.shape, *[1] * (x.ndim - real.ndim))


def _mean(model: nn.Module, over: Average, place: Entrance, rows: int | None) -> Tensor:
    """Over examples and real positions: (1, 1, ..., width)."""
    total, count = None, 0
    for part, (made,) in _batches(model, over.inputs, (place,), rows):
        real = over.real[part]
        width = 1 if made.shape == real.shape else made.shape[-1]
        entries = made if bool(real.all()) else made[_placed(real, made, place).expand_as(made)]
        entries = entries.reshape(-1, width)
        some = entries.sum(0, dtype=torch.float64)
        total, count = (some if total is None else total + some), count + len(entries)
    if total is None or count == 0:
        raise NoEmbedding("the evaluation data have no position that is not padding, over which to take a mean")
    return (total / count).to(made.dtype)
