"""What do the surrogates of many examples show together: which few examples, and which features over all?

Ribeiro, Singh and Guestrin, arXiv:1602.04938, section 4: features count by the square root of their weight over all
examples; examples are picked greedily, each for the weight of the features that the earlier ones do not show
(algorithm 2). Surrogates that do not fit are left out: their weights are not to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from service.contracts.outcome import NotApplicable
from workers.lime.outcome import Average, Example, Explanation, Picked, Picks, Summary
from workers.numerics.determinism import seed_for
from workers.numerics.intervals import bootstrap

MOST_FEATURES, MOST_GROUPS = 20, 20
"""Features summarised of each target and class, and pairs of target and class."""

_LEAST_EXAMPLES = 2
Meanings = Mapping[int, tuple[str, ...] | None]
"""For each example what its features are, whichever the example; None where they are its own."""


def picks(
    examples: Sequence[Example], weights: Mapping[int, Sequence[Sequence[float]]], meanings: Meanings, budget: int
) -> tuple[tuple[Picks, ...], tuple[NotApplicable, ...]]:
    """SP-LIME of each target. weights: by example, of each target and feature, 0 where it is not chosen."""
    if budget == 0 or len(examples) < _LEAST_EXAMPLES:
        return (), ()
    if any(each is None for each in meanings.values()):
        because = "features of one example are not those of another, so none of them can cover for it"
        return (), (NotApplicable(subject="SP-LIME", because=because),)
    made, missing = list[Picks](), list[NotApplicable]()
    for at, target in enumerate(one.target for one in examples[0].explanations):
        shown = {
            example.index: _named(weights[example.index][at], meanings[example.index] or ())
            for example in examples
            if example.explanations[at].legible
        }
        chosen, coverage = pick(shown, budget)
        if chosen:
            made.append(Picks(target=target, picked=chosen, coverage=coverage))
        else:
            missing.append(NotApplicable(subject=f"SP-LIME of {target}", because="no surrogate that fits has weights"))
    return tuple(made), tuple(missing)


def pick(shown: Mapping[int, Mapping[str, float]], budget: int) -> tuple[tuple[Picked, ...], float]:
    """Greedy coverage. shown: by example, the magnitude of each feature. Ties go to the example that comes first.

    Gains and coverage are shares of the weight of all features.
    """
    weight: dict[str, float] = {}
    for features in shown.values():
        for name, value in features.items():
            weight[name] = weight.get(name, 0.0) + value
    importance = {name: sqrt(value) for name, value in weight.items()}
    whole, covered, made = sum(importance.values()), set[str](), list[Picked]()
    while len(made) < min(budget, len(shown)) and whole > 0:
        left = [index for index in shown if index not in {each.index for each in made}]
        gains = {
            index: sum(importance[name] for name, value in shown[index].items() if value > 0 and name not in covered)
            for index in left
        }
        best = max(left, key=lambda index: gains[index])
        if gains[best] <= 0:
            break
        covered |= {name for name, value in shown[best].items() if value > 0}
        made.append(Picked(index=best, gain=gains[best] / whole))
    return tuple(made), sum(importance[name] for name in covered) / whole if whole > 0 else 0.0


def _named(weights: Sequence[float], meaning: Sequence[str]) -> dict[str, float]:
    """Magnitudes by what a feature is; features that are the same thing are one."""
    made: dict[str, float] = {}
    for name, value in zip(meaning, weights, strict=True):
        made[name] = made.get(name, 0.0) + abs(value)
    return made


def summaries(
    examples: Sequence[Example], whole: Mapping[int, Sequence[Sequence[float]]], meanings: Meanings
) -> tuple[Summary, ...]:
    """Each feature's mean coefficient and mean magnitude, for each target and class, the largest first.

    whole: by example, of each target and feature, of the surrogate on all features. A bootstrap over examples.
    """
    groups: dict[tuple[str, str | None], dict[str, list[float]]] = {}
    for example in examples:
        meaning = meanings[example.index]
        for at, one in enumerate(example.explanations):
            if meaning is None or not one.legible:
                continue
            group = groups.setdefault(_group(one), {})
            for name, value in zip(meaning, whole[example.index][at], strict=True):
                group.setdefault(name, []).append(value)
    made: list[Summary] = []
    for (target, class_name), features in list(groups.items())[:MOST_GROUPS]:
        of = [_summary(target, class_name, feature, values) for feature, values in features.items()]
        made += sorted(of, key=lambda each: (-each.absolute.value, each.feature))[:MOST_FEATURES]
    return tuple(made)


def _group(one: Explanation) -> tuple[str, str | None]:
    return one.target, one.class_name


def _summary(target: str, name: str | None, feature: str, values: list[float]) -> Summary:
    seed = seed_for(f"{target}/{name}/{feature}", 0)
    return Summary(
        target=target, class_name=name, feature=feature[:600], mean=Average.of(bootstrap(values, seed)),
        absolute=Average.of(bootstrap([abs(each) for each in values], seed)),
    )  # fmt: skip
