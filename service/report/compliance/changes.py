"""What is different since the report before? Statuses, measurements, demands, versions, waivers, missed runs: apart."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime

from service.contracts.compliance import Assessed, Judged
from service.contracts.section import Blank, Number
from service.report.compliance import wording
from service.report.compliance.front import (
    Changes,
    Delta,
    MissedRun,
    Since,
    ThresholdChange,
    Transition,
    VersionChange,
    WaiverChange,
)
from service.report.compliance.given import DueSlot, Given, Prior, Verdict
from service.report.twin import moment

WELL = frozenset({"done", "succeeded", "finished", "completed", "running", "queued", "started", "due"})
LATE_HOURS = 6
FIRST = "This is the first report on this model: there is nothing to compare it with."
UNSIGNED = (
    "No earlier report was approved. Changes are told from the last one that was made, which nobody has approved."
)
SIGNED = (
    "Changes are told from the last approved report. The interval of a change takes the two measurements as"
    " independent (Zou and Donner's square-and-add of both intervals); on the same examples it is wider than need be."
)
WHOLE = -1


def changes(given: Given) -> Changes:
    """Everything that is different, each sort apart: a threshold that moved is no measurement that moved."""
    prior = given.prior
    before = {} if prior is None else {(one.control, one.position): one for one in prior.verdicts}
    return Changes(
        since=None if prior is None else _since(prior),
        said=FIRST if prior is None else SIGNED if prior.approved_at else UNSIGNED,
        transitions=tuple(_transitions(given, before)) if prior else (),
        measured=tuple(_deltas(given, before)),
        thresholds=tuple(_thresholds(given, before)),
        versions=tuple(_versions(given, prior, before)) if prior else (),
        waivers=tuple(sorted(_waivers(given), key=lambda one: (one.at.at, one.control, one.what))),
        missed=tuple(_missed(slot) for slot in sorted(given.slots, key=_due) if _amiss(slot)),
    )


def change_lines(changed: Changes) -> tuple[str, ...]:
    """The changes in a few lines for the first page."""
    if changed.since is None:
        return (changed.said, *_missed_line(changed))
    parts = (
        (len(changed.transitions), "control changed its status", "controls changed their status"),
        (len(changed.measured), "measured value moved", "measured values moved"),
        (len(changed.thresholds), "threshold was changed", "thresholds were changed"),
        (len(changed.versions), "version or digest is another", "versions or digests are others"),
        (len(changed.waivers), "event on a waiver", "events on waivers"),
    )
    lines = tuple(wording.plural(count, one, more) + "." for count, one, more in parts if count)
    moved = tuple(
        f"{one.control} {one.title}: {one.before} before, {wording.STATUS[one.after]} now."
        for one in changed.transitions
    )
    return (*moved[:8], *lines, *_missed_line(changed)) or ("Nothing changed.",)


def _missed_line(changed: Changes) -> tuple[str, ...]:
    count = len(changed.missed)
    return (wording.plural(count, "scheduled run was", "scheduled runs were") + " missed, failed or late.",) * bool(
        count
    )


def _since(prior: Prior) -> Since:
    approved = "It was never approved."
    if prior.approved_at is not None:
        approved = f"Approved by {prior.approved_by or 'somebody unnamed'} on {moment(prior.approved_at).display}."
    return Since(report=prior.id, as_of=moment(prior.as_of), digest=prior.twin_digest, approved=wording.long(approved))


Before = Mapping[tuple[str, int], Verdict]


def _transitions(given: Given, before: Before) -> Iterator[Transition]:
    for one in given.assessment.controls:
        was = before.get((one.control.id, WHOLE))
        if was is None or was.status is not one.status:
            yield Transition(
                control=one.control.id,
                title=one.control.title,
                before=wording.STATUS[was.status] if was else "not in that report",
                after=one.status,
                said=one.said,
            )


def _pairs(given: Given, before: Before) -> Iterator[tuple[Assessed, Judged, Verdict]]:
    """Each requirement with the earlier verdict on the same metric at the same place."""
    for one in given.assessment.controls:
        for place, judged in enumerate(one.judged):
            was = before.get((one.control.id, place))
            if was is not None and was.metric == judged.requirement.metric:
                yield one, judged, was


def _deltas(given: Given, before: Before) -> Iterator[Delta]:
    for one, judged, was in _pairs(given, before):
        found, metric = judged.evidence, judged.requirement.metric
        new = None if found is None else found.value
        if new == was.value:
            continue
        ends = (was.low, was.high, found.low, found.high) if found else (None,)
        change = (
            _difference(was, found.value, found.low, found.high, metric) if found and was.value is not None else None
        )
        yield Delta(
            control=one.control.id,
            metric=wording.title_of(metric),
            before=wording.estimate_or(was.value, "no value then", low=was.low, high=was.high, metric=metric),
            after=Blank(because="no value now")
            if found is None
            else wording.estimate(found.value, found.low, found.high, metric=metric),
            change=change or Blank(because="one of the two values is missing"),
            reading=_reading(change, rising_is_good=judged.requirement.op in {">=", ">"}, exact=None in ends),
        )


def _difference(was: Verdict, value: float, low: float | None, high: float | None, metric: str) -> Number:
    """After minus before; the interval by squaring and adding the distances of both intervals' ends (MOVER)."""
    assert was.value is not None
    moved = value - was.value
    if was.low is None or was.high is None or low is None or high is None:
        return wording.estimate(moved, metric=metric)
    below = math.hypot(value - low, was.high - was.value)
    above = math.hypot(high - value, was.value - was.low)
    return wording.estimate(moved, moved - below, moved + above, metric=metric)


