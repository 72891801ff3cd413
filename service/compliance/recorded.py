"""What do the service's own rows say of a model? Slots, exceptions, statements, approvals, and what datasets share."""

import json
from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.compliance.asked import Asked, same_bytes
from service.compliance.sources import Due, Granted, Kept, Own, Stated, newest_overlap
from service.contracts.compliance import Control, Excepted, Status
from service.contracts.provenance import Overlap
from service.store.tables import Analysis, Audit, Input, Model, Principal
from service.store.tables_compliance import (
    Attestation,
    ComplianceReport,
    LegalHold,
    Schedule,
    SignOff,
    Slot,
    Verdict,
    Waiver,
)

OVERLAPS: TypeAdapter[list[Overlap]] = TypeAdapter(list[Overlap])
MOST_PROVENANCES = 50


def recorded(session: Session, asked: Asked, controls: Sequence[Control]) -> Own:
    """What the rows of the session's tenant say, for the service's own sources."""
    return Own(
        window_from=asked.window_from,
        as_of=asked.as_of,
        ledger=asked.ledger,
        slots=_slots(session, asked),
        exceptions=_every_exception(session, asked),
        controls=len(controls),
        statements=_statements(session, asked.model.name, asked.as_of),
        approved=_approved(session, asked.model.name, asked.as_of),
        # A policy that sets a threshold without an owner or a reason is refused; what is stored is looked at again.
        unfounded_thresholds=sum(not each.owner.strip() or not each.reason.strip() for each in asked.policy.overrides),
        shared=_shared(session, asked),
        holds=_holds(session, asked.model.name, asked.as_of),
    )


def _slots(session: Session, asked: Asked) -> list[Due]:
    """What was due by the clock within the window, and what came of it."""
    gave = (
        select(Analysis.id)
        .where(Analysis.audit_id == Audit.id, Analysis.ended_at.is_not(None), Analysis.reason.is_(None))
        .exists()
    )
    rows = session.execute(
        select(Slot.nominal_at, Slot.audit_id, Audit.closed_at, gave)
        .join(Schedule, Schedule.id == Slot.schedule_id)
        .outerjoin(Audit, Audit.id == Slot.audit_id)
        .where(
            Schedule.model_name == asked.model.name,
            Schedule.purpose == "audits",
            Slot.cause == "time",
            Slot.nominal_at >= asked.window_from,
            Slot.nominal_at < asked.as_of,
        )
    )
    return [
        Due(nominal_at=nominal, started=audit is not None, closed_at=closed, gave=bool(found))
        for nominal, audit, closed, found in rows
    ]


def _every_exception(session: Session, asked: Asked) -> list[Granted]:
    """Every exception that was granted for the model, whether it is in force or over."""
    names = {row.id: row.kind for row in session.execute(select(Principal.id, Principal.kind))}
    rows = session.scalars(
        select(Waiver).where(
            or_(Waiver.model_name.is_(None), Waiver.model_name == asked.model.name),
            Waiver.decision == "granted",
            Waiver.decided_at < asked.as_of,
        )
    ).all()
    renewed = {row.renews_id for row in rows if row.renews_id is not None}
    return [
        Granted(
            control=row.control,
            starts_at=row.starts_at,
            expires_at=row.expires_at,
            withdrawn_at=row.withdrawn_at,
            renewed=row.id in renewed,
            independent=row.decided_by != row.created_by and names.get(row.decided_by or row.created_by) == "person",
        )
        for row in rows
    ]


def _statements(session: Session, model_name: str, as_of: datetime) -> list[Stated]:
    rows = session.execute(
        select(Attestation, Principal.name)
        .join(Principal, Principal.id == Attestation.created_by)
        .where(or_(Attestation.model_name.is_(None), Attestation.model_name == model_name))
        .where(Attestation.created_at < as_of, Principal.kind == "person")
    )
    return [
        Stated(
            control=row.control,
            who=name,
            role=row.role,
            statement=row.statement,
            document=row.document_title or row.document_digest or "",
            at=row.created_at,
            expires_at=row.expires_at,
            withdrawn_at=row.withdrawn_at,
        )
        for row, name in rows
    ]


def _approved(session: Session, model_name: str, as_of: datetime) -> tuple[datetime, str] | None:
    """The last approval; that nobody approves what they ran is held where approvals are made."""
    found = session.execute(
        select(SignOff.created_at, SignOff.name)
        .join(ComplianceReport, ComplianceReport.id == SignOff.report_id)
        .where(ComplianceReport.model_name == model_name, SignOff.step == "approved", SignOff.created_at < as_of)
        .order_by(SignOff.created_at.desc(), SignOff.id.desc())
        .limit(1)
    ).one_or_none()
    return None if found is None else (found.created_at, found.name)


