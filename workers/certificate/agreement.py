"""Do several methods say the same of a layer?

Krishna et al., The disagreement problem in explainable machine learning, arXiv:2202.01602. Methods answer different
questions, so that disagreement is no fault of either; but who reads only one must know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from service.contracts.outcome import Finding
from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.ranks import chance_overlap, correlation, obstacle, overlap

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two methods at one tap. chance: the overlap at the top that random rankings have; None where there is none."""

    methods: tuple[str, str]
    place: str
    ranks: Check
    top: Check
    chance: float | None


def agreements(methods: Mapping[str, Mapping[str, Tensor]]) -> list[Agreement]:
    """Every pair of methods at every tap that both attribute; methods to attributions by tap, of the same examples."""
    return [
        _between((one, other), key, methods[one][key], methods[other][key])
        for one, other in combinations(methods, 2)
        for key in methods[one]
        if key in methods[other]
    ]


def disagreements(found: Iterable[Agreement]) -> list[Finding]:
    """A finding for each tap and pair whose top units have less than half in common."""
    return [
        Finding(
            code="methods-disagree",
            severity="warning",
            raised_if="two methods have less than half of their top units in common, in the mean over examples",
            meaning="Which units matter at this layer depends on the method: each answers its own question.",
            advice="Report both, say which question each answers, and rely on units that both name.",
            evidence=f"{each.methods[0]} and {each.methods[1]}: {each.top.value:.3g} in common, by chance"
            f" {each.chance:.2g}, n = {each.top.n}",
            layer=each.place,
        )
        for each in found
        if each.top.value is not None and each.top.value < _HALF
    ]


def _between(names: tuple[str, str], key: str, one: Tensor, other: Tensor) -> Agreement:
    reason = obstacle(one) or obstacle(other)
    if one.shape != other.shape:
        reason = f"the methods differ in shape: {tuple(one.shape)} and {tuple(other.shape)}"
    if reason:
        ranks, top = (not_applicable(name, reason, key) for name in ("agreement", "agreement_at_the_top"))
        return Agreement(names, key, ranks, top, None)
    chance = chance_overlap(one[0].numel())
    note = f"{names[0]} and {names[1]}"
    return Agreement(
        names, key,
        measured("agreement", correlation(one, other), key, note=note),
        measured("agreement_at_the_top", overlap(one, other), key, note=f"{note}; by chance {chance:.2g}"),
        chance,
    )  # fmt: skip
