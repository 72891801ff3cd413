"""Does the attribution depend on what the network has learnt?

Adebayo et al., Sanity checks for saliency maps, arXiv:1810.03292: parameters are randomised stage by stage from the
output downwards, and the attribution is compared with the original. Each parameter tensor is shuffled, which keeps its
distribution and so the scale of what it computes; statistics of batch norms stay. An attribution that ignores the
parameters keeps its ranking to the end. Hedström et al., arXiv:2401.06465, average the attribution over noisy copies of
the input first (smooth MPRT): give an `explain` that does so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isnan, sqrt

import torch
from torch import Tensor, nn

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.definitions import DEFINITIONS
from workers.certificate.draws import stream
from workers.certificate.ranks import LEAST_UNITS, obstacle, sample, spearman
from workers.numerics.determinism import NotFinite
from workers.sweep.copies import copied
from workers.sweep.method import Explain
from workers.sweep.probe import Probe
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import outputs

_QUANTISED = (torch.int8, torch.uint8)
_ONE_SIDED = 1.645

_MOST = 0.95
"""Never passed: so alike is what all but ignores the parameters, however alike shuffled networks are."""


@dataclass(frozen=True, slots=True)
class Stage:
    """modules: whose parameters this stage shuffled, nearest to the output first. share: of all numbers in parameters,
    how many are shuffled by now. correlations: with the original, mean over examples, by tap; none where it has none.
    """

    modules: tuple[str, ...]
    share: float
    correlations: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Look:
    """One shuffled network: magnitudes by tap, why a tap has no ranking, and why there is nothing at all."""

    samples: Mapping[str, Tensor]
    refused: Mapping[str, str]
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Randomised:
    """checks: of the full randomisation, two for each tap. stages: the way there."""

    checks: tuple[Check, ...]
    stages: tuple[Stage, ...]


def randomise(
    ready: Prepared, explain: Explain, attributions: Mapping[str, Tensor], *, stages: int, draws: int, seed: int
) -> Randomised:
    """Explains `stages` times on the way to a network of shuffled parameters, and with draws - 1 further ones.

    The network itself is not touched. Where chance makes rankings of so few units alike, it is "not applicable".
    """
    model = copied(ready.model)
    groups = _grouped(model, ready.probe, stages)
    if not groups:
        reason = "the network has no parameters"
        return Randomised(tuple(check for key in attributions for check in _neither(key, reason)), ())
    way = []
    for group in groups:
        shuffle(group, seed, 0)
        way.append(_look(ready, explain, model, attributions))
    full = [way[-1]]
    for draw in range(1, draws):
        for group in groups:
            shuffle(group, seed, draw)
        full.append(_look(ready, explain, model, attributions))
    reasons = {key: obstacle(each) for key, each in attributions.items()}
    kept = {key: sample(each) for key, each in attributions.items() if not reasons[key]}
    counted = {key: _somewhere(key, each, [*way, *full]) for key, each in kept.items()}
    checks = [
        check
        for key, reason in reasons.items()
        for check in (_neither(key, reason) if reason else _checked(key, kept[key], full, counted[key]))
    ]
    return Randomised(tuple(checks), tuple(_stages(groups, way, kept, counted)))


def learnt(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that training made, with each name it has: parameters, and quantised weights held as buffers."""
    yield from model.named_parameters(remove_duplicate=False)
    for name, tensor in model.named_buffers(remove_duplicate=False):
        if tensor.dtype in _QUANTISED and tensor.ndim > 1:
            yield name, tensor


def shuffle(tensors: Sequence[tuple[str, Tensor]], seed: int, draw: int) -> None:
    """Puts the numbers of each tensor in a random order, in place."""
    with torch.no_grad():
        for name, tensor in tensors:
            order = torch.randperm(tensor.numel(), generator=stream(seed, f"parameters {name}", draw))
            tensor.copy_(tensor.flatten()[order.to(tensor.device)].reshape(tensor.shape))


