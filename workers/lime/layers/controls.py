"""Which runs would show that the surrogates of layers mean nothing?

A small network is planted whose layers are known: one reads one feature, the next another, a third nothing. The others
ask how the model's own layers are read: whether that changes its answer, whether what is read of a layer that gives the
output is the output's, and whether runs repeat, in other blocks too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from service.contracts.outcome import ControlRun
from workers.kind import Context
from workers.lime import reference
from workers.lime.case import stream_seed
from workers.lime.compute import REFUSED, said
from workers.lime.layers.case import Case
from workers.lime.layers.compute import Layered, explained
from workers.lime.layers.reading import DIRECTION, Read, readings
from workers.lime.layers.tapped import Tapped
from workers.surrogate.explain import explain
from workers.surrogate.neighbourhood import Floats
from workers.surrogate.settings import Settings
from workers.sweep.layout import Layout
from workers.sweep.probe import Tap
from workers.sweep.target import Target

CONTROL_SAMPLES = 200
RERUNS = 4
"""Times that as many samples of one example run through the network again, all controls together; for the quote."""

_LIMIT = {"float32": 1e-3, "float64": 1e-8}
_LEAST = 1e-2
"""Of a reading's own magnitude: coefficients below are compared with this much of it, not with themselves."""

_LINEAR = ("logit", "value", "sum")
"""Scales of targets that are sums of the output, so that their direction says all."""

_ROOM = 8
"""Samples for each feature from which on a planted one must be found."""

PLANTED = ("planted layers", "Is each of three known layers found to rest on what it reads, and the third on nothing?")
ALONE = ("read and unread", "Does the network say the same, to the last bit, when its layers are read?")
OUTPUT = ("the output as a layer", "Is a layer that gives the output explained as the output is?")
AGAIN = ("once more", "Does the same run give the same bits?")
BLOCKS = ("other blocks", "Do layers get the same coefficients in whatever blocks the samples run?")

Observed = tuple[str, bool | None]


@dataclass(frozen=True, slots=True)
class _One:
    """The first example that can be explained."""

    case: Case
    index: int
    found: tuple[Read, ...]
    settings: Settings
    seed: int

    def layered(self, rows: int | None = None) -> Layered:
        settings = replace(self.settings, rows=rows or self.settings.rows)
        return explained(self.case, self.index, self.found, settings, self.seed)

    def inputs(self) -> tuple[Tensor, ...]:
        around = self.case.at(self.index)
        return around.inputs(
            around.stream(self.seed, self.settings.paired).take(min(self.settings.rows, self.settings.samples))
        )


def run(which: tuple[str, str], case: Case, context: Context) -> ControlRun:
    """One of `RUNS`, with the first example that has a neighbourhood and layers."""
    expected, check = RUNS[which]
    context.progress(0.0, f"control: {which[0]}")
    observed, passed = "no example can be explained", None
    for index in range(len(case)):
        try:
            case.at(index)
            found, _ = case.read(index)
        except REFUSED:
            continue
        if not found:
            continue
        settings = replace(
            case.parameters.settings(case.rows(context.memory_bytes).count),
            samples=min(case.parameters.samples, CONTROL_SAMPLES),
        )
        try:
            observed, passed = check(_One(case, index, tuple(found), settings, stream_seed(context.digest, index)))
        except REFUSED as refused:
            observed, passed = f"not applicable to example {index}, because {said(refused)}", None
        break
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


# --- a planted network


class _Planted(nn.Module):
    """Reads the features themselves: `first` the first of two, `second` the other, `still` neither."""

    def __init__(self, features: int, one: int, other: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(features, 1, bias=False).double() for _ in range(2))
        self.still = nn.Linear(features, 1).double()
        with torch.no_grad():
            for layer, at, weight in ((self.first, one, 3.0), (self.second, other, -2.0), (self.still, one, 0.0)):
                layer.weight.zero_()
                layer.weight[0, at] = weight
            self.still.bias.fill_(1.0)
        self.requires_grad_(requires_grad=False)

    def forward(self, z: Tensor) -> Tensor:
        """(rows, 1)."""
        found: Tensor = self.first(z) + self.second(z) + self.still(z)
        return found


def _tap(name: str) -> Tap:
    return Tap(
        key=name, layer=name, module=name, kind="Linear", call=0, calls=1, position=0, positions=1, container=False,
        shape=(1,), dtype="float64", layout=Layout(0), status="on_path",
    )  # fmt: skip


