"""How is the analysis cut and computed? All attacks are one pass; what it keeps are numbers per row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import JsonValue

from workers.attack.victim import Asked
from workers.kind import AnalysisError, Context, Part, Partial
from workers.numerics.determinism import NotFinite, seed_for
from workers.numerics.memory import keep_freed_pages
from workers.robustness.tabular.case import Case, background_of
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.protected import flips
from workers.robustness.tabular.search import hunted
from workers.subject.subject import Subject
from workers.sweep.refusals import SweepRefused

REFUSED = (AnalysisError, NotFinite, SweepRefused)
_ATTACKED = 0.95
"""Of the time: what the attacks take."""


@dataclass(frozen=True, slots=True)
class TabularPass:
    """All attacks on all rows. What is not in it follows from the subject."""

    parameters: TabularParameters
    rows: int
    digest: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it: with `rows` of it among the parameters the same bits come again."""
        return {"pass": "robustness_tabular", "rows": self.rows, "epsilons": list(self.parameters.epsilons)}

    def make(self, subject: Subject, context: Context) -> Partial:
        """Raises what `Case.of` raises; reports after each call of the network, from where it can be cancelled."""
        keep_freed_pages()
        case = Case.of(subject, self.parameters)
        seeds = [seed_for(self.digest, index) for index in case.kept.tolist()]
        hunt = hunted(
            case, self.rows, seeds, lambda fraction, stage: context.progress(_ATTACKED * fraction, stage)
        )  # fmt: skip
        context.progress(_ATTACKED, "protected columns")
        victim = case.victim(self.rows)
        found = flips(case, victim, background_of(subject, case.attacked.input)[1])
        n = len(case)
        arrays = {
            "index": case.kept.cpu(), "original": case.x.cpu().clone(), "made": hunt.made.cpu(),
            "at": hunt.at.cpu(), "by": hunt.by.cpu(), "clean": hunt.clean.to(torch.uint8).cpu(),
            "flips": torch.stack([each.flipped for each in found]).to(torch.uint8) if found else _none(n).byte(),
            "tried": torch.stack([each.tried for each in found]) if found else _none(n),
        }  # fmt: skip
        values: dict[str, JsonValue] = {
            "attacks": [
                {"name": each.name, "forwards": each.asked.forwards, "gradients": each.asked.gradients,
                 "broke": list(each.broke)}
                for each in hunt.attempts
            ],
            "protected": [each.column for each in found], "proposed": hunt.repairs.proposed,
            "rejected": hunt.repairs.rejected,
        }  # fmt: skip
        return Partial(values=values, arrays=arrays)


def _none(n: int) -> torch.Tensor:
    return torch.empty(0, n, dtype=torch.int64)


def applies(subject: Subject, parameters: TabularParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    try:
        case = Case.of(subject, parameters)
        _refuse_detached(case)
    except REFUSED as refused:
        remedy = refused.remedy if isinstance(refused, AnalysisError) else None
        return (f"{refused}" + (f". {remedy}" if remedy else ""),)
    return ()


def _refuse_detached(case: Case) -> None:
    """Raises AnalysisError where a network that is no black box has an output without a gradient."""
    if case.subject.black_box:
        return
    victim = case.victim(1)
    victim.asked = Asked()
    index = torch.zeros(1, dtype=torch.int64, device=case.x.device)
    try:
        with case.attacked.quiet():
            victim.gradient(case.x[:1], index, lambda outputs, _: outputs.reshape(1, -1).sum(1))
    except RuntimeError as wrong:
        raise AnalysisError(
            "no-gradient",
            f"the model's output does not hang on its input in a way that has a gradient: {wrong}"[:2000],
            remedy="Export the model to ONNX: attacks on black boxes ask no gradients.",
        ) from None


def parts(subject: Subject, parameters: TabularParameters, context: Context) -> tuple[Part, ...]:
    """One part: all attacks."""
    case = Case.of(subject, parameters)
    rows = case.rows(context.memory_bytes)
    plan: dict[str, JsonValue] = {
        "examples": len(case), "rows": rows, "columns": len(case.rules.columns), "background": case.role,
        "epsilons": list(parameters.epsilons), "device": str(case.x.device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(TabularPass(parameters, rows, context.digest),), plan=plan),)


def compute(subject: Subject, part: Part, parameters: TabularParameters, context: Context) -> Partial:
    """Raises AnalysisError where the question cannot be asked of the subject."""
    (request,) = part.requests
    reasons = applies(subject, parameters)
    if reasons:
        raise AnalysisError("not-applicable", "; ".join(reasons)[:4000])
    made: Partial = context.run(request, subject)
    return made