def _grouped(model: nn.Module, probe: Probe, stages: int) -> list[list[tuple[str, Tensor]]]:
    """The learnt tensors in at most `stages` groups of as many modules each, from the output downwards.

    A tensor that several modules share has the place of the last that runs.
    """
    last = {tap.module: place for place, tap in enumerate(probe.taps)}
    found: dict[int, tuple[int, str, Tensor]] = {}
    for name, tensor in learnt(model):
        module = name.rpartition(".")[0]
        place = _place(last, module)
        if id(tensor) not in found or place > found[id(tensor)][0]:
            found[id(tensor)] = (place, module, tensor)
    ordered = sorted(found.values(), key=lambda each: -each[0])
    modules = list(dict.fromkeys((place, module) for place, module, _ in ordered))
    rank = {each: at * min(stages, len(modules)) // len(modules) for at, each in enumerate(modules)}
    groups: list[list[tuple[str, Tensor]]] = [[] for _ in range(min(stages, len(modules)))]
    for place, module, tensor in ordered:
        groups[rank[place, module]].append((module, tensor))
    return groups


def _place(last: Mapping[str, int], module: str) -> int:
    """When the module, or the nearest around it that ran as one, ran last; -1 for parameters of the network itself."""
    while module and module not in last:
        module = module.rpartition(".")[0]
    return last.get(module, -1)


def _look(ready: Prepared, explain: Explain, model: nn.Module, asked: Collection[str]) -> _Look:
    """The attributions of the same question to another network."""
    try:
        given = outputs(model, ready.x, ready.probe.rows, ready.target)
        made = explain(replace(ready, model=model, outputs=given))
    except (NotFinite, SweepRefused) as error:
        return _Look({}, {}, f"with shuffled parameters {error}")
    missing = {key: "the shuffled network gives no attribution there" for key in asked if key not in made}
    refused = {key: f"of the shuffled network {why}" for key in asked if key in made and (why := obstacle(made[key]))}
    samples = {key: sample(made[key]) for key in asked if key not in missing and bool(made[key].isfinite().all())}
    return _Look(samples, missing | refused)


def _somewhere(key: str, ours: Tensor, looks: Sequence[_Look]) -> Tensor:
    """(n, units), bool: the units that are not zero in all attributions."""
    return torch.stack([ours > 0, *(look.samples[key] > 0 for look in looks if key in look.samples)]).any(0)


def _stages(
    groups: Sequence[Sequence[tuple[str, Tensor]]],
    way: Sequence[_Look],
    kept: Mapping[str, Tensor],
    counted: Mapping[str, Tensor],
) -> Iterator[Stage]:
    every, done = sum(tensor.numel() for group in groups for _, tensor in group), 0
    for group, look in zip(groups, way, strict=True):
        done += sum(tensor.numel() for _, tensor in group)
        found = {
            key: float(spearman(each, look.samples[key], counted[key]).nanmean())
            for key, each in kept.items()
            if key in look.samples
        }
        known = {key: value for key, value in found.items() if not isnan(value)}
        yield Stage(tuple(dict.fromkeys(name for name, _ in group)), done / every, known)


def _checked(key: str, ours: Tensor, full: Sequence[_Look], counted: Tensor) -> list[Check]:
    reasons = [look.failed or look.refused.get(key, "") for look in full]
    theirs = [look.samples[key] for look, reason in zip(full, reasons, strict=True) if not reason]
    if not theirs:
        return _neither(key, reasons[0])
    units = float(counted.sum(1).double().mean())
    if units < LEAST_UNITS or _quantile(units, len(theirs)) >= _MOST:
        return _neither(key, f"chance alone makes rankings of {units:.3g} units alike")
    values = torch.stack([spearman(ours, each, counted) for each in theirs]).nanmean(0)
    note = f"over {units:.3g} units in the mean, {len(theirs)} of {len(full)} shufflings"
    among = _among(key, theirs, counted)
    level = among.value if among.high is None else among.high
    if level is not None:
        note += f"; shuffled networks among themselves {among.value:.3g}"
    return [
        measured("parameter_randomisation", values, key, threshold=_limit(units, len(theirs), level), note=note),
        among,
    ]


def _among(key: str, theirs: Sequence[Tensor], counted: Tensor) -> Check:
    if len(theirs) < 2:
        return not_applicable("parameter_randomisation_chance", "it needs two shufflings", key)
    pairs = [spearman(one, other, counted) for one, other in combinations(theirs, 2)]
    return measured("parameter_randomisation_chance", torch.stack(pairs).nanmean(0), key)


def _limit(units: float, draws: int, among: float | None) -> float:
    """The largest correlation that passes. among: how alike shuffled networks may be, None where it is not known."""
    ceiling = DEFINITIONS["parameter_randomisation"].threshold
    assert ceiling is not None
    return min(_MOST, max(ceiling, _quantile(units, draws), -1.0 if among is None else among))


def _quantile(units: float, draws: int) -> float:
    """The 95 % quantile of the mean rank correlation of so many units, if the rankings had nothing in common."""
    return _ONE_SIDED / sqrt(draws * max(units - 1, 1e-9))


def _neither(key: str, reason: str) -> list[Check]:
    return [not_applicable(name, reason, key) for name in ("parameter_randomisation", "parameter_randomisation_chance")]
