"""What follows when analyses end? Their audit counts down, and the last one closes it and asks for its report."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, literal, select, update
from sqlalchemy.orm import Session

from service.contracts.problem import Reason
from service.contracts.status import WorkType
from service.store.base import UtcTime
from service.store.ledger import record
from service.store.tables import Analysis, Audit
from service.work.queue import REPORT_QUEUE, enqueue
from service.work.transition import note

# Drawing is our own code on our own values; the operator's cap is for customers' models.
REPORT_ATTEMPTS = 3
CANCELLED = Reason(code="cancelled", detail="The audit was cancelled before this analysis had an outcome.")


def lock_audits(session: Session, audits: Iterable[UUID]) -> None:
    """Hold these audits until the transaction ends, in the one order everybody takes them in."""
    wanted = sorted(set(audits))
    if wanted:
        session.scalars(select(Audit.id).where(Audit.id.in_(wanted)).order_by(Audit.id).with_for_update()).all()


def audit_of(session: Session, analysis_id: UUID) -> UUID:
    """Which audit an analysis belongs to; that never changes."""
    return session.scalars(select(Analysis.audit_id).where(Analysis.id == analysis_id)).one()


def end_analyses(
    session: Session, ended: Mapping[UUID, Reason | None], *, now: datetime, changes: Mapping[str, Any] | None = None
) -> None:
    """End analyses, each once, with the reason why there is no outcome (None: there is one), and count audits down.

    `changes` are further columns, for the one analysis that succeeded. The audits must be locked.
    """
    counts: dict[UUID, int] = {}
    for analysis_id in sorted(ended):
        reason = ended[analysis_id]
        audit_id = session.scalar(
            update(Analysis)
            .where(Analysis.id == analysis_id, Analysis.ended_at.is_(None))
            .values(ended_at=now, reason=reason and reason.model_dump(mode="json"), **(changes or {}))
            .returning(Analysis.audit_id)
            .execution_options(synchronize_session=False)
        )
        if audit_id is not None:
            counts[audit_id] = counts.get(audit_id, 0) + 1
            if reason is not None:
                _record_ending(session, analysis_id, now)
    for audit_id in sorted(counts):
        _count_down(session, audit_id, counts[audit_id], now)


def _record_ending(session: Session, analysis_id: UUID, now: datetime) -> None:
    """That there is no outcome is evidence as well. (An outcome is recorded with its numbers and files.)"""
    row = session.get_one(Analysis, analysis_id, populate_existing=True)
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=row.created_by,
        now=now,
        subject_type="analysis",
        subject_id=row.id,
        action="ended without outcome",
    )


def _count_down(session: Session, audit_id: UUID, ended: int, now: datetime) -> None:
    audit = session.execute(
        update(Audit)
        .where(Audit.id == audit_id, Audit.remaining >= ended, Audit.closed_at.is_(None))
        .values(
            remaining=Audit.remaining - ended,
            closed_at=case((Audit.remaining == ended, literal(now, UtcTime()))),
        )
        .returning(Audit.remaining, Audit.tenant, Audit.created_by)
        .execution_options(synchronize_session=False)
    ).one()
    if audit.remaining > 0:
        return
    note(
        session,
        tenant=audit.tenant,
        actor=audit.created_by,
        now=now,
        subject_type="audit",
        subject_id=audit_id,
        action="closed",
    )
    report = enqueue(
        session,
        type=WorkType.REPORT,
        subject_id=audit_id,
        tenant=audit.tenant,
        created_by=audit.created_by,
        queue=REPORT_QUEUE,
        max_attempts=REPORT_ATTEMPTS,
        now=now,
    )
    session.execute(
        update(Audit)
        .where(Audit.id == audit_id)
        .values(report_work_id=report.id)
        .execution_options(synchronize_session=False)
    )
