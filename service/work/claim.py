"""Who does this work? Whoever's guarded UPDATE finds it queued; everyone else finds nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from sqlalchemy import func, literal, or_, select
from sqlalchemy.orm import Session

from service.contracts.status import WorkState, WorkType
from service.store.base import UtcTime
from service.store.tables import Work
from service.work.transition import step


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's hold on work. `owner` and `attempt` fence everything it will write: a later claim has a higher one."""

    work_id: UUID
    type: WorkType
    subject_id: UUID
    tenant: UUID
    created_by: UUID
    attempt: int
    owner: str
    group_key: str | None
    solo: bool

    @classmethod
    def of(cls, work: Work, owner: str) -> Self:
        """The hold that a just claimed row gives."""
        return cls(
            work_id=work.id,
            type=WorkType(work.type),
            subject_id=work.subject_id,
            tenant=work.tenant,
            created_by=work.created_by,
            attempt=work.attempt,
            owner=owner,
            group_key=work.group_key,
            solo=work.solo,
        )


def claim(
    session: Session,
    work_id: UUID,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    has: Collection[str] | None = None,
) -> Claim | None:
    """Take queued work for `lease`; None if it is taken, ended, not due, out of attempts, or needs what is not there.

    `has` names what this worker can do, as `kind@version`; None means anything.
    """
    where = [Work.attempt < Work.max_attempts, or_(Work.not_before.is_(None), Work.not_before <= now)]
    if has is not None:
        where.append(Work.needs.in_(["", *has]))
    work = step(
        session,
        work_id,
        WorkState.QUEUED,
        WorkState.RUNNING,
        now=now,
        action="claimed",
        detail={"owner": owner},
        where=where,
        changes={
            "attempt": Work.attempt + 1,
            "owner": owner,
            "lease_until": now + lease,
            "not_before": None,
            "started_at": func.coalesce(Work.started_at, literal(now, UtcTime())),
            "progress": 0.0,
            "stage": "",
        },
    )
    return None if work is None else Claim.of(work, owner)


def claim_group(
    session: Session,
    first: Claim,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    most: int,
    has: Collection[str] | None = None,
) -> list[Claim]:
    """Up to `most` further members of the first one's group: same audit, model and queue, none that must run alone."""
    if first.group_key is None or first.solo or most < 1:
        return []
    candidates = session.scalars(
        select(Work.id)
        .where(
            Work.group_key == first.group_key,
            Work.state == WorkState.QUEUED.value,
            Work.tenant == first.tenant,
            Work.solo.is_(False),
        )
        .order_by(Work.id)
        .limit(most)
    ).all()
    claims = (claim(session, candidate, owner=owner, now=now, lease=lease, has=has) for candidate in candidates)
    return [taken for taken in claims if taken is not None]
