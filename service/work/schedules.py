"""How does a schedule come to be, stop for a while, go on, and end? By guarded changes, each with its event."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.catalog import Catalog, pointer
from service.contracts.problem import Fault
from service.contracts.schedules import AuditTask, ScheduleSubmission
from service.schedule.times import FURTHEST, BadTime, check, database_version, next_after, zone_of
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables_compliance import Schedule
from service.work.refusals import Conflict, Invalid

MOST_ALIVE = 1000
"""Schedules a tenant may have: each is looked at every few seconds."""
USUAL_CATCH_UP = {"audits": "latest_only", "report": "each_period"}


def make_schedule(
    session: Session, wanted: ScheduleSubmission, *, catalog: Catalog, tenant: UUID, principal: UUID, now: datetime
) -> Schedule:
    """A new schedule. Raises Invalid, Conflict."""
    alive = select(func.count(Schedule.id)).where(Schedule.tenant == tenant, Schedule.ended_at.is_(None))
    if session.scalars(alive).one() >= MOST_ALIVE:
        raise Conflict(f"{MOST_ALIVE} schedules have not ended; end one before you make another")
    start = max(wanted.start_at or now, now)
    faults = [*_time_faults(wanted, start, now), *_task_faults(wanted, catalog)]
    if faults:
        raise Invalid(faults)
    row = Schedule(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        name=wanted.name,
        purpose=wanted.task.purpose,
        model_name=wanted.model_name,
        cron=wanted.cron,
        zone=wanted.zone,
        start_at=start,
        end_at=wanted.end_at,
        catch_up=wanted.catch_up or USUAL_CATCH_UP[wanted.task.purpose],
        triggers=list(wanted.triggers),
        task=wanted.task.model_dump(mode="json"),
        next_at=None if wanted.cron is None else next_after(wanted.cron, wanted.zone, start, wanted.end_at),
        previous_at=None,
        tzdata=database_version(),
    )
    session.add(row)
    _note(session, row, "made", actor=principal, now=now)
    return row


def pause(session: Session, row: Schedule, *, actor: UUID, now: datetime) -> Schedule:
    """Stop firing for a while; what is due meanwhile is caught up as the schedule says. Raises Conflict."""
    _alive(row)
    if row.paused_at is None:
        row.paused_at = now
        _note(session, row, "paused", actor=actor, now=now)
    return row


def resume(session: Session, row: Schedule, *, actor: UUID, now: datetime) -> Schedule:
    """Go on. Raises Conflict."""
    _alive(row)
    if row.paused_at is not None:
        row.paused_at = None
        _note(session, row, "resumed", actor=actor, now=now)
    return row


def end(session: Session, row: Schedule, *, actor: UUID, now: datetime) -> Schedule:
    """Never fire again; its slots stay. Ending it again changes nothing."""
    if row.ended_at is None:
        row.ended_at, row.next_at = now, None
        _note(session, row, "ended", actor=actor, now=now)
    return row


def _alive(row: Schedule) -> None:
    if row.ended_at is not None:
        raise Conflict("the schedule has ended; make another")


def _time_faults(wanted: ScheduleSubmission, start: datetime, now: datetime) -> list[Fault]:
    if start > now + FURTHEST:
        return [Fault(pointer="/start_at", detail=f"at most {FURTHEST.days} days from now")]
    faults = []
    try:
        if wanted.cron is None:
            zone_of(wanted.zone)
        else:
            check(wanted.cron, wanted.zone, start)
    except BadTime as error:
        faults.append(Fault(pointer=f"/{error.where}", detail=str(error)))
    if wanted.end_at is not None and wanted.end_at <= start:
        faults.append(Fault(pointer="/end_at", detail="it would end before it begins"))
    elif not faults and wanted.cron is not None and next_after(wanted.cron, wanted.zone, start, wanted.end_at) is None:
        faults.append(Fault(pointer="/end_at", detail="it would end before it fires once"))
    return faults


def _task_faults(wanted: ScheduleSubmission, catalog: Catalog) -> list[Fault]:
    task = wanted.task
    if not isinstance(task, AuditTask):
        return []
    faults = [
        Fault(pointer="/triggers", detail=f"{trigger} is for reports")
        for trigger in wanted.triggers
        if trigger in {"library_change", "waiver_expiry"}
    ]
    kinds = catalog.kinds()
    for place, asked in enumerate(task.analyses):
        at = pointer("task", "analyses", place)
        found = catalog.problems(asked.kind, asked.parameters)
        inside = "/parameters" if asked.kind in kinds else "/kind"
        faults += [Fault(pointer=(at + inside + fault.pointer)[:1024], detail=fault.detail) for fault in found]
        roles = kinds[asked.kind].roles if asked.kind in kinds else ()
        faults += [
            Fault(pointer=pointer("task", "inputs", role), detail=f"{asked.kind} needs a dataset in the role {role}")
            for role in roles
            if role not in task.inputs
        ]
    return faults


def _note(session: Session, row: Schedule, action: str, *, actor: UUID, now: datetime) -> None:
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=actor,
        now=now,
        subject_type="schedule",
        subject_id=row.id,
        action=action,
    )
