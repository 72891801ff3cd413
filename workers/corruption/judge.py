"""What is read of an answer to a corrupted input, and how much worse is it than the answer to the clean one?

Classes with labels: whether the answer is right. Without labels, or where a label says nothing of the whole output
(places, next tokens, actions): whether it is still the clean answer. Numbers: how far they moved. Reconstructions: how
far they are from the input that was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workers.kind import AnalysisError
from workers.passes.positions import class_axis, last_real, real_places
from workers.passes.targets import compared_input
from workers.subject.subject import Subject

Reading = Literal["accuracy", "agreement", "shift", "error"]
_Form = Literal["sign", "classes", "places", "last", "numbers"]
_EVEN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """values: float64 (rows,), as `Judge.reading` has them. finite: bool (rows,); where not, the answer counts as wrong
    or, of a number, its value is -1."""

    values: Tensor
    finite: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judge:
    """clean: what all examples answer without a corruption, as `_decided` gives it. labels: where they decide.

    unit: of values. against: what an answer is held against, in words.
    """

    subject: Subject
    reading: Reading
    form: _Form
    clean: Tensor
    labels: Tensor | None
    unit: str
    against: str

    @property
    def higher_is_better(self) -> bool:
        """Of accuracy and agreement."""
        return self.reading in ("accuracy", "agreement")

    def read(self, outputs: Tensor, x: tuple[Tensor, ...], index: Tensor) -> Read:
        """outputs: (rows, ...) of inputs x. index: int64 (rows,), the example that each row is of."""
        finite = torch.isfinite(outputs).reshape(len(outputs), -1).all(1).cpu()
        decided = self.decide(outputs, x)
        if self.reading == "error":
            own = x[compared_input(x)].double().cpu().flatten(1)
            values = (decided.reshape(own.shape) - own).square().mean(1)
        elif self.reading == "shift":
            values = (decided - self.clean[index]).abs().reshape(len(decided), -1).mean(1)
        elif self.labels is not None:
            values = (decided == self.labels[index]).double()
        else:
            values = self._agreement(decided, x, index)
        wrong = 0.0 if self.higher_is_better else -1.0
        return Read(torch.where(finite, values, wrong), finite)

    def decide(self, outputs: Tensor, x: tuple[Tensor, ...]) -> Tensor:
        """What the network answers: the class of each row or place, or its numbers in float64."""
        return _decided(self.subject, self.form, outputs, x)

    def _agreement(self, decided: Tensor, x: tuple[Tensor, ...], index: Tensor) -> Tensor:
        same = (decided == self.clean[index]).double()
        if self.form != "places":
            return same
        real = torch.ones_like(same)
        if same.ndim == 2:
            real = real_places(self.subject, x, same.shape[1]).double()
        return (same * real).flatten(1).sum(1) / real.flatten(1).sum(1).clamp(min=1)


def judge_of(subject: Subject, x: tuple[Tensor, ...], outputs: Tensor, labels: Tensor | None) -> Judge:
    """x, outputs: of the clean examples, (N, ...). Raises AnalysisError where labels are of no class."""
    form = _form(subject, outputs)
    unit, against = "share of examples", "the labels"
    reading: Reading
    if form == "numbers":
        compares = subject.facts.task == "reconstruction" and _comparable(outputs, x)
        reading = "error" if compares else "shift"
        unit = "squared network input unit" if compares else subject.facts.output.unit
        against = "the input that was given" if compares else "the clean output"
        labels = None
    elif labels is not None and form in ("sign", "classes") and subject.facts.task != "policy":
        reading, labels = "accuracy", labels.cpu()
        _refuse_labels(labels, 2 if form == "sign" else outputs.shape[1])
    else:
        reading, labels, against = "agreement", None, "the clean prediction"
        unit = "share of places" if form == "places" else unit
    return Judge(
        subject=subject, reading=reading, form=form, clean=_decided(subject, form, outputs, x), labels=labels,
        unit=unit, against=against,
    )  # fmt: skip


def _form(subject: Subject, outputs: Tensor) -> _Form:
    task, single = subject.facts.task, outputs[0].numel() == 1
    if task in ("regression", "score", "generation", "reconstruction"):
        return "numbers"
    if single:
        two = task == "classification" or (task == "policy" and len(subject.facts.output.classes) > 1)
        return "sign" if two else "numbers"
    if outputs.ndim == 2:
        return "classes"
    if class_axis(subject, outputs.shape) is None:
        return "numbers"
    return "last" if task in ("next_token", "seq2seq") and outputs.ndim == 3 else "places"


def _decided(subject: Subject, form: _Form, outputs: Tensor, x: tuple[Tensor, ...]) -> Tensor:
    """The numbers themselves in float64, or classes: (rows,), (rows, ...) of places."""
    if form == "numbers":
        return outputs.double().cpu()
    if form == "sign":
        limit = _EVEN if subject.facts.output.kind == "probabilities" else 0.0
        return (outputs.flatten() > limit).long().cpu()
    if form == "classes":
        return outputs.argmax(1).cpu()
    axis = class_axis(subject, outputs.shape)
    assert axis is not None
    classes = outputs.argmax(axis).cpu()
    if form == "places":
        return classes
    last = last_real(subject, x, classes.shape[1])
    return classes.gather(1, last[:, None])[:, 0]


def _comparable(outputs: Tensor, x: tuple[Tensor, ...]) -> bool:
    if not any(each.is_floating_point() for each in x):
        return False
    return outputs[0].numel() == x[compared_input(x)][0].numel()


def _refuse_labels(labels: Tensor, count: int) -> None:
    wrong = torch.nonzero((labels < 0) | (labels >= count)).flatten().tolist()
    if wrong:
        raise AnalysisError(
            "labels",
            f"{len(wrong)} of {len(labels)} labels are of no class: example {wrong[0]} has {int(labels[wrong[0]])}, and"
            f" the model's {count} classes are counted from 0",
            remedy="Correct the labels, or leave them out to compare with the clean predictions.",
        )
