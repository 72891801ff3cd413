"""Do other methods name the same units, at the same layers, of the same examples?

Krishna et al., The disagreement problem in explainable machine learning, arXiv:2202.01602. The methods compared with
are the two plainest: the first-order one at the input, and the one that follows the path from the baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from torch import Tensor

from service.contracts.outcome import Finding
from workers.attribution.outcome import Average, Compared, Places
from workers.certificate.agreement import Agreement, agreements
from workers.certificate.checks import Check
from workers.sweep.method import Method, explain
from workers.sweep.methods.at_input import GradientXActivation, InputXGradient
from workers.sweep.methods.conductance import Conductance
from workers.sweep.methods.internal_influence import IntegratedGradients
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

_STEPS = 10
_HALF = 0.5
_NAMED = 5
PLAIN: Mapping[Places, tuple[Method, Method]] = {
    "layers": (GradientXActivation(), Conductance(steps=_STEPS)),
    "inputs": (InputXGradient(), IntegratedGradients(steps=_STEPS, rule="trapezoid")),
}
EVALUATIONS = 1 + _STEPS + 1
"""What both take for an example."""


def compared(
    method: Method, places: Places, few: Prepared, presented: Mapping[str, Tensor], memory_bytes: int, threads: int
) -> tuple[Compared, ...]:
    """The attributions `presented` of the examples `few` beside the plain methods', wherever both have the same units.

    A plain method that does not apply is left out.
    """
    found: list[Compared] = []
    for other in PLAIN[places]:
        keys = tuple(key for key in presented if _comparable(method, other, few, key))
        if other.name == method.name or not keys:
            continue
        theirs = explain(other, keys, memory_bytes, threads, seed=0)(few)
        ours = {key: presented[key] for key in keys}
        found += [_said(other.name, each) for each in agreements({method.name: ours, other.name: theirs})]
    return tuple(found)


def findings(found: Iterable[Compared], name: str) -> list[Finding]:
    """One for each plain method that has less than half of its top units in common with this one somewhere."""
    apart = [each for each in found if each.top is not None and each.top.value < _HALF]
    return [_finding(list(some), other, name) for other, some in groupby(apart, lambda each: each.other)]


def _finding(apart: list[Compared], other: str, name: str) -> Finding:
    said = [f"{each.place}: {each.top.value:.2g}" for each in apart[:_NAMED] if each.top is not None]
    more = f"; and {len(apart) - _NAMED} more" if len(apart) > _NAMED else ""
    return Finding(
        code="methods-disagree",
        severity="note",
        raised_if=f"{name} and {other} have less than half of their strongest units in common, as a mean over examples",
        meaning="Which units matter there depends on the method: each answers its own question, and neither is wrong"
        " for it.",
        advice="Report both, say which question each answers, and rely on units that both name.",
        evidence=f"in common at {'; '.join(said)}{more}",
    )


def _comparable(method: Method, other: Method, few: Prepared, key: str) -> bool:
    tap = few.probe.tap(key)
    try:
        return not other.obstacle(few, tap) and method.units(tap) == other.units(tap)
    except SweepRefused:
        return False


def _said(other: str, found: Agreement) -> Compared:
    return Compared(
        other=other, place=found.place, ranks=_average(found.ranks), top=_average(found.top), chance=found.chance,
        because=found.ranks.because if found.ranks.value is None else "",
    )  # fmt: skip


def _average(check: Check) -> Average | None:
    if check.value is None:
        return None
    return Average(value=check.value, low=check.low, high=check.high, n=check.n, interval="student-t")
