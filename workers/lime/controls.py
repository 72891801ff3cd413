"""Which runs would show that the coefficients of LIME mean nothing?

Three ask the engine, with the very samples of an example, about rules whose answers are known: a planted sum, noise and
a constant. Three ask how the example's own samples are run: the example first, once more, and in other blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import ControlRun
from workers.kind import Context
from workers.lime.careful import Careful
from workers.lime.case import Case, stream_seed
from workers.lime.compute import REFUSED, said
from workers.surrogate.explain import explain
from workers.surrogate.explained import Explained
from workers.surrogate.neighbourhood import Floats, Neighbourhood, Predict, Samples, Stream
from workers.surrogate.settings import Settings

CONTROL_SAMPLES = 200
RERUNS, FITS = 4, 7
"""Times that as many samples of one example run through the network again, and surrogates that are fitted, all controls
together; for the quote."""

_PLANTED = (3.0, -2.0, 1.0)
_HALF = 0.5
_ROOM, _CELLS = 10, 250_000
"""Different samples for each feature, and as many by their weight, from which on noise cannot look like a rule; the
most samples times features that a control draws."""

_LIMIT = {"float32": 1e-3, "float64": 1e-8}
"""Of the largest coefficient: what the rounding of other blocks may move."""

PLANTED = ("a planted sum", "Is a rule that adds up a few features found, and called readable?")
NOISE = ("noise", "Is a rule of noise alone told not to be read?")
CONSTANT = ("a constant", "Is it told when nothing changes?")
WHOLE = ("nothing left out", "Does the network say of the first sample what it says of the example?")
AGAIN = ("once more", "Does the same run give the same bits?")
BLOCKS = ("other blocks", "Does an example get the same coefficients in whatever blocks its samples run?")

Rule = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A neighbourhood of which the network reads what the surrogate reads."""

    around: Neighbourhood

    @property
    def names(self) -> tuple[str, ...]:
        return self.around.names

    @property
    def kernel_width(self) -> float:
        return self.around.kernel_width

    @property
    def binary(self) -> bool:
        return self.around.binary

    def stream(self, seed: int, paired: bool) -> Stream:
        return self.around.stream(seed, paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        return (torch.from_numpy(np.ascontiguousarray(samples.z)),)

    def as_json(self) -> dict[str, JsonValue]:
        return self.around.as_json()


@dataclass(frozen=True, slots=True)
class _One:
    """The first example that has a neighbourhood, and how its samples are asked about."""

    case: Case
    index: int
    around: Neighbourhood
    settings: Settings
    seed: int

    def by(self, rule: Rule, samples: int) -> Explained:
        """The surrogate of a rule of the features."""

        def predict(inputs: tuple[Tensor, ...]) -> Floats:
            return rule(inputs[0].numpy())[:, None]

        return explain(_Read(self.around), predict, replace(self.settings, samples=samples), self.seed)

    def of_network(self, rows: int) -> Explained:
        predict: Predict = Careful(self.case.predicting.at(self.index), len(self.case.parameters.targets))
        return explain(self.around, predict, replace(self.settings, rows=rows), self.seed)


def run(which: tuple[str, str], case: Case, context: Context) -> ControlRun:
    """One of `RUNS`, with the first example that has a neighbourhood."""
    expected, check = RUNS[which]
    for index in range(len(case)):
        try:
            around = case.at(index)
        except REFUSED:
            continue
        settings = replace(
            case.parameters.settings(case.rows(context.memory_bytes).count), settle=False,
            samples=min(case.parameters.samples, CONTROL_SAMPLES),
        )  # fmt: skip
        try:
            observed, passed = check(_One(case, index, around, settings, stream_seed(context.digest, index)))
        except REFUSED as refused:
            observed, passed = f"not applicable to example {index}, because {said(refused)}", None
        return _said(which, expected, observed, passed)
    return _said(which, expected, "no example has a neighbourhood", None)


def _said(which: tuple[str, str], expected: str, observed: str, passed: bool | None) -> ControlRun:
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


Observed = tuple[str, bool | None]


def _planted(one: _One) -> Observed:
    samples = _wide(one)
    z = one.around.stream(one.seed, one.settings.paired).take(samples).z[1:]
    moving = np.flatnonzero(np.ptp(z, axis=0) > 0)[: len(_PLANTED)]
    if not len(moving):
        return "no feature changes over the samples", None
    weights = np.asarray(_PLANTED[: len(moving)])
    local = one.by(lambda given: given[:, moving] @ weights, samples).labels[0]
    found, others = local.whole[moving], np.delete(np.abs(local.whole), moving)
    close = bool((np.abs(found - weights) <= _HALF * np.abs(weights)).all())
    apart = not len(others) or float(others.max()) < float(np.abs(found).min())
    planted = ", ".join(f"{one.around.names[int(k)]}: {weight:g}" for k, weight in zip(moving, weights, strict=True))
    observed = ", ".join(f"{value:.3g}" for value in found)
    most = f"{float(others.max()):.3g}" if len(others) else "none"
    legible = local.verdict in ("readable", "doubtful")
    return f"planted {planted}; found {observed}, others up to {most}; {local.verdict}", close and apart and legible


def _wide(one: _One) -> int:
    """Samples enough for every feature, as far as memory allows."""
    count = len(one.around.names)
    return wide(count, one.settings.samples)


def wide(count: int, samples: int) -> int:
    """Samples of `count` features that are drawn where none runs through the network."""
    return max(samples, min(3 * _ROOM * count, _CELLS // count))


def _noise(one: _One) -> Observed:
    draws = np.random.RandomState(one.seed)
    found = one.by(lambda z: draws.standard_normal(len(z)), _wide(one))
    local = found.labels[0]
    told = min(float(found.distinct), found.effective)
    if told < _ROOM * len(one.around.names):
        return f"{told:.0f} different samples of {len(one.around.names)} features are too few to tell", None
    return f"{local.verdict}; held-out R² {local.held_out:.3g}", local.verdict == "not locally linear"


def _constant(one: _One) -> Observed:
    verdict = one.by(lambda z: np.full(len(z), 0.7), one.settings.samples).labels[0].verdict
    return verdict, verdict == "nothing changes"


def _whole(one: _One) -> Observed:
    first = one.around.stream(one.seed, one.settings.paired).take(1)
    given = one.case.predicting.at(one.index)(one.around.inputs(first))[0]
    known = one.case.predicting.values[one.index].numpy()
    gap, scale = float(np.abs(given - known).max()), max(1e-6, float(np.abs(known).max()))
    limit = _LIMIT[one.case.parameters.precision]
    return f"largest difference {gap / scale:.3g} of the prediction", gap <= limit * scale


def _again(one: _One) -> Observed:
    first, second = (one.of_network(one.settings.rows) for _ in range(2))
    same = all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes()
        for a, b in zip(first.labels, second.labels, strict=True)
        for name in ("coefficients", "errors", "whole", "whole_errors")
    )
    return "the same bits" if same else "other bits", same


def _blocks(one: _One) -> Observed:
    size = one.case.predicting.batch or 1
    narrow = max(1, min(one.settings.rows, one.settings.samples) // 2 // size) * size
    first, second = one.of_network(one.settings.rows), one.of_network(narrow)
    gap = max(
        float(np.abs(a.whole - b.whole).max()) / max(float(np.abs(a.whole).max()), abs(a.prediction) * 1e-3, 1e-12)
        for a, b in zip(first.labels, second.labels, strict=True)
    )
    limit = _LIMIT[one.case.parameters.precision]
    return f"largest difference {gap:.3g} of the largest coefficient", gap <= limit


RUNS: dict[tuple[str, str], tuple[str, Callable[[_One], Observed]]] = {
    PLANTED: ("the planted features are the strongest, within half of their coefficients, and may be read", _planted),
    NOISE: ("not locally linear", _noise),
    CONSTANT: ("nothing changes", _constant),
    WHOLE: ("the same, within rounding", _whole),
    AGAIN: ("the same bits", _again),
    BLOCKS: ("the same, within rounding", _blocks),
}
