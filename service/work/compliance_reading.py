"""What is a compliance report made of? Rows of the store, read as the plain values that the twin is built from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.compliance.gather import baseline_of
from service.compliance.load import Library
from service.contracts.base import digest_of_value
from service.contracts.compliance import Assessment
from service.contracts.facts import ModelFacts
from service.contracts.policies import PolicyContent
from service.contracts.provenance import Provenance
from service.contracts.section import Section
from service.evidence.heads import SignedHead
from service.report.compliance import given as g
from service.store.base import EPOCH
from service.store.ledger import evidence_digest
from service.store.tables import Analysis, Audit, Event, Measurement, Model, Principal, Tenant
from service.store.tables_compliance import (
    ComplianceReport,
    Schedule,
)
from service.work import compliance_rows as rows
from service.work.shown import analysis_state

MOST_PERIODS = 11
MOST_ANALYSES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the report is of, and what was concluded: the rest is read around it."""

    report: ComplianceReport
    model: Model
    policy: PolicyContent
    library: Library
    assessment: Assessment
    head: SignedHead
    unsealed: int


def given(session: Session, basis: Basis, catalog: Catalog) -> tuple[g.Given, list[Analysis]]:
    """Everything a report is made of, and the analyses it rests on, from the session's tenant."""
    names = dict(session.execute(select(Principal.id, Principal.name)).all())
    report, model = basis.report, basis.model
    measured = _measured(session, basis)
    analyses = _analyses(session, basis, {each.analysis for each in measured})
    audits = {row.audit_id for row in analyses}
    prior = rows.prior(session, report)
    shown = report.frameworks or basis.policy.frameworks
    return (
        g.Given(
            asked=_asked(session, basis, names),
            subject=g.Subject(
                name=model.name,
                version=model.version,
                source_digest=model.source_digest,
                canonical_digest=model.canonical_digest,
                facts=ModelFacts.model_validate(model.facts),
            ),
            assessment=basis.assessment,
            data=rows.data(session, audits),
            frameworks=[each for each in basis.library.frameworks if not shown or each.id in shown],
            owners=dict(basis.policy.owners),
            prior=prior,
            periods=rows.periods(session, report),
            slots=rows.slots(session, report),
            waivers=rows.waivers(session, report, names),
            attestations=rows.attestations(session, report, names),
            measurements=measured,
            analyses=_analysed(session, analyses, catalog, names),
            anchor=_anchor(basis),
            runners=sorted({names.get(row.created_by, str(row.created_by)) for row in analyses}),
        ),
        analyses,
    )


def _asked(session: Session, basis: Basis, names: Mapping[UUID, str]) -> g.Asked:
    report = basis.report
    schedule = None if report.schedule_id is None else session.get_one(Schedule, report.schedule_id).name
    return g.Asked(
        id=str(report.id),
        title=report.title,
        organisation=session.scalars(select(Tenant.name).where(Tenant.id == report.tenant)).one(),
        window_from=report.window_from,
        window_to=report.window_to,
        zone=report.zone,
        as_of=report.as_of,
        cause=report.trigger,
        asked_by=names.get(report.created_by, str(report.created_by)),
        lamina_version=version("lamina"),
        schedule=schedule,
        late_seconds=report.late_seconds,
        revision=report.revision,
        supersedes=None if report.supersedes_id is None else str(report.supersedes_id),
    )


def _measured(session: Session, basis: Basis) -> list[g.Measured]:
    """The latest point of each line of this version within the window, with what the baseline holds for it."""
    report = basis.report
    place = (
        func.row_number()
        .over(partition_by=Measurement.series_key, order_by=(Measurement.created_at.desc(), Measurement.id.desc()))
        .label("place")
    )
    ranked = (
        select(Measurement.id, place)
        .where(
            Measurement.tenant == report.tenant,
            Measurement.model_name == report.model_name,
            Measurement.model_id == basis.model.id,
            Measurement.created_at >= report.window_from,
            Measurement.created_at < report.as_of,
        )
        .subquery()
    )
    rows = session.scalars(
        select(Measurement).join(ranked, ranked.c.id == Measurement.id).where(ranked.c.place == 1)
    ).all()
    baseline = baseline_of(session, report.model_name, report.as_of)
    fixed: dict[str, float] = {}
    if baseline is not None:
        found = session.execute(
            select(Measurement.series_key, Measurement.value).where(Measurement.audit_id == baseline.audit_id)
        )
        fixed = dict(found.all())
    return [_point(row, fixed.get(row.series_key)) for row in sorted(rows, key=lambda row: str(row.id))]


