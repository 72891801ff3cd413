"""Which alerts should be open now? A pure answer from what is known: the rest is opening and closing the difference.

So an alert is opened once, stays open while its cause lasts, and closes by itself; looking twice changes nothing.
Texts state what was measured or missed, never what follows from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
CRITICAL_CONTROLS = frozenset({"INT-01", "REP-02"})
WAIVER_STAGES = (timedelta(0), timedelta(days=7), timedelta(days=30))
TOLD_AFTER_END = timedelta(days=7)
UNSIGNED_AFTER = timedelta(days=10)
FAILED_SLOTS = frozenset({"missed", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What the newest report on a model says of one control, and what the one before it said (None: there was none)."""

    model_name: str
    report: str
    control: str
    status: str
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An exception that was granted."""

    id: str
    control: str
    model_name: str | None
    expires_at: datetime
    renewed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """A report that waits for a signature."""

    id: str
    model_name: str
    generated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A schedule and the states of its last slots, the newest first."""

    id: str
    name: str
    model_name: str
    states: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything alerts are decided from, of one tenant."""

    concluded: Sequence[Concluded] = ()
    endings: Sequence[Ending] = ()
    unsigned: Sequence[Unsigned] = ()
    schedules: Sequence[Missed] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One alert that should be open."""

    key: str
    severity: Severity
    text: str
    model_name: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)


def wanted(known: Known, now: datetime) -> dict[str, Wanted]:
    """Every alert that should be open, by its key."""
    found = (*_controls(known), *_waivers(known, now), *_reports(known, now), *_schedules(known))
    return {each.key: each for each in found}


def reaches(severity: str, least: str) -> bool:
    """Whether an alert is grave enough for who asked for `least` and above."""
    order: Sequence[str] = SEVERITIES
    return order.index(severity) >= order.index(least)


def _controls(known: Known) -> Iterator[Wanted]:
    for each in known.concluded:
        if each.status not in {"not_met", "stale"}:
            continue
        words = each.status.replace("_", " ")
        was = "" if each.before is None else f"; the report before said {each.before.replace('_', ' ')}"
        if each.status == "stale":
            severity: Severity = "medium"
        else:
            severity = "critical" if each.control in CRITICAL_CONTROLS else "high"
        yield Wanted(
            key=f"control:{each.model_name}:{each.control}:{each.status}"[:255],
            severity=severity,
            text=f"{each.control} of {each.model_name} is {words} in the newest report{was}.",
            model_name=each.model_name,
            detail={"control": each.control, "status": each.status, "before": each.before, "report": each.report},
        )


def _waivers(known: Known, now: datetime) -> Iterator[Wanted]:
    for each in known.endings:
        left = each.expires_at - now
        if each.renewed or left > WAIVER_STAGES[-1] or left < -TOLD_AFTER_END:
            continue
        stage = next(limit for limit in WAIVER_STAGES if left <= limit)
        ended = stage == timedelta(0)
        when = f"ended on {each.expires_at:%Y-%m-%d}" if ended else f"ends on {each.expires_at:%Y-%m-%d}"
        yield Wanted(
            key=f"waiver:{each.id}:{stage.days}",
            severity="high" if ended else "medium" if stage.days <= 7 else "low",
            text=f"The exception to {each.control} of {each.model_name or 'every model'} {when}.",
            model_name=each.model_name,
            detail={"waiver": each.id, "control": each.control, "days": stage.days},
        )


def _reports(known: Known, now: datetime) -> Iterator[Wanted]:
    for each in known.unsigned:
        if now - each.generated_at >= UNSIGNED_AFTER:
            yield Wanted(
                key=f"unsigned:{each.id}",
                severity="medium",
                text=f"The report on {each.model_name} of {each.generated_at:%Y-%m-%d} has not been decided on for ten"
                " days.",
                model_name=each.model_name,
                detail={"report": each.id},
            )


def _schedules(known: Known) -> Iterator[Wanted]:
    for each in known.schedules:
        last = list(each.states[:2])
        if len(last) == 2 and set(last) <= FAILED_SLOTS:
            yield Wanted(
                key=f"schedule:{each.id}",
                severity="high",
                text=f"The schedule {each.name!r} of {each.model_name} was not carried out twice in a row.",
                model_name=each.model_name,
                detail={"schedule": each.id, "slots": last},
            )
