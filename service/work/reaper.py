"""Who finishes what a dead worker left behind? The reaper: queued again, or failed after the last attempt.

It is also the net under the broker: what was announced long ago and never claimed is announced again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from service.contracts.problem import Reason
from service.contracts.status import WorkState, WorkType
from service.store.tables import Outbox, Work
from service.work.ending import CANCELLED, audit_of, end_analyses, lock_audits
from service.work.lease import HELD
from service.work.queue import OWN_QUEUES, announce
from service.work.release import refuse_subjects, refuse_waiting, waiting_audits
from service.work.transition import step

# Long enough for a busy worker to come round to it, short enough that a broker's amnesia is no outage.
UNHEARD = timedelta(seconds=60)
MOST_AT_ONCE = 200
WORKER_LOST = Reason(
    code="worker-lost",
    detail="The worker died or fell silent during every attempt at this work.",
    remedy="Look into the worker's log; work that kills its worker usually needs more memory than the worker has.",
    permanent=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What one round found: works queued again, failed for good, cancelled, and announced again."""

    requeued: int = 0
    failed: int = 0
    cancelled: int = 0
    reannounced: int = 0


def reap(session: Session, *, now: datetime) -> Reaped:
    """One round over expired leases and unheard announcements. Reapers may be many: each skips what another holds."""
    expired = session.execute(
        select(Work.id, Work.type, Work.subject_id)
        .where(Work.state.in_(HELD), Work.lease_until < now)
        .order_by(Work.id)
        .limit(MOST_AT_ONCE)
    ).all()
    inspections = [row.id for row in expired if row.type == WorkType.INSPECTION.value]
    analyses = {row.id: row.subject_id for row in expired if row.type == WorkType.ANALYSIS.value}
    others = [row.id for row in expired if row.id not in analyses and row.id not in set(inspections)]

    reaped = [_reap(session, work_id, now) for work_id in _still_expired(session, inspections, now)]
    refused = [work.subject_id for work in reaped if work.state == WorkState.FAILED.value]
    refuse_subjects(session, refused, WORKER_LOST)
    waiting = waiting_audits(session, refused)
    lock_audits(session, [*waiting, *(audit_of(session, analysis) for analysis in analyses.values())])
    refuse_waiting(session, refused, WORKER_LOST, now=now)

    ended = [_reap(session, work_id, now) for work_id in _still_expired(session, [*analyses], now)]
    reasons = {WorkState.FAILED.value: WORKER_LOST, WorkState.CANCELLED.value: CANCELLED}
    end_analyses(session, {work.subject_id: reasons[work.state] for work in ended if work.state in reasons}, now=now)
    reaped += ended
    reaped += [_reap(session, work_id, now) for work_id in _still_expired(session, others, now)]

    return Reaped(
        requeued=sum(work.state == WorkState.QUEUED.value for work in reaped),
        failed=sum(work.state == WorkState.FAILED.value for work in reaped),
        cancelled=sum(work.state == WorkState.CANCELLED.value for work in reaped),
        reannounced=_announce_again(session, now),
    )


def _still_expired(session: Session, works: Sequence[UUID], now: datetime) -> list[UUID]:
    """Lock what nobody else is finishing at this moment."""
    if not works:
        return []
    return list(
        session.scalars(
            select(Work.id)
            .where(Work.id.in_(works), Work.state.in_(HELD), Work.lease_until < now)
            .order_by(Work.id)
            .with_for_update(skip_locked=True)
        )
    )


def _reap(session: Session, work_id: UUID, now: datetime) -> Work:
    """Take one locked, expired work out of its dead worker's hands."""
    late = (Work.lease_until < now,)
    why = {"reason": WORKER_LOST.model_dump(mode="json")}
    again = {
        "owner": None,
        "lease_until": None,
        "announced_at": None,
        "progress": 0.0,
        "stage": "",
        # One member may have killed its group's worker: from now on each runs alone.
        "solo": or_(Work.solo, Work.group_key.is_not(None)),
        **why,
    }
    more = (*late, Work.attempt < Work.max_attempts)
    work = (
        step(
            session,
            work_id,
            WorkState.RUNNING,
            WorkState.QUEUED,
            now=now,
            action="lease expired",
            where=more,
            changes=again,
        )
        or step(
            session,
            work_id,
            WorkState.RUNNING,
            WorkState.FAILED,
            now=now,
            action="worker lost",
            where=late,
            changes=why,
        )
        or step(session, work_id, WorkState.CANCELLING, WorkState.CANCELLED, now=now, action="cancelled", where=late)
    )
    assert work is not None, "a locked row in one of two states takes one of the ways out of them"
    if work.state == WorkState.QUEUED.value:
        announce(session, work, now=now)
    return work


def _announce_again(session: Session, now: datetime) -> int:
    """Back to the outbox with what was announced but never claimed."""
    unheard = session.scalars(
        update(Work)
        .where(
            Work.state == WorkState.QUEUED.value,
            Work.queue.not_in(OWN_QUEUES),
            or_(Work.not_before.is_(None), Work.not_before <= now - UNHEARD),
            func.coalesce(Work.announced_at, Work.created_at) <= now - UNHEARD,
            ~select(Outbox.id).where(Outbox.work_id == Work.id).exists(),
        )
        .values(announced_at=now)
        .returning(Work)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    for work in unheard:
        announce(session, work, now=now)
    return len(unheard)
