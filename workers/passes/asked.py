"""What is explained of a subject: which target, from which baseline, over which examples, at which precision?"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.subject.subject import Examples, Subject, along_channels
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.target import Scale, Target

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
    origin = _baselines(subject, data, x, asked.baseline)
    model = _at(subject.model, dtype)
    given = outputs(model, x, subject.manifest.batch, Target.value())
    labels = None if data.labels is None else data.labels[: asked.examples]
    target = _target(subject, asked, given, labels)
    target.check(given.shape, len(given))
    seen = probe(model, x, origin, target, rows=subject.manifest.batch)
    return Prepared(model=model, x=x, origin=origin, target=target, outputs=given, labels=labels, probe=seen)


def _at(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model in `dtype`: itself, or a copy."""
    floating = [t.dtype for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    if all(each == dtype for each in floating):
        return model
    # What an exported graph remembers of its tracing has symbolic sizes, which cannot be copied; it is read only.
    graphs = [graph for each in model.modules() if isinstance(graph := getattr(each, "graph", None), fx.Graph)]
    remembered = {id(node.meta): node.meta for graph in graphs for node in graph.nodes}
    return copy.deepcopy(model, remembered).to(dtype)


def _refuse_ids(data: Examples) -> None:
    if not data.inputs.is_floating_point():
        raise AnalysisError(
            "integer-inputs",
            "the model reads ids (tokens), and between two ids there is no path from a baseline to the input",
            remedy="Export the part of the model after its embedding, with the embedded tokens as the input.",
        )


def _baselines(subject: Subject, data: Examples, x: tuple[Tensor, ...], baseline: str) -> tuple[Tensor, ...]:
    """As the network reads them: one row for each floating-point input; integers as they are, which stay fixed."""
    raw = (data.inputs, *data.further)
    return tuple(
        subject.prepared(_raw_baseline(facts, each.to(given.dtype), baseline), position)
        if given.is_floating_point()
        else given
        for position, (facts, each, given) in enumerate(zip(subject.declared, raw, x, strict=True))
    )


def _raw_baseline(facts: InputFacts, raw: Tensor, baseline: str) -> Tensor:
    """(1, ...), in raw units."""
    if baseline == "mean":
        return raw.mean(0, keepdim=True)
    name, _, number = baseline.partition(":")
    if name == "midpoint":
        low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
        return ((low + high) / 2).expand(1, *raw.shape[1:]).contiguous()
    return torch.full_like(raw[:1], float(number) if name == "constant" else 0.0)


def _target(subject: Subject, asked: Asked, given: Tensor, labels: Tensor | None) -> Target:
    name, _, which = asked.target.partition(":")
    scale: Scale = "logit"
    if asked.scale == "probability":
        if subject.facts.output.kind == "values":
            raise AnalysisError("target", "the output holds values and no classes", remedy='Ask for scale "output".')
        scale = "probability" if subject.facts.output.kind == "logits" else "logit"
    if scale == "probability" and given.ndim != 2:
        raise AnalysisError(
            "target",
            f"one output has the axes {tuple(given.shape[1:])}, which do not say where the classes of a softmax are",
            remedy='Ask for scale "output".',
        )
    if scale == "probability" and given.shape[1] == 1:
        raise AnalysisError(
            "target", "the model gives one logit, which no softmax turns into a probability",
            remedy='Ask for scale "output".',
        )  # fmt: skip
    if name == "element":
        return Target(scale, torch.tensor([[int(i) for i in which.split(",")]], dtype=torch.int64))
    if given[0].numel() == 1:
        if name in ("label", "class"):
            raise AnalysisError(
                "target", "the model gives one number and has no classes", remedy='Ask for target "predicted".'
            )
        return Target.value()
    if name == "class":
        return Target.classes(_class(subject, which), scale)
    if given.ndim != 2:
        raise AnalysisError(
            "target",
            f"one output has {given.ndim - 1} axes {tuple(given.shape[1:])}, so {name!r} names no single number of it",
            remedy="Name an element, as element:0,3,3.",
        )
    if name == "label":
        if labels is None:
            raise AnalysisError("target", "the evaluation data have no labels", remedy='Ask for target "predicted".')
        return Target.classes(labels.cpu(), scale)
    return Target.classes(given.argmax(1).cpu(), scale)


def _class(subject: Subject, which: str) -> int:
    names = subject.facts.output.classes
    if which in names:
        return names.index(which)
    if not names and which.isdecimal():
        return int(which)
    raise AnalysisError("target", f"the model has no class {which!r}; it has {', '.join(names[:20])}")
