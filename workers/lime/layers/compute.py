"""How is LIME over layers computed: example by example, all layers from one set of forward passes?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import AnalysisError, Context, Part, Partial
from workers.lime.careful import Careful
from workers.lime.case import stream_seed
from workers.lime.compute import REFUSED, said
from workers.lime.layers.agreement import Agreement, agreement, compared_features
from workers.lime.layers.case import Case
from workers.lime.layers.outcome import AtLayer
from workers.lime.layers.parameters import LayersParameters
from workers.lime.layers.reading import Read
from workers.lime.layers.tapped import Tapped
from workers.lime.outcome import Example
from workers.lime.told import example, most_features
from workers.numerics.determinism import require_finite
from workers.numerics.memory import keep_freed_pages
from workers.subject.subject import Subject
from workers.surrogate.explain import explain
from workers.surrogate.explained import Explained
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.settings import Settings

_REASONS = 20
"""More than these say nothing new."""

_LEGIBLE = ("readable", "doubtful")


@dataclass(frozen=True, slots=True)
class LayersPass:
    """The surrogates of all layers of all examples. What is not in it follows from the subject."""

    parameters: LayersParameters
    settings: Settings
    digest: str

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it: with `rows` of it among the parameters the same bits come again."""
        return {"pass": "lime_layers", "readings": list(self.parameters.readings), **self.settings.as_json()}

    def make(self, subject: Subject, context: Context) -> Made:
        """Makes it; reports after each block."""
        keep_freed_pages()
        case = Case.of(subject, self.parameters)
        made, n = Made({}, [], {}, {}), len(case)
        for index in range(n):
            told = partial(_told, context, index, n)
            told(0.0)
            try:
                _explained(self, case, index, made, told)
            except REFUSED as refused:
                made.missing.setdefault(("", said(refused)[:4000]), []).append(index)
        return made


@dataclass(frozen=True, slots=True)
class Made:
    """Examples by their index; what is read of layers; arrays by name; by what could not be read and why, the examples
    of which it could not; a whole example has no name."""

    examples: dict[int, Example]
    at: list[AtLayer]
    arrays: dict[str, Tensor]
    missing: dict[tuple[str, str], list[int]]

    def not_applicable(self) -> list[NotApplicable]:
        """Each reason once, with its examples unless it is all of them."""
        return [
            NotApplicable(subject=_subject(name, indices, len(self.examples))[:600], because=because)
            for (name, because), indices in self.missing.items()
        ]


def _subject(name: str, indices: Sequence[int], explained: int) -> str:
    if name and len(indices) == explained:
        return name
    listed = ", ".join(map(str, indices[:_REASONS])) + (", ..." if len(indices) > _REASONS else "")
    which = f"example{'s' if len(indices) > 1 else ''} {listed}"
    return f"{name}, {which}" if name else which


def _told(context: Context, index: int, n: int, fraction: float) -> None:
    context.progress((index + fraction) / n, f"example {index + 1} of {n}")


# --- one example


@dataclass(frozen=True, slots=True, eq=False)
class Layered:
    """The surrogates of the target and of every reading of `found`. because: what the network said where it gave no
    number. unfit: readings that cannot be had at some sample, and why."""

    surrogates: Explained
    found: tuple[Read, ...]
    because: str
    unfit: tuple[tuple[Read, str], ...]


def explained(
    case: Case,
    index: int,
    found: Sequence[Read],
    settings: Settings,
    seed: int,
    told: Callable[[float], None] | None = None,
) -> Layered:
    """All surrogates of one example. Raises AnalysisError where there are none."""
    with Tapped(case.predicting, index, found) as tapped:
        careful = Careful(tapped, 1 + len(found))
        try:
            made = explain(case.at(index), careful, settings, seed, told)
        except NoSurrogate as refused:
            because = f" The network said: {careful.because}" if careful.because else ""
            raise AnalysisError("no-surrogate", f"{refused}{because}") from refused
    kept = [at for at in range(len(found)) if at not in tapped.unfit]
    return Layered(
        surrogates=replace(made, labels=(made.labels[0], *(made.labels[1 + at] for at in kept))),
        found=tuple(found[at] for at in kept), because=careful.because,
        unfit=tuple((found[at], why) for at, why in sorted(tapped.unfit.items())),
    )  # fmt: skip


