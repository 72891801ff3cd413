"""How does work come to be? As a row, its event, and a line in the outbox, all in the asker's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.contracts.status import WorkState, WorkType
from service.store.base import new_id
from service.store.tables import Event, Outbox, Work

# The scheduler does the work of these queues itself, so no worker is told of it.
REPORT_QUEUE = "report"
COMPLIANCE_QUEUE = "compliance"
DELIVERY_QUEUE = "delivery"
OWN_QUEUES = frozenset({REPORT_QUEUE, COMPLIANCE_QUEUE, DELIVERY_QUEUE})


def enqueue(
    session: Session,
    *,
    type: WorkType,  # noqa: A002  # the column's name, and everybody's word for it
    subject_id: UUID,
    tenant: UUID,
    created_by: UUID,
    queue: str,
    max_attempts: int,
    now: datetime,
    needs: str = "",
    group_key: str | None = None,
) -> Work:
    """A new unit of work, queued, written and on its way to being announced."""
    work = Work(
        id=new_id(),
        tenant=tenant,
        created_by=created_by,
        created_at=now,
        type=type.value,
        subject_id=subject_id,
        queue=queue,
        needs=needs,
        group_key=group_key,
        state=WorkState.QUEUED.value,
        max_attempts=max_attempts,
    )
    session.add(work)
    session.flush()
    session.add(
        Event(
            tenant=tenant,
            created_by=created_by,
            created_at=now,
            subject_type=type.value,
            subject_id=subject_id,
            action="queued",
            after=WorkState.QUEUED.value,
            detail={"work": str(work.id), "queue": queue},
        )
    )
    announce(session, work, now=now)
    return work


def announce(session: Session, work: Work, *, now: datetime) -> None:
    """Put queued work into the outbox. A second line does no harm: a claim succeeds once."""
    if work.queue not in OWN_QUEUES:
        session.add(
            Outbox(tenant=work.tenant, created_by=work.created_by, created_at=now, work_id=work.id, queue=work.queue)
        )
    session.flush()
