"""What do the parts of an attribution say together?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import Estimate, NotApplicable
from workers.attribution.compute import Case, Kind
from workers.attribution.findings import findings
from workers.attribution.outcome import (
    Attributed,
    AttributionOutcome,
    Average,
    Certified,
    Halved,
    Spread,
    Unit,
    UnitSum,
    Verified,
)
from workers.attribution.parameters import AttributionParameters, baseline_of, tolerance_of
from workers.attribution.pictures import pictures, sequence
from workers.attribution.totals import MOST_CLASS_TOTALS, MOST_CLASSES, Averages, Classes, averages, classes_of
from workers.kind import Computed, Partial
from workers.numerics.intervals import mean_t, wilson
from workers.passes.asked import ROLE
from workers.subject.subject import Subject
from workers.sweep.completeness import Endpoints
from workers.sweep.depth import Depth, LayerTotals, depth
from workers.sweep.probe import Tap

_ARTIFACT_BYTES = 128 << 20
_SUMMED = ("sum/", "magnitude/", "square/")


def merge(
    kind: Kind, subject: Subject, parameters: AttributionParameters, partials: Sequence[Partial]
) -> Computed[AttributionOutcome]:
    """Examples one after the other, sums added; then what they show."""
    case = Case.of(kind, subject, parameters)
    arrays = _merged([partial.arrays for partial in partials])
    values = partials[0].values
    classes, unclassed = _classes(case)
    names = case.names
    complete = [name for key, name in names.items() if case.method.complete(case.ready, case.ready.probe.tap(key))]
    said = averages(arrays, tuple(names.values()), complete, classes)
    found = depth(_leaves(case, arrays), _change(case, arrays, complete))
    made = tuple(_attributed(case, tap, arrays, said, found, values) for tap in case.chosen.taps)
    shown = pictures(case, arrays)
    missed = tuple(
        each.key for each in made
        if each.same_as is None and each.completeness_error is not None
        and each.completeness_error.value > tolerance_of(parameters)
    )  # fmt: skip
    checked = values["certified"]
    verified = [each for partial in partials for each in _list(partial.values["verified"])]
    steps, chosen = getattr(case.method, "steps", None), values["steps"]
    target_unit = "probability" if parameters.scale == "probability" else subject.facts.output.unit
    outcome = AttributionOutcome(
        method=case.method.name, settings=case.method.as_json(), places=kind.places, target=parameters.target,
        target_unit=target_unit, unit=kind.unit(target_unit)[:64], baseline=baseline_of(parameters),
        **_steps(steps, chosen),
        halved=tuple(Halved.model_validate(each) for each in _list(values["halved"])),
        tolerance=tolerance_of(parameters) if complete else None, tolerance_met=not missed if complete else None,
        missed=missed, precision=parameters.precision, examples=len(case.ready),
        available=len(subject.examples[ROLE].inputs),
        output_change=None if baseline_of(parameters) is None else _change_of(arrays),
        accuracy=_accuracy(case), layers=made if kind.places == "layers" else (),
        inputs=made if kind.places == "inputs" else (), decided=found.decided, surely_decided=found.surely,
        depth_reasons=found.reasons, verified=tuple(Verified.model_validate(each) for each in verified),
        certified=None if checked is None else Certified.model_validate(checked),
        pictures=tuple(each for each, _ in shown), sequence=sequence(case, arrays), held=_held(case),
        chosen_units=tuple(UnitSum.model_validate(each) for each in _list(values.get("chosen_units"))),
        unsummed=str(values.get("unsummed", "")),
        not_applicable=(*case.chosen.others, *unclassed),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(kind, outcome)})
    return Computed(
        outcome=outcome, arrays=_kept(arrays, len(case.ready)), pictures={each.artifact: png for each, png in shown}
    )


def _steps(steps: object, chosen: JsonValue) -> dict[str, Any]:
    """steps: of the method. chosen: what `compute` says of those that were chosen by example."""
    if isinstance(chosen, dict):
        return {"steps": chosen["most"], "mean_steps": chosen["mean"], "unsettled": chosen["missed"]}
    return {"steps": steps if isinstance(steps, int) else None, "mean_steps": None, "unsettled": None}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _merged(given: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {
        key: torch.stack([each[key] for each in given]).sum(0)
        if key.startswith(_SUMMED)
        else torch.cat([each[key] for each in given])
        for key in given[0]
    }


def _kept(arrays: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """The artifact: everything per example, and unit means as far as they fit."""
    kept = {key: value for key, value in arrays.items() if not key.startswith(_SUMMED)}
    used = sum(value.numel() * value.element_size() for value in kept.values())
    for key, value in arrays.items():
        name, _, layer = key.partition("/")
        if name in ("sum", "magnitude") and used + 4 * value.numel() <= _ARTIFACT_BYTES:
            used += 4 * value.numel()
            kept[f"{'unit_mean' if name == 'sum' else 'unit_absolute_mean'}/{layer}"] = (value / n).float()
    return kept


def _change_of(arrays: Mapping[str, Tensor]) -> Average:
    return Average.of(mean_t((arrays["output"] - arrays["baseline_output"]).double().cpu().numpy()))


def _classes(case: Case) -> tuple[Classes | None, tuple[NotApplicable, ...]]:
    if case.subject.facts.task != "classification":
        return None, ()
    found = classes_of(case.ready.labels, case.subject.facts.output.classes)
    if found is None:
        return None, ()
    if len(found.names) <= MOST_CLASSES and len(found.names) * len(case.keys) <= MOST_CLASS_TOTALS:
        return found, ()
    because = (
        f"there are {len(found.names)} classes and {len(case.keys)} {case.kind.places}; totals are told for up to"
        f" {MOST_CLASSES} classes and {MOST_CLASS_TOTALS} pairs: name fewer layers"
    )
    return None, (NotApplicable(subject="totals by class", because=because),)


def _leaves(case: Case, arrays: Mapping[str, Tensor]) -> list[LayerTotals]:
    taps = [(case.ready.probe.tap(key), name) for key, name in case.names.items()]
    return [
        LayerTotals(name, tap.cut, arrays[f"signed/{name}"].double(), arrays[f"absolute/{name}"].double())
        for tap, name in taps
        if case.kind.places == "inputs" or not tap.container or len(taps) == 1
    ]


def _change(case: Case, arrays: Mapping[str, Tensor], complete: Sequence[str]) -> Tensor | None:
    """What shares are of; None where the method has no completeness anywhere."""
    if not complete or baseline_of(case.parameters) is None:
        return None
    return Endpoints(arrays["output"], arrays["baseline_output"]).difference


def _attributed(
    case: Case,
    tap: Tap,
    arrays: Mapping[str, Tensor],
    said: Mapping[str, Averages],
    found: Depth,
    values: Mapping[str, JsonValue],
) -> Attributed:
    own = case.names[case.ready.probe.own(tap).key]
    totals = said[own]
    at = next((each for each in found.layers if each.key == own), None)
    spread = values["spread"]
    known = spread.get(own) if isinstance(spread, dict) else None
    classes = tuple(
        each.model_copy(update={"top_units": _top_units(values["class_units"], own, each.name)})
        for each in totals.classes
    )
    return Attributed(
        key=tap.key, layer=tap.layer, call=tap.call if tap.calls > 1 else None,
        output=tap.position if tap.positions > 1 else None, type=tap.kind[:256], container=tap.container, cut=tap.cut,
        shape=tuple(arrays[f"sum/{own}"].shape), same_as=None if own == tap.key else own, total=totals.total,
        absolute_total=totals.absolute_total, completeness_error=totals.error,
        share=None if at is None or at.share is None else Average.of(at.share),
        agreement=None if at is None or at.agreement is None else Average.of(at.agreement),
        spread=None if known is None else Spread.model_validate(known), classes=classes,
        top_units=_top_units(values["units"], own),
    )  # fmt: skip


def _top_units(told: JsonValue, *names: str) -> tuple[Unit, ...]:
    """The units that `compute` names under these names; none where there are none."""
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    return tuple(Unit.model_validate(each) for each in _list(told))


def _held(case: Case) -> tuple[str, ...]:
    """The names of integer inputs that keep their values: those that no layer stands for."""
    data = case.subject.examples[ROLE]
    names = ["", *(further.name for further in case.subject.facts.further_inputs)]
    return tuple(
        name or "input"
        for name, given in zip(names, (data.inputs, *data.further), strict=False)
        if not given.is_floating_point() and _layer_of(name) not in case.ready.inputs
    )


def _layer_of(name: str) -> str:
    """The layer that stands for a moving input, as `workers.sweep.entered` calls it."""
    return "input_" + re.sub(r"[.:@/\s]", "_", name) if name else "input"


def _accuracy(case: Case) -> Estimate | None:
    """Of the examples analysed, as the model's largest output says; Wilson's interval."""
    ready = case.ready
    if case.subject.facts.task != "classification" or ready.labels is None or ready.outputs.ndim != 2:
        return None
    if ready.outputs.shape[1] < 2:
        return None
    right = int((ready.outputs.argmax(1) == ready.labels).sum())
    made = wilson(right, len(ready.labels))
    assert made.low is not None
    assert made.high is not None
    return Estimate(value=made.value, low=made.low, high=made.high, n=made.n, method="Wilson, 95 %")
