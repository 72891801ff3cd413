"""When may an analysis that waits for its inputs begin? When the last one is ready; never, once one is refused.

The audit's row is the mutex: of two inspections that end together, the second to lock it sees both inputs ready.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.contracts.base import analysis_digest, digest_of_value
from service.contracts.problem import Reason
from service.contracts.status import WorkType
from service.settings import Settings
from service.store.tables import Analysis, Artifact, Audit, Dataset, Input, Model
from service.work.ending import end_analyses, lock_audits
from service.work.queue import enqueue

Subject = Model | Dataset
ARRAYS = "arrays.safetensors"
"""The artifact that holds an analysis' values per example."""


def release_ready(session: Session, subject: Subject, *, catalog: Catalog, settings: Settings, now: datetime) -> int:
    """Queue the analyses that waited for `subject` and now wait for nothing; returns how many."""
    audits = waiting_audits(session, [subject.id])
    lock_audits(session, audits)
    return sum(release_audit(session, audit, catalog=catalog, settings=settings, now=now) for audit in audits)


def refuse_subjects(session: Session, subjects: Iterable[UUID], reason: Reason) -> None:
    """Write down why models or datasets do not come in."""
    wanted = sorted(subjects)
    for table in (Model, Dataset):
        session.execute(
            update(table)
            .where(table.id.in_(wanted))
            .values(refusal=reason.model_dump(mode="json"))
            .execution_options(synchronize_session=False)
        )


def refuse_waiting(session: Session, refused: Iterable[UUID], reason: Reason, *, now: datetime) -> None:
    """End the analyses that wait for inputs which will never be ready. Their audits must be locked."""
    told = Reason(
        code="input-refused",
        detail=f"an input was refused: {reason.detail}"[:4000],
        remedy=reason.remedy,
        faults=reason.faults,
    )
    audits = waiting_audits(session, refused)
    waiting = session.scalars(
        select(Analysis.id).where(
            Analysis.audit_id.in_(audits), Analysis.work_id.is_(None), Analysis.ended_at.is_(None)
        )
    ).all()
    end_analyses(session, dict.fromkeys(waiting, told), now=now)


def waiting_audits(session: Session, subjects: Iterable[UUID]) -> list[UUID]:
    """Open audits with an analysis that waits and that use one of these models or datasets, by id."""
    wanted = list(subjects)
    uses = select(Input.audit_id).where(or_(Input.dataset_id.in_(wanted), Input.model_id.in_(wanted)))
    return list(
        session.scalars(
            select(Audit.id)
            .where(
                or_(Audit.model_id.in_(wanted), Audit.id.in_(uses)),
                Audit.closed_at.is_(None),
                Audit.id.in_(select(Analysis.audit_id).where(Analysis.work_id.is_(None), Analysis.ended_at.is_(None))),
            )
            .order_by(Audit.id)
        )
    )


def release_audit(session: Session, audit_id: UUID, *, catalog: Catalog, settings: Settings, now: datetime) -> int:
    """Queue what waits in one audit if its model and every input are ready; the audit must be locked or new."""
    ready = _canonical_digests(session, audit_id)
    if ready is None:
        return 0
    model_id, model, inputs = ready
    waiting = session.scalars(
        select(Analysis)
        .where(Analysis.audit_id == audit_id, Analysis.work_id.is_(None), Analysis.ended_at.is_(None))
        .order_by(Analysis.position)
        .with_for_update(of=Analysis)
        .execution_options(populate_existing=True)
    ).all()
    for analysis in waiting:
        kind = catalog.kind(analysis.kind)
        wanted = (*kind.roles, *kind.optional_roles, *kind.analysis_roles)
        roles = {role: inputs[role] for role in wanted if role in inputs}
        work = enqueue(
            session,
            type=WorkType.ANALYSIS,
            subject_id=analysis.id,
            tenant=analysis.tenant,
            created_by=analysis.created_by,
            queue=analysis.queue,
            needs=f"{analysis.kind}@{analysis.kind_version}",
            group_key=f"{audit_id}:{model_id}:{analysis.queue}",
            max_attempts=settings.max_attempts,
            now=now,
        )
        session.execute(
            update(Analysis)
            .where(Analysis.id == analysis.id)
            .values(
                work_id=work.id,
                digest=analysis_digest(analysis.kind, analysis.kind_version, analysis.parameters, roles, model),
            )
            .execution_options(synchronize_session=False)
        )
    return len(waiting)


def _canonical_digests(session: Session, audit_id: UUID) -> tuple[UUID, str, dict[str, str]] | None:
    """The model's id and canonical digest, and those of the inputs by role; None while one is missing."""
    model_id, model = session.execute(
        select(Model.id, Model.canonical_digest).join(Audit, Audit.model_id == Model.id).where(Audit.id == audit_id)
    ).one()
    inputs = session.execute(
        select(Input.role, Dataset.canonical_digest)
        .join(Dataset, Input.dataset_id == Dataset.id)
        .where(Input.audit_id == audit_id)
    ).all()
    if model is None or any(digest is None for _, digest in inputs):
        return None
    earlier = session.execute(
        select(Input.role, Analysis).join(Analysis, Input.analysis_id == Analysis.id).where(Input.audit_id == audit_id)
    ).all()
    found = {role: digest for role, digest in inputs if digest is not None}
    return model_id, model, found | {role: result_digest(session, analysis) for role, analysis in earlier}


def result_digest(session: Session, analysis: Analysis) -> str:
    """What an earlier analysis is as an input: which computation it was, and the values per example that it gave."""
    arrays = session.scalar(select(Artifact.digest).where(Artifact.analysis_id == analysis.id, Artifact.name == ARRAYS))
    return digest_of_value({"analysis": analysis.digest, "arrays": arrays})
