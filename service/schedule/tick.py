"""How does a due time become a slot, once? In one short transaction per schedule, with what it starts inside it.

The schedule moves on by compare-and-swap and a slot's key is unique within it, so any number of schedulers may tick.
Who is killed before the commit has written neither the slot nor what it starts; the next tick does both.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.clock import Clock
from service.contracts.problem import Reason
from service.schedule.plan import Clockwork, Planned, plan
from service.schedule.triggers import Caused, causes
from service.store.base import new_id
from service.store.database import Database
from service.store.ledger import record
from service.store.system import system_session
from service.store.tables_compliance import Schedule, Slot

log = logging.getLogger("lamina.scheduler")
MOST_ATTEMPTS = 3
BACKOFF = timedelta(minutes=5)


class CannotStart(Exception):
    """What a slot is for cannot be started. `later`: trying again can help."""

    def __init__(self, reason: Reason, *, later: bool = False) -> None:
        super().__init__(reason.detail)
        self.reason, self.later = reason, later


class Starts(Protocol):
    """What starts audits and reports, in the slot's own transaction."""

    def start(self, session: Session, schedule: Schedule, slot: Slot) -> None:
        """Start what the slot is for, and write its id into the slot. Raises CannotStart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Turns what is due into slots."""

    database: Database
    clock: Clock
    starts: Starts

    def tick(self) -> int:
        """Take every step that is due now; returns how many slots were written or tried again.

        A step that fails (the database, a zone that is gone) is undone and taken again by the next tick; it does not
        keep others from being taken, and the first such error is raised after them.
        """
        now = self.clock.now()
        with system_session(self.database, writes=False) as session:
            due = session.scalars(
                select(Schedule.id)
                .where(Schedule.ended_at.is_(None), Schedule.paused_at.is_(None), Schedule.next_at <= now)
                .order_by(Schedule.id)
            ).all()
            watching = [
                row.id
                for row in session.scalars(
                    select(Schedule).where(Schedule.ended_at.is_(None), Schedule.paused_at.is_(None))
                )
                if row.triggers
            ]
            waiting = session.scalars(
                select(Slot.id).where(Slot.state == "waiting", Slot.created_at <= now).order_by(Slot.id)
            ).all()
        steps = [
            *(partial(self._on_time, schedule) for schedule in due),
            *(partial(self._on_events, schedule) for schedule in watching),
            *(partial(self._again, slot) for slot in waiting),
        ]
        written, errors = 0, []
        for step in steps:
            try:
                written += step(now)
            except Exception as error:  # noqa: BLE001  # raised below, once the others have had their turn
                errors.append(error)
        if errors:
            raise errors[0]
        return written

    def _on_time(self, schedule_id: UUID, now: datetime) -> int:
        with system_session(self.database) as session:
            row = _locked(session, schedule_id)
            if row is None or row.cron is None or row.next_at is None or row.next_at > now:
                return 0
            made = plan(
                Clockwork(
                    cron=row.cron,
                    zone=row.zone,
                    due=row.next_at,
                    previous=row.previous_at or row.start_at,
                    end=row.end_at,
                    catch_up=row.catch_up,  # type: ignore[arg-type]  # the table holds no other words
                ),
                now,
            )
            moved = session.scalar(
                update(Schedule)
                .where(Schedule.id == row.id, Schedule.next_at == row.next_at)
                .values(next_at=made.due, previous_at=made.previous)
                .returning(Schedule.id)
                .execution_options(synchronize_session=False)
            )
            if moved is None:
                return 0
            slots = [_planned(row, each, now) for each in made.slots]
            self._carry_out(session, row, slots, now)
            return len(slots)

    def _on_events(self, schedule_id: UUID, now: datetime) -> int:
        with system_session(self.database) as session:
            row = _locked(session, schedule_id)
            if row is None:
                return 0
            known = set(session.scalars(select(Slot.key).where(Slot.schedule_id == row.id, Slot.cause != "time")))
            slots = [_caused(row, each, now) for each in causes(session, row, now) if each.key not in known]
            self._carry_out(session, row, slots, now)
            return len(slots)

    def _again(self, slot_id: UUID, now: datetime) -> int:
        """Try a slot again that could not be started before; its time to wait is over."""
        with system_session(self.database) as session:
            slot = session.scalar(select(Slot).where(Slot.id == slot_id, Slot.state == "waiting").with_for_update())
            if slot is None or slot.created_at + BACKOFF * slot.attempt > now:
                return 0
            row = session.get_one(Schedule, slot.schedule_id)
            slot.attempt += 1
            slot.late_seconds = max(0.0, (now - slot.nominal_at).total_seconds())
            self._start(session, row, slot)
            _note(session, row, [slot], now)
            return 1

    def _carry_out(self, session: Session, row: Schedule, slots: Sequence[Slot], now: datetime) -> None:
        session.add_all(slots)
        session.flush()
        for slot in slots:
            if slot.state == "started":
                self._start(session, row, slot)
        if slots:
            _note(session, row, slots, now)

    def _start(self, session: Session, row: Schedule, slot: Slot) -> None:
        """Start what the slot is for; what cannot be started undoes itself alone, and the slot says why."""
        slot.state = "started"
        try:
            with session.begin_nested():
                self.starts.start(session, row, slot)
        except CannotStart as error:
            again = error.later and slot.attempt < MOST_ATTEMPTS
            slot.state = "waiting" if again else "missed" if error.later else "failed"
            slot.reason = error.reason.model_dump(mode="json")
            log.warning("schedule %s: slot %s was not started: %s", row.id, slot.key, error.reason.code)
        except SQLAlchemyError:
            raise  # the slot is undone with it, and the next tick writes both
        except Exception as error:
            slot.state, slot.reason = "failed", _broke(error).model_dump(mode="json")
            log.exception("schedule %s: slot %s was not started", row.id, slot.key)