def _point(row: Measurement, baseline: float | None) -> g.Measured:
    return g.Measured(
        id=str(row.id),
        analysis=str(row.analysis_id),
        kind=row.kind,
        metric=row.metric,
        value=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        at=row.created_at,
        layer=row.layer,
        class_name=row.class_name,
        target=row.target,
        epsilon=row.epsilon,
        facets=json.loads(row.facets),
        dataset=row.dataset_name,
        role=row.dataset_role,
        baseline=baseline,
    )


def _analyses(session: Session, basis: Basis, shown: set[str]) -> list[Analysis]:
    """Those that a verdict cites, those whose numbers are shown, and those of the window that gave no outcome."""
    found = [judged.evidence for one in basis.assessment.controls for judged in one.judged]
    cited = {
        UUID(name)
        for evidence in found
        if evidence is not None
        for name in (evidence.analysis, *(each.analysis for each in evidence.added))
        if name is not None
    }
    others = sorted({UUID(each) for each in shown} - cited)
    report = basis.report
    failed = (
        select(Analysis.id)
        .join(Audit, Audit.id == Analysis.audit_id)
        .where(
            Audit.model_id == basis.model.id,
            Analysis.ended_at >= report.window_from,
            Analysis.ended_at < report.as_of,
            Analysis.reason.is_not(None),
        )
        .order_by(Analysis.id.desc())
        .limit(MOST_ANALYSES)
    )
    # What a verdict rests on is always there: a figure without its evidence could not be checked.
    ids = [*sorted(cited), *[*others, *session.scalars(failed)][: max(0, MOST_ANALYSES - len(cited))]]
    return list(session.scalars(select(Analysis).where(Analysis.id.in_(ids)).order_by(Analysis.id)).all())


def _analysed(
    session: Session, rows: Sequence[Analysis], catalog: Catalog, names: Mapping[UUID, str]
) -> list[g.Analysed]:
    kinds = catalog.kinds()
    ends = ends_of(session, [row.id for row in rows])
    return [
        g.Analysed(
            id=str(row.id),
            audit=str(row.audit_id),
            kind=row.kind,
            kind_version=row.kind_version,
            title=kinds[row.kind].title if row.kind in kinds else row.kind,
            family=kinds[row.kind].family if row.kind in kinds else "",
            state=analysis_state(row).value,
            parameters=row.parameters,
            config_digest=row.parameters_digest,
            digest=row.digest,
            section=_section(row),
            provenance=None if row.provenance is None else Provenance.model_validate_json(_text(row.provenance)),
            said="" if row.reason is None else str(row.reason.get("detail", "")),
            submitted_by=names.get(row.created_by, str(row.created_by)),
            started_at=None if row.work is None else row.work.started_at,
            ended_at=row.ended_at,
            result_digest=evidence_digest(row) if row.ended_at is not None else None,
            environment_digest=_environment(row),
            code_version=_code(row),
            event_number=ends[row.id].chain_number if row.id in ends else None,
            leaf_hash=ends[row.id].leaf_hash if row.id in ends else None,
        )
        for row in rows
    ]


def _section(row: Analysis) -> Section | None:
    return None if row.section is None else Section.model_validate_json(_text(row.section))


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value)


def _environment(row: Analysis) -> str | None:
    return None if row.provenance is None else digest_of_value(row.provenance.get("machine", {}))


def _code(row: Analysis) -> str | None:
    if row.provenance is None:
        return None
    found = row.provenance.get("machine", {}).get("versions", {}).get("lamina")
    return None if found is None else str(found)


def ends_of(session: Session, analyses: Sequence[UUID]) -> dict[UUID, Event]:
    """The event by which the log binds what each analysis gave."""
    rows = session.scalars(
        select(Event).where(
            Event.subject_type == "analysis",
            Event.subject_id.in_(analyses),
            Event.action.in_(["kept", "ended without outcome"]),
        )
    )
    return {row.subject_id: row for row in rows}


def _anchor(basis: Basis) -> g.Anchor:
    head = basis.head
    at = EPOCH + timedelta(microseconds=head.head.at)
    return g.Anchor(
        size=head.head.size,
        root=head.head.root,
        chain_hash=head.head.chain_hash,
        key_id=head.key_id,
        signature=head.signature,
        signed_at=at,
        unsealed=basis.unsealed,
    )