def _planted(one: _One) -> Observed:
    around = one.case.at(one.index)
    count = max(one.settings.samples, _ROOM * len(around.names))
    samples = around.stream(one.seed, one.settings.paired).take(count)
    moving = np.flatnonzero(np.ptp(samples.z, axis=0) > 0)
    if len(moving) < 2:
        return "fewer than two features change over the samples", None
    network = _Planted(len(around.names), int(moving[0]), int(moving[-1])).eval()
    z = torch.from_numpy(samples.z)
    example = {name: getattr(network, name)(z[0]) for name in ("first", "second", "still")}
    found, _ = readings([_tap(name) for name in example], example, {}, [f"unit:{name}:0" for name in example], ())
    case = replace(
        one.case.predicting, network=network, x=(z[:1],), raw=(z[:1],), labels=None, targets=(Target.value(),),
        batch=None,
    )  # fmt: skip
    replayed = reference.Replayed(around, reference.Sampled(samples, np.empty((0, 0))))
    with Tapped(case, 0, found) as tapped:

        def predict(numbers: tuple[Tensor, ...]) -> Floats:
            return tapped((z[numbers[0][:, 0]],))

        made = explain(replayed, predict, replace(one.settings, samples=count), one.seed).labels[1:]
    strongest = [int(np.abs(label.whole).argmax()) for label in made]
    legible = all(label.verdict in ("readable", "doubtful") for label in made[:2])
    right = legible and strongest[:2] == [moving[0], moving[-1]] and made[2].verdict == "nothing changes"
    names = [around.names[int(at)] for at in (moving[0], moving[-1])]
    observed = ", ".join(f"{around.names[at]} ({label.verdict})" for at, label in zip(strongest, made, strict=True))
    return f"planted {names[0]}, {names[1]} and nothing; strongest {observed}", bool(right)


# --- the model's own layers


def _alone(one: _One) -> Observed:
    inputs = one.inputs()
    plain = one.case.predicting.at(one.index)(inputs)
    with Tapped(one.case.predicting, one.index, one.found) as tapped:
        read = tapped(inputs)
    same = plain[:, 0].tobytes() == read[:, 0].tobytes()
    return f"{'the same' if same else 'other'} bits, n = {len(plain)}", same


def _output(one: _One) -> Observed:
    made = one.layered()
    last = one.found[-1].tap
    at = next((at for at, each in enumerate(made.found) if each.tap is last and each.name == DIRECTION), None)
    if at is None:
        return "the last layer has no direction", None
    if one.case.predicting.targets[0].scale not in _LINEAR:
        return "the target is no sum of what the network gives", None
    if not one.case.gives_output(last, one.inputs()):
        return f"what '{last.key}' gives is not yet the output", None
    target, layer = made.surrogates.labels[0].whole, made.surrogates.labels[1 + at].whole
    scale = max(float(np.abs(target).max()), _LEAST * made.found[at].scale, 1e-12)
    gap = float(np.abs(target - layer).max()) / scale
    return f"'{last.key}': largest difference {gap:.3g} of the largest coefficient", gap <= _limit(one)


def _again(one: _One) -> Observed:
    first, second = (one.layered() for _ in range(2))
    same = first.found == second.found and all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes()
        for a, b in zip(first.surrogates.labels, second.surrogates.labels, strict=True)
        for name in ("coefficients", "errors", "whole", "whole_errors")
    )
    return "the same bits" if same else "other bits", same


def _blocks(one: _One) -> Observed:
    size = one.case.predicting.batch or 1
    narrow = min(one.settings.rows, one.settings.samples) // 2
    first, second = one.layered(), one.layered(max(1, narrow // size) * size)
    if first.found != second.found:
        return "other layers can be read", False
    worst, where = 0.0, "the output"
    names = ["the output", *(f"{each.name} of {each.tap.key}" for each in first.found)]
    own, other = first.surrogates.labels, second.surrogates.labels
    scales = [abs(own[0].prediction), *(1.0 if each.weights is None else each.scale for each in first.found)]
    for name, scale, a, b in zip(names, scales, own, other, strict=True):
        gap = float(np.abs(a.whole - b.whole).max()) / max(float(np.abs(a.whole).max()), _LEAST * scale, 1e-12)
        worst, where = max((worst, where), (gap, name))
    return f"largest difference {worst:.3g} of the largest coefficient, in {where}", worst <= _limit(one)


def _limit(one: _One) -> float:
    return _LIMIT[one.case.parameters.precision]


RUNS: dict[tuple[str, str], tuple[str, Callable[[_One], Observed]]] = {
    PLANTED: ("each on the planted feature, and nothing changes in the third", _planted),
    ALONE: ("the same bits", _alone),
    OUTPUT: ("the same, within rounding", _output),
    AGAIN: ("the same bits", _again),
    BLOCKS: ("the same, within rounding", _blocks),
}
