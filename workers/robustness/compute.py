"""How is one analysis done: attacks, the worst of them per example, doubts, and a second look at what is stored?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from pydantic import JsonValue
from safetensors.torch import save
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.attack.found import Found, Stage
from workers.attack.frontier import attack
from workers.attack.minimum.search import minimum
from workers.attack.named import fgsm, pgd
from workers.attack.numbers import Shifted
from workers.attack.settings import Settings
from workers.kind import AnalysisError, Context, Part, Partial
from workers.numerics.determinism import NotFinite
from workers.numerics.memory import keep_freed_pages
from workers.passes.attacked import RAW
from workers.recheck.asking import Asking
from workers.recheck.recheck import recheck
from workers.robustness.case import Case
from workers.robustness.furthest import furthest
from workers.robustness.honesty.checks import CHECKS, checks
from workers.robustness.honesty.examined import Examined
from workers.robustness.outcome import Again
from workers.robustness.parameters import RobustnessParameters
from workers.robustness.shown import ordered
from workers.robustness.worst import robust_alone, to_boundary, with_each, with_minimum
from workers.subject.subject import Subject
from workers.sweep.refusals import SweepRefused

REFUSED = (AnalysisError, NotFinite, SweepRefused)
STORED_BYTES = 32 << 20
"""Of adversarials that are kept, the first ones."""

_HEAVY = 3.0
"""Checks of this weight and more attack again."""
_ROW_ARRAYS = ("index", "made", "epsilon", "prediction", "value", "label")


@dataclass(frozen=True, slots=True)
class RobustnessPass:
    """Everything that is asked of the network. What is not in it follows from the subject."""

    parameters: RobustnessParameters
    settings: Settings
    rows: int
    digest: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it."""
        return {"pass": "robustness", **self.settings.as_json(), "rows": self.rows}

    def make(self, subject: Subject, context: Context) -> Partial:
        """Makes it; what reports is called often."""
        keep_freed_pages()
        case = Case.of(subject, self.parameters)
        with case.attacked.quiet():
            return _Made(case, self, context).partial()


def parts(subject: Subject, parameters: RobustnessParameters, context: Context) -> tuple[Part, ...]:
    """One part: all examples."""
    case = Case.of(subject, parameters)
    rows = case.attacked.rows(context.memory_bytes)
    request = RobustnessPass(parameters, case.settings, rows, context.digest)
    plan: dict[str, JsonValue] = {
        "examples": len(case), "rows": rows, "device": str(case.attacked.x.device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(request,), plan=plan),)


