"""What is explained of a subject: which target, from which baseline, over which examples, at which precision?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn

from workers.passes.baselines import baselines_of
from workers.passes.positions import sequence_axis
from workers.passes.targets import compared_input, network_of, target_of
from workers.subject.subject import Subject
from workers.sweep.copies import in_precision
from workers.sweep.entered import entered
from workers.sweep.jump import jump
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.sequence import followed
from workers.sweep.target import Target

Precision = Literal["float32", "float64"]
ROLE = "evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to explain.

    target, baseline: as `targets.TARGET` and `baselines.BASELINE` have them; baselines of numbers are in raw units.
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
    data, batch = subject.examples[ROLE], subject.manifest.batch
    dtype = getattr(torch, asked.precision)
    x = subject.arguments(data, stop=asked.examples, dtype=dtype)
    starts = baselines_of(subject, data, x, asked.baseline)
    network, position = network_of(subject, asked.target)
    network = in_precision(network, dtype)
    given = outputs(network, x, batch, replace(Target.value(), output=position))
    labels = None if data.labels is None else data.labels[: asked.examples]
    target = target_of(subject, asked.target, asked.scale, x, given, labels, position)
    target.check(given.shape, len(given))
    names = tuple(further.name for further in subject.facts.further_inputs)
    compared = compared_input(x) if target.compares else None
    made = entered(network, x, starts, rows=batch, names=names, giving=compared)
    seen = replace(probe(made.model, made.x, made.origin, target, rows=batch), inputs=made.inputs)
    if (axis := sequence_axis(subject.facts.input)) is not None:
        seen = followed(made.model, seen, made.x, axis)
    return Prepared(
        model=made.model, x=made.x, origin=made.origin, target=target, outputs=given, labels=labels,
        probe=seen, jump=jump(made.model, made.x, made.origin, target, batch),
    )  # fmt: skip
