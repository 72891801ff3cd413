"""What does a network give for the examples, and do labels and texts belong to what it reads?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.kind import AnalysisError
from workers.robustness.text.reading import Reading, Rows
from workers.subject.subject import Subject
from workers.sweep.block import padded
from workers.sweep.target import Target

MOST_ROWS = 128
"""In one forward pass."""


def in_blocks(network: nn.Module, x: Rows, fixed: int | None) -> Tensor:
    """The output, (rows, ...), filled up where only one batch size is taken. Raises BadTarget without numbers."""
    size, parts = fixed or max(1, min(MOST_ROWS, len(x[0]))), []
    with torch.no_grad():
        for start in range(0, len(x[0]), size):
            some = tuple(each[start : start + size].clone() for each in x)  # it may change its inputs in place
            parts.append(Target.value().read(network(*padded(some, fixed or 1)))[: len(some[0])].clone())
    return torch.cat(parts)


def labels_of(reading: Reading, scores: Tensor, labels: Tensor | None) -> Tensor | None:
    """Those of the data, where they are classes that are decided."""
    if labels is None or reading.form == "last" or labels.ndim != 1 or reading.subject.facts.task == "policy":
        return None
    wrong = torch.nonzero((labels < 0) | (labels >= scores.shape[1])).flatten().tolist()
    if wrong:
        raise AnalysisError(
            "labels",
            f"{len(wrong)} of {len(labels)} labels are of no class: example {wrong[0]} has {int(labels[wrong[0]])}, and"
            f" the model's {scores.shape[1]} classes are counted from 0",
            remedy="Correct the labels, or leave them out to compare with the model's own decisions.",
        )
    return labels.to(torch.int64).cpu()


def texts_of(subject: Subject, x: Rows, texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The texts, where the tokenizer makes of them what the network reads."""
    if subject.tokenizer is None or texts is None:
        return None
    length = x[0].shape[1]
    given = subject.tokenizer.encode(texts, length)
    wrong = (given[0].to(x[0].device) != x[0]).any(1)
    if bool(wrong.any()):
        raise AnalysisError(
            "text",
            f"{int(wrong.sum())} of {len(texts)} texts have other ids than the model is given; the first is example"
            f" {int(torch.nonzero(wrong)[0])}",
            remedy="Register the dataset again with this model's tokenizer.",
        )
    return tuple(texts)
