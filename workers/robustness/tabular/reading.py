"""What does a model decide of a row, and when is that another decision?

Classes with labels: another class than the label. Without labels, or of actions: another class than the model's own.
Numbers: further than some standard deviations of the output from where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workers.attack.classes import Misclassified
from workers.attack.goal import Goal
from workers.attack.numbers import Shifted
from workers.kind import AnalysisError
from workers.subject.subject import Subject

Reading = Literal["accuracy", "agreement", "shift"]
Scores = Callable[[Tensor], Tensor]

_LEAST = 1e-30
"""Of a probability, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Judged:
    """scores: from outputs to class scores (rows, K), K >= 2, or numbers (rows,). decided: (n,), int64 classes or
    numbers, of the rows as they are. tolerance: of numbers, in the output's unit; 0 of classes."""

    reading: Reading
    goal: Goal
    scores: Scores
    decided: Tensor
    labels: Tensor | None
    tolerance: float

    def said(self, of: Tensor) -> Tensor:
        """What is decided of rows with these scores: a class, or the number itself; (rows,)."""
        return of if self.reading == "shift" else of.argmax(1)

    def among(self, kept: Tensor) -> Judged:
        """Of some of the rows, int64 (k,)."""
        labels = None if self.labels is None else self.labels[kept]
        return _made(self.reading, self.scores, self.decided[kept], labels, self.tolerance)


def judged(subject: Subject, given: Tensor, labels: Tensor | None, shift: float) -> Judged:
    """given: outputs of the rows as they are, (n, ...). Raises AnalysisError where nothing can be read of them."""
    single, task = given[0].numel() == 1, subject.facts.task
    numbers = task in ("regression", "score", "generation") and single
    two = single and not numbers and (task == "classification" or len(subject.facts.output.classes) == 2)
    if not (numbers or two or (given.ndim == 2 and not single and task not in ("reconstruction", "regression"))):
        raise AnalysisError(
            "not-applicable",
            f"a {task} model that gives {tuple(given.shape[1:])} numbers for a row is neither a classifier nor one"
            " number",
            remedy="Ask for robustness, which attacks it without the rules of columns.",
        )
    scores = _scores(subject, numbers=numbers, two=two)
    read = scores(given)
    if numbers:
        finite = read[read.isfinite()].double()
        spread = float(finite.std(correction=0)) if len(finite) else 0.0
        if not spread > 0:
            raise AnalysisError("no-spread", "the output is the same for all rows: a shift has no unit to count in")
        return _made("shift", scores, read, None, shift * spread)
    if labels is None or task == "policy":
        return _made("agreement", scores, read.argmax(1), None, 0.0)
    _refuse_labels(labels, read.shape[1])
    return _made("accuracy", scores, read.argmax(1), labels.to(read.device), 0.0)


def _made(reading: Reading, scores: Scores, decided: Tensor, labels: Tensor | None, tolerance: float) -> Judged:
    wrong = Misclassified(decided if labels is None else labels)
    goal: Goal = Shifted(decided, tolerance) if reading == "shift" else wrong
    return Judged(
        reading=reading, goal=goal, scores=scores, decided=decided, labels=labels, tolerance=tolerance
    )  # fmt: skip


def _scores(subject: Subject, *, numbers: bool, two: bool) -> Scores:
    probabilities = subject.facts.output.kind == "probabilities"

    def scores(output: Tensor) -> Tensor:
        rows = output.reshape(len(output), -1)
        if numbers:
            return rows.squeeze(1)
        if two:
            other = 1 - rows if probabilities else torch.zeros_like(rows)
            rows = torch.cat([other, rows], dim=1)
        return rows.clamp(min=_LEAST).log() if probabilities else rows

    return scores


def _refuse_labels(labels: Tensor, count: int) -> None:
    wrong = torch.nonzero((labels < 0) | (labels >= count)).flatten().tolist()
    if wrong:
        raise AnalysisError(
            "labels",
            f"{len(wrong)} of {len(labels)} labels are of no class: row {wrong[0]} has {int(labels[wrong[0]])}, and the"
            f" model's {count} classes are counted from 0",
            remedy="Correct the labels, or leave them out to hold decisions against the model's own.",
        )
