"""Which number of the output does a request mean?

The grammar is in TARGET and, as a table, in docs/targets.md. A form that does not fit the declared task or the output
is refused, with the form that would.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workers.kind import AnalysisError
from workers.passes.positions import class_axis, last_real, real_places
from workers.subject.outputs import Whole
from workers.subject.subject import Subject
from workers.sweep.target import Scale, Target

_NAME, _OUTPUT = r"[^\x00-\x1f\x7f]{1,128}", r"[^\x00-\x1f\x7f/]{1,128}"
TARGET = re.compile(
    rf"^(output:{_OUTPUT}/)?(predicted|label|value|score|class:{_NAME}|element:[0-9]{{1,9}}(,[0-9]{{1,9}}){{0,4}}"
    rf"|position:[0-9]{{1,9}}(,{_NAME})?|next(:[0-9]{{1,9}})?|region:{_NAME}|error(:fixed)?|action(:{_NAME})?)$"
)
"""Every form of a target. Kinds take it as the pattern of their parameter."""

_BOX = re.compile(r"(?P<name>.+),(?P<top>[0-9]{1,9}),(?P<left>[0-9]{1,9}),(?P<bottom>[0-9]{1,9}),(?P<right>[0-9]{1,9})")
_PREDICTED = 'Ask for target "predicted".'
_PLAIN = 'Ask for scale "output".'


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """What is asked, of whom. given: (N, ...). which: what stands behind the colon."""

    subject: Subject
    scale: str
    x: tuple[Tensor, ...]
    given: Tensor
    labels: Tensor | None
    which: str = ""

    @property
    def task(self) -> str:
        return self.subject.facts.task

    @property
    def single(self) -> bool:
        return self.given[0].numel() == 1

    @property
    def axes(self) -> str:
        return f"{self.given.ndim - 1} axes {tuple(self.given.shape[1:])}"

    def with_classes(self, axis: int | None) -> Scale:
        """How classes along `axis` are read."""
        if self.scale != "probability":
            return "logit"
        kind = self.subject.facts.output.kind
        if kind == "values":
            raise _refused("the output holds values and no classes", _PLAIN)
        if kind == "probabilities":
            return "logit"
        if axis is None or axis >= self.given.ndim:
            raise _refused(
                f"one output has the axes {tuple(self.given.shape[1:])}, which do not say where the classes of a"
                " softmax are",
                _PLAIN,
            )
        if self.given.shape[axis] == 1:
            raise _refused("the model gives one logit, which no softmax turns into a probability", _PLAIN)
        return "probability"

    def without_classes(self, target: Target) -> Target:
        """A number that is no class has no probability."""
        if self.with_classes(1) == "probability":
            raise _refused("this target is no class, and so it has no probability", _PLAIN)
        return target


def _refused(detail: str, remedy: str) -> AnalysisError:
    return AnalysisError("target", detail, remedy=remedy)


def network_of(subject: Subject, asked: str) -> tuple[nn.Module, int]:
    """The network that gives the output which `asked` is of, and which of its tensors that is. Raises AnalysisError."""
    prefix, separator, _ = asked.partition("/")
    if not separator or not prefix.startswith("output:"):
        return subject.model, 0
    name = prefix.removeprefix("output:")
    names = subject.outputs or ("0",)
    found = names.index(name) if name in names else int(name) if name.isdecimal() and int(name) < len(names) else None
    if found is None:
        raise _refused(f"the model has no output {name!r}; it has {', '.join(names[:20])}", "Name one of these.")
    return (subject.model, 0) if len(names) == 1 else (Whole(subject.model).eval(), found)


def target_of(
    subject: Subject,
    asked: str,
    scale: str,
    x: tuple[Tensor, ...],
    given: Tensor,
    labels: Tensor | None,
    output: int = 0,
) -> Target:
    """The target that `asked` names. Raises AnalysisError where it does not fit the model.

    scale: "output" or "probability". x: what the network is called with, examples along axis 0. given: for the same
    examples the tensor that `asked` is of, (N, ...), number `output` of those that the network gives (`network_of`).
    labels: (N,), or None where there are none. Where the target `compares`, the model must give, beside its output, its
    first floating-point input.
    """
    form = asked.split("/", 1)[1] if asked.startswith("output:") and "/" in asked else asked
    name, _, which = form.partition(":")
    made = _FORMS[name](_Case(subject, scale, x, given, labels, which))
    return replace(made, output=output)


def compared_input(x: tuple[Tensor, ...]) -> int:
    """The position of the input that a reconstruction is compared with: the first of floating point."""
    return next(at for at, each in enumerate(x) if each.is_floating_point())


# --- one number, classes, elements


def _element(case: _Case) -> Target:
    index = torch.tensor([[int(i) for i in case.which.split(",")]], dtype=torch.int64)
    axis = class_axis(case.subject, case.given.shape)
    return Target(case.with_classes(axis), index, axis=axis or 1)


def _value(case: _Case) -> Target:
    if not case.single:
        raise _refused(
            f"one output has {case.axes}, and a value is the only number of one", "Name an element, as element:0."
        )
    case.with_classes(1 if case.given.ndim > 1 else None)
    return Target.value()


def _class(case: _Case) -> Target:
    _refuse_no_classes(case, "class")
    return Target.classes(_index(case.subject, case.which, case.given.shape[1]), case.with_classes(1))


def _label(case: _Case) -> Target:
    _refuse_no_classes(case, "label")
    if case.labels is None:
        raise _refused("the evaluation data have no labels", _PREDICTED)
    return Target.classes(case.labels.cpu(), case.with_classes(1))


def _largest(case: _Case) -> Target:
    _refuse_no_classes(case, "predicted")
    return Target.classes(case.given.argmax(1).cpu(), case.with_classes(1))


def _refuse_no_classes(case: _Case, form: str) -> None:
    if case.single:
        case.with_classes(1 if case.given.ndim > 1 else None)
        raise _refused("the model gives one number and has no classes", _PREDICTED)
    if case.given.ndim != 2:
        case.with_classes(class_axis(case.subject, case.given.shape))
        raise _refused(
            f"one output has {case.axes}, so {form!r} names no single number of it",
            "Name a position (position:2), a region (region:CLASS) or an element (element:0,3,3).",
        )


def _index(subject: Subject, which: str, count: int) -> int:
    """The place of a class among `count`, by its name; by its number where the classes have no names."""
    declared = subject.facts.output.classes
    names = declared if len(declared) == count else ()  # another output than the one whose classes are declared
    if which in names:
        return names.index(which)
    if not names and which.isdecimal() and int(which) < count:
        return int(which)
    known = ", ".join(names[:20]) if names else f"the numbers 0 to {count - 1}"
    raise _refused(f"the model has no class {which!r}; it has {known}", "Name one of these.")


def _action(case: _Case) -> Target:
    if case.task != "policy":
        raise _refused(f"the model's task is {case.task}, and only a policy has actions", _PREDICTED)
    if case.single or case.given.ndim != 2:
        raise _refused(
            f"one output has {case.axes}, which are no choice between actions", "Name an element, as element:0."
        )
    if not case.which:
        return _largest(case)
    return Target.classes(_index(case.subject, case.which, case.given.shape[1]), case.with_classes(1))


# --- positions and places


def _position(case: _Case) -> Target:
    at, _, name = case.which.partition(",")
    position, given = int(at), case.given
    if given.ndim == 2 and not case.single and not case.subject.facts.output.classes:
        _refuse_outside(position, given.shape[1])
        if name:
            raise _refused(f"one output has {case.axes}: a number per position, and no classes", f"position:{position}")
        return case.without_classes(Target.element(position))
    axis = class_axis(case.subject, given.shape)
    if given.ndim != 3 or axis is None:
        raise _refused(
            f"one output has {case.axes}, in which positions and classes cannot be told apart",
            "Name an element, as element:2,0; or declare the classes in facts.output.classes.",
        )
    _refuse_outside(position, given.shape[3 - axis])
    at_position = given.select(3 - axis, position)
    chosen = torch.tensor([_index(case.subject, name, given.shape[axis])]) if name else at_position.argmax(1).cpu()
    return _one_place(case, torch.full_like(chosen, position), chosen, axis)


def _one_place(case: _Case, positions: Tensor, classes: Tensor, axis: int) -> Target:
    """positions, classes: (N,) or (1,), int64."""
    index = torch.stack([positions, classes.expand_as(positions)], 1)
    return Target(case.with_classes(axis), index.flip(1) if axis == 1 else index, axis=axis)


def _refuse_outside(position: int, count: int) -> None:
    if position >= count:
        raise _refused(f"there is no position {position}; the output has {count}, from 0 to {count - 1}", "Name one.")


def _next(case: _Case) -> Target:
    if case.task not in ("next_token", "seq2seq"):
        raise _refused(
            f"the model's task is {case.task}, and only next_token and seq2seq have a next token", _PREDICTED
        )
    given = case.given
    if given.ndim not in (2, 3) or case.single:
        raise _refused(f"one output has {case.axes}, which are no logits of tokens", "Name an element, as element:0.")
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
        raise _refused(f"there is no token {which}; the model has {count}, from 0 to {count - 1}", "Name one.")
    return int(which)


def _region(case: _Case) -> Target:
    if case.task != "segmentation" or case.given.ndim < 3:
        raise _refused(
            f"the model's task is {case.task} and one output has {case.axes}; a segmentation has regions", _PREDICTED
        )
    box = _BOX.fullmatch(case.which)
    known = case.subject.facts.output.classes
    boxed = box is not None and case.which not in known
    label = _index(case.subject, box["name"] if boxed and box is not None else case.which, case.given.shape[1])
    inside = _box(case, box) if boxed and box is not None else _assigned(case) == label
    if not bool(inside.any()):
        found = [_said(case.subject, each) for each in sorted({*_assigned(case).flatten().tolist()} - {-1})]
        raise _refused(
            f"the model assigns no place of any of {len(case.given)} examples to {case.which!r}; it assigns"
            f" {', '.join(found[:20]) or 'none'}",
            "Name one of these, or a box: region:CLASS,top,left,bottom,right.",
        )
    return Target.over_places(torch.where(inside, label, -1), case.with_classes(1))


def _said(subject: Subject, label: int) -> str:
    declared = subject.facts.output.classes
    return declared[label] if label < len(declared) else str(label)


def _assigned(case: _Case) -> Tensor:
    """(N, ...) int64: the class that the model assigns to each place; -1 where the only class is not meant."""
    if case.given.shape[1] > 1:
        return case.given.argmax(1).cpu()
    kind = case.subject.facts.output.kind
    if kind == "values":
        raise _refused(
            "the output has one value for each place, and no classes to assign places to",
            "Name an element, as element:0,3,3, or a box: region:0,top,left,bottom,right.",
        )
    return torch.where(case.given[:, 0] > (0.5 if kind == "probabilities" else 0.0), 0, -1).cpu()


def _box(case: _Case, box: re.Match[str]) -> Tensor:
    """(1, H, W) bool."""
    sides = tuple(case.given.shape[2:])
    top, left, bottom, right = (int(box[side]) for side in ("top", "left", "bottom", "right"))
    if len(sides) != 2 or not (top < bottom <= sides[0] and left < right <= sides[1]):
        raise _refused(
            f"the box {top},{left},{bottom},{right} is none of the output's places {sides}",
            "Name top,left,bottom,right with top < bottom <= height and left < right <= width.",
        )
    inside = torch.zeros(1, *sides, dtype=torch.bool)
    inside[:, top:bottom, left:right] = True
    return inside


def _every_place(case: _Case) -> Target:
    """The sum over places of the class predicted there; padding is left out."""
    axis = class_axis(case.subject, case.given.shape)
    if case.task == "segmentation" and case.given.ndim > 2:
        return Target.over_places(_assigned(case), case.with_classes(1))
    if axis is None or case.given.ndim != 3:
        return _largest(case)
    labels = case.given.argmax(axis).cpu()
    kept = real_places(case.subject, case.x, labels.shape[1])
    return Target.over_places(torch.where(kept, labels, -1), case.with_classes(axis), axis)


# --- errors and scores


def _error(case: _Case) -> Target:
    floating = [each for each in case.x if each.is_floating_point()]
    if case.task != "reconstruction" or not floating:
        raise _refused(
            f"the model's task is {case.task}, and only a reconstruction has an error against its input", _PREDICTED
        )
    shape, wanted = tuple(case.given.shape[1:]), tuple(floating[0].shape[1:])
    if shape != wanted and shape != (floating[0][0].numel(),):
        raise _refused(
            f"one output has the axes {shape} and one input {wanted}: they cannot be compared number by number",
            "Name an element of the output, as element:0.",
        )
    return case.without_classes(Target.error(floating[0] if case.which == "fixed" else None))


def _score(case: _Case) -> Target:
    if case.single:
        return _value(case)
    if case.task not in ("score", "generation"):
        raise _refused(f"the model's task is {case.task}, and one output has {case.axes}: it is no score", _PREDICTED)
    return case.without_classes(Target.total())


def _predicted(case: _Case) -> Target:
    if case.single:
        return _value(case)
    made = _BY_TASK.get(case.task)
    if made is None:
        raise _refused(
            f"one output has {case.axes}, and of a {case.task} no number is the predicted one",
            "Name an element, as element:0" + (", or score for the sum." if case.task == "generation" else "."),
        )
    return made(case)


_Form = Callable[[_Case], Target]
_BY_TASK: dict[str, _Form] = {
    "classification": _largest,
    "segmentation": _every_place,
    "sequence": _every_place,
    "next_token": _next,
    "seq2seq": _next,
    "reconstruction": _error,
    "score": _score,
    "policy": _action,
}
_FORMS: dict[str, _Form] = {
    "predicted": _predicted, "label": _label, "value": _value, "score": _score, "class": _class, "element": _element,
    "position": _position, "next": _next, "region": _region, "error": _error, "action": _action,
}  # fmt: skip
