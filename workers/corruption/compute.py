"""How are corruptions run: one kind and severity after the other, the examples in blocks that fit into memory?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.corruption.case import Case
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.spec import Corruption
from workers.kind import AnalysisError, Context, Part, Partial
from workers.numerics.determinism import NotFinite
from workers.numerics.memory import keep_freed_pages
from workers.subject.subject import Subject
from workers.sweep.refusals import SweepRefused

REFUSED = (AnalysisError, NotFinite, SweepRefused)


@dataclass(frozen=True, slots=True)
class CorruptionPass:
    """All corruptions of all examples. What is not in it follows from the subject."""

    parameters: CorruptionParameters
    rows: int
    digest: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it: with `rows` of it among the parameters the same bits come again."""
        return {"pass": "corruption", "rows": self.rows, "severities": list(self.parameters.ascending)}

    def make(self, subject: Subject, context: Context) -> dict[str, Tensor]:
        """(severities, n) each: `value/KIND`, `distance/KIND`, float64, and `finite/KIND`, uint8; of the clean examples
        (n,). Reports after each block, from where it can be cancelled."""
        keep_freed_pages()
        case = Case.of(subject, self.parameters)
        made = dict(zip(("value/clean", "finite/clean"), clean_values(case), strict=True))
        kinds, severities = case.corruptions, self.parameters.ascending
        cells = len(kinds) * len(severities)
        for at, corruption in enumerate(kinds):
            found = []
            for number, severity in enumerate(severities):
                begun = at * len(severities) + number
                context.progress(begun / cells, f"{corruption.title}, severity {severity}")
                found.append(_cell(case, self, corruption, severity, context, begun / cells))
            for name, values in zip(("value", "distance", "finite"), zip(*found, strict=True), strict=True):
                made[f"{name}/{corruption.name}"] = torch.stack(values)
        return made


def _cell(
    case: Case, asked: CorruptionPass, corruption: Corruption, severity: int, context: Context, done: float
) -> tuple[Tensor, Tensor, Tensor]:
    parts = []
    for start in range(0, len(case), asked.rows):
        context.progress(done, f"{corruption.title}, severity {severity}")
        index = range(start, min(start + asked.rows, len(case)))
        parts.append(under(case, corruption, severity, index, asked.digest))
    value, distance, finite = (torch.cat(each) for each in zip(*parts, strict=True))
    return value, distance, finite


def under(
    case: Case, corruption: Corruption, severity: int, index: range, digest: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Values, distances and whether the outputs are finite (uint8) of these examples, (rows,) each."""
    given = case.source.rows(corruption, severity, index, digest)
    read = case.judge.read(case.outputs(given.x), given.x, torch.tensor(index))
    return read.values, given.distance, read.finite.to(torch.uint8)


def clean_values(case: Case) -> tuple[Tensor, Tensor]:
    """Values of the clean examples, and whether their outputs are finite (uint8), (n,) each."""
    read = case.judge.read(case.clean, case.x, torch.arange(len(case)))
    return read.values, read.finite.to(torch.uint8)


# --- the analysis


def applies(subject: Subject, parameters: CorruptionParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    try:
        case = Case.of(subject, parameters)
    except REFUSED as refused:
        remedy = refused.remedy if isinstance(refused, AnalysisError) else None
        return (f"{refused}" + (f". {remedy}" if remedy else ""),)
    if not case.corruptions:
        return tuple(f"{each.subject}: {each.because}" for each in case.missing)
    return ()


def parts(subject: Subject, parameters: CorruptionParameters, context: Context) -> tuple[Part, ...]:
    """One part: all corruptions."""
    case = Case.of(subject, parameters)
    rows = case.rows(context.memory_bytes)
    request = CorruptionPass(parameters=parameters, rows=rows, digest=context.digest)
    plan: dict[str, JsonValue] = {
        "examples": len(case), "rows": rows, "corruptions": [each.name for each in case.corruptions],
        "severities": list(parameters.ascending), "device": str(case.x[0].device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(subject: Subject, part: Part, parameters: CorruptionParameters, context: Context) -> Partial:
    """Raises AnalysisError where no corruption applies, or no clean answer is a finite number."""
    (request,) = part.requests
    assert isinstance(request, CorruptionPass)
    reasons = applies(subject, parameters)
    if reasons:
        raise AnalysisError("not-applicable", "; ".join(reasons)[:4000])
    return Partial(values={}, arrays=context.run(request, subject))
