"""Do attributions of the same examples name the same features as the surrogate?

Krishna et al., The disagreement problem in explainable machine learning, arXiv:2202.01602. An attribution is summed
over what each feature is made of: the pixels of a segment, the column, the tokens of a word. Both answer questions of
their own; who reads one must know of the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.certificate.ranks import LEAST_UNITS, correlation
from workers.kind import AnalysisError, Context
from workers.lime.case import Case
from workers.lime.outcome import Compared, Example
from workers.numerics.determinism import NotFinite
from workers.passes.asked import Asked, prepared
from workers.subject.network import ONLY_OUTPUTS
from workers.subject.subject import Subject
from workers.surrogate.neighbourhood import Floats
from workers.sweep.method import Method, explain
from workers.sweep.methods.at_input import InputXGradient, Saliency
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.refusals import SweepRefused

_STEPS = 32


def method(name: str) -> Method:
    """By the name that parameters give."""
    if name == "integrated_gradients":
        return IntegratedGradients(steps=_STEPS, rule="trapezoid")
    return Saliency() if name == "saliency" else InputXGradient()


def evaluations(name: str) -> int:
    """Forward and backward passes of a row for each example and target."""
    return {"none": 0, "integrated_gradients": _STEPS + 1}.get(name, 1)


def compared(
    case: Case, examples: Mapping[int, Example], arrays: Mapping[str, Tensor], context: Context
) -> tuple[list[Compared], list[NotApplicable]]:
    """Every explained example and target beside the attribution that was asked for."""
    name = case.parameters.beside
    if name == "none":
        return [], []
    if case.subject.black_box:
        return [], [NotApplicable(subject=name, because=ONLY_OUTPUTS)]
    found, missing = list[Compared](), list[NotApplicable]()
    position = case.kind.position(case.at(next(iter(examples))))
    for at, target in enumerate(case.parameters.targets):
        context.progress(1.0, f"{name.replace('_', ' ')} of {target}")
        try:
            attribution = _attribution(case, target, position, context)
        except (AnalysisError, SweepRefused, NotFinite) as refused:
            missing.append(NotApplicable(subject=f"{name} of {target}", because=str(refused)[:4000]))
            continue
        for index, example in examples.items():
            shares = case.kind.shares(case.at(index), attribution[index])
            whole = arrays[f"whole/{index}"][at].numpy()
            chosen = [each.feature for each in example.explanations[at].features if each.chosen]
            found.append(_compared(index, target, name, whole, np.asarray(shares, dtype=np.float64), chosen))
    return found, missing


def _attribution(case: Case, target: str, position: int, context: Context) -> Tensor:
    """Of input number `position`, (n, ...) as the network reads it; of ids one number each, summed over their
    embedding."""
    parameters, made = case.parameters, method(case.parameters.beside)
    ready = prepared(
        case.subject,
        Asked(target=target, scale=case.scale, baseline="zero", examples=len(case), precision=parameters.precision),
    )
    key = _tap(case.subject, position)
    if key not in ready.inputs:
        raise AnalysisError("not-applicable", f"input {position} is held as it is: nothing is attributed to it")
    if because := made.obstacle(ready, ready.probe.tap(key)):
        raise AnalysisError("not-applicable", because)
    whole = explain(made, (key,), context.memory_bytes, context.threads, 0)(ready)[key]
    found = whole.detach().to("cpu", torch.float64)
    return found.sum(-1) if found.ndim > case.predicting.x[position].ndim else found


def _tap(subject: Subject, position: int) -> str:
    """The tap that stands for an input, as `workers.sweep.entered` calls it."""
    if position == 0 or not subject.facts.further_inputs:
        return "input"
    return "input_" + re.sub(r"[.:@/\s]", "_", subject.facts.further_inputs[position - 1].name)


def _compared(index: int, target: str, name: str, whole: Floats, shares: Floats, chosen: list[int]) -> Compared:
    count, top = len(whole), len(chosen)
    because = ""
    if count < LEAST_UNITS:
        because = f"there are {count} features, and ranks need {LEAST_UNITS}"
    elif not shares.any() or not whole.any():
        because = "one of both is zero everywhere"
    ranks = None
    if not because:
        value = float(correlation(torch.from_numpy(whole)[None], torch.from_numpy(shares)[None])[0])
        ranks = value if isfinite(value) else None
    strongest = set(np.argsort(-np.abs(shares), kind="stable")[:top].tolist())
    common = len(strongest & set(chosen)) / top if top and not because and top < count else None
    return Compared(
        index=index, target=target, method=name, ranks=ranks, top=common,
        chance=None if common is None else top / count, because=because,
    )  # fmt: skip
