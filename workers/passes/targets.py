"""Which number of the output does a request mean?"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.kind import AnalysisError
from workers.subject.subject import Subject
from workers.sweep.target import Scale, Target


def target_of(
    subject: Subject,
    asked: str,
    scale: str,
    x: tuple[Tensor, ...],  # noqa: ARG001  # positions of ids are found in it
    given: Tensor,
    labels: Tensor | None,
) -> Target:
    """The target that `asked` names. Raises AnalysisError where it does not fit the model.

    scale: "output" or "probability". x: what the network is called with, examples along axis 0. given: the output for
    the same examples, (N, ...). labels: (N,), or None where there are none.
    """
    name, _, which = asked.partition(":")
    read = _scale(subject, scale, given)
    if name == "element":
        return Target(read, torch.tensor([[int(i) for i in which.split(",")]], dtype=torch.int64))
    if given[0].numel() == 1:
        if name in ("label", "class"):
            raise AnalysisError(
                "target", "the model gives one number and has no classes", remedy='Ask for target "predicted".'
            )
        return Target.value()
    if name == "class":
        return Target.classes(_class(subject, which), read)
    if given.ndim != 2:
        raise AnalysisError(
            "target",
            f"one output has {given.ndim - 1} axes {tuple(given.shape[1:])}, so {name!r} names no single number of it",
            remedy="Name an element, as element:0,3,3.",
        )
    if name == "label":
        if labels is None:
            raise AnalysisError("target", "the evaluation data have no labels", remedy='Ask for target "predicted".')
        return Target.classes(labels.cpu(), read)
    return Target.classes(given.argmax(1).cpu(), read)


def _scale(subject: Subject, scale: str, given: Tensor) -> Scale:
    if scale != "probability":
        return "logit"
    if subject.facts.output.kind == "values":
        raise AnalysisError("target", "the output holds values and no classes", remedy='Ask for scale "output".')
    if subject.facts.output.kind == "probabilities":
        return "logit"
    if given.ndim != 2:
        raise AnalysisError(
            "target",
            f"one output has the axes {tuple(given.shape[1:])}, which do not say where the classes of a softmax are",
            remedy='Ask for scale "output".',
        )
    if given.shape[1] == 1:
        raise AnalysisError(
            "target", "the model gives one logit, which no softmax turns into a probability",
            remedy='Ask for scale "output".',
        )  # fmt: skip
    return "probability"


def _class(subject: Subject, which: str) -> int:
    names = subject.facts.output.classes
    if which in names:
        return names.index(which)
    if not names and which.isdecimal():
        return int(which)
    raise AnalysisError("target", f"the model has no class {which!r}; it has {', '.join(names[:20])}")
