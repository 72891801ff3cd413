"""Which places of an output does a target read: positions of a sequence, the next token, regions of a map?"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from workers.passes.case import PREDICTED, Case, class_index, largest, refused
from workers.passes.positions import class_axis, last_real, real_places
from workers.subject.subject import Subject
from workers.sweep.target import Target

_BOX = re.compile(r"(?P<name>.+),(?P<top>[0-9]{1,9}),(?P<left>[0-9]{1,9}),(?P<bottom>[0-9]{1,9}),(?P<right>[0-9]{1,9})")


def at_position(case: Case) -> Target:
    """A class, the predicted one by default, at a position; the number there where each position has one."""
    at, _, name = case.which.partition(",")
    position, given = int(at), case.given
    if given.ndim == 2 and case.task == "sequence" and not case.subject.facts.output.classes:
        _refuse_outside(position, given.shape[1])
        if name:
            raise refused(
                f"one output has {case.axes}: a number per position, and no classes",
                f'Ask for target "position:{position}".',
            )
        return case.without_classes(Target.element(position))
    axis = class_axis(case.subject, given.shape)
    if given.ndim != 3 or axis is None:
        raise refused(
            f"one output has {case.axes}, in which positions and classes cannot be told apart",
            "Name an element, as element:2,0; or declare the classes in facts.output.classes.",
        )
    _refuse_outside(position, given.shape[3 - axis])
    there = given.select(3 - axis, position)
    chosen = torch.tensor([class_index(case.subject, name, given.shape[axis])]) if name else there.argmax(1).cpu()
    return _one_place(case, torch.full_like(chosen, position), chosen, axis)


def _one_place(case: Case, positions: Tensor, classes: Tensor, axis: int) -> Target:
    """positions, classes: (N,) or (1,), int64."""
    index = torch.stack([positions, classes.expand_as(positions)], 1)
    return Target(case.with_classes(axis), index.flip(1) if axis == 1 else index, axis=axis)


def _refuse_outside(position: int, count: int) -> None:
    if position >= count:
        raise refused(f"there is no position {position}; the output has {count}, from 0 to {count - 1}", "Name one.")


def next_token(case: Case) -> Target:
    """A token, the predicted one by default, after the last real position."""
    if case.task not in ("next_token", "seq2seq"):
        raise refused(f"the model's task is {case.task}, and only next_token and seq2seq have a next token", PREDICTED)
    given = case.given
    if given.ndim not in (2, 3) or case.single:
        raise refused(f"one output has {case.axes}, which are no logits of tokens", "Name an element, as element:0.")
    count = given.shape[-1]
    token = None if not case.which else torch.tensor([_token(case.which, count)])
    if given.ndim == 2:
        return Target.classes(given.argmax(1).cpu() if token is None else token, case.with_classes(1))
    last = last_real(case.subject, case.x, given.shape[1])
    if token is None:
        token = given[torch.arange(len(given), device=given.device), last.to(given.device)].argmax(1).cpu()
    return _one_place(case, last, token, 2)


def _token(which: str, count: int) -> int:
    if int(which) >= count:
        raise refused(f"there is no token {which}; the model has {count}, from 0 to {count - 1}", "Name one.")
    return int(which)


def in_region(case: Case) -> Target:
    """A class, summed over the places that the model assigns to it, or over a box."""
    if case.task != "segmentation" or case.given.ndim < 3:
        raise refused(
            f"the model's task is {case.task} and one output has {case.axes}; a segmentation has regions", PREDICTED
        )
    box = _BOX.fullmatch(case.which)
    known = case.subject.facts.output.classes
    boxed = box is not None and case.which not in known
    label = class_index(case.subject, box["name"] if boxed and box is not None else case.which, case.given.shape[1])
    inside = _box(case, box) if boxed and box is not None else _assigned(case) == label
    if not bool(inside.any()):
        found = [_said(case.subject, each) for each in sorted({*_assigned(case).flatten().tolist()} - {-1})]
        raise refused(
            f"the model assigns no place of any of {len(case.given)} examples to {case.which!r}; it assigns"
            f" {', '.join(found[:20]) or 'none'}",
            "Name one of these, or a box: region:CLASS,top,left,bottom,right.",
        )
    return Target.over_places(torch.where(inside, label, -1), case.with_classes(1))


def _said(subject: Subject, label: int) -> str:
    declared = subject.facts.output.classes
    return declared[label] if label < len(declared) else str(label)


def _assigned(case: Case) -> Tensor:
    """(N, ...) int64: the class that the model assigns to each place; -1 where the only class is not meant."""
    if case.given.shape[1] > 1:
        return case.given.argmax(1).cpu()
    kind = case.subject.facts.output.kind
    if kind == "values":
        raise refused(
            "the output has one value for each place, and no classes to assign places to",
            "Name an element, as element:0,3,3, or a box: region:0,top,left,bottom,right.",
        )
    return torch.where(case.given[:, 0] > (0.5 if kind == "probabilities" else 0.0), 0, -1).cpu()


def _box(case: Case, box: re.Match[str]) -> Tensor:
    """(1, H, W) bool."""
    sides = tuple(case.given.shape[2:])
    top, left, bottom, right = (int(box[side]) for side in ("top", "left", "bottom", "right"))
    if len(sides) != 2 or not (top < bottom <= sides[0] and left < right <= sides[1]):
        raise refused(
            f"the box {top},{left},{bottom},{right} is none of the output's places {sides}",
            "Name top,left,bottom,right with top < bottom <= height and left < right <= width.",
        )
    inside = torch.zeros(1, *sides, dtype=torch.bool)
    inside[:, top:bottom, left:right] = True
    return inside


def every_place(case: Case) -> Target:
    """The sum over places of the class predicted there; padding is left out."""
    axis = class_axis(case.subject, case.given.shape)
    if case.task == "segmentation" and case.given.ndim > 2:
        return Target.over_places(_assigned(case), case.with_classes(1))
    if axis is None or case.given.ndim != 3:
        return largest(case)
    labels = case.given.argmax(axis).cpu()
    kept = real_places(case.subject, case.x, labels.shape[1])
    return Target.over_places(torch.where(kept, labels, -1), case.with_classes(axis), axis)