def applies(subject: Subject, parameters: RobustnessParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject."""
    try:
        Case.of(subject, parameters)
    except REFUSED as refused:
        remedy = refused.remedy if isinstance(refused, AnalysisError) else None
        return (f"{refused}" + (f". {remedy}" if remedy else ""),)
    return ()


class _Made:
    """One run. Shares of the time: the attack, the named ones and the nearest, checks, the second look."""

    def __init__(self, case: Case, asked: RobustnessPass, context: Context) -> None:
        self.case, self.asked, self.context = case, asked, context
        self.examined, why = case.examined(asked.rows, asked.digest)
        self.blind = why or ""
        if why is not None:
            self.examined = replace(self.examined, victim=replace(self.examined.victim, black_box=True))
        self.missing = list[NotApplicable]()
        self.named = dict[str, list[int]]()
        self.nearest = torch.full((len(case),), -1.0, dtype=torch.float64)

    def partial(self) -> Partial:
        found = self._attacked(self.examined)
        found, sought = self._others(found)
        shifts = self._shifts()
        verdicts = self._checked(found)
        arrays = self._arrays(found)
        again, survive = self._again(arrays)
        values: dict[str, Any] = {
            "stages": [
                {"name": each.name, "forwards": each.asked.forwards, "gradients": each.asked.gradients,
                 "broke": list(each.broke)}
                for each in found.stages
            ],
            "named": self.named, "sought": sought, "blind": self.blind, "rows": self.asked.rows, "survive": survive,
            "verdicts": [each.model_dump(mode="json") for each in verdicts],
            "again": None if again is None else again.model_dump(mode="json"),
            "missing": [each.model_dump(mode="json") for each in self.missing],
        }  # fmt: skip
        return Partial(values=values, arrays={**arrays, **shifts})

    # --- attacks

    def _attacked(self, examined: Examined) -> Found:
        return attack(
            examined.victim, examined.goal, examined.x, examined.space, examined.settings, examined.seeds,
            self._told(0.0, 0.45), unlike=None if self.case.attacked.embedded else examined.x,
        )  # fmt: skip

    def _others(self, found: Found) -> tuple[Found, bool]:
        """With the attacks that everybody names, and the nearest adversarials; whether these were sought."""
        e, asked = self.examined, self.asked.parameters
        if e.victim.black_box:
            self.missing.append(NotApplicable(subject="fgsm, pgd, minimum", because=self._no_gradient()))
            return self._drawn_in(found), False
        for name in ("fgsm", "pgd"):
            if name in asked.compare or "auto" in asked.compare:
                if name == "fgsm":
                    others = fgsm(e.victim, e.goal, e.x, e.space, e.settings, self._told(0.45, 0.46))
                else:
                    others = pgd(e.victim, e.goal, e.x, e.space, e.settings, e.seeds, self._told(0.46, 0.55))
                self.named[name] = robust_alone(others).tolist()
                found = with_each(found, name, others, e.x, e.space)
        found = _joined(found)
        if asked.minimum == "yes" or (asked.minimum == "auto" and e.space.norm == "l2"):
            nearest = minimum(
                e.victim, e.goal, e.x, e.space, asked.minimum_steps, e.seeds, self._told(0.55, 0.6), known=found
            )
            self.nearest = torch.where(nearest.found, nearest.distance, -1.0).cpu()
            return with_minimum(found, nearest, e.victim, e.goal, e.x, e.space), True
        return self._drawn_in(found), False

    def _drawn_in(self, found: Found) -> Found:
        """The distances of the boundary on the way to the adversarials that there are."""
        e = self.examined
        self.nearest, asked = to_boundary(e.victim, e.goal, e.x, e.space, found)
        return replace(
            found, stages=(*found.stages, Stage(name="draw-in", asked=asked, broke=(0,) * len(found.epsilons)))
        )

    def _no_gradient(self) -> str:
        return f"they need gradients, and none can be taken: {self.blind or 'the network is a black box'}"

    def _shifts(self) -> dict[str, Tensor]:
        """(N,) for each budget, of numbers."""
        e = self.examined
        if not isinstance(e.goal, Shifted):
            return {}
        made = []
        for at, epsilon in enumerate(e.settings.epsilons):
            settings = replace(e.settings, epsilons=(epsilon,), queries=0 if not e.victim.black_box else 200)
            begins = 0.6 + 0.1 * at / len(e.settings.epsilons)
            told = self._told(begins, begins + 0.1 / len(e.settings.epsilons))
            made.append(furthest(e.victim, self.case.aim.before, e.x, e.space, settings, e.seeds, told))
        return {"shift": torch.stack(made, dim=1).cummax(1).values}

    # --- doubts

    def _checked(self, found: Found) -> tuple[Any, ...]:
        asked = self.asked.parameters.checks
        quick = {name for name, check in CHECKS.items() if check.weight < _HEAVY}
        wanted = {"all": None, "quick": quick, "none": set[str]()}[asked]
        return checks(self.examined, found, self._told(0.7, 0.97), wanted)

    def _arrays(self, found: Found) -> dict[str, Tensor]:
        """What is stored per example, and as `workers.recheck` reads it: the first adversarials that there is room for.

        Raises NotFinite where an output is not a number.
        """
        n, space = len(self.case), self.examined.space
        broken = (found.clean & (found.at < len(found.epsilons))).nonzero().flatten()
        each = max(1, found.made[:1].numel() * found.made.element_size())
        kept = broken[: max(1, STORED_BYTES // each)]
        epsilons = torch.tensor(found.epsilons, dtype=torch.float64)
        rows = kept.to(found.made.device)
        made = found.made[rows].detach().cpu()
        arrays = {
            "clean": found.clean, "at": found.at, "distance": found.distance, "by": found.by, "index": kept,
            "made": made, "epsilon": epsilons[found.at[kept]], "nearest": self.nearest,
            "unit": _per_row(space.unit.cpu(), kept, n),
        }  # fmt: skip
        if space.free is not None:
            arrays["free"] = _per_row(space.free.cpu(), kept, n)
        before = self.case.aim.before.detach().cpu()
        arrays["before"] = before
        read = self.examined.victim.outputs(found.made[rows], rows).cpu() if len(rows) else before[:0]
        arrays["after"] = read
        if self.case.aim.classes:
            arrays["prediction"] = read.argmax(1)
            if self.case.aim.judged == "labels" and self.asked.parameters.goal == "untargeted":
                assert self.case.aim.truth is not None
                arrays["label"] = self.case.aim.truth[kept]
        elif len(rows):
            plain = self.case.attacked.victim(lambda output, _inputs, _index: output, self.asked.rows)
            arrays["value"] = plain.outputs(found.made[rows], rows).cpu()
        return arrays

    def _again(self, arrays: dict[str, Tensor]) -> tuple[Again | None, dict[str, bool]]:
        """What the independent check says of the bytes that are stored, and which of the worst survive 8 bits."""
        attacked = self.case.attacked
        self._told(0.97, 1.0)(0.0, "looking again at what is stored")
        because = self._unasked()
        if because:
            self.missing.append(NotApplicable(subject="the second look at stored adversarials", because=because))
            return None, {}
        asking, norm = Asking(self.case.subject, position=attacked.input), self.examined.space.norm
        rounded = attacked.facts.kind in RAW
        found = recheck(asking, _written(arrays, slice(None)), norm, rounded=rounded)
        refused = tuple(f"example {index}: {why}"[:4000] for index, why in found.refused[:20])
        survive = {}
        for row in ordered(arrays)[: self.asked.parameters.pictures] if rounded else ():
            one = recheck(asking, _written(arrays, slice(row, row + 1)), norm, rounded=True)
            survive[str(int(arrays["index"][row]))] = bool(one.survived)
        return Again(n=found.n, confirmed=found.confirmed, refused=refused, rounded=found.survived), survive

    def _unasked(self) -> str:
        """Why the second look is not taken; empty where it is."""
        if self.case.attacked.embedded:
            return "embeddings are moved, which are no input that could be asked about again"
        if self.case.subject.facts.task in ("next_token", "seq2seq"):
            return "which place of the output is read is known to the attack alone"
        if self.asked.parameters.precision == "float64":
            return "the network was attacked in float64, and is submitted in another precision"
        return ""

    def _told(self, begins: float, ends: float) -> Callable[[float, str], None]:
        return partial(_told, self.context, begins, ends)


def _told(context: Context, begins: float, ends: float, fraction: float, stage: str) -> None:
    context.progress(begins + (ends - begins) * min(1.0, max(0.0, fraction)), stage)


def _written(arrays: dict[str, Tensor], rows: slice) -> bytes:
    """The file of some stored adversarials, as `workers.recheck` reads it."""
    n = len(arrays["index"])
    made = {name: arrays[name][rows] for name in _ROW_ARRAYS if name in arrays}
    for name in ("unit", "free"):
        if name in arrays:
            each = arrays[name]
            made[name] = each[rows] if each.ndim and len(each) == n > 1 else each
    return save({name: each.contiguous() for name, each in made.items()})


def _per_row(values: Tensor, rows: Tensor, n: int) -> Tensor:
    """Of these examples, where there is one for each; else as it is."""
    return values[rows] if values.ndim and len(values) == n > 1 else values


def _joined(found: Found) -> Found:
    """Stages of one name as one: an attack that is run at each budget on its own is one attack."""
    names = list(dict.fromkeys(stage.name for stage in found.stages))
    place = torch.tensor([names.index(stage.name) for stage in found.stages] + [-1])
    stages = []
    for name in names:
        same = [stage for stage in found.stages if stage.name == name]
        asked = replace(
            same[0].asked, forwards=sum(each.asked.forwards for each in same),
            gradients=sum(each.asked.gradients for each in same),
        )  # fmt: skip
        broke = tuple(sum(column) for column in zip(*(each.broke for each in same), strict=True))
        stages.append(replace(same[0], asked=asked, broke=broke))
    return replace(found, by=place[found.by], stages=tuple(stages))


def compute(subject: Subject, part: Part, context: Context) -> Partial:
    """The pass is the analysis."""
    (request,) = part.requests
    made: Partial = context.run(request, subject)
    return made
