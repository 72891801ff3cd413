"""How are the conductances of all layers computed, and what do they show together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from service.contracts.outcome import Estimate, NotApplicable
from workers.analyses.layer_conductance.findings import findings
from workers.analyses.layer_conductance.outcome import (
    Average,
    ConductanceOutcome,
    ConductanceParameters,
    Conducted,
    Unit,
    Verified,
)
from workers.kind import AnalysisError, Computed, Context, Part, Partial, Quote
from workers.numerics.determinism import NotFinite, seed_for
from workers.numerics.intervals import Interval, mean_of_sums_t, mean_t, wilson
from workers.numerics.memory import give_back_freed_pages
from workers.passes.asked import ROLE, prepared
from workers.passes.attribution import AttributionPass, Swept
from workers.pictures.overlay import strip
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject, along_channels
from workers.sweep.captum_check import drawn
from workers.sweep.completeness import Endpoints, completeness
from workers.sweep.methods.conductance import Conductance
from workers.sweep.plan import held_bytes, select
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

_VERIFIED, _KEPT, _TOP = 2, 6, 5
"""Examples compared with captum, examples kept whole for that and for the picture, units named of each layer."""

_CONTROL_EXAMPLES = 4
_FIRST_USE_BYTES, _ONEDNN_BYTES = 40 << 20, 8 << 20
"""What the first use of the numerical libraries takes in a process: kernels, their caches, pages of code."""

_KEPT_PAGES = 1.125
"""Resident bytes for each byte of a sweep: freed pages are given back once they are an eighth more (KeptPages)."""

_IN_ONEDNN = (nn.modules.conv._ConvNd, nn.RNNBase)

_LOADING, _LOADED = 3.0, 1.3
"""Bytes for each byte of weights: file, program and modules while the model is loaded; what stays of them."""

_ARTIFACT_BYTES = 128 << 20


def applies(subject: Subject, parameters: ConductanceParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    if subject.black_box:
        return (ONLY_OUTPUTS,)
    try:
        ready = prepared(subject, parameters.asked)
        chosen = select(ready.probe, parameters.layers or None)
    except (SweepRefused, NotFinite, AnalysisError) as error:
        remedy = error.remedy if isinstance(error, AnalysisError) else None
        return (f"{error}" + (f". {remedy}" if remedy else ""),)
    if not any(tap.status == "on_path" for tap in chosen):
        return tuple(f"{tap.key}: {tap.reason}" for tap in chosen) or ("no layer of this model runs as a module",)
    return ()


def estimate(subject: Subject, parameters: ConductanceParameters, memory_bytes: int) -> Quote:
    """What the sweep takes, and the controls and comparisons after it; above the freshly forked child.

    The peak is either the loading of the model, or a control's sweep while the sums of the analysis are held.
    """
    ready = prepared(subject, parameters.asked)
    method = method_of(parameters)
    chunks = method.plan(ready, memory_bytes, 1, parameters.layers)
    once = method.quote(ready, chunks)
    n = len(ready)
    weights = sum(t.numel() * t.element_size() for t in (*ready.model.parameters(), *ready.model.buffers()))
    held = (tensor for each in subject.examples.values() for tensor in (each.inputs, *each.further))
    data = sum(tensor.numel() * tensor.element_size() for tensor in held)
    more = (2 * min(n, _CONTROL_EXAMPLES) + 1 + parameters.verify * min(n, _VERIFIED)) / n
    sweeping = _LOADED * weights + _KEPT_PAGES * once.bytes + held_bytes(ready.probe, chunks)
    code = _FIRST_USE_BYTES + (_ONEDNN_BYTES if any(isinstance(m, _IN_ONEDNN) for m in ready.model.modules()) else 0)
    return Quote(seconds=once.seconds * (1 + more), bytes=code + int(max(_LOADING * weights, sweeping)) + 2 * data)


def method_of(parameters: ConductanceParameters) -> Conductance:
    """What the parameters ask for."""
    return Conductance(steps=parameters.steps, rule=parameters.rule)


def main_pass(subject: Subject, parameters: ConductanceParameters, context: Context) -> AttributionPass:
    """The pass over all examples, keeping nothing whole."""
    ready, method = prepared(subject, parameters.asked), method_of(parameters)
    chunks = method.plan(ready, context.memory_bytes, context.threads, parameters.layers)
    return AttributionPass(asked=parameters.asked, method=method, chunks=chunks, seed=0)


def parts(subject: Subject, parameters: ConductanceParameters, context: Context) -> tuple[Part, ...]:
    """One part: one pass over all examples, which keeps whole what the picture and the comparison need."""
    request = main_pass(subject, parameters, context)
    ready = prepared(subject, parameters.asked)
    seen = _seen_layer(subject, ready, request.chunks.taps)
    compared = drawn(request.chunks.taps, parameters.verify, seed_for(context.digest, 0))
    whole = tuple(key for key in request.chunks.taps if key == seen or key in compared)
    request = replace(request, whole=whole, first=_KEPT)
    plan: dict[str, JsonValue] = {"examples": len(ready), "overlay": seen, "compared": list(compared)}
    return (Part(index=0, requests=(request,), plan=plan),)


def compute(subject: Subject, part: Part, parameters: ConductanceParameters, context: Context) -> Partial:
    """Totals per example and sums over examples of every layer, and captum's opinion on a few."""
    (request,) = part.requests
    assert isinstance(request, AttributionPass)
    made: Swept = context.run(request, subject)
    arrays = {"output": made.ends.output, "baseline_output": made.ends.baseline_output}
    for key in request.chunks.taps:
        sums = made.moments.of(key).sums
        arrays |= {f"signed/{key}": made.totals.signed(key), f"absolute/{key}": made.totals.absolute(key)}
        arrays |= {f"{name}/{key}": each for name, each in zip(("sum", "magnitude", "square"), sums, strict=True)}
    overlay = part.plan["overlay"]
    if isinstance(overlay, str):
        arrays["overlay"] = made.kept.of(overlay)
    few = prepared(subject, parameters.asked).examples(_VERIFIED)
    ours = {str(key): made.kept.of(str(key))[:_VERIFIED] for key in _list(part.plan["compared"])}
    verified: list[JsonValue] = []
    give_back_freed_pages()  # captum's passes have other sizes than the sweep's
    for done, (key, values) in enumerate(ours.items()):
        context.progress(done / len(ours), f"captum: {key}")
        (check,) = request.method.verify(few, request.chunks, {key: values}, request.seed)
        verified.append({"layer": check.layer, "difference": check.difference, "reason": check.reason})
    return Partial(values={"overlay": overlay, "verified": verified}, arrays=arrays)