def _explained(asked: LayersPass, case: Case, index: int, made: Made, told: Callable[[float], None]) -> None:
    around, seed = case.at(index), stream_seed(asked.digest, index)
    found, missing = case.read(index)
    for each in missing:
        made.missing.setdefault((each.subject, each.because), []).append(index)
    if not found:
        raise AnalysisError("layers", "no layer has a number to explain", remedy="Ask for another reading, or layer.")
    layered = explained(case, index, found, asked.settings, seed, told)
    surrogates, because = layered.surrogates, layered.because
    for read, why in layered.unfit:
        made.missing.setdefault((f"{read.name} of {read.tap.key}", why), []).append(index)
    if not layered.found:
        raise AnalysisError("layers", "no layer can be read at all samples", remedy="Name other layers.")
    arrays = _arrays(surrogates)
    names = [case.parameters.target, *(f"{each.name} of {each.tap.key}"[:300] for each in layered.found)]
    most = most_features(len(case), len(names), case.parameters.features)
    notes: tuple[str, ...] = getattr(around, "notes", ())
    made.examples[index] = example(
        index, surrogates, around, names, [None] * len(names), because, most, asked.settings, notes
    )
    made.arrays.update({f"{name}/{index}": each for name, each in arrays.items()})
    own = around.stream(seed, paired=False).take(1).z[0]
    top = compared_features(case.parameters.top, len(around.names))
    for place, read in enumerate(layered.found, start=1):
        beside = agreement(read.name, surrogates.labels[place], surrogates.labels[0], own, top, seed + place)
        made.at.append(_at(index, place, read, beside, surrogates))


def _at(index: int, place: int, read: Read, beside: Agreement, surrogates: Explained) -> AtLayer:
    legible = all(surrogates.labels[at].verdict in _LEGIBLE for at in (0, place))
    return AtLayer(
        index=index, key=read.tap.key, reading=read.name, explanation=place, at_example=read.at_example,
        shared=beside.shared, chance=beside.chance, ranks=beside.ranks, low=beside.low, high=beside.high,
        agrees=legible and beside.agrees,
    )  # fmt: skip


def _arrays(found: Explained) -> dict[str, Tensor]:
    """(1 + readings, features) each. A standard error that is not known is -1. Raises NotFinite."""
    made = {}
    for name in ("coefficients", "errors", "whole", "whole_errors"):
        values = torch.from_numpy(np.stack([getattr(label, name) for label in found.labels]))
        if name.endswith("errors"):
            values = torch.where(torch.isfinite(values), values, -1.0)
        require_finite(values, f"the surrogates' {name}")
        made[name] = values
    return made


# --- the analysis


def applies(subject: Subject, parameters: LayersParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where some example has a neighbourhood."""
    try:
        case = Case.of(subject, parameters)
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


def parts(subject: Subject, parameters: LayersParameters, context: Context) -> tuple[Part, ...]:
    """One part: all examples."""
    case = Case.of(subject, parameters)
    rows = case.rows(context.memory_bytes)
    request = LayersPass(parameters=parameters, settings=parameters.settings(rows.count), digest=context.digest)
    plan: dict[str, JsonValue] = {
        "examples": len(case), "layers": len(case.layers.taps), "rows": rows.count,
        "device": str(case.predicting.x[0].device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(subject: Subject, part: Part, context: Context) -> Partial:
    """The surrogates. Raises AnalysisError where none came."""
    (request,) = part.requests
    assert isinstance(request, LayersPass)
    made: Made = context.run(request, subject)
    if not made.examples:
        reasons = "; ".join(f"{each.subject}: {each.because}" for each in made.not_applicable()[:_REASONS])
        raise AnalysisError("no-surrogate", f"no example could be explained. {reasons}"[:4000])
    values: dict[str, JsonValue] = {
        "explained": [each.model_dump(mode="json") for each in made.examples.values()],
        "at": [each.model_dump(mode="json") for each in made.at],
        "missing": [each.model_dump(mode="json") for each in made.not_applicable()],
        "rows": request.settings.rows,
    }
    return Partial(values=values, arrays=made.arrays)
