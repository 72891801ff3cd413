"""How is a policy kept? Checked as a whole, numbered, and never changed afterwards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.compliance.load import Measurable, shipped
from service.compliance.people import NotNow, Unfit
from service.compliance.policy import faults
from service.contracts.policies import PolicySubmission
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables_compliance import Policy


def keep_policy(
    session: Session, wanted: PolicySubmission, *, measurable: Measurable, tenant: UUID, principal: UUID, now: datetime
) -> Policy:
    """The next revision of a policy. Raises Unfit for what cannot be, NotNow when another took the number meanwhile."""
    library = shipped()
    found = list(faults(wanted.content, library, measurable))
    if found:
        raise Unfit(found)
    last = latest_policy(session, wanted.name)
    content = wanted.content.model_copy(update={"library": wanted.content.library or library.name})
    row = Policy(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        name=wanted.name,
        revision=1 if last is None else last.revision + 1,
        content=content.model_dump(mode="json"),
        digest=content.digest,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise NotNow(f"somebody else has made revision {row.revision} of this policy meanwhile") from error
    record(
        session,
        [row],
        tenant=tenant,
        actor=principal,
        now=now,
        subject_type="policy",
        subject_id=row.id,
        action="revised" if last else "made",
        detail={"name": row.name, "revision": row.revision, "digest": row.digest},
    )
    return row


def latest_policy(session: Session, name: str) -> Policy | None:
    """The newest revision of a policy; None if there is none of this name."""
    return session.scalars(select(Policy).where(Policy.name == name).order_by(Policy.revision.desc()).limit(1)).first()