def _reading(change: Number | None, *, rising_is_good: bool, exact: bool) -> str:
    if change is None:
        return "Not comparable."
    better = (change.value > 0) is rising_is_good
    if exact:
        return ("Better" if better else "Worse") + "; without intervals nothing says whether by chance."
    assert change.low is not None
    assert change.high is not None
    if change.low <= 0 <= change.high:
        return "Within chance: the interval holds zero."
    return "Better, beyond chance." if better else "Worse, beyond chance."


def _thresholds(given: Given, before: Before) -> Iterator[ThresholdChange]:
    for one, judged, was in _pairs(given, before):
        if judged.threshold == was.threshold:
            continue
        yield ThresholdChange(
            control=one.control.id,
            metric=wording.title_of(judged.requirement.metric),
            before=_set(was.threshold),
            after=_set(judged.threshold),
            set_by=judged.threshold_owner or "the library",
            reason=judged.threshold_reason,
        )


def _set(value: float | None) -> Number | Blank:
    return Blank(because="no threshold is set") if value is None else wording.chosen(value)


def _versions(given: Given, prior: Prior, before: Before) -> Iterator[VersionChange]:
    now = given.assessment
    data = {each.role: each.digest for each in given.data}
    compared = [
        ("Model version", prior.model_version, now.model_version),
        ("Model digest", prior.model_digest, now.model_digest),
        ("Library", prior.library, now.library),
        ("Policy", prior.policy, now.policy),
        ("Policy digest", prior.policy_digest, now.policy_digest),
        ("Lamina version", prior.lamina_version, given.asked.lamina_version),
        *((f"Dataset digest ({role})", prior.datasets.get(role, "none"), data.get(role, "none"))
          for role in sorted(prior.datasets.keys() | data.keys())),
    ]  # fmt: skip
    for what, was, is_now in compared:
        if was != is_now:
            yield VersionChange(what=wording.name(what), before=wording.short(was), after=wording.short(is_now))
    kept = {one.control.id for one in now.controls}
    for control in sorted({control for control, place in before if place == WHOLE} - kept):
        yield VersionChange(what=f"Control {control}", before="demanded", after="not demanded any more")


def _waivers(given: Given) -> Iterator[WaiverChange]:
    """Decisions and endings after the report before (or the window's start) and up to this one's time."""
    start = given.prior.as_of if given.prior else given.asked.window_from
    for waiver in given.waivers:
        happened = [
            (waiver.decision or "decided", waiver.decided_at, waiver.decided_by),
            ("withdrawn", waiver.withdrawn_at, "the organisation"),
            ("expired", waiver.expires_at if waiver.decision == "granted" and not waiver.withdrawn_at else None, None),
        ]
        for what, at, by in happened:
            if at is not None and start < at <= given.asked.as_of:
                yield WaiverChange(
                    control=waiver.control, what=what, at=moment(at), by=wording.short(by or "by itself")
                )


def _due(slot: DueSlot) -> tuple[datetime, str, int]:
    return slot.nominal_at, slot.schedule, slot.attempt


def _amiss(slot: DueSlot) -> bool:
    return slot.state not in WELL or slot.late_seconds > LATE_HOURS * wording.HOUR


def _missed(slot: DueSlot) -> MissedRun:
    late = f"begun {wording.chosen(round(slot.late_seconds / wording.HOUR, 1)).display} hours after it was due"
    said = slot.said or (late if slot.late_seconds else "")
    if slot.attempt > 1:
        said = f"{said}; attempt {slot.attempt}" if said else f"attempt {slot.attempt}"
    return MissedRun(
        schedule=wording.name(slot.schedule),
        purpose=wording.short(slot.purpose),
        due=moment(slot.nominal_at),
        state=slot.state if slot.state not in WELL else "late",
        said=wording.long(said),
    )
