"""How is LIME computed: example by example, from samples that run through the network block by block?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import AnalysisError, Context, Part, Partial
from workers.lime import reference
from workers.lime.beside import compared
from workers.lime.careful import Careful
from workers.lime.case import Case, Kind, stream_seed
from workers.lime.outcome import Example, Verified
from workers.lime.parameters import LimeParameters
from workers.lime.told import example, most_features
from workers.numerics.determinism import NotFinite, require_finite, seed_for
from workers.numerics.memory import keep_freed_pages
from workers.subject.subject import Subject
from workers.surrogate.explain import explain
from workers.surrogate.explained import Explained
from workers.surrogate.neighbourhood import Neighbourhood
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.settings import Settings
from workers.sweep.captum_check import drawn
from workers.sweep.refusals import SweepRefused

REFUSED = (AnalysisError, NoSurrogate, NotFinite, SweepRefused)
"""What an example may be refused with, while the others go on."""


@dataclass(frozen=True, slots=True)
class LimePass:
    """The surrogates of all examples. What is not in it follows from the subject."""

    kind: Kind
    parameters: LimeParameters
    settings: Settings
    digest: str
    verified: tuple[int, ...]

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it: with `rows` of it among the parameters the same bits come again."""
        return {
            "pass": self.kind.name, **self.settings.as_json(), "engine": self.parameters.engine,
            "verified": list(self.verified),
        }  # fmt: skip

    def make(self, subject: Subject, context: Context) -> Made:
        """Makes it; reports after each block."""
        keep_freed_pages()
        case = Case.of(self.kind, subject, self.parameters)
        made, n = Made({}, {}, [], []), len(case)
        for index in range(n):
            told = partial(_told, context, index, n)
            told(0.0)
            try:
                _explained(self, case, index, made, told)
            except REFUSED as refused:
                made.missing.append(NotApplicable(subject=f"example {index}", because=said(refused)[:4000]))
        return made


@dataclass(frozen=True, slots=True)
class Made:
    """Examples by their index; arrays by name; what lime said; examples without a surrogate."""

    examples: dict[int, Example]
    arrays: dict[str, Tensor]
    verified: list[Verified]
    missing: list[NotApplicable]


def _told(context: Context, index: int, n: int, fraction: float) -> None:
    context.progress((index + fraction) / n, f"example {index + 1} of {n}")


def said(refused: Exception) -> str:
    """What is wrong, and what to do."""
    remedy = refused.remedy if isinstance(refused, AnalysisError) else None
    return f"{refused}" + (f". {remedy}" if remedy else "")


# --- one example


def _explained(asked: LimePass, case: Case, index: int, made: Made, told: Callable[[float], None]) -> None:
    around = case.at(index)
    seed, settings = stream_seed(asked.digest, index), asked.settings
    careful = Careful(case.predicting.at(index), len(case.parameters.targets))
    by_lime = case.parameters.engine == "lime"
    given = None
    if by_lime or index in asked.verified:
        unpaired = replace(settings, paired=False, settle=False)
        given = reference.sampled(around, careful, seed, unpaired, lambda part: told(part / 2))
    try:
        begun = 0.0 if given is None else 0.5
        found = None if by_lime else explain(
            around, careful, settings, seed, lambda part: told(begun + (1 - begun) * part)
        )  # fmt: skip
        if given is not None:
            found = _beside_lime(asked, case, index, around, given, found, made)
    except NoSurrogate as refused:
        because = f" The network said: {careful.because}" if careful.because else ""
        raise AnalysisError("no-surrogate", f"{refused}{because}") from refused
    assert found is not None
    names = [case.class_name(at, index) for at in range(len(case.parameters.targets))]
    most = most_features(len(case), len(names), case.parameters.features)
    made.examples[index] = example(
        index, found, around, case.parameters.targets, names, careful.because, most, settings, case.kind.notes(around)
    )
    made.arrays.update({f"{name}/{index}": each for name, each in _arrays(case, around, found).items()})


