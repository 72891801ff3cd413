"""Which positions of a sequence are real, and which axis of an output holds positions and which classes?"""

from __future__ import annotations

import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.subject.subject import Subject


def is_switch(facts: InputFacts) -> bool:
    """Whether an input of integers says yes or no of something else (a mask, a segment), being 0 or 1."""
    ends = (*facts.bounds.low, *facts.bounds.high)
    return facts.kind in ("tokens", "text") and set(ends) == {0.0, 1.0}


def sequence_axis(facts: InputFacts) -> int | None:
    """The axis of an input, examples first, along which its tokens or time steps lie; None where it has none."""
    if facts.kind in ("tokens", "text") and len(facts.shape) == 1:
        return 1
    return facts.layout.index("T") if facts.kind == "series" and "T" in facts.layout else None


def ids_of(subject: Subject, x: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Which inputs are ids that move. Switches are held; where there is nothing else, the first one is the ids.

    A text is the first of the inputs that its tokenizer makes, a mask the second, and further ones ids again.
    """
    integers = [at for at, each in enumerate(x) if not each.is_floating_point()]
    if subject.facts.input.kind == "text":
        return tuple(at for at in integers if at != 1)
    found = tuple(at for at in integers if not is_switch(subject.declared[at]))
    return found if found or len(integers) < len(x) else tuple(integers[:1])


def real(subject: Subject, x: tuple[Tensor, ...], sequence: int) -> Tensor:
    """Bool, (N, T) as the ids number `sequence`: what is no padding, by their mask, or else because it comes before a
    run of pad ids at the end. All of it where there is no mask and no pad id is known.

    The mask is the switch of their shape that follows them, or comes before the first of the sequences.
    """
    mask = _mask(subject, x, sequence)
    if mask is not None:
        return mask
    if subject.pad is None or x[sequence].ndim < 2 or x[sequence].is_floating_point():
        shape = x[sequence].shape[:2] if x[sequence].is_floating_point() else x[sequence].shape
        return torch.ones(shape, dtype=torch.bool, device=x[sequence].device)
    run = (x[sequence] == subject.pad).flip(-1).to(torch.int64).cumprod(-1).flip(-1).to(torch.bool)
    return ~run


def _mask(subject: Subject, x: tuple[Tensor, ...], sequence: int) -> Tensor | None:
    moving = {*ids_of(subject, x), *(at for at, each in enumerate(x) if each.is_floating_point())}
    beside = (sequence + 1, *((sequence - 1,) if sequence == min(moving) else ()))
    for at in beside:
        if 0 <= at < len(x) and at not in moving and x[at].shape == x[sequence].shape[: x[at].ndim]:
            mask: Tensor = x[at].ne(0)
            return mask
    return None


def _sequences(subject: Subject, x: tuple[Tensor, ...], length: int) -> list[int]:
    """The inputs of `length` positions: ids (N, T), and numbers whose layout says NT... ."""
    ids = ids_of(subject, x)
    return [
        at
        for at, each in enumerate(x)
        if each.ndim > 1
        and each.shape[1] == length
        and (at in ids if not each.is_floating_point() else subject.declared[at].layout.startswith("NT"))
    ]


def last_real(subject: Subject, x: tuple[Tensor, ...], length: int) -> Tensor:
    """(N,) int64: the last real one of `length` positions of a sequence output.

    The positions are those of the input of this length: the last such one of a seq2seq model, the first of others.
    """
    found = _sequences(subject, x, length)
    if not found:
        raise AnalysisError(
            "target",
            f"the output has {length} positions, and no input of the model has as many: which is the last is not told",
            remedy=f"Name the position, as position:{length - 1}.",
        )
    kept = real(subject, x, found[-1 if subject.facts.task == "seq2seq" else 0])
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
    found = _sequences(subject, x, length)
    return real(subject, x, found[0]).cpu() if found else torch.ones(len(x[0]), length, dtype=torch.bool)


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
    lengths = {
        size
        for facts in subject.declared
        for letter, size in zip(facts.layout[1:], facts.shape, strict=True)
        if letter == "T"
    }
    first, second = (size in lengths for size in shape[1:])
    if shape[1] == shape[2]:
        return None
    return 1 if second and not first else 2
