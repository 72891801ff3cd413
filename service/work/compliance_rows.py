"""What happened around a report? Slots, exceptions, statements and earlier reports, as the report's plain values."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.contracts.compliance import Status
from service.report.compliance import given as g
from service.store.tables import Dataset, Input, Model
from service.store.tables_compliance import (
    Attestation,
    ComplianceReport,
    Schedule,
    SignOff,
    Slot,
    Verdict,
    Waiver,
)

MOST_PERIODS = 11


def data(session: Session, audits: set[UUID]) -> list[g.DataUsed]:
    """The datasets of some audits, in their roles."""
    rows = session.execute(
        select(Input.role, Dataset).join(Dataset, Dataset.id == Input.dataset_id).where(Input.audit_id.in_(audits))
    )
    found = {(role, row.id): row for role, row in rows}
    return [
        g.DataUsed(
            role=role,
            name=row.name,
            version=row.version,
            digest=row.canonical_digest or row.source_digest,
            examples=None if row.manifest is None else row.manifest.get("examples"),
        )
        for (role, _), row in sorted(found.items(), key=lambda each: (each[0][0], each[1].name, each[1].version))
    ]


def verdicts(session: Session, report_id: UUID) -> list[g.Verdict]:
    """What a report concluded, control by control."""
    rows = session.scalars(
        select(Verdict).where(Verdict.report_id == report_id).order_by(Verdict.control, Verdict.position)
    )
    return [
        g.Verdict(
            control=row.control,
            position=row.position,
            status=Status(row.status),
            metric=row.metric,
            value=row.value,
            low=row.low,
            high=row.high,
            n=row.n,
            threshold=row.threshold,
        )
        for row in rows
    ]


def _earlier(report: ComplianceReport) -> tuple[Any, ...]:
    return (
        ComplianceReport.model_name == report.model_name,
        ComplianceReport.as_of < report.as_of,
        ComplianceReport.state.not_in(["waiting", "superseded"]),
        ComplianceReport.id != report.id,
    )


def prior(session: Session, report: ComplianceReport) -> g.Prior | None:
    """The last report that was approved; where none was, the last that was made."""
    newest = (ComplianceReport.as_of.desc(), ComplianceReport.id.desc())
    approved = select(ComplianceReport).where(*_earlier(report), ComplianceReport.state == "approved")
    row = session.scalars(approved.order_by(*newest).limit(1)).first()
    if row is None:
        row = session.scalars(select(ComplianceReport).where(*_earlier(report)).order_by(*newest).limit(1)).first()
    if row is None or row.twin_digest is None:
        return None
    model = session.get_one(Model, row.model_id)
    signed = session.scalars(
        select(SignOff).where(SignOff.report_id == row.id, SignOff.step == "approved").limit(1)
    ).first()
    about = row.about or {}
    return g.Prior(
        id=str(row.id),
        as_of=row.as_of,
        window_to=row.window_to,
        twin_digest=row.twin_digest,
        model_version=model.version,
        model_digest=model.canonical_digest or model.source_digest,
        library=about.get("library", ""),
        policy=about.get("policy", ""),
        policy_digest=about.get("policy_digest", ""),
        lamina_version=about.get("lamina", ""),
        datasets=about.get("datasets", {}),
        verdicts=verdicts(session, row.id),
        approved_at=None if signed is None else signed.created_at,
        approved_by=None if signed is None else signed.name,
    )


def periods(session: Session, report: ComplianceReport) -> list[g.Period]:
    """The reports before, oldest first."""
    rows = session.scalars(
        select(ComplianceReport)
        .where(*_earlier(report))
        .order_by(ComplianceReport.as_of.desc(), ComplianceReport.id.desc())
        .limit(MOST_PERIODS)
    ).all()
    return [g.Period(report=str(row.id), as_of=row.as_of, verdicts=verdicts(session, row.id)) for row in reversed(rows)]


def slots(session: Session, report: ComplianceReport) -> list[g.DueSlot]:
    """The slots of the model's schedules within the window."""
    rows = session.execute(
        select(Slot, Schedule.name, Schedule.purpose)
        .join(Schedule, Schedule.id == Slot.schedule_id)
        .where(
            Schedule.model_name == report.model_name,
            Slot.nominal_at >= report.window_from,
            Slot.nominal_at < report.window_to,
        )
        .order_by(Slot.nominal_at, Slot.id)
    )
    return [
        g.DueSlot(
            schedule=name,
            purpose=purpose,
            nominal_at=row.nominal_at,
            state=row.state,
            late_seconds=row.late_seconds,
            attempt=row.attempt,
            said="" if row.reason is None else str(row.reason.get("detail", "")),
            audit=None if row.audit_id is None else str(row.audit_id),
            report=None if row.report_id is None else str(row.report_id),
        )
        for row, name, purpose in rows
    ]


def _of_model(table: type[Waiver] | type[Attestation], report: ComplianceReport) -> tuple[Any, ...]:
    """Rows about this model or about every model, known by the window's end and alive within it."""
    return (
        or_(table.model_name.is_(None), table.model_name == report.model_name),
        table.created_at < report.as_of,
        table.expires_at > report.window_from,
    )


def waivers(session: Session, report: ComplianceReport, names: Mapping[UUID, str]) -> list[g.WaiverGiven]:
    """Exceptions that were asked for by the window's end and reach into it."""
    rows = session.scalars(select(Waiver).where(*_of_model(Waiver, report)).order_by(Waiver.created_at, Waiver.id))
    return [
        g.WaiverGiven(
            id=str(row.id),
            control=row.control,
            effect="waived" if row.effect == "waived" else "not_applicable",
            reason=row.reason,
            compensating=row.compensating,
            requested_by=names.get(row.created_by, str(row.created_by)),
            requested_at=row.created_at,
            starts_at=row.starts_at,
            expires_at=row.expires_at,
            decision=_decision(row, report.as_of),
            decided_by=names.get(row.decided_by, str(row.decided_by)) if row.decided_by else None,
            decided_at=row.decided_at,
            comment=row.decision_comment,
            withdrawn_at=row.withdrawn_at,
            covers=row.model_name or "every model",
        )
        for row in rows
    ]


def _decision(row: Waiver, as_of: datetime) -> Any:
    """What was decided by then: a later decision is a later report's."""
    return row.decision if row.decided_at is not None and row.decided_at < as_of else None


def attestations(session: Session, report: ComplianceReport, names: Mapping[UUID, str]) -> list[g.AttestationGiven]:
    """Statements that were made by the window's end and reach into it."""
    rows = session.scalars(
        select(Attestation).where(*_of_model(Attestation, report)).order_by(Attestation.created_at, Attestation.id)
    )
    return [
        g.AttestationGiven(
            id=str(row.id),
            control=row.control,
            who=names.get(row.created_by, str(row.created_by)),
            role=row.role,
            statement=row.statement,
            stated_at=row.created_at,
            expires_at=row.expires_at,
            document_title=row.document_title,
            document_digest=row.document_digest,
            withdrawn_at=row.withdrawn_at,
            covers=row.model_name or "every model",
        )
        for row in rows
    ]
