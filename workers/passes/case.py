"""What is asked of which output, and what do all forms of a target refuse alike?"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from workers.kind import AnalysisError
from workers.passes.positions import class_axis
from workers.subject.subject import Subject
from workers.sweep.target import Scale, Target

PREDICTED = 'Ask for target "predicted".'
_PLAIN = 'Ask for scale "output".'


@dataclass(frozen=True, slots=True, eq=False)
class Case:
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
            raise refused("the output holds values and no classes", _PLAIN)
        if kind == "probabilities":
            return "logit"
        if axis is None or axis >= self.given.ndim:
            raise refused(
                f"one output has the axes {tuple(self.given.shape[1:])}, which do not say where the classes of a"
                " softmax are",
                _PLAIN,
            )
        if self.given.shape[axis] == 1:
            raise refused("the model gives one logit, which no softmax turns into a probability", _PLAIN)
        return "probability"

    def without_classes(self, target: Target) -> Target:
        """A number that is no class has no probability."""
        if self.with_classes(1) == "probability":
            raise refused("this target is no class, and so it has no probability", _PLAIN)
        return target


def refused(detail: str, remedy: str) -> AnalysisError:
    """What is raised where a form does not fit."""
    return AnalysisError("target", detail, remedy=remedy)


def class_index(subject: Subject, which: str, count: int) -> int:
    """The place of a class among `count`, by its name; by its number where the classes have no names."""
    declared = subject.facts.output.classes
    names = declared if len(declared) == count else ()  # another output than the one whose classes are declared
    if which in names:
        return names.index(which)
    if not names and which.isdecimal() and int(which) < count:
        return int(which)
    known = ", ".join(names[:20]) if names else f"the numbers 0 to {count - 1}"
    raise refused(f"the model has no class {which!r}; it has {known}", "Name one of these.")


def refuse_no_classes(case: Case, form: str) -> None:
    """Unless the output is (N, C)."""
    if case.single:
        case.with_classes(1 if case.given.ndim > 1 else None)
        raise refused("the model gives one number and has no classes", PREDICTED)
    if case.given.ndim != 2:
        case.with_classes(class_axis(case.subject, case.given.shape))
        raise refused(
            f"one output has {case.axes}, so {form!r} names no single number of it",
            "Name a position (position:2), a region (region:CLASS) or an element (element:0,3,3).",
        )


def largest(case: Case) -> Target:
    """The largest class of an (N, C) output."""
    refuse_no_classes(case, "predicted")
    return Target.classes(case.given.argmax(1).cpu(), case.with_classes(1))
