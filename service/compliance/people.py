"""Who may except a control, or vouch for one? People, and never the same person twice."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.compliance.load import shipped
from service.contracts.compliance import Control
from service.contracts.exceptions import (
    AttestationState,
    AttestationSubmission,
    WaiverDecision,
    WaiverState,
    WaiverSubmission,
)
from service.contracts.problem import Fault
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables import Principal
from service.store.tables_compliance import Attestation, Policy, Waiver

USUAL_LENGTH = timedelta(days=90)
LONGEST_WAIVER = timedelta(days=180)
LONGEST_ATTESTATION = timedelta(days=366)


class NotAPerson(RuntimeError):
    """A service's key tried what only a person may do."""


class NotYou(RuntimeError):
    """This person is the one who may not decide: the message says why."""


class NotNow(RuntimeError):
    """It is decided, ended or withdrawn already; the message says which."""


class Unfit(ValueError):
    """A request that cannot be as it stands; `faults` says where and why."""

    def __init__(self, faults: Collection[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


def ask_for_waiver(
    session: Session, wanted: WaiverSubmission, *, tenant: UUID, principal: UUID, now: datetime
) -> Waiver:
    """A waiver that waits for a decision. Raises NotAPerson, Unfit."""
    person_only(session, principal, "asks for an exception")
    before = None if wanted.renews is None else session.get(Waiver, wanted.renews)
    starts_at = wanted.starts_at or (now if before is None else max(now, before.expires_at))
    expires_at = wanted.expires_at or min(starts_at, now + LONGEST_WAIVER) + USUAL_LENGTH
    faults = [
        *_control_faults(wanted.control, controls_of(session)),
        *_length_faults(starts_at, expires_at, now),
        *_renewal_faults(wanted, before),
    ]
    if faults:
        raise Unfit(faults)
    row = Waiver(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        effect=wanted.effect,
        control=wanted.control,
        model_name=wanted.model_name,
        reason=wanted.reason,
        compensating=wanted.compensating,
        starts_at=starts_at,
        expires_at=expires_at,
        renews_id=wanted.renews,
    )
    session.add(row)
    _note(session, row, "asked for", actor=principal, now=now)
    return row


def decide_waiver(
    session: Session, waiver_id: UUID, wanted: WaiverDecision, *, principal: UUID, now: datetime
) -> Waiver:
    """Grant or refuse a waiver. Raises LookupError, NotAPerson, NotYou, NotNow, Unfit; then nothing is written."""
    row = _waiver(session, waiver_id)
    person_only(session, principal, "decides on an exception")
    if row.created_by == principal:
        raise NotYou("who asks for an exception does not decide on it; another person must")
    if row.decision is not None:
        raise NotNow(f"this waiver is {row.decision} already; ask for another")
    if row.withdrawn_at is not None:
        raise NotNow("this waiver was withdrawn before anybody decided; ask for another")
    if row.expires_at <= now:
        raise NotNow("this waiver would have ended already; ask for another")
    if wanted.decision == "refused" and not wanted.comment.strip():
        raise Unfit([Fault(pointer="/comment", detail="a refusal needs a comment that says why")])
    moved = session.scalar(
        update(Waiver)
        .where(Waiver.id == row.id, Waiver.decision.is_(None), Waiver.withdrawn_at.is_(None))
        .values(decision=wanted.decision, decided_by=principal, decided_at=now, decision_comment=wanted.comment)
        .returning(Waiver.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise NotNow("somebody else has decided meanwhile; read it again")
    session.refresh(row)
    _note(session, row, wanted.decision, actor=principal, now=now)
    return row


def withdraw_waiver(session: Session, waiver_id: UUID, *, principal: UUID, now: datetime) -> Waiver:
    """End a waiver before its time; ending it again changes nothing. Raises LookupError, NotAPerson, NotNow."""
    row = _waiver(session, waiver_id)
    person_only(session, principal, "withdraws an exception")
    if row.withdrawn_at is not None:
        return row
    if row.decision == "refused":
        raise NotNow("this waiver was refused; there is nothing to withdraw")
    if row.expires_at <= now:
        raise NotNow("this waiver has ended by itself; there is nothing to withdraw")
    row.withdrawn_at = now
    _note(session, row, "withdrawn", actor=principal, now=now)
    return row


def waiver_state(row: Waiver, now: datetime) -> WaiverState:
    """Where a waiver stands at a time; one that nobody decided on in time is as expired as any."""
    if row.withdrawn_at is not None and row.withdrawn_at <= now:
        return "withdrawn"
    if row.decision == "refused":
        return "refused"
    if row.expires_at <= now:
        return "expired"
    if row.decision is None:
        return "asked"
    return "in_force" if row.starts_at <= now else "granted"


def renewals(session: Session, row: Waiver) -> int:
    """How many waivers this one carries on, one after the other."""
    count, here = 0, row.renews_id
    while here is not None:
        count, here = count + 1, session.get_one(Waiver, here).renews_id
    return count


def attest(
    session: Session, wanted: AttestationSubmission, *, tenant: UUID, principal: UUID, now: datetime
) -> Attestation:
    """A statement of a person. Raises NotAPerson, Unfit."""
    person_only(session, principal, "attests")
    known = controls_of(session)
    faults = _control_faults(wanted.control, known)
    if not faults and not any(asked.source == "attestation" for asked in known[wanted.control].requirements):
        faults = [Fault(pointer="/control", detail=f"{wanted.control} is measured; no statement answers it")]
    if wanted.expires_at <= now:
        faults.append(Fault(pointer="/expires_at", detail="it would count no longer"))
    elif wanted.expires_at > now + LONGEST_ATTESTATION:
        faults.append(Fault(pointer="/expires_at", detail=f"at most {LONGEST_ATTESTATION.days} days from now"))
    if faults:
        raise Unfit(faults)
    row = Attestation(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        control=wanted.control,
        model_name=wanted.model_name,
        role=wanted.role,
        statement=wanted.statement,
        document_title=wanted.document_title,
        document_digest=wanted.document_digest,
        expires_at=wanted.expires_at,
    )
    session.add(row)
    _note(session, row, "stated", actor=principal, now=now)
    return row


def withdraw_attestation(session: Session, attestation_id: UUID, *, principal: UUID, now: datetime) -> Attestation:
    """Take a statement back; taking it back again changes nothing. Raises LookupError, NotAPerson, NotYou."""
    row = session.get(Attestation, attestation_id)
    if row is None:
        raise LookupError(f"there is no attestation {attestation_id}")
    person_only(session, principal, "takes a statement back")
    if row.created_by != principal:
        raise NotYou("only who stated it takes a statement back; state otherwise yourself")
    if row.withdrawn_at is None:
        row.withdrawn_at = now
        _note(session, row, "withdrawn", actor=principal, now=now)
    return row


def attestation_state(row: Attestation, now: datetime) -> AttestationState:
    """Whether a statement counts at a time."""
    if row.withdrawn_at is not None and row.withdrawn_at <= now:
        return "withdrawn"
    return "current" if row.expires_at > now else "expired"


def controls_of(session: Session) -> dict[str, Control]:
    """Every control an organisation may mean: the library's, and its own in any revision of a policy."""
    own = (
        Control.model_validate(one)
        for content in session.scalars(select(Policy.content))
        for one in content.get("controls", ())
    )
    return {control.id: control for control in (*own, *shipped().controls)}


def _control_faults(control: str, known: Collection[str]) -> list[Fault]:
    if control in known:
        return []
    return [Fault(pointer="/control", detail=f"there is no control {control}; see /v1/controls")]


def _length_faults(starts_at: datetime, expires_at: datetime, now: datetime) -> list[Fault]:
    if starts_at < now:
        return [Fault(pointer="/starts_at", detail="an exception is never granted for the past")]
    if starts_at > now + LONGEST_WAIVER:
        ahead = f"at most {LONGEST_WAIVER.days} days ahead: what is excepted then is to be decided nearer to it"
        return [Fault(pointer="/starts_at", detail=ahead)]
    if expires_at <= starts_at:
        return [Fault(pointer="/expires_at", detail="it would end before it begins")]
    if expires_at - starts_at > LONGEST_WAIVER:
        return [
            Fault(pointer="/expires_at", detail=f"at most {LONGEST_WAIVER.days} days after its start; renew it then")
        ]
    return []


def _renewal_faults(wanted: WaiverSubmission, before: Waiver | None) -> list[Fault]:
    if wanted.renews is None:
        return []
    if before is None:
        return [Fault(pointer="/renews", detail="there is no waiver of this id")]
    if (before.control, before.model_name, before.effect) != (wanted.control, wanted.model_name, wanted.effect):
        return [Fault(pointer="/renews", detail="a renewal is for the same control, model and effect")]
    if before.decision != "granted" or before.withdrawn_at is not None:
        return [Fault(pointer="/renews", detail="only a waiver that was granted and not withdrawn is renewed")]
    return []


def person_only(session: Session, principal: UUID, what: str) -> None:
    """Raises NotAPerson where a key is a service's."""
    if session.get_one(Principal, principal).kind != "person":
        raise NotAPerson(f"only a person {what}; this key belongs to a service")


def _waiver(session: Session, waiver_id: UUID) -> Waiver:
    row = session.get(Waiver, waiver_id)
    if row is None:
        raise LookupError(f"there is no waiver {waiver_id}")
    return row


def _note(session: Session, row: Waiver | Attestation, action: str, *, actor: UUID, now: datetime) -> None:
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=actor,
        now=now,
        subject_type=row.__tablename__,
        subject_id=row.id,
        action=action,
        detail={"control": row.control, "model": row.model_name},
    )
