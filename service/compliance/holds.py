"""Who may forbid that files go, and who may allow it again? People, and never the same person twice."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.compliance.people import NotNow, NotYou, Unfit, person_only
from service.contracts.holds import HoldLift, HoldSubmission
from service.contracts.problem import Fault
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables import Audit, Model
from service.store.tables_compliance import LegalHold
from service.store.turns import LEGAL_HOLDS, take_turns


def place(session: Session, wanted: HoldSubmission, *, tenant: UUID, principal: UUID, now: datetime) -> LegalHold:
    """A hold that is in force at once: what is there when it is committed stays. Raises NotAPerson, Unfit."""
    person_only(session, principal, "places a legal hold")
    faults = _faults(session, wanted)
    if faults:
        raise Unfit(faults)
    take_turns(session, tenant, LEGAL_HOLDS)
    row = LegalHold(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        model_name=wanted.model_name,
        audit_id=wanted.audit,
        reason=wanted.reason,
        lift_reason="",
    )
    session.add(row)
    _note(session, row, "placed", actor=principal, now=now)
    return row


def lift(session: Session, hold_id: UUID, wanted: HoldLift, *, principal: UUID, now: datetime) -> LegalHold:
    """End a hold. Raises LookupError, NotAPerson, NotYou, NotNow; then nothing is written."""
    row = session.get(LegalHold, hold_id)
    if row is None:
        raise LookupError(f"there is no legal hold {hold_id}")
    person_only(session, principal, "lifts a legal hold")
    if row.created_by == principal:
        raise NotYou("who placed a legal hold does not lift it; another person must")
    take_turns(session, row.tenant, LEGAL_HOLDS)
    moved = session.scalar(
        update(LegalHold)
        .where(LegalHold.id == row.id, LegalHold.lifted_at.is_(None))
        .values(lifted_by=principal, lifted_at=now, lift_reason=wanted.reason)
        .returning(LegalHold.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NotNow("this legal hold is lifted already; what was written then stands")
    session.refresh(row)
    _note(session, row, "lifted", actor=principal, now=now)
    return row


def _faults(session: Session, wanted: HoldSubmission) -> list[Fault]:
    if (wanted.model_name is None) == (wanted.audit is None):
        return [Fault(pointer="", detail="name a model or an audit, one of the two")]
    if wanted.audit is not None and session.get(Audit, wanted.audit) is None:
        return [Fault(pointer="/audit", detail="there is no audit of this id")]
    named = select(Model.id).where(Model.name == wanted.model_name).limit(1)
    if wanted.model_name is not None and session.scalar(named) is None:
        return [Fault(pointer="/model_name", detail="there is no model of this name; nothing would be held")]
    return []


def _note(session: Session, row: LegalHold, action: str, *, actor: UUID, now: datetime) -> None:
    detail: dict[str, Any] = {"model": row.model_name, "audit": None if row.audit_id is None else str(row.audit_id)}
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=actor,
        now=now,
        subject_type=LegalHold.__tablename__,
        subject_id=row.id,
        action=action,
        detail=detail,
    )
