"""How is accuracy computed? One forward pass over the labelled examples, in blocks; everything else is counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import AnalysisError, Computed, Context, Part, Partial, Quote
from workers.numerics.determinism import seed_for
from workers.numerics.intervals import wilson
from workers.passes.asked import ROLE
from workers.performance import scores
from workers.performance.findings import findings
from workers.performance.outcome import (
    AccuracyOutcome,
    AccuracyParameters,
    ClassScore,
    Mistake,
    ReliabilityBin,
    Score,
)
from workers.subject.subject import Subject
from workers.sweep.block import padded
from workers.sweep.copies import in_precision
from workers.sweep.target import Target

_BLOCK_BYTES = 32 << 20
_MOST_ROWS = 512
_FIRST_USE_BYTES = 48 << 20
_IN_FLIGHT = 24
"""Bytes in flight for each byte of an example, at most of what was measured; networks widen what they read."""
_MOST_SHOWN = 40
_MOST_MISTAKES = 20
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class AccuracyPass:
    """The answers to the first `examples`, `rows` at a time."""

    examples: int
    rows: int
    precision: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it."""
        return {"pass": "answers", "examples": self.examples, "rows": self.rows, "precision": self.precision}

    def make(self, subject: Subject, context: Context) -> Tensor:
        """The outputs, (examples, ...), on the CPU."""
        network = in_precision(subject.model, getattr(torch, self.precision))
        found = []
        for start in range(0, self.examples, self.rows):
            context.progress(start / self.examples, "answers")
            found.append(_answers(subject, network, start, min(start + self.rows, self.examples), self.precision))
        return torch.cat(found)


def applies(subject: Subject, parameters: AccuracyParameters) -> tuple[str, ...]:  # noqa: ARG001  # the kind's shape
    """Why the question cannot be asked; empty where it can."""
    data = subject.examples.get(ROLE)
    if data is None:
        return (f"there are no examples in the role {ROLE}",)
    if subject.facts.task != "classification":
        return (f"the model's task is {subject.facts.task}; accuracy and calibration are of classification",)
    if data.labels is None:
        return ("the data have no labels, and without them nothing is right or wrong; name their labels array",)
    if subject.facts.output.kind == "values":
        return ("the output is declared as values; declare logits or probabilities",)
    return ()


def quote(subject: Subject, parameters: AccuracyParameters, memory_bytes: int) -> Quote:
    """Above the freshly forked child."""
    _refuse(applies(subject, parameters))
    n, rows = _count(subject, parameters), _rows(subject, memory_bytes)
    some = min(rows, n)
    started = perf_counter()
    network = in_precision(subject.model, getattr(torch, parameters.precision))
    _answers(subject, network, 0, some, parameters.precision)
    each = (perf_counter() - started) / some
    weights = sum(t.numel() * t.element_size() for t in (*subject.model.parameters(), *subject.model.buffers()))
    classes = max(2, len(subject.facts.output.classes))
    return Quote(
        seconds=each * n + 0.1 + 1e-4 * n,
        bytes=_FIRST_USE_BYTES + 3 * weights + _IN_FLIGHT * some * _row_bytes(subject) + 24 * n * classes,
    )


def parts(subject: Subject, parameters: AccuracyParameters, context: Context) -> tuple[Part, ...]:
    """One part: all answers."""
    _refuse(applies(subject, parameters))
    request = AccuracyPass(_count(subject, parameters), _rows(subject, context.memory_bytes), parameters.precision)
    plan: dict[str, JsonValue] = {**request.plan(), "device": str(subject.device), "threads": context.threads}
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(
    subject: Subject,
    part: Part,
    parameters: AccuracyParameters,  # noqa: ARG001  # the kind's shape
    context: Context,
) -> Partial:
    """Labels and probabilities. Raises AnalysisError where an answer is no probability, or a label no class."""
    (request,) = part.requests
    assert isinstance(request, AccuracyPass)
    data = subject.examples[ROLE]
    assert data.labels is not None, "asked for before"
    answers = context.run(request, subject)
    labels = data.labels[: request.examples].to(torch.int64).cpu()
    return Partial(values={}, arrays={"label": labels, "probability": probabilities(subject, answers, labels)})


def merge(
    subject: Subject, parameters: AccuracyParameters, partials: Sequence[Partial], context: Context
) -> Computed[AccuracyOutcome]:
    """The outcome, and for each example its label, what was predicted and with which probabilities."""
    (partial,) = partials
    labels, given = partial.arrays["label"], partial.arrays["probability"]
    of = scores.scored(given.to(torch.float64).numpy(), labels.numpy())
    names = _names(subject, given.shape[1])
    seed = seed_for(context.digest, 0)
    counts = np.bincount(of.labels, minlength=len(names))
    matrix = scores.confusion(of, len(names))
    outcome = AccuracyOutcome(
        examples=len(labels),
        available=len(subject.examples[ROLE].inputs),
        classes=names,
        from_logits=subject.facts.output.kind == "logits",
        accuracy=Score.of(scores.accuracy(of)),
        balanced_accuracy=Score.of(scores.balanced_accuracy(of, seed)),
        log_loss=Score.of(scores.mean(scores.log_losses(of), seed)),
        brier_score=Score.of(scores.mean(scores.brier_scores(of), seed)),
        calibration_error=Score.of(scores.calibration_error(of, seed, parameters.bins)),
        mean_confidence=float(of.confidence.mean()),
        declared=subject.facts.accuracy,
        absent=tuple(name for name, count in zip(names, counts, strict=True) if count == 0),
        smallest_class=int(counts[counts > 0].min()),
        by_class=_by_class(of, names),
        reliability=tuple(
            ReliabilityBin(confidence=each.confidence, accuracy=Score.of(each.accuracy))
            for each in scores.bins(of, parameters.bins)
        ),
        confusion=tuple(tuple(int(each) for each in row) for row in matrix) if len(names) <= _MOST_SHOWN else (),
        mistakes=_mistakes(matrix, names),
        not_applicable=_left_out(len(names)),
    )
    arrays = {
        "label": labels,
        "predicted": torch.from_numpy(of.predicted),
        "probability_of_label": torch.from_numpy(of.of_label),
        "probability": given.to(torch.float32),
        "content": _content(subject, len(labels)),
    }
    return Computed(outcome=outcome.model_copy(update={"findings": findings(outcome)}), arrays=arrays)


