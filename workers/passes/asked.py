"""What is explained of a subject: which target, from which baseline, over which examples, at which precision?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn

from workers.kind import AnalysisError
from workers.passes.baselines import baselines_of
from workers.passes.targets import target_of
from workers.subject.subject import Examples, Subject
from workers.sweep.copies import in_precision
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.target import Target

Precision = Literal["float32", "float64"]
ROLE = "evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to explain.

    target: predicted, label, class:NAME or element:I,J. baseline: zero, mean, midpoint or constant:C, in raw units.
    examples: how many, from the beginning of the evaluation data.
    """

    target: str
    scale: Literal["output", "probability"]
    baseline: str
    examples: int
    precision: Precision


_READY: WeakKeyDictionary[nn.Module, dict[Asked, Prepared]] = WeakKeyDictionary()
"""A model is probed once for each question, though it is asked about by applies, quote, plan and compute."""


def prepared(subject: Subject, asked: Asked) -> Prepared:
    """Examples, baseline, target and probe. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
    known = _READY.setdefault(subject.model, {})
    if asked not in known:
        known[asked] = _prepare(subject, asked)
    return known[asked]


def _prepare(subject: Subject, asked: Asked) -> Prepared:
    data = subject.examples[ROLE]
    _refuse_ids(data)
    dtype = getattr(torch, asked.precision)
    x = subject.arguments(data, stop=asked.examples, dtype=dtype)
    origin = baselines_of(subject, data, x, asked.baseline)
    model = in_precision(subject.model, dtype)
    given = outputs(model, x, subject.manifest.batch, Target.value())
    labels = None if data.labels is None else data.labels[: asked.examples]
    target = target_of(subject, asked.target, asked.scale, x, given, labels)
    target.check(given.shape, len(given))
    seen = probe(model, x, origin, target, rows=subject.manifest.batch)
    return Prepared(model=model, x=x, origin=origin, target=target, outputs=given, labels=labels, probe=seen)


def _refuse_ids(data: Examples) -> None:
    if not data.inputs.is_floating_point():
        raise AnalysisError(
            "integer-inputs",
            "the model reads ids (tokens), and between two ids there is no path from a baseline to the input",
            remedy="Export the part of the model after its embedding, with the embedded tokens as the input.",
        )