def merge(
    subject: Subject, parameters: ConductanceParameters, partials: Sequence[Partial], _context: Context
) -> Computed[ConductanceOutcome]:
    """Examples one after the other, sums added; then what they show."""
    ready = prepared(subject, parameters.asked)
    arrays = _merged([partial.arrays for partial in partials])
    chosen = select(ready.probe, parameters.layers or None)
    layers = tuple(_conducted(ready, tap, arrays) for tap in chosen if tap.status == "on_path")
    recomputed = [each for partial in partials for each in _list(partial.values["verified"])]
    verified = tuple(Verified.model_validate(each) for each in recomputed)
    names = {layer.name for layer in subject.manifest.layers}
    data = subject.examples[ROLE]
    outcome = ConductanceOutcome(
        target=parameters.target, unit=_unit(subject, parameters), baseline=parameters.baseline, rule=parameters.rule,
        steps=parameters.steps, tolerance=parameters.tolerance, precision=parameters.precision, examples=len(ready),
        available=len(data.inputs),
        output_change=_average(arrays["output"] - arrays["baseline_output"]), accuracy=_accuracy(subject, ready),
        layers=layers, verified=verified,
        overlay_layer=next((str(p.values["overlay"]) for p in partials if p.values["overlay"]), None),
        held=tuple(
            further.name for further, given in zip(subject.facts.further_inputs, ready.x[1:], strict=True)
            if not given.is_floating_point()
        ),
        not_applicable=(
            *(NotApplicable(subject=tap.key, because=_because(tap)) for tap in chosen if tap.status != "on_path"),
            *(NotApplicable(subject=name, because="it does not run as a module in a forward pass")
              for name in ready.probe.silent if name in names and not parameters.layers),
        ),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    pictures = {"overlay.png": _overlay(subject, arrays["overlay"])} if "overlay" in arrays else {}
    return Computed(outcome=outcome, arrays=_kept(arrays, len(ready)), pictures=pictures)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _merged(given: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    summed = ("sum/", "magnitude/", "square/")
    return {
        key: torch.stack([each[key] for each in given]).sum(0)
        if key.startswith(summed)
        else torch.cat([each[key] for each in given])
        for key in given[0]
    }


def _kept(arrays: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """The artifact: everything per example, and unit means as far as they fit."""
    kept = {key: value for key, value in arrays.items() if not key.startswith(("sum/", "magnitude/", "square/"))}
    used = sum(value.numel() * value.element_size() for value in kept.values())
    for key, value in arrays.items():
        name, _, layer = key.partition("/")
        if name in ("sum", "magnitude") and used + 4 * value.numel() <= _ARTIFACT_BYTES:
            used += 4 * value.numel()
            kept[f"{'unit_mean' if name == 'sum' else 'unit_absolute_mean'}/{layer}"] = (value / n).float()
    return kept


def _average(values: Tensor) -> Average:
    return _said(mean_t(values.double().cpu().numpy()))


def _said(made: Interval) -> Average:
    return Average(value=made.value, low=made.low, high=made.high, n=made.n)


def _conducted(ready: Prepared, tap: Tap, arrays: Mapping[str, Tensor]) -> Conducted:
    own = ready.probe.own(tap).key
    signed, ends = arrays[f"signed/{own}"], Endpoints(arrays["output"], arrays["baseline_output"])
    error = _average(_error(signed, ends)) if tap.cut and bool(ends.difference.abs().max() > 0) else None
    return Conducted(
        key=tap.key, layer=tap.layer, call=tap.call if tap.calls > 1 else None,
        output=tap.position if tap.positions > 1 else None, type=tap.kind[:256], container=tap.container,
        shape=tap.shape, same_as=tap.same_as,
        total=_average(signed), absolute_total=_average(arrays[f"absolute/{own}"]),
        completeness_error=error, top_units=_top_units(arrays, own, len(signed)),
    )  # fmt: skip


def _error(signed: Tensor, ends: Endpoints) -> Tensor:
    """|Σ conductance − (F(x) − F(x'))| / max(|F(x) − F(x')|, a hundredth of its mean over examples), per example."""
    change = ends.difference.abs()
    return completeness(signed, ends).delta.abs() / torch.maximum(change, 0.01 * change.mean())


def _top_units(arrays: Mapping[str, Tensor], key: str, n: int) -> tuple[Unit, ...]:
    total, magnitude, square = (arrays[f"{name}/{key}"] for name in ("sum", "magnitude", "square"))
    every = float(magnitude.sum())
    if every == 0:
        return ()
    order = torch.argsort(magnitude.flatten(), descending=True, stable=True)[:_TOP]
    return tuple(
        Unit(
            index=tuple(int(i) for i in torch.unravel_index(at, magnitude.shape)),
            mean=_said(mean_of_sums_t(float(total.flatten()[at]), float(square.flatten()[at]), n)),
            share=float(magnitude.flatten()[at]) / every,
        )
        for at in order
    )


def _because(tap: Tap) -> str:
    return f"{tap.reason}: its conductance is zero" if tap.status in ("off_path", "constant") else tap.reason


def _unit(subject: Subject, parameters: ConductanceParameters) -> str:
    return "probability" if parameters.scale == "probability" else subject.facts.output.unit


def _accuracy(subject: Subject, ready: Prepared) -> Estimate | None:
    """Of the examples analysed, as the model's largest output says; Wilson's interval."""
    if subject.facts.task != "classification" or ready.labels is None or ready.outputs.ndim != 2:
        return None
    if ready.outputs.shape[1] < 2:
        return None
    right = int((ready.outputs.argmax(1) == ready.labels).sum())
    made = wilson(right, len(ready.labels))
    assert made.low is not None
    assert made.high is not None
    return Estimate(value=made.value, low=made.low, high=made.high, n=made.n, method="Wilson, 95 %")


def _seen_layer(subject: Subject, ready: Prepared, keys: tuple[str, ...]) -> str | None:
    """The swept layer nearest to the input whose units lie as the picture does; None where the input is no picture."""
    facts = subject.facts.input
    if facts.kind != "image" or facts.layout != "NCHW":
        return None
    ratio = facts.shape[2] / facts.shape[1]
    for key in keys:
        shape = ready.probe.tap(key).shape
        if len(shape) == 3 and min(shape[1:]) > 1 and abs(shape[2] / shape[1] - ratio) < 0.1 * ratio:
            return key
    return None


def _overlay(subject: Subject, attributions: Tensor) -> bytes:
    """The first examples, scaled by their bounds, with the conductance of a layer's units summed over channels."""
    facts = subject.facts.input
    raw = subject.examples[ROLE].inputs[: len(attributions)].double()
    low, high = (along_channels(values, facts, raw) for values in (facts.bounds.low, facts.bounds.high))
    return strip((raw - low) / (high - low), attributions.sum(1))
