"""How is an attribution computed: one pass over all examples, captum's opinion of a few, and the certificate?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.attribution.certificate import certificate
from workers.attribution.chosen import Chosen, chosen
from workers.attribution.outcome import Average, UnitSum
from workers.attribution.parameters import AttributionParameters, layers_of, tolerance_of
from workers.attribution.places import Maps, certified, maps
from workers.attribution.spec import Attribution
from workers.attribution.totals import MOST_CLASSES
from workers.attribution.units import strongest, strongest_by_class
from workers.kind import AnalysisError, Context, Part, Partial
from workers.numerics.determinism import NotFinite, seed_for
from workers.numerics.intervals import mean_t
from workers.numerics.memory import give_back_freed_pages
from workers.passes.asked import ROLE, prepared
from workers.passes.attribution import AttributionPass, Swept
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.sweep.aggregates import Concentrated
from workers.sweep.captum_check import drawn
from workers.sweep.completeness import Endpoints
from workers.sweep.method import Method
from workers.sweep.methods.neuron_conductance import NeuronConductance
from workers.sweep.methods.unit_sums import UnitEnds
from workers.sweep.methods.within import Settled
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

VERIFIED = 2
"""Examples compared with captum."""

Kind = Attribution[Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One analysis, made ready: the examples, the method, and what gets numbers."""

    kind: Kind
    subject: Subject
    parameters: AttributionParameters
    ready: Prepared
    method: Method
    chosen: Chosen

    @classmethod
    def of(cls, kind: Kind, subject: Subject, parameters: AttributionParameters) -> Case:
        """Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        ready = prepared(subject, parameters.asked)
        method = kind.method(parameters, ready, subject)
        found = chosen(ready, method, kind.places, layers_of(parameters))
        return cls(kind, subject, parameters, ready, method, found)

    @property
    def keys(self) -> tuple[str, ...]:
        """The taps that are computed."""
        return self.chosen.keys(self.ready)

    @property
    def names(self) -> dict[str, str]:
        """What each computed tap is reported as: a tap that is not asked for by the first that passes it on."""
        asked = {tap.key for tap in self.chosen.taps}
        named: dict[str, str] = {}
        for tap in self.chosen.taps:
            own = self.ready.probe.own(tap).key
            named.setdefault(own, own if own in asked else tap.key)
        return named

    @property
    def classed(self) -> bool:
        """Whether the examples are labelled by two classes or more, as many as are told apart."""
        labels = self.ready.labels
        if self.subject.facts.task != "classification" or labels is None or labels.ndim != 1:
            return False
        return 2 <= len(torch.unique(labels[labels >= 0])) <= MOST_CLASSES

    def seed(self, context: Context) -> int:
        """0 where nothing is drawn, so that equal passes of several analyses are one."""
        return seed_for(context.digest, 0) if self.kind.draws else 0

    def shown(self) -> Maps:
        """What the pictures show."""
        return maps(self.subject, self.ready, self.method, self.kind.places, self.keys)

    def certified(self) -> tuple[str, ...]:
        """The taps whose attributions are checked."""
        own = set() if self.kind.places == "inputs" else {*self.ready.inputs}  # an embedding that only looks ids up
        return certified(self.ready, self.method, self.parameters, tuple(key for key in self.keys if key not in own))

    def request(self, context: Context) -> AttributionPass:
        """The pass over all examples, with what is kept of the first of them."""
        chunks = self.method.plan(self.ready, context.memory_bytes, context.threads, self.keys)
        compared = drawn(chunks.taps, self.parameters.verify, seed_for(context.digest, 0))
        shown, checked = self.shown(), self.certified()
        kept = {*compared, *checked}
        return AttributionPass(
            asked=self.parameters.asked, method=self.method, chunks=chunks, seed=self.seed(context),
            whole=tuple(key for key in chunks.taps if key in kept), maps=shown.of,
            first=max(VERIFIED, shown.examples, self.parameters.certificate_examples if checked else 0),
            by_class=self.classed,
        )  # fmt: skip


def applies(kind: Kind, subject: Subject, parameters: AttributionParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    if subject.black_box:
        return (ONLY_OUTPUTS,)
    try:
        case = Case.of(kind, subject, parameters)
        if case.chosen.taps:
            case.method.plan(case.ready, _ANY_BYTES, 1, case.keys)
    except (SweepRefused, NotFinite, AnalysisError) as error:
        remedy = error.remedy if isinstance(error, AnalysisError) else None
        return (f"{error}" + (f". {remedy}" if remedy else ""),)
    if not case.chosen.taps:
        reasons = tuple(f"{each.subject}: {each.because}" for each in case.chosen.others)
        return reasons[:_REASONS] or (f"no {kind.places.removesuffix('s')} of this model can be attributed to",)
    return ()


_ANY_BYTES = 1 << 62
_REASONS = 20
"""More than these say nothing new."""


def parts(kind: Kind, subject: Subject, parameters: AttributionParameters, context: Context) -> tuple[Part, ...]:
    """One part: one pass over all examples."""
    case = Case.of(kind, subject, parameters)
    request = case.request(context)
    compared = drawn(request.chunks.taps, parameters.verify, seed_for(context.digest, 0))
    plan: dict[str, JsonValue] = {
        "examples": len(case.ready), "compared": list(compared), "certified": list(case.certified()),
        "maps": [key for key, _ in request.maps],
    }  # fmt: skip
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(kind: Kind, subject: Subject, part: Part, parameters: AttributionParameters, context: Context) -> Partial:
    """Totals per example, sums over examples, what is kept of the first, captum's opinion, and the certificate."""
    (request,) = part.requests
    assert isinstance(request, AttributionPass)
    case = Case.of(kind, subject, parameters)
    made: Swept = context.run(request, subject)
    give_back_freed_pages()  # what follows has other sizes than the sweep
    names = case.names
    verified = _verified(request, made, case, part, context)
    checked = _certified(case, request, made, part, context)
    spread: dict[str, JsonValue] = {
        names[key]: _spread(found) for key in request.chunks.taps if (found := made.concentration.of(key)) is not None
    }
    values: dict[str, JsonValue] = {
        "verified": verified, "certified": checked, "spread": spread, "steps": _steps(made, tolerance_of(parameters)),
        "halved": [asdict(each) for each in made.ends.shrunk], **_units(case.method, made.ends),
        "units": strongest(made, names), "class_units": strongest_by_class(
            made, names, case.ready.labels, subject.facts.output.classes
        ),
    }  # fmt: skip
    return Partial(values=values, arrays=_arrays(request, made, names))


