"""What does the evidence show of every control? One pure function: the same evidence always gives the same answer.

The order of its rules is the contract: not applicable; candidates; none; the latest, never the best; stale; too few,
guarded, no threshold, no baseline; compared, three-way where the rule is an interval's; a control is its worst
requirement. Overlays (waived, changed, retried) never replace a status. There is no score.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from service.contracts.compliance import (
    Assessed,
    Comparator,
    Control,
    Evidence,
    Excepted,
    Judged,
    Requirement,
    Status,
    Why,
)
from service.contracts.section import display, exact
from service.contracts.vocabulary import METRICS

DAY = timedelta(days=1)
TIER_FACTOR = {"high": 1, "medium": 2, "low": 4}
WORST_FIRST = (Status.NOT_MET, Status.STALE, Status.INSUFFICIENT, Status.MET)
WHY_NOT = {
    Why.NONE: "nothing was measured",
    Why.UNMEASURED: "nothing measures this yet",
    Why.SUBJECT_CHANGED: "it was measured on another version of the model only",
    Why.CONFIG_MISMATCH: "it was measured with other settings or data than are asked for",
    Why.UNVERIFIED: "what was measured is not what the log says of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to answer one requirement.

    `evidence`: the latest candidate (of several lines the worst), None: there is none, and `missing` says why not.
    `reference_missing`: it is relative to a level that nobody declared, or to a baseline that nobody approved.
    """

    evidence: Evidence | None = None
    missing: Why = Why.NONE
    reference_missing: bool = False
    attempts: int = 0
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A threshold as the organisation set it; what it did not set stays the library's."""

    owner: str
    reason: str
    threshold: float | None = None
    n: int | None = None
    fresh: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything an assessment rests on.

    `found`: (control, place of the requirement) -> what there is. `set_by`: the same, where the organisation set a
    threshold. `applies`: control -> whether its predicate holds. `before`: control -> its status in the report before.
    """

    controls: Sequence[Control]
    found: Mapping[tuple[str, int], Found]
    as_of: datetime
    tier: Literal["high", "medium", "low"]
    applies: Mapping[str, bool]
    set_by: Mapping[tuple[str, int], Set] = field(default_factory=dict)
    exceptions: Mapping[str, Excepted] = field(default_factory=dict)
    before: Mapping[str, Status] = field(default_factory=dict)
    tailored: frozenset[str] = frozenset()


def assess(question: Question) -> tuple[Assessed, ...]:
    """Every control in the order given; guards are judged before those they guard."""
    done: dict[str, Assessed] = {}
    by_id = {control.id: control for control in question.controls}

    def judged(control: Control) -> Assessed:
        if control.id not in done:
            guard = by_id.get(control.guard) if control.guard else None
            done[control.id] = _control(control, question, None if guard is None else judged(guard))
        return done[control.id]

    return tuple(judged(control) for control in question.controls)


def _control(control: Control, question: Question, guard: Assessed | None) -> Assessed:
    exception = question.exceptions.get(control.id)
    before = question.before.get(control.id)
    judged: tuple[Judged, ...] = ()
    if not question.applies.get(control.id, True):
        status, said = Status.NOT_APPLICABLE, f"it applies where: {control.applies}"
    elif exception is not None and exception.effect == "not_applicable":
        status = Status.NOT_APPLICABLE
        said = f"{exception.decided_by} marked it as not applicable: {exception.reason}"
    else:
        judged = tuple(
            _requirement(requirement, control.id, place, question, guard)
            for place, requirement in enumerate(control.requirements)
        )
        status = next(word for word in WORST_FIRST if any(one.status is word for one in judged))
        said = "; ".join(one.said for one in judged if one.status is status)
    return Assessed(
        control=control,
        status=status,
        said=said[:4000],
        judged=judged,
        exception=exception,
        changed_from=before if before is not None and before is not status else None,
        retried=any(one.attempts > 1 for one in judged),
        tailored=control.id in question.tailored,
    )


def _requirement(
    requirement: Requirement, control: str, place: int, question: Question, guard: Assessed | None
) -> Judged:
    found = question.found.get((control, place), Found())
    own = question.set_by.get((control, place))
    threshold = requirement.threshold if own is None or own.threshold is None else own.threshold
    enough = requirement.n if own is None or own.n is None else own.n
    days = (requirement.fresh if own is None or own.fresh is None else own.fresh) * TIER_FACTOR[question.tier]
    age = None if found.evidence is None else (question.as_of - found.evidence.at) / DAY
    status, why, said = _verdict(requirement, found, threshold, enough, days, age, guard)
    deciding = _deciding(requirement, found.evidence, threshold) if why is Why.INCONCLUSIVE else None
    return Judged(
        requirement=requirement,
        threshold=threshold,
        threshold_owner="" if own is None else own.owner,
        threshold_reason="" if own is None else own.reason,
        status=status,
        why=why,
        said=said if deciding is None else f"{said}; about {display(deciding, 2, count=True)} examples would decide",
        evidence=found.evidence,
        attempts=found.attempts,
        failed_attempts=found.failed_attempts,
        age_days=age,
        fresh_days=days,
        deciding_n=deciding,
    )


def _verdict(
    requirement: Requirement,
    found: Found,
    threshold: float | None,
    enough: int,
    days: int,
    age: float | None,
    guard: Assessed | None,
) -> tuple[Status, Why | None, str]:
    evidence = found.evidence
    if evidence is None or age is None:
        return Status.INSUFFICIENT, found.missing, WHY_NOT[found.missing]
    shown = _shown(requirement, evidence)
    if age > days:
        return Status.STALE, None, f"{shown}, {_days(age)} old; it counts for {_days(days)}"
    if found.reference_missing:
        if requirement.relative_to == "declared":
            return Status.INSUFFICIENT, Why.NO_THRESHOLD, f"{shown}; no level is declared to hold it against"
        return Status.INSUFFICIENT, Why.NO_BASELINE, f"{shown}; no baseline is approved to hold it against"
    if evidence.n < enough:
        return Status.INSUFFICIENT, Why.POWER, f"{shown}; n is {evidence.n}, and {enough} are asked for"
    if guard is not None and guard.status is not Status.MET:
        return Status.INSUFFICIENT, Why.GUARD, f"{shown}; it counts once {guard.control.id} is met, which it is not"
    if threshold is None:
        return Status.INSUFFICIENT, Why.NO_THRESHOLD, f"{shown}; no threshold is set"
    return _compared(requirement, evidence, threshold, shown)


def _compared(
    requirement: Requirement, evidence: Evidence, threshold: float, shown: str
) -> tuple[Status, Why | None, str]:
    wanted = f"{requirement.op} {exact(threshold)}"
    holds = _HOLDS[requirement.op]
    if requirement.rule != "ci":
        good = holds(evidence.value, threshold)
        return (Status.MET if good else Status.NOT_MET), None, f"{shown}; asked for is {wanted}"
    if evidence.low is None or evidence.high is None:
        return Status.INSUFFICIENT, Why.INCONCLUSIVE, f"{shown}, without an interval; asked for is {wanted}, surely"
    ends = (holds(evidence.low, threshold), holds(evidence.high, threshold))
    if all(ends):
        return Status.MET, None, f"{shown}; the whole interval is {wanted}{_bound(requirement)}"
    if not any(ends):
        return Status.NOT_MET, None, f"{shown}; the whole interval is on the wrong side of {wanted}"
    return Status.INSUFFICIENT, Why.INCONCLUSIVE, f"{shown}; the interval lies on both sides of {wanted}"


_HOLDS: dict[Comparator, Callable[[float, float], bool]] = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "==": lambda value, limit: value == limit,
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
}


def _bound(requirement: Requirement) -> str:
    """What attacks find is an upper bound, so holding means not shown to fail."""
    upper = requirement.metric == "robust_accuracy"
    return ", so it is not shown to fail by the attacks that were run (an upper bound of the truth)" if upper else ""


def _deciding(requirement: Requirement, evidence: Evidence | None, threshold: float | None) -> int | None:
    """About how many examples would decide, were the value to stay: an interval narrows as one over the root of n."""
    if evidence is None or threshold is None or evidence.low is None or evidence.high is None:
        return None
    distance = abs(evidence.value - threshold)
    good = _HOLDS[requirement.op](evidence.value, threshold)
    below = (requirement.op in {">=", ">"}) == good
    reach = evidence.value - evidence.low if below else evidence.high - evidence.value
    if distance == 0 or reach <= 0 or evidence.n < 1:
        return None
    needed = evidence.n * (reach / distance) ** 2
    return math.ceil(needed) if needed < 1e9 else None


def _shown(requirement: Requirement, evidence: Evidence) -> str:
    metric = METRICS[requirement.metric]
    if requirement.source == "attestation" and evidence.said:
        return evidence.said
    interval = ""
    if evidence.low is not None and evidence.high is not None:
        interval = f" [{display(evidence.low, 3)}, {display(evidence.high, 3)}]"
    where = f" at {evidence.layer}" if evidence.layer else ""
    against = _AGAINST[requirement.relative_to]
    return f"{metric.title}{against}{where}: {display(evidence.value, 3)}{interval}"


_AGAINST = {
    "nothing": "",
    "declared": ", less the level declared",
    "baseline": ", less the baseline's",
    "baseline_ratio": ", over the baseline's",
}


def _days(count: float) -> str:
    return f"{display(count, 3)} days"