def probabilities(subject: Subject, answers: Tensor, labels: Tensor) -> Tensor:
    """(n, classes), float64, each row adding up to 1. Raises AnalysisError."""
    if answers.dim() != 2 or answers.shape[1] < 2:
        raise AnalysisError(
            "not-applicable",
            f"the model answers with numbers of shape {tuple(answers.shape[1:])} for an example, not one per class",
            remedy="Export the model so that it gives one number per class.",
        )
    broken = ~torch.isfinite(answers).all(1)
    if bool(broken.any()):
        first = int(broken.nonzero()[0])
        raise AnalysisError(
            "not-finite",
            f"the model gives NaN or infinity for {int(broken.sum())} examples, the first of them {first}",
            remedy="Check the preprocessing, or ask for float64.",
        )
    wrong = (labels < 0) | (labels >= answers.shape[1])
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise AnalysisError(
            "label-unknown",
            f"example {first} has the label {int(labels[first])}, and the model has {answers.shape[1]} classes",
            remedy="Mend the labels of the data, or the classes of the model.",
        )
    exact = answers.to(torch.float64)
    if subject.facts.output.kind == "logits":
        return torch.softmax(exact, dim=1)
    off = (exact.sum(1) - 1).abs() > _TOLERANCE
    off |= (exact < -_TOLERANCE).any(1)
    if bool(off.any()):
        first = int(off.nonzero()[0])
        raise AnalysisError(
            "no-probabilities",
            f"the output is declared as probabilities, and that of example {first} adds up to"
            f" {float(exact[first].sum()):.4g}",
            remedy="Declare logits, if that is what the model gives.",
        )
    return exact.clamp(min=0) / exact.clamp(min=0).sum(1, keepdim=True)


def _answers(subject: Subject, network: torch.nn.Module, start: int, stop: int, precision: str) -> Tensor:
    batch = subject.manifest.batch or 1
    x = subject.arguments(subject.examples[ROLE], start, stop, getattr(torch, precision))
    found = []
    with torch.no_grad():
        step = batch if subject.manifest.batch else stop - start
        for begin in range(0, stop - start, step):
            some = tuple(each[begin : begin + step] for each in x)
            found.append(Target.value().read(network(*padded(some, batch)))[: len(some[0])].cpu().clone())
    return torch.cat(found)


def _count(subject: Subject, parameters: AccuracyParameters) -> int:
    return min(parameters.examples, len(subject.examples[ROLE].inputs))


def _rows(subject: Subject, memory_bytes: int) -> int:
    """Examples in one pass: it hangs on the data and the memory, never on a clock."""
    each = _row_bytes(subject)
    wanted = max(1, min(_MOST_ROWS, _BLOCK_BYTES // each, memory_bytes // (_IN_FLIGHT * each)))
    batch = subject.manifest.batch
    return max(1, wanted // batch) * batch if batch else wanted


def _row_bytes(subject: Subject) -> int:
    data = subject.examples[ROLE]
    return max(64, sum(each[:1].numel() * 8 for each in (data.inputs, *data.further)))


def _names(subject: Subject, count: int) -> tuple[str, ...]:
    declared = subject.facts.output.classes
    return tuple(declared[at] if at < len(declared) else f"number {at}" for at in range(count))


def _by_class(of: scores.Scored, names: Sequence[str]) -> tuple[ClassScore, ...]:
    found = []
    for label in np.unique(of.labels).tolist():
        own = of.labels == label
        found.append(
            ClassScore(
                class_name=names[label],
                accuracy=Score.of(wilson(int(of.right[own].sum()), int(own.sum()))),
                predicted=int((of.predicted == label).sum()),
            )
        )
    return tuple(found)


def _mistakes(matrix: scores.Integers, names: Sequence[str]) -> tuple[Mistake, ...]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_MISTAKES]
    pairs = [divmod(int(at), len(names)) for at in order]
    return tuple(
        Mistake(label=names[label], predicted=names[predicted], count=int(wrong[label, predicted]))
        for label, predicted in pairs
        if wrong[label, predicted] > 0
    )


def _content(subject: Subject, count: int) -> Tensor:
    """Digests of the examples, (n, 16), by which two analyses pair them; zeros where there are none."""
    content = subject.examples[ROLE].content
    return torch.zeros(count, 16, dtype=torch.uint8) if content is None else content[:count].cpu().clone()


def _left_out(classes: int) -> tuple[NotApplicable, ...]:
    if classes <= _MOST_SHOWN:
        return ()
    because = f"there are {classes} classes; the most frequent mistakes stand in its place"
    return (NotApplicable(subject="confusion table", because=because),)


def _refuse(reasons: tuple[str, ...]) -> None:
    if reasons:
        raise AnalysisError("not-applicable", "; ".join(reasons))
