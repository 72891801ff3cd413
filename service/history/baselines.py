"""Who may say that an audit is what later ones are compared with? A person, and not the one who ran it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from service.contracts.history import BaselineSubmission
from service.contracts.problem import Fault
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables import Audit, Measurement, Principal
from service.store.tables_compliance import Baseline, Schedule, Slot


class NotAPerson(RuntimeError):
    """A service's key tried what only a person may do."""


class NotYou(RuntimeError):
    """This person is the one who may not approve: the message says why."""


class NotNow(RuntimeError):
    """The audit cannot be a baseline, is it already, or somebody else was faster; the message says which."""


class Unfit(ValueError):
    """A request that cannot be as it stands; `fault` says where and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.pointer}: {fault.detail}")
        self.fault = fault


def current_baseline(session: Session, model_name: str) -> Baseline | None:
    """The baseline that counts now."""
    return session.scalar(select(Baseline).where(Baseline.model_name == model_name, Baseline.replaced_at.is_(None)))


def approve(session: Session, wanted: BaselineSubmission, *, tenant: UUID, principal: UUID, now: datetime) -> Baseline:
    """Make an audit its model's baseline; the former is kept, and counts no longer.

    Raises NotAPerson, NotYou, NotNow, Unfit; then nothing may be committed.
    """
    if session.get_one(Principal, principal).kind != "person":
        raise NotAPerson("only a person approves a baseline; this key belongs to a service")
    audit = _audit(session, wanted)
    former = current_baseline(session, wanted.model_name)
    if former is not None and former.audit_id == audit.id:
        raise NotNow("this audit is the model's baseline already")
    if principal in _runners(session, audit):
        raise NotYou("who submitted the audit, or made or fired its schedule, does not approve it as a baseline")
    if former is not None:
        _replace(session, former, now)
    row = Baseline(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        model_name=wanted.model_name,
        audit_id=audit.id,
        reason=wanted.reason,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise NotNow("somebody else has approved a baseline of this model meanwhile; read it first") from error
    record(
        session,
        [row] if former is None else [row, former],
        tenant=tenant,
        actor=principal,
        now=now,
        subject_type="baseline",
        subject_id=row.id,
        action="approved",
        detail={
            "model": wanted.model_name,
            "audit": str(audit.id),
            "replaces": None if former is None else str(former.id),
        },
    )
    return row


def _audit(session: Session, wanted: BaselineSubmission) -> Audit:
    """The audit, if there is anything in it to compare with."""
    audit = session.scalar(select(Audit).where(Audit.id == wanted.audit).options(joinedload(Audit.model)))
    if audit is None:
        raise Unfit(Fault(pointer="/audit", detail="there is no audit of this id"))
    if audit.model.name != wanted.model_name:
        raise Unfit(Fault(pointer="/model_name", detail=f"the audit is of the model {audit.model.name!r}"))
    if audit.closed_at is None:
        raise NotNow("the audit has not ended; a baseline is what was measured, not what will be")
    if audit.cancel_requested_at is not None:
        raise NotNow("the audit was cancelled; what it would have measured is not known")
    if session.scalar(select(Measurement.id).where(Measurement.audit_id == audit.id).limit(1)) is None:
        raise NotNow("the audit measured nothing, so nothing could be compared with it")
    return audit


def _runners(session: Session, audit: Audit) -> set[UUID]:
    """Who submitted an audit, or made the schedule that did, or fired that by hand."""
    makers = (
        select(Schedule.created_by, Slot.created_by.label("fired_by"))
        .join(Slot, Slot.schedule_id == Schedule.id)
        .where(Slot.audit_id == audit.id)
    )
    return {audit.created_by, *(who for row in session.execute(makers) for who in row if who is not None)}


def _replace(session: Session, former: Baseline, now: datetime) -> None:
    moved = session.scalar(
        update(Baseline)
        .where(Baseline.id == former.id, Baseline.replaced_at.is_(None))
        .values(replaced_at=now)
        .returning(Baseline.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NotNow("somebody else has approved a baseline of this model meanwhile; read it first")
    session.refresh(former)
