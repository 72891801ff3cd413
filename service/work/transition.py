"""How does work change its state? Here, in one guarded UPDATE, with its event in the same transaction.

Locks are always taken in one order, so that no two transactions wait for each other: inspection work, models,
datasets, audits (by id), work of analyses, analyses, blobs, tenant.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from service.contracts.status import ENDED, WorkState, allowed
from service.store.tables import Event, Work


class NotAllowed(RuntimeError):
    """Work cannot step from the state it is in to the one asked for."""


class LeaseLost(RuntimeError):
    """The claim holds no longer: another worker has the work, or it has ended. Nothing was written."""


def step(
    session: Session,
    work_id: UUID,
    before: WorkState,
    after: WorkState,
    *,
    now: datetime,
    action: str,
    actor: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
    where: Sequence[ColumnElement[bool]] = (),
    changes: Mapping[str, Any] | None = None,
) -> Work | None:
    """Move work from `before` to `after` if it still is in `before` and `where` holds; None if not.

    `actor` is the principal who caused it; the one who asked for the work when nobody did. Raises NotAllowed for a
    step no work may ever make.
    """
    if not allowed(before, after):
        raise NotAllowed(f"no work may step from {before} to {after}")
    values = {"state": after.value, **(_ending(now) if after in ENDED else {}), **(changes or {})}
    work = session.execute(
        update(Work)
        .where(Work.id == work_id, Work.state == before.value, *where)
        .values(values)
        .returning(Work)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).scalar_one_or_none()
    if work is None:
        return None
    session.add(
        Event(
            tenant=work.tenant,
            created_by=actor or work.created_by,
            created_at=now,
            subject_type=work.type,
            subject_id=work.subject_id,
            action=action,
            before=before.value,
            after=after.value,
            detail={"work": str(work.id), "attempt": work.attempt, **(detail or {})},
        )
    )
    return work


def transition(
    session: Session,
    work: Work,
    after: WorkState,
    *,
    actor: UUID,
    now: datetime,
    action: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Move work on from the state it was read in. Raises NotAllowed when it may not, or has moved meanwhile."""
    before = WorkState(work.state)
    if step(session, work.id, before, after, now=now, action=action, actor=actor, detail=detail) is None:
        raise NotAllowed(f"work {work.id} is no longer {before}; read it again before moving it to {after}")


def note(
    session: Session,
    *,
    tenant: UUID,
    actor: UUID,
    now: datetime,
    subject_type: str,
    subject_id: UUID,
    action: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down what happened to something that is not work: an audit asked for, closed, cancelled."""
    session.add(
        Event(
            tenant=tenant,
            created_by=actor,
            created_at=now,
            subject_type=subject_type,
            subject_id=subject_id,
            action=action,
            detail=dict(detail or {}),
        )
    )


def _ending(now: datetime) -> dict[str, Any]:
    return {"ended_at": now, "lease_until": None, "not_before": None}
