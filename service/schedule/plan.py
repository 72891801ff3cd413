"""What is due now, what was missed, and what becomes of it? Decided from the schedule and the time alone.

A window is the time between two nominal times, so it is the same whenever a scheduler wakes up. What was missed is
caught up as the schedule says (the latest only, each period, nothing), and every period that is not carried out is
recorded with the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from service.schedule.times import fires, next_after

CatchUp = Literal["latest_only", "each_period", "skip"]
GRACE = timedelta(minutes=5)
"""A slot begun within this of its time is on time: schedulers look every few seconds, and machines are busy."""
LATE = timedelta(hours=6)
MOST_PERIODS = 12
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    """The part of a schedule that tells time. `previous`: the nominal time before `due`; the start for the first."""

    cron: str
    zone: str
    due: datetime
    previous: datetime
    end: datetime | None
    catch_up: CatchUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One slot: its window [begin, end), and what is to become of it."""

    nominal: datetime
    begin: datetime
    end: datetime
    act: Literal["start", "missed", "skipped"]
    late_seconds: float
    said: str = ""

    @property
    def key(self) -> str:
        """What makes it unique within its schedule."""
        return f"time:{self.nominal:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Slots in the order of time, and where the schedule stands after them; `due` None: it never fires again."""

    slots: tuple[Planned, ...]
    due: datetime | None
    previous: datetime


def plan(clockwork: Clockwork, now: datetime) -> Plan:
    """Everything due up to `now` (included); nothing where that is not reached, also when the clock went back."""
    if clockwork.due > now:
        return Plan(slots=(), due=clockwork.due, previous=clockwork.previous)
    times = [clockwork.due, *islice(_due_since(clockwork, now), MOST_AT_ONCE - 1)]
    slots = tuple(_slots(times, clockwork, now))
    return Plan(
        slots=slots, due=next_after(clockwork.cron, clockwork.zone, times[-1], clockwork.end), previous=times[-1]
    )


def _due_since(clockwork: Clockwork, now: datetime) -> Iterator[datetime]:
    for moment in fires(clockwork.cron, clockwork.zone, clockwork.due, clockwork.end):
        if moment > now:
            return
        yield moment


def _slots(times: Sequence[datetime], clockwork: Clockwork, now: datetime) -> Iterator[Planned]:
    acts = _acts(times, clockwork.catch_up, now)
    for begin, nominal, (act, said) in zip([clockwork.previous, *times], times, acts, strict=False):
        yield Planned(
            nominal=nominal,
            begin=begin,
            end=nominal,
            act=act,
            late_seconds=max(0.0, (now - nominal).total_seconds()),
            said=said,
        )


def _acts(
    times: Sequence[datetime], catch_up: CatchUp, now: datetime
) -> list[tuple[Literal["start", "missed", "skipped"], str]]:
    """What becomes of each time, oldest first."""
    begun: tuple[Literal["start"], str] = ("start", "")
    if catch_up == "each_period":
        over = "no scheduler ran then, and more periods were missed than are caught up"
        return [begun if place < MOST_PERIODS else ("skipped", over) for place in range(len(times))]
    *earlier, last = times
    missed: list[tuple[Literal["start", "missed", "skipped"], str]] = [
        ("missed", "no scheduler ran then; a later one was due already when one did") for _ in earlier
    ]
    if catch_up == "skip" and now - last > GRACE:
        return [*missed, ("skipped", "no scheduler ran then, and this schedule does not catch up")]
    return [*missed, begun]
