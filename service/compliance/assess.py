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
MOST_TIMES = 1000.0
"""An interval that would have to narrow more than this says nothing of how many examples would decide."""
TIER_FACTOR = {"high": 1, "medium": 2, "low": 4}
WORST_FIRST = (Status.NOT_MET, Status.STALE, Status.INSUFFICIENT, Status.MET, Status.NOT_APPLICABLE)
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

    `evidence`: the latest candidate, None: there is none, and `missing` says why not. `others`: of several lines
    (layers, classes) the rest; the worst judged of them all counts. `reference_missing`: it is relative to a level that
    nobody declared, or to a baseline that nobody approved. `until`: what was stated counts before that time.
    `by_hand`: of the attempts, those that no schedule made. `note`: what a reader must know beside the value.
    `applies`: False where the requirement's own predicate does not hold.
    """

    evidence: Evidence | None = None
    others: tuple[Evidence, ...] = ()
    missing: Why = Why.NONE
    reference_missing: bool = False
    until: datetime | None = None
    attempts: int = 0
    failed_attempts: int = 0
    by_hand: int = 0
    note: str = ""
    applies: bool = True


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
        retried=any(
            found.by_hand > 0 and found.attempts > 1
            for (name, _), found in question.found.items()
            if name == control.id and judged
        ),
        tailored=control.id in question.tailored,
    )


def _requirement(
    requirement: Requirement, control: str, place: int, question: Question, guard: Assessed | None
) -> Judged:
    found = question.found.get((control, place), Found())
    own = question.set_by.get((control, place))
    applied = requirement if own is None else _with(requirement, own)
    days = applied.fresh * TIER_FACTOR[question.tier]
    bar = _Bar(requirement=applied, days=days, as_of=question.as_of, found=found, guard=guard)
    verdict = _judge(bar)
    evidence, deciding = verdict.evidence, None
    if verdict.why is Why.INCONCLUSIVE:
        deciding = _deciding(applied, evidence)
    return Judged(
        requirement=applied,
        threshold=applied.threshold,
        threshold_owner="" if own is None else own.owner,
        threshold_reason="" if own is None else own.reason,
        status=verdict.status,
        why=verdict.why,
        said=_said(bar, verdict, deciding),
        evidence=evidence,
        attempts=found.attempts,
        failed_attempts=found.failed_attempts,
        age_days=None if evidence is None else _age(evidence, question.as_of),
        fresh_days=days,
        deciding_n=deciding,
    )


def _with(requirement: Requirement, own: Set) -> Requirement:
    """The requirement as the organisation has it."""
    changed = {"threshold": own.threshold, "n": own.n, "fresh": own.fresh}
    return requirement.model_copy(update={name: value for name, value in changed.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """What a candidate is held against."""

    requirement: Requirement
    days: int
    as_of: datetime
    found: Found
    guard: Assessed | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one candidate shows."""

    status: Status
    why: Why | None
    said: str
    evidence: Evidence | None = None


def _judge(bar: _Bar) -> _Verdict:
    """The worst of all candidates' verdicts; of equals the first, which is the one farthest on the bad side."""
    found = bar.found
    if not found.applies:
        return _Verdict(Status.NOT_APPLICABLE, None, f"it is asked where: {bar.requirement.applies}")
    if found.evidence is None:
        return _Verdict(Status.INSUFFICIENT, found.missing, WHY_NOT[found.missing])
    every = [_verdict(bar, evidence) for evidence in (found.evidence, *found.others)]
    return min(every, key=lambda verdict: WORST_FIRST.index(verdict.status))


def _said(bar: _Bar, verdict: _Verdict, deciding: int | None) -> str:
    words = [verdict.said]
    if deciding is not None:
        where = ", here and in the baseline," if bar.requirement.relative_to in _BASELINES else ""
        words.append(f"about {display(deciding, 2, count=True)} examples{where} would decide")
    if verdict.evidence is not None and bar.found.others:
        words.append(f"the worst of {1 + len(bar.found.others)}")
    if bar.found.note:
        words.append(bar.found.note)
    return "; ".join(words)[:4000]


def _age(evidence: Evidence, as_of: datetime) -> float:
    """Days; what is read off the store as the report is made has none."""
    return max(0.0, (as_of - evidence.at) / DAY)


def _verdict(bar: _Bar, evidence: Evidence) -> _Verdict:
    """Rules 5 to 7 for one candidate, in their order."""
    requirement, found = bar.requirement, bar.found
    shown, age = _shown(requirement, evidence), _age(evidence, bar.as_of)
    if found.until is not None and found.until <= bar.as_of:
        return _Verdict(Status.STALE, None, f"{shown}; it counted until {found.until:%Y-%m-%d}", evidence)
    if age > bar.days:
        return _Verdict(Status.STALE, None, f"{shown}, {_days(age)} old; it counts for {_days(bar.days)}", evidence)

    def insufficient(why: Why, because: str) -> _Verdict:
        return _Verdict(Status.INSUFFICIENT, why, f"{shown}; {because}", evidence)

    if evidence.n < requirement.n:
        return insufficient(Why.POWER, f"n is {evidence.n}, and {requirement.n} are asked for")
    if bar.guard is not None and bar.guard.status is not Status.MET:
        return insufficient(Why.GUARD, f"it counts once {bar.guard.control.id} is met, which it is not")
    if requirement.threshold is None:
        return insufficient(Why.NO_THRESHOLD, "no threshold is set")
    if found.reference_missing and requirement.relative_to == "declared":
        return insufficient(Why.NO_THRESHOLD, "no level is declared to hold it against")
    if found.reference_missing:
        return insufficient(Why.NO_BASELINE, "no approved baseline holds a value to compare it with")
    status, why_not, said = _compared(requirement, evidence, requirement.threshold, shown)
    return _Verdict(status, why_not, said, evidence)


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


def _deciding(requirement: Requirement, evidence: Evidence | None) -> int | None:
    """About how many examples would decide, were the value to stay: an interval narrows as one over the root of n."""
    threshold = requirement.threshold
    if evidence is None or threshold is None or evidence.low is None or evidence.high is None:
        return None
    distance = abs(evidence.value - threshold)
    good = _HOLDS[requirement.op](evidence.value, threshold)
    below = (requirement.op in {">=", ">"}) == good
    reach = evidence.value - evidence.low if below else evidence.high - evidence.value
    if reach <= 0 or evidence.n < 1 or distance * MOST_TIMES < reach:
        return None
    return math.ceil(evidence.n * (reach / distance) ** 2)


def _shown(requirement: Requirement, evidence: Evidence) -> str:
    metric = METRICS[requirement.metric]
    if requirement.source == "attestation" and evidence.said:
        return evidence.said
    interval = ""
    if evidence.low is not None and evidence.high is not None:
        interval = f" [{display(evidence.low, 3)}, {display(evidence.high, 3)}]"
    where = f" at {evidence.layer}" if evidence.layer else ""
    # Without a reference the value is shown as it was measured.
    against = "" if evidence.reference is None else _AGAINST[requirement.relative_to]
    return f"{metric.title}{against}{where}: {display(evidence.value, 3)}{interval}"


_AGAINST = {
    "nothing": "",
    "declared": ", less the level declared",
    "baseline": ", less the baseline's",
    "baseline_ratio": ", over the baseline's",
}
_BASELINES = frozenset({"baseline", "baseline_ratio"})


def _days(count: float) -> str:
    return f"{display(count, 3)} days"
