"""Where does the path to each input begin?"""

from __future__ import annotations

import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.subject.subject import Examples, Subject, along_channels


def baselines_of(subject: Subject, data: Examples, x: tuple[Tensor, ...], baseline: str) -> tuple[Tensor, ...]:
    """As the network reads them: one row for each floating-point input; integers as they are, which stay fixed."""
    raw = (data.inputs, *data.further)
    return tuple(
        subject.prepared(_raw(facts, each.to(given.dtype), baseline), position) if given.is_floating_point() else given
        for position, (facts, each, given) in enumerate(zip(subject.declared, raw, x, strict=True))
    )


def _raw(facts: InputFacts, raw: Tensor, baseline: str) -> Tensor:
    """(1, ...), in raw units."""
    if baseline == "mean":
        return raw.mean(0, keepdim=True)
    name, _, number = baseline.partition(":")
    if name == "midpoint":
        low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
        return ((low + high) / 2).expand(1, *raw.shape[1:]).contiguous()
    return torch.full_like(raw[:1], float(number) if name == "constant" else 0.0)
