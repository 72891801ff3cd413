"""How is an analysis asked again? With its parameters, inputs and stored plan, in an audit of its own."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.contracts.api import AnalysisSubmission, AuditSubmission, InputSubmission
from service.settings import Settings
from service.store.ledger import record
from service.store.tables import Analysis, Audit, Input
from service.work.audits import submit
from service.work.refusals import Conflict


def replay(
    session: Session,
    analysis_id: UUID,
    *,
    tenant: UUID,
    principal: UUID,
    catalog: Catalog,
    settings: Settings,
    now: datetime,
) -> Audit:
    """Ask an analysis again, in an audit of its own. Raises LookupError, Conflict, Invalid, OverOpenWork."""
    first = session.scalar(select(Analysis).where(Analysis.id == analysis_id))
    if first is None:
        raise LookupError(f"there is no analysis {analysis_id}")
    if first.ended_at is None or first.reason is not None:
        raise Conflict("only an analysis that ended with an outcome can be repeated")
    kind = catalog.kinds().get(first.kind)
    if kind is None or kind.version != first.kind_version:
        there = "none" if kind is None else f"version {kind.version}"
        raise Conflict(
            f"it was made by version {first.kind_version} of {first.kind}, and this service has {there};"
            " repeat it with the release that made it"
        )
    audit = session.get_one(Audit, first.audit_id)
    inputs = session.scalars(select(Input).where(Input.audit_id == audit.id)).all()
    wanted = {*kind.roles, *kind.optional_roles, *kind.analysis_roles}
    made = submit(
        session,
        AuditSubmission(
            title=f"replay of {first.kind} in {audit.title}"[:128],
            model=audit.model_id,
            inputs={
                row.role: InputSubmission(dataset=row.dataset_id, analysis=row.analysis_id)
                for row in inputs
                if row.role in wanted
            },
            analyses=(AnalysisSubmission(kind=first.kind, parameters=first.parameters),),
        ),
        tenant=tenant,
        principal=principal,
        catalog=catalog,
        settings=settings,
        now=now,
    )
    again = session.scalars(select(Analysis).where(Analysis.audit_id == made.id)).one()
    again.replays_id = first.id
    record(
        session,
        [],
        tenant=tenant,
        actor=principal,
        now=now,
        subject_type="analysis",
        subject_id=again.id,
        action="replay asked for",
        detail={"replays": str(first.id)},
    )
    return made