def _beside_lime(
    asked: LimePass,
    case: Case,
    index: int,
    around: Neighbourhood,
    given: reference.Sampled,
    found: Explained | None,
    made: Made,
) -> Explained:
    """`found`, or where there is none lime's surrogates with our errors and stability; what lime says is kept in
    `made`."""
    settings = replace(asked.settings, paired=False, settle=False)
    replayed = reference.Replayed(around, given)
    ours = explain(replayed, replayed.predict, settings, stream_seed(asked.digest, index))
    reasons = [reference.obstacle(given, at, settings) for at in range(len(ours.labels))]
    theirs = tuple(
        None if reason else reference.fitted(around, given, at, settings) for at, reason in enumerate(reasons)
    )
    if index in asked.verified:
        made.verified.extend(_verified(case, index, ours, theirs, reasons, given))
    return reference.put_in(ours, theirs) if found is None else found


def _verified(
    case: Case,
    index: int,
    ours: Explained,
    theirs: Sequence[reference.Fitted | None],
    reasons: Sequence[str],
    given: reference.Sampled,
) -> list[Verified]:
    made = []
    for at, (target, their, reason) in enumerate(zip(case.parameters.targets, theirs, reasons, strict=True)):
        found = None if their is None else reference.agreement(ours.labels[at], their, given.y[:, at])
        made.append(
            Verified(
                index=index, target=target, difference=None if found is None else found.difference,
                score=None if found is None else found.score,
                same_features=None if found is None else found.same_features, reason=reason,
            )
        )  # fmt: skip
    return made


def _arrays(case: Case, around: Neighbourhood, found: Explained) -> dict[str, Tensor]:
    """(labels, features) each, and what the kind keeps of the neighbourhood. A standard error that is not known is -1.

    Raises NotFinite.
    """
    own: Mapping[str, Tensor] = {} if case.kind.arrays is None else case.kind.arrays(around)
    made = dict(own)
    for name in ("coefficients", "errors", "whole", "whole_errors"):
        values = torch.from_numpy(np.stack([getattr(label, name) for label in found.labels]))
        if name.endswith("errors"):
            values = torch.where(torch.isfinite(values), values, -1.0)
        require_finite(values, f"the surrogate's {name}")
        made[name] = values
    return made


# --- the analysis


def applies(kind: Kind, subject: Subject, parameters: LimeParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where some example has a neighbourhood."""
    try:
        case = Case.of(kind, subject, parameters)
    except REFUSED as refused:
        return (said(refused),)
    reasons = list[str]()
    for index in range(len(case)):
        try:
            case.at(index)
        except REFUSED as refused:
            reasons.append(f"example {index}: {said(refused)}")
        else:
            return ()
    return tuple(reasons[:_REASONS])


_REASONS = 20
"""More than these say nothing new."""


def parts(kind: Kind, subject: Subject, parameters: LimeParameters, context: Context) -> tuple[Part, ...]:
    """One part: all examples."""
    case = Case.of(kind, subject, parameters)
    rows = case.rows(context.memory_bytes)
    chosen = drawn([str(index) for index in range(len(case))], parameters.verify, seed_for(context.digest, 0))
    request = LimePass(
        kind=kind, parameters=parameters, settings=parameters.settings(rows.count), digest=context.digest,
        verified=tuple(int(each) for each in chosen),
    )  # fmt: skip
    plan: dict[str, JsonValue] = {
        "examples": len(case), "rows": rows.count, "device": str(case.predicting.x[0].device),
        "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(kind: Kind, subject: Subject, part: Part, parameters: LimeParameters, context: Context) -> Partial:
    """The surrogates, lime's opinion of some, and attributions beside them. Raises AnalysisError where none came."""
    (request,) = part.requests
    assert isinstance(request, LimePass)
    case = Case.of(kind, subject, parameters)
    made: Made = context.run(request, subject)
    if not made.examples:
        reasons = "; ".join(f"{each.subject}: {each.because}" for each in made.missing[:_REASONS])
        raise AnalysisError("no-surrogate", f"no example could be explained. {reasons}"[:4000])
    beside, missing = compared(case, made.examples, made.arrays, context)
    values: dict[str, Any] = {
        "explained": [each.model_dump(mode="json") for each in made.examples.values()],
        "verified": [each.model_dump(mode="json") for each in made.verified],
        "compared": [each.model_dump(mode="json") for each in beside],
        "missing": [each.model_dump(mode="json") for each in (*made.missing, *missing)],
        "rows": request.settings.rows,
    }
    return Partial(values=values, arrays=made.arrays)
