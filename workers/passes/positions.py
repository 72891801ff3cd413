"""Which positions of a sequence are real, and which axis of an output holds positions and which classes?"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.subject.subject import Subject


def is_switch(facts: InputFacts) -> bool:
    """Whether an input of integers says yes or no of something else (a mask, a segment), being 0 or 1."""
    ends = (*facts.bounds.low, *facts.bounds.high)
    return facts.kind in ("tokens", "text") and set(ends) == {0.0, 1.0}


def ids_of(subject: Subject, x: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Which inputs are ids that move. Switches are held; where there is nothing else, the first one is the ids.

    A text is the first of the inputs that its tokenizer makes, a mask the second, and further ones ids again.
    """
    integers = [at for at, each in enumerate(x) if not each.is_floating_point()]
    if subject.facts.input.kind == "text":
        return tuple(at for at in integers if at != 1)
    found = tuple(at for at in integers if not is_switch(subject.declared[at]))
    return found if found or len(integers) < len(x) else tuple(integers[:1])


def mask_of(subject: Subject, x: tuple[Tensor, ...], ids: int) -> Tensor | None:
    """The mask of the ids `ids`: the switch of their shape that follows them, or comes before the first ids."""
    moving = ids_of(subject, x)
    beside = (ids + 1, *((ids - 1,) if ids == moving[0] else ()))
    for at in beside:
        if 0 <= at < len(x) and at not in moving and not x[at].is_floating_point() and x[at].shape == x[ids].shape:
            mask: Tensor = x[at].ne(0)
            return mask
    return None


def real(subject: Subject, x: tuple[Tensor, ...], ids: int) -> Tensor:
    """Bool, as the ids: what is no padding, by their mask, or else because it comes before a run of pad ids at the end.

    All of it where there is no mask and no pad id is known.
    """
    mask = mask_of(subject, x, ids)
    if mask is not None:
        return mask
    if subject.pad is None or x[ids].ndim < 2:
        return torch.ones_like(x[ids], dtype=torch.bool)
    run = (x[ids] == subject.pad).flip(-1).to(torch.int64).cumprod(-1).flip(-1).to(torch.bool)
    return ~run


def last_real(subject: Subject, x: tuple[Tensor, ...], length: int) -> Tensor:
    """(N,) int64: the last real one of `length` positions of a sequence output.

    The positions are those of the ids of this length: the last such input of a seq2seq model, the first of others.
    """
    of_length = [at for at in ids_of(subject, x) if x[at].ndim == 2 and x[at].shape[1] == length]
    if of_length:
        kept = real(subject, x, of_length[-1 if subject.facts.task == "seq2seq" else 0])
    elif length in _lengths(subject):
        kept = torch.ones(len(x[0]), length, dtype=torch.bool)
    else:
        raise AnalysisError(
            "target",
            f"the output has {length} positions, and no input of the model has as many: which is the last is not told",
            remedy=f"Name the position, as position:{length - 1}.",
        )
    empty = ~kept.any(1)
    if bool(empty.any()):
        raise AnalysisError(
            "target",
            f"example {int(empty.nonzero()[0])} has no position that is not padding, and so no next token",
            remedy="Leave such examples out of the evaluation data.",
        )
    return (kept.to(torch.int64) * torch.arange(length, device=kept.device)).argmax(1).cpu()


def real_places(subject: Subject, x: tuple[Tensor, ...], length: int) -> Tensor:
    """(N, length) bool: the positions of a sequence output that are no padding; all where that is not told."""
    for at in ids_of(subject, x):
        if x[at].ndim == 2 and x[at].shape[1] == length:
            return real(subject, x, at).cpu()
    return torch.ones(len(x[0]), length, dtype=torch.bool)


def class_axis(subject: Subject, shape: torch.Size) -> int | None:
    """Which axis of an output of `shape`, the examples being axis 0, holds the classes; None where that is not told.

    The second, of (N, C) and where class names are declared: intake sees to it that it has as many. Without, of
    (N, a, b) the one that is not as long as an input, and the last where both or none are; the second of any other.
    """
    if len(shape) < 3:
        return 1 if len(shape) == 2 else None
    count = len(subject.facts.output.classes)
    if count or len(shape) > 3:
        return 1 if not count or shape[1] == count else None
    first, second = (size in _lengths(subject) for size in shape[1:])
    if shape[1] == shape[2]:
        return None
    return 1 if second and not first else 2


def _lengths(subject: Subject) -> set[int]:
    return set(_each_length(subject))


def _each_length(subject: Subject) -> Iterator[int]:
    for facts in subject.declared:
        yield from (size for letter, size in zip(facts.layout[1:], facts.shape, strict=True) if letter == "T")
