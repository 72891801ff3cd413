"""How is the analysis cut and computed? All attacks on all texts are one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import JsonValue

from workers.kind import AnalysisError, Context, Part, Partial
from workers.numerics.determinism import NotFinite, seed_for
from workers.numerics.memory import keep_freed_pages
from workers.robustness.text.case import Case
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.search import attacked
from workers.subject.subject import Subject
from workers.sweep.refusals import SweepRefused

REFUSED = (AnalysisError, NotFinite, SweepRefused)


@dataclass(frozen=True, slots=True)
class TextPass:
    """All attacks on all examples. What is not in it follows from the subject."""

    parameters: TextParameters
    rows: int
    digest: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it: with `rows` of it among the parameters the same bits come again."""
        return {"pass": "robustness_text", "rows": self.rows, "share": self.parameters.share}

    def make(self, subject: Subject, context: Context) -> Partial:
        """Raises what `Case.of` raises; reports before each step, from where it can be cancelled."""
        keep_freed_pages()
        case = Case.of(subject, self.parameters)
        victim = case.victim(self.rows)
        right = [at for at in case.kept if int(case.labels[at]) == int(case.decided[at])]
        work = [(index, attack) for index in right for attack in case.attacks]
        made, chance = list[JsonValue](), list[JsonValue]()
        with case.quiet():
            for at, (index, attack) in enumerate(work):
                told = _telling(context, at / len(work), f"text {index}: {attack}")
                found, drawn = attacked(case, victim, index, attack, seed_for(self.digest, index), told)
                made.append(found.as_json())
                chance.append(drawn)
        clean = torch.tensor([index in right for index in case.kept], dtype=torch.uint8)
        return Partial(
            values={"found": made, "chance": chance}, arrays={"index": torch.tensor(case.kept), "clean": clean}
        )  # fmt: skip


def _telling(context: Context, fraction: float, stage: str) -> Callable[[], None]:
    return lambda: context.progress(fraction, stage)


def applies(subject: Subject, parameters: TextParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    try:
        case = Case.of(subject, parameters)
    except REFUSED as refused:
        remedy = refused.remedy if isinstance(refused, AnalysisError) else None
        return (f"{refused}" + (f". {remedy}" if remedy else ""),)
    if not case.attacks:
        return tuple(f"{name}: {why}" for name, why in case.unread.items())
    return ()


def parts(subject: Subject, parameters: TextParameters, context: Context) -> tuple[Part, ...]:
    """One part: all attacks."""
    case = Case.of(subject, parameters)
    rows = case.rows(context.memory_bytes)
    plan: dict[str, JsonValue] = {
        "examples": len(case.kept), "attacks": list(case.attacks), "rows": rows, "share": parameters.share,
        "device": str(case.x[0].device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(TextPass(parameters, rows, context.digest),), plan=plan),)


def compute(subject: Subject, part: Part, parameters: TextParameters, context: Context) -> Partial:
    """Raises AnalysisError where the question cannot be asked of the subject."""
    (request,) = part.requests
    reasons = applies(subject, parameters)
    if reasons:
        raise AnalysisError("not-applicable", "; ".join(reasons)[:4000])
    made: Partial = context.run(request, subject)
    return made