def _steps(made: Swept, tolerance: float) -> JsonValue:
    """The steps that each example took, where the method chose them; and how many examples that was not enough for."""
    if not isinstance(made.ends, Settled):
        return None
    missed = torch.stack([error > tolerance for error in made.ends.errors.values()]).any(0)
    used = made.ends.steps
    return {"most": int(used.max()), "mean": float(used.double().mean()), "missed": int(missed.sum())}


def _units(method: Method, ends: Endpoints) -> dict[str, JsonValue]:
    """Of conductance through chosen units: whether what the inputs got for each is its own conductance."""
    if not isinstance(method, NeuronConductance) or not isinstance(ends, UnitEnds):
        return {}
    if ends.unsummed:
        return {"unsummed": ends.unsummed}
    made: list[JsonValue] = [
        UnitSum(
            index=unit,
            own=_mean(ends.own[:, at]),
            summed=_mean(ends.summed[:, at]),
            error=None if bool(ends.error()[:, at].isnan().any()) else _mean(ends.error()[:, at]),
        ).model_dump(mode="json")
        for at, unit in enumerate(method.chosen)
    ]
    return {"chosen_units": made}


def _mean(values: Tensor) -> Average:
    return Average.of(mean_t(values.cpu().numpy()))


def _arrays(request: AttributionPass, made: Swept, names: Mapping[str, str]) -> dict[str, Tensor]:
    arrays = {"output": made.ends.output, "baseline_output": made.ends.baseline_output}
    for key in request.chunks.taps:
        name, sums = names[key], made.moments.of(key).sums
        arrays |= {f"signed/{name}": made.totals.signed(key), f"absolute/{name}": made.totals.absolute(key)}
        arrays |= {f"{what}/{name}": each for what, each in zip(("sum", "magnitude", "square"), sums, strict=True)}
    arrays |= {f"map/{names[key]}": made.maps.of(key) for key, _ in request.maps}
    return arrays


def _verified(request: AttributionPass, made: Swept, case: Case, part: Part, context: Context) -> list[JsonValue]:
    few, found = case.ready.examples(VERIFIED), list[JsonValue]()
    compared = _strings(part.plan["compared"])
    for done, key in enumerate(compared):
        context.progress(done / len(compared), f"captum: {key}")
        ours = {key: made.kept.of(key)[:VERIFIED]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum speaks of how it treats its inputs, which nobody here can act on
            (check,) = request.method.verify(few, request.chunks, ours, request.seed)
        found.append(
            {"layer": case.names[key], "difference": check.difference, "reason": check.reason, "gap": check.gap}
        )
    return found


def _certified(case: Case, request: AttributionPass, made: Swept, part: Part, context: Context) -> JsonValue:
    places = _strings(part.plan["certified"])
    if not places:
        return None
    few = case.ready.examples(case.parameters.certificate_examples)
    presented: Mapping[str, Tensor] = {key: made.kept.of(key)[: len(few)] for key in places}

    def told(fraction: float, what: str) -> None:
        context.progress(fraction, f"certificate: {what}")

    found = certificate(
        case.kind, case.parameters, request.method, few, presented, made.ends, keys=request.chunks.taps,
        channels=_channels(case), embedded=_embedded(case), seed=request.seed,
        memory_bytes=context.memory_bytes, threads=context.threads, told=told,
    )  # fmt: skip
    dumped: JsonValue = found.named(case.names).model_dump(mode="json")
    return dumped


def _channels(case: Case) -> dict[str, int]:
    """The axis of channels in one example of each input; of an embedding the last, which holds its numbers."""
    declared, embedded = case.subject.declared, _count_embedded(case)
    return {
        key: declared[position - embedded].channel_axis if position >= embedded else case.ready.x[position].ndim - 2
        for key, position in case.ready.probe.inputs.items()
    }


def _embedded(case: Case) -> tuple[str, ...]:
    """The inputs that are what an embedding gives."""
    return tuple(key for key, position in case.ready.probe.inputs.items() if position < _count_embedded(case))


def _count_embedded(case: Case) -> int:
    """They come first among what the network is called with."""
    return len(case.ready.x) - 1 - len(case.subject.examples[ROLE].further)


def _spread(found: Concentrated) -> JsonValue:
    kept = {"half": found.half, "effective": found.effective, "gini": found.gini}
    return {
        name: {"value": each.value, "low": each.low, "high": each.high, "n": each.n, "interval": each.method}
        for name, each in kept.items()
    }


def _strings(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def again(case: Case, context: Context) -> Swept:
    """The pass that was made, from those this group keeps."""
    made: Swept = context.run(case.request(context), case.subject)
    return made


def few_of(case: Case, count: int) -> Case:
    """The same analysis of the first examples."""
    return replace(case, ready=case.ready.examples(count))