def _broke(error: Exception) -> Reason:
    """What is told of a fault of ours: trying again every few seconds would hold it up, and the others with it."""
    return Reason(
        code="schedule-start-failed",
        detail=f"It could not be started: {type(error).__name__}. The scheduler's log has the trace.",
        remedy="Run the schedule by hand once the cause is mended.",
    )


def run_now(session: Session, row: Schedule, starts: Starts, *, key: str, actor: UUID, now: datetime) -> Slot:
    """A slot that a person asked for, over the window since the last nominal time; the same key gives the same slot."""
    name = f"now:{key}"
    found = session.scalar(select(Slot).where(Slot.schedule_id == row.id, Slot.key == name))
    if found is not None:
        return found
    caused = Caused(key=name, cause="run now", at=now, begin=row.previous_at or row.start_at)
    slot = _caused(row, caused, now)
    slot.created_by = actor
    session.add(slot)
    session.flush()
    try:
        with session.begin_nested():
            starts.start(session, row, slot)
    except CannotStart as error:
        slot.state, slot.reason = "failed", error.reason.model_dump(mode="json")
    _note(session, row, [slot], now, actor=actor)
    return slot


def _locked(session: Session, schedule_id: UUID) -> Schedule | None:
    return session.scalar(
        select(Schedule)
        .where(Schedule.id == schedule_id, Schedule.ended_at.is_(None), Schedule.paused_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _planned(row: Schedule, each: Planned, now: datetime) -> Slot:
    reason = Reason(code=f"slot-{each.act}", detail=each.said) if each.said else None
    state = "started" if each.act == "start" else each.act
    return _slot(
        row, key=each.key, cause="time", at=each.nominal, begin=each.begin, state=state, now=now, reason=reason
    )


def _caused(row: Schedule, each: Caused, now: datetime) -> Slot:
    return _slot(row, key=each.key, cause=each.cause, at=each.at, begin=each.begin, state="started", now=now)


def _slot(
    row: Schedule,
    *,
    key: str,
    cause: str,
    at: datetime,
    begin: datetime,
    state: str,
    now: datetime,
    reason: Reason | None = None,
) -> Slot:
    about: dict[str, Any] = {"tenant": row.tenant, "created_by": row.created_by, "created_at": now}
    return Slot(
        id=new_id(),
        schedule_id=row.id,
        key=key,
        cause=cause,
        nominal_at=at,
        window_from=begin,
        window_to=at,
        state=state,
        late_seconds=max(0.0, (now - at).total_seconds()),
        attempt=1,
        reason=None if reason is None else reason.model_dump(mode="json"),
        **about,
    )


def _note(session: Session, row: Schedule, slots: Sequence[Slot], now: datetime, *, actor: UUID | None = None) -> None:
    record(
        session,
        slots,
        tenant=row.tenant,
        actor=actor or row.created_by,
        now=now,
        subject_type="schedule",
        subject_id=row.id,
        action="fired",
        detail={"slots": [{"key": slot.key, "state": slot.state} for slot in slots]},
    )
