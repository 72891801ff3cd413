"""What is a request for an attribution, as a network with inputs, baselines and a target?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.passes.baselines import baselines_of
from workers.passes.targets import compared_input, network_of, target_of
from workers.subject.subject import Examples, Subject
from workers.sweep.copies import in_precision
from workers.sweep.entered import entered
from workers.sweep.entrances import Entrance
from workers.sweep.run import outputs
from workers.sweep.target import Target


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explained:
    """A network whose inputs are layers, called with x; origin: where the paths begin, one row for all or one each.

    outputs: the tensor that the target reads, (examples, ...). labels: (examples,). inputs: the layers that stand for
    the moving inputs, by name, with their position in x. entrances: for those that are embedded ids, the layer whose
    output they are. held: what the inputs are called that keep their values.
    """

    model: nn.Module
    x: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    target: Target
    outputs: Tensor
    labels: Tensor | None
    inputs: Mapping[str, int]
    entrances: Mapping[str, Entrance]
    held: tuple[str, ...]


def explained(
    subject: Subject, data: Examples, *, target: str, scale: str, baseline: str, examples: int, dtype: torch.dtype
) -> Explained:
    """The first `examples` of `data`. Raises AnalysisError, SweepRefused; each says what to change."""
    network, which = network_of(subject, target)
    model, rows = in_precision(network, dtype), subject.manifest.batch
    given = subject.arguments(data, stop=examples, dtype=dtype)
    labels = None if data.labels is None else data.labels[:examples]
    read = outputs(model, given, rows, Target("sum", output=which))
    chosen = target_of(subject, target, scale, given, read, labels, which)
    chosen.check(read.shape, len(read))
    names = _names(subject, len(given))
    made = entered(
        model, given, baselines_of(subject, data, given, baseline), rows=rows, names=names[1:],
        giving=compared_input(given) if chosen.compares else None,
    )  # fmt: skip
    return Explained(
        model=made.model, x=made.x, origin=made.origin, target=chosen, outputs=read, labels=labels,
        inputs=made.inputs, entrances=made.entrances, held=tuple(names[at] for at in made.held),
    )  # fmt: skip


def _names(subject: Subject, count: int) -> tuple[str, ...]:
    """What the inputs are called; those that a text is turned into, after the tokenizer's own words."""
    if subject.facts.input.kind == "text":
        return ("input", "mask", *(f"input {at}" for at in range(2, count)))[:count]
    return ("input", *(each.name for each in subject.facts.further_inputs))
