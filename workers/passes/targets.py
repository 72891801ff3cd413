"""Which number of the output does a request mean?

The grammar is in TARGET and, as a table, in docs/targets.md. A form that does not fit the declared task or the output
is refused, with the form that would.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from workers.passes.case import PREDICTED, Case, class_index, largest, refuse_no_classes, refused
from workers.passes.places import at_position, every_place, in_region, next_token
from workers.passes.positions import class_axis
from workers.subject.outputs import Whole
from workers.subject.subject import Subject
from workers.sweep.target import Target

_NAME, _OUTPUT = r"[^\x00-\x1f\x7f]{1,128}", r"[^\x00-\x1f\x7f/]{1,128}"
TARGET = re.compile(
    rf"^(output:{_OUTPUT}/)?(predicted|label|value|score|class:{_NAME}|element:[0-9]{{1,9}}(,[0-9]{{1,9}}){{0,4}}"
    rf"|position:[0-9]{{1,9}}(,{_NAME})?|next(:[0-9]{{1,9}})?|region:{_NAME}|error(:fixed)?|action(:{_NAME})?)$"
)
"""Every form of a target. Kinds take it as the pattern of their parameter."""


def network_of(subject: Subject, asked: str) -> tuple[nn.Module, int]:
    """The network that gives the output which `asked` is of, and which of its tensors that is. Raises AnalysisError."""
    prefix, separator, _ = asked.partition("/")
    if not separator or not prefix.startswith("output:"):
        return subject.model, 0
    name = prefix.removeprefix("output:")
    names = subject.outputs or ("0",)
    found = names.index(name) if name in names else int(name) if name.isdecimal() and int(name) < len(names) else None
    if found is None:
        raise refused(f"the model has no output {name!r}; it has {', '.join(names[:20])}", "Name one of these.")
    return (subject.model, 0) if len(names) == 1 else (Whole(subject.model), found)


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
    made = _FORMS[name](Case(subject, scale, x, given, labels, which))
    return replace(made, output=output)


def compared_input(x: tuple[Tensor, ...]) -> int:
    """The position of the input that a reconstruction is compared with: the first of floating point."""
    return next(at for at, each in enumerate(x) if each.is_floating_point())


# --- one number, classes, elements


def _element(case: Case) -> Target:
    index = torch.tensor([[int(i) for i in case.which.split(",")]], dtype=torch.int64)
    axis = class_axis(case.subject, case.given.shape)
    return Target(case.with_classes(axis), index, axis=axis or 1)


def _value(case: Case) -> Target:
    if not case.single:
        raise refused(
            f"one output has {case.axes}, and a value is the only number of one", "Name an element, as element:0."
        )
    case.with_classes(1 if case.given.ndim > 1 else None)
    return Target.value()


def _class(case: Case) -> Target:
    refuse_no_classes(case, "class")
    return Target.classes(class_index(case.subject, case.which, case.given.shape[1]), case.with_classes(1))


def _label(case: Case) -> Target:
    refuse_no_classes(case, "label")
    if case.labels is None:
        raise refused("the evaluation data have no labels", PREDICTED)
    labels, count = case.labels.cpu(), case.given.shape[1]
    wrong = torch.nonzero((labels < 0) | (labels >= count)).flatten().tolist()
    if wrong:
        raise refused(
            f"{len(wrong)} of {len(labels)} labels are of no class: example {wrong[0]} has {int(labels[wrong[0]])}, and"
            f" the model's {count} classes are counted from 0",
            f"{PREDICTED.removesuffix('.')}, or correct the labels.",
        )
    return Target.classes(labels, case.with_classes(1))


def _action(case: Case) -> Target:
    if case.task != "policy":
        raise refused(f"the model's task is {case.task}, and only a policy has actions", PREDICTED)
    if case.single or case.given.ndim != 2:
        raise refused(
            f"one output has {case.axes}, which are no choice between actions", "Name an element, as element:0."
        )
    if not case.which:
        return largest(case)
    return Target.classes(class_index(case.subject, case.which, case.given.shape[1]), case.with_classes(1))


# --- errors and scores


def _error(case: Case) -> Target:
    floating = [each for each in case.x if each.is_floating_point()]
    if case.task != "reconstruction" or not floating:
        raise refused(
            f"the model's task is {case.task}, and only a reconstruction has an error against its input", PREDICTED
        )
    shape, wanted = tuple(case.given.shape[1:]), tuple(floating[0].shape[1:])
    if shape != wanted and shape != (floating[0][0].numel(),):
        raise refused(
            f"one output has the axes {shape} and one input {wanted}: they cannot be compared number by number",
            "Name an element of the output, as element:0.",
        )
    return case.without_classes(Target.error(floating[0] if case.which == "fixed" else None))


def _score(case: Case) -> Target:
    if case.single:
        return _value(case)
    if case.task not in ("score", "generation"):
        raise refused(f"the model's task is {case.task}, and one output has {case.axes}: it is no score", PREDICTED)
    return case.without_classes(Target.total())


def _predicted(case: Case) -> Target:
    if case.single:
        return _value(case)
    made = _BY_TASK.get(case.task)
    if made is None:
        raise refused(
            f"one output has {case.axes}, and of a {case.task} no number is the predicted one",
            "Name an element, as element:0" + (", or score for the sum." if case.task == "generation" else "."),
        )
    return made(case)


_Form = Callable[[Case], Target]
_BY_TASK: dict[str, _Form] = {
    "classification": largest,
    "segmentation": every_place,
    "sequence": every_place,
    "next_token": next_token,
    "seq2seq": next_token,
    "reconstruction": _error,
    "score": _score,
    "policy": _action,
}
_FORMS: dict[str, _Form] = {
    "predicted": _predicted, "label": _label, "value": _value, "score": _score, "class": _class, "element": _element,
    "position": at_position, "next": next_token, "region": in_region, "error": _error, "action": _action,
}  # fmt: skip
