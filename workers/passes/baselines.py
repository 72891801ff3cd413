"""Where does the path to each input begin?

In raw units for what is floating point. Between two ids there is no path: ids move as what their embedding gives, and
begin at zero vectors, at the pad id's embedding, or at the average embedding.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from service.contracts.facts import InputFacts
from workers.kind import AnalysisError
from workers.passes.positions import ids_of, real
from workers.subject.subject import Examples, Subject, along_channels
from workers.sweep.embedded import Average, Ids
from workers.sweep.entered import Start

BASELINE = re.compile(
    r"^(zero|mean|midpoint|pad|constant:-?[0-9]{1,12}(\.[0-9]{1,12})?(e-?[0-9]{1,2})?)$"
)  # fmt: skip
"""Every form of a baseline. Kinds take it as the pattern of their parameter."""

AVERAGED = 256
"""Over how many examples, from the beginning of the data, an average embedding is taken."""


def baselines_of(subject: Subject, data: Examples, x: tuple[Tensor, ...], baseline: str) -> tuple[Start, ...]:
    """For each input where its path begins: numbers as the network reads them, one row; `Ids` for ids; x for masks.

    x: what the network is called with, the first examples of `data`. Raises AnalysisError where `baseline` does not fit
    what the model reads.
    """
    ids = ids_of(subject, x)
    floating = [each.is_floating_point() for each in x]
    _refuse(baseline, ids=bool(ids), numbers=any(floating))
    raw = (data.inputs, *data.further)
    return tuple(
        subject.prepared(_raw(subject.declared[at], raw[at].to(given.dtype), baseline), at)
        if floating[at]
        else (_ids(subject, data, x, at, baseline) if at in ids else given)
        for at, given in enumerate(x)
    )


def _refuse(baseline: str, *, ids: bool, numbers: bool) -> None:
    name = baseline.partition(":")[0]
    if ids and name in ("midpoint", "constant"):
        raise AnalysisError(
            "baseline",
            f"the model reads ids, and between their embeddings there is no {name}",
            remedy='Ask for baseline "zero" (zero vectors), "pad" (the pad id\'s embedding) or "mean" (the average).',
        )
    if name == "pad" and not (ids and not numbers):
        raise AnalysisError(
            "baseline",
            "the model reads numbers, of which none stands for padding",
            remedy='Ask for baseline "zero", "mean", "midpoint" or "constant:C".',
        )


def _ids(subject: Subject, data: Examples, x: tuple[Tensor, ...], at: int, baseline: str) -> Ids:
    bounds = subject.declared[min(at, len(subject.declared) - 1)].bounds
    low, high = int(min(bounds.low)), int(max(bounds.high))
    moves = real(subject, x, at)
    if baseline == "pad":
        origin = torch.full_like(x[at][:1], pad_of(subject))
        return Ids(origin=origin, real=moves, low=low, high=high, pad=subject.pad)
    if baseline == "mean":
        some = subject.arguments(data, stop=AVERAGED, dtype=_dtype(x))
        average = Average(inputs=some, real=real(subject, some, at))
        return Ids(origin=average, real=moves, low=low, high=high, pad=subject.pad)
    return Ids(origin="zero", real=moves, low=low, high=high, pad=subject.pad)


def pad_of(subject: Subject) -> int:
    """The id whose embedding the baseline `pad` is: the model's pad id, or 0 where none is known."""
    return 0 if subject.pad is None else subject.pad


def _dtype(x: tuple[Tensor, ...]) -> torch.dtype | None:
    return next((each.dtype for each in x if each.is_floating_point()), None)


def _raw(facts: InputFacts, raw: Tensor, baseline: str) -> Tensor:
    """(1, ...), in raw units."""
    if baseline == "mean":
        return raw.mean(0, keepdim=True)
    name, _, number = baseline.partition(":")
    if name == "midpoint":
        low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
        return ((low + high) / 2).expand(1, *raw.shape[1:]).contiguous()
    return torch.full_like(raw[:1], float(number) if name == "constant" else 0.0)