def _shared(session: Session, asked: Asked) -> tuple[datetime, Overlap] | None:
    both = select(Input.audit_id).where(Input.role == "training")
    rows = session.execute(
        select(Analysis.ended_at, Analysis.provenance)
        .join(Audit, Audit.id == Analysis.audit_id)
        .where(
            Audit.model_id.in_(same_bytes(session, asked.model)),
            Audit.id.in_(both),
            Analysis.ended_at < asked.as_of,
            Analysis.reason.is_(None),
        )
        .order_by(Analysis.ended_at.desc())
        .limit(MOST_PROVENANCES)
    )
    return newest_overlap(
        (ended, OVERLAPS.validate_json(json.dumps(provenance.get("overlaps", [])))) for ended, provenance in rows
    )


def _holds(session: Session, model_name: str, as_of: datetime) -> list[Kept]:
    """Legal holds in force at a time, on the model or on an audit of it."""
    rows = session.execute(
        select(LegalHold.created_at, Audit.title, Principal.name)
        .join(Principal, Principal.id == LegalHold.created_by)
        .outerjoin(Audit, Audit.id == LegalHold.audit_id)
        .outerjoin(Model, Model.id == Audit.model_id)
        .where(or_(LegalHold.model_name == model_name, Model.name == model_name))
        .where(LegalHold.created_at < as_of, or_(LegalHold.lifted_at.is_(None), LegalHold.lifted_at >= as_of))
        .order_by(LegalHold.created_at, LegalHold.id)
    )
    return [
        Kept(on="the model" if title is None else f"the audit {title!r}", placed_by=who, placed_at=at)
        for at, title, who in rows
    ]


def exceptions(session: Session, model_name: str, as_of: datetime) -> dict[str, Excepted]:
    """Exceptions in force at a time, by control; of several a waiver before a marking, and the one that ends last."""
    found: dict[str, Excepted] = {}
    names = dict(session.execute(select(Principal.id, Principal.name)).all())
    rows = _granted(session, model_name, as_of)
    for row in sorted(rows, key=lambda each: (each.effect == "waived", each.expires_at, str(each.id))):
        assert row.decided_at is not None, "a granted one was decided"
        assert row.effect in {"waived", "not_applicable"}, "the table holds no other"
        found[row.control] = Excepted(
            id=str(row.id),
            effect="waived" if row.effect == "waived" else "not_applicable",
            reason=row.reason,
            compensating=row.compensating,
            requested_by=names.get(row.created_by, str(row.created_by)),
            decided_by=names.get(row.decided_by, str(row.decided_by)) if row.decided_by else "",
            granted_at=row.decided_at,
            expires_at=row.expires_at,
            renewals=_renewals(session, row),
        )
    return found


def _granted(session: Session, model_name: str, as_of: datetime) -> Sequence[Waiver]:
    return session.scalars(
        select(Waiver).where(
            or_(Waiver.model_name.is_(None), Waiver.model_name == model_name),
            Waiver.decision == "granted",
            Waiver.decided_at < as_of,
            Waiver.starts_at <= as_of,
            Waiver.expires_at > as_of,
            or_(Waiver.withdrawn_at.is_(None), Waiver.withdrawn_at > as_of),
        )
    ).all()


def _renewals(session: Session, row: Waiver) -> int:
    count, seen = 0, {row.id}
    while row.renews_id is not None and row.renews_id not in seen:
        seen.add(row.renews_id)
        row = session.get_one(Waiver, row.renews_id)
        count += 1
    return count


def before(session: Session, model_name: str, as_of: datetime) -> dict[str, Status]:
    """Each control's status in the newest report before, of this model, that was not superseded."""
    last = session.scalars(
        select(ComplianceReport.id)
        .where(
            ComplianceReport.model_name == model_name,
            ComplianceReport.as_of < as_of,
            ComplianceReport.state.not_in(["waiting", "superseded"]),
        )
        .order_by(ComplianceReport.as_of.desc(), ComplianceReport.id.desc())
        .limit(1)
    ).first()
    if last is None:
        return {}
    rows = session.execute(
        select(Verdict.control, Verdict.status).where(Verdict.report_id == last, Verdict.position == -1)
    )
    return {control: Status(status) for control, status in rows}
