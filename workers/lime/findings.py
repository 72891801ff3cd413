"""What must a reader know before relying on these surrogates?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, groupby

from service.contracts.outcome import Finding
from workers.lime.outcome import Compared, Example, Explanation, LimeOutcome, Verified
from workers.lime.spec import Lime
from workers.numerics.intervals import mean_t

_NAMED = 5
_HALF = 0.5
LIME_TOLERANCE = 1e-5
"""Of lime's largest coefficient, and of R²: more than rounding between two solvers of one regression."""

Which = Callable[[Explanation], bool]


def findings(kind: Lime, outcome: LimeOutcome) -> tuple[Finding, ...]:  # type: ignore[type-arg] # of any parameters
    """The gravest first."""
    return tuple(
        chain(_differs(outcome), _unlike(kind, outcome), _still(outcome), _unstable(kind, outcome), _unsettled(outcome),
              _lost(outcome), _doubtful(outcome), _ties(outcome), _beside(kind, outcome))
    )  # fmt: skip


def place(example: Example, one: Explanation) -> str:
    """Which surrogate is meant."""
    return f"example {example.index}, {one.target}" + (f" ({one.class_name})" if one.class_name else "")


def _evidence(outcome: LimeOutcome, which: Which, said: Callable[[Explanation], str]) -> str:
    found = [f"{place(example, one)}: {said(one)}" for example, one in outcome.each if which(one)]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ("; ".join(found[:_NAMED]) + more)[:4000]


def _of(outcome: LimeOutcome, which: Which) -> str:
    return f"{sum(which(one) for _, one in outcome.each)} of {len(outcome.each)} surrogates"


def _unlike(kind: Lime, outcome: LimeOutcome) -> list[Finding]:  # type: ignore[type-arg] # as above
    def which(one: Explanation) -> bool:
        return one.verdict == "not locally linear"

    if not any(which(one) for _, one in outcome.each):
        return []
    return [
        Finding(
            code="not-locally-linear",
            severity="warning",
            raised_if="a linear surrogate tells too little of what changes on samples it was not fitted to",
            meaning=f"Around these examples the model is not a sum of {kind.noun} by {kind.noun} contributions:"
            f" {_of(outcome, which)} must not be read.",
            advice="Do not read these weights. Try a narrower kernel, another division into features, or an attribution"
            " method, which does not suppose that the model is linear.",
            evidence=_evidence(outcome, which, lambda one: f"held-out R² {_number(one.held_out)}"),
        )
    ]


def _still(outcome: LimeOutcome) -> list[Finding]:
    def which(one: Explanation) -> bool:
        return one.verdict == "nothing changes"

    if not any(which(one) for _, one in outcome.each):
        return []
    return [
        Finding(
            code="nothing-changes",
            severity="warning",
            raised_if="the target is the same at every sample, but for rounding",
            meaning=f"There is nothing to explain: {_of(outcome, which)} have no weights to read.",
            advice='If the scale is "probability", the model may be saturated: ask for scale "output". Otherwise choose'
            " another replacement for what is left out.",
            evidence=_evidence(outcome, which, lambda one: f"f(x) = {one.prediction:.6g}"),
        )
    ]


def _unstable(kind: Lime, outcome: LimeOutcome) -> list[Finding]:  # type: ignore[type-arg] # as above
    def which(one: Explanation) -> bool:
        return one.legible and one.overlap is not None and one.overlap < _HALF

    if not any(which(one) for _, one in outcome.each):
        return []
    return [
        Finding(
            code="unstable-ranking",
            severity="warning",
            raised_if=f"two runs with other samples have less than half of the chosen {kind.nouns} in common",
            meaning=f"Which {kind.nouns} are shown is mostly chance for {_of(outcome, which)}; large coefficients with"
            " narrow intervals can still be read.",
            advice='Ask for more samples, or for "settle", which takes as many as the ranking needs; or for fewer'
            f" {kind.nouns}.",
            evidence=_evidence(outcome, which, lambda one: f"overlap {_number(one.overlap)}"),
        )
    ]


def _unsettled(outcome: LimeOutcome) -> list[Finding]:
    def which(one: Explanation) -> bool:
        return one.settled is False

    if not any(which(one) for _, one in outcome.each):
        return []
    return [
        Finding(
            code="ranking-not-settled",
            severity="warning",
            raised_if="the gap between the last feature kept and the first left out is within its error at `most`"
            " samples",
            meaning=f"For {_of(outcome, which)} it remains open which of the two belongs among the features kept.",
            advice="Read both as equals, ask for fewer features, or raise `most`.",
            evidence=_evidence(outcome, which, lambda one: f"gap {_number(one.gap)} ± {_number(one.gap_error)}"),
        )
    ]


