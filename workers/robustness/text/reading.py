"""What does a model decide of a text, and how far is it from deciding otherwise?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from workers.kind import AnalysisError
from workers.passes.positions import class_axis, last_real, real_places
from workers.subject.subject import Subject

Rows = tuple[Tensor, ...]
"""What the network reads, (rows, ...) for each input."""

Form = Literal["classes", "sign", "last"]
_MIDDLE = 0.5
_SEQUENCES = ("next_token", "seq2seq")


class Answer(NamedTuple):
    """Of each row: the margin by which it keeps its label, float64 (rows,), plus infinity where the output is not
    finite; the class that is decided, int64 (rows,); whether that is another than the label, bool (rows,)."""

    margin: Tensor
    decided: Tensor
    broken: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """form: the largest of several classes; whether one number is above its middle; the token after the last one."""

    subject: Subject
    form: Form

    def scores(self, outputs: Tensor, rows: Rows) -> Tensor:
        """(rows, C), from outputs (rows, ...) of what the network read; NaN of rows without a last token."""
        if self.form == "sign":
            middle = _MIDDLE if self.subject.facts.output.kind == "probabilities" else 0.0
            above = outputs.reshape(len(outputs)) - middle
            return torch.stack([torch.zeros_like(above), above], dim=1)
        if self.form == "classes":
            return outputs
        axis = class_axis(self.subject, outputs.shape)
        each = outputs.movedim(axis or 1, -1)
        there = real_places(self.subject, rows, each.shape[1]).any(1).to(each.device)
        made = torch.full_like(each[:, 0], torch.nan)
        if bool(there.any()):
            some = tuple(row[there.to(row.device)] for row in rows)
            last = last_real(self.subject, some, each.shape[1]).to(each.device)
            made = made.index_put((there.nonzero()[:, 0],), each[there][torch.arange(len(last)), last])
        return made


def reading_of(subject: Subject, given: Tensor) -> Reading:
    """given: of the examples, (n, ...). Raises AnalysisError where a model decides nothing."""
    task = subject.facts.task
    if given[0].numel() == 1 and task in ("classification", "policy"):
        return Reading(subject, "sign")
    if given.ndim == 2 and given.shape[1] > 1 and task in ("classification", "policy", *_SEQUENCES):
        return Reading(subject, "classes")
    if given.ndim == 3 and task in _SEQUENCES and class_axis(subject, given.shape) is not None:
        return Reading(subject, "last")
    raise AnalysisError(
        "not-applicable",
        f"a model for {task} with one output of the axes {tuple(given.shape[1:])} decides for no class",
        remedy="Ask for corruption, which reads any answer.",
    )  # fmt: skip


def answered(scores: Tensor, label: int) -> Answer:
    """scores: (rows, C), C of at least 2."""
    scores = scores.detach().double()
    finite = torch.isfinite(scores).all(1)
    decided = scores.argmax(1)
    margin = torch.where(finite, margins(scores, label), torch.inf)
    return Answer(margin, decided, finite & (decided != label))


def margins(scores: Tensor, label: int) -> Tensor:
    """(rows,): the label's score less the largest other one."""
    others = torch.cat([scores[:, :label], scores[:, label + 1 :]], dim=1)
    return scores[:, label] - others.amax(1)