def _lost(outcome: LimeOutcome) -> list[Finding]:
    lost = [each for each in outcome.explained if each.lost]
    if not lost:
        return []
    said = [
        f"example {each.index}: {each.lost} of {each.samples}; {each.lost_because[:200]}".removesuffix("; ")
        for each in lost[:_NAMED]
    ]
    return [
        Finding(
            code="samples-lost",
            severity="warning",
            raised_if="the network raises, or gives no finite number, at some samples",
            meaning="Those samples are left out. They are seldom a random part of the neighbourhood, so that the"
            " surrogate speaks of the others alone.",
            advice="Choose another replacement for what is left out, or mend the network where it fails.",
            evidence="; ".join(said)[:4000],
        )
    ]


def _doubtful(outcome: LimeOutcome) -> list[Finding]:
    def which(one: Explanation) -> bool:
        return one.verdict == "doubtful"

    if not any(which(one) for _, one in outcome.each):
        return []
    return [
        Finding(
            code="surrogate-doubtful",
            severity="note",
            raised_if="something speaks against a surrogate, and not enough to say that it does not fit",
            meaning=f"{_of(outcome, which)} are to be read with care.",
            advice="Read what speaks against each, and look at the intervals before the order.",
            evidence=_evidence(outcome, which, lambda one: one.reason[:300]),
        )
    ]


def _apart(each: Verified, alpha: float) -> bool:
    """Whether ours and lime's surrogate are two: one that fits otherwise, or other coefficients of the same features
    where the regression has one solution."""
    if each.difference is None or each.score is None:
        return False
    return each.score > LIME_TOLERANCE or (bool(each.same_features) and alpha > 0 and each.difference > LIME_TOLERANCE)


def _differs(outcome: LimeOutcome) -> list[Finding]:
    alpha = outcome.settings["alpha"]
    assert isinstance(alpha, int | float)
    apart = [each for each in outcome.verified if _apart(each, alpha)]
    if not apart:
        return []
    return [
        Finding(
            code="lime-differs",
            severity="failure",
            raised_if=f"lime's surrogate of the same samples differs by more than {LIME_TOLERANCE:g}",
            meaning="Two implementations of one regression give different numbers; at least one is wrong.",
            advice="Do not use these coefficients; report the analysis with its id.",
            evidence=_listed(apart),
        )
    ]


def _ties(outcome: LimeOutcome) -> list[Finding]:
    alpha = outcome.settings["alpha"]
    assert isinstance(alpha, int | float)
    tied = [each for each in outcome.verified if each.same_features is False and not _apart(each, alpha)]
    if not tied:
        return []
    return [
        Finding(
            code="lime-chooses-otherwise",
            severity="note",
            raised_if="lime keeps other features, and both surrogates fit alike",
            meaning="Some features are tied: which of them are kept is decided by rounding.",
            advice="Read the features in question as equals.",
            evidence=_listed(tied),
        )
    ]


def _listed(found: Iterable[Verified]) -> str:
    said = [f"example {each.index}, {each.target}: coefficients {_number(each.difference)}, R² {_number(each.score)}"
            for each in found]  # fmt: skip
    return "; ".join(said[:_NAMED])[:4000]


def _beside(kind: Lime, outcome: LimeOutcome) -> list[Finding]:  # type: ignore[type-arg] # as above
    made = []
    by_target = sorted((each for each in outcome.compared if each.top is not None), key=_asked)
    for (target, method), some in groupby(by_target, _asked):
        listed = list(some)
        mean = mean_t([each.top for each in listed if each.top is not None])
        chance = max(each.chance or 0.0 for each in listed)
        if mean.value >= _HALF:
            continue
        made.append(
            Finding(
                code="methods-disagree",
                severity="note",
                raised_if=f"less than half of the {kind.nouns} that the surrogates keep are the strongest of {method},"
                " as a mean over examples",
                meaning=f"Which {kind.nouns} matter depends on the method: LIME asks what happens when a {kind.noun} is"
                f" taken away, {method.replace('_', ' ')} how the target is made up at the example. Neither is wrong"
                " for its question.",
                advice=f"Report both, say which question each answers, and rely on {kind.nouns} that both name.",
                evidence=f"{target}: {mean.value:.2g} in common, by chance up to {chance:.2g}, n = {mean.n}",
            )
        )
    return made


def _asked(each: Compared) -> tuple[str, str]:
    return each.target, each.method


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
