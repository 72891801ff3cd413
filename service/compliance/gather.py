"""What is stored that bears on a report? Read in a few questions, as values; the assessment reads nothing itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.compliance.assess import Found, Question, Set
from service.compliance.candidates import Pool, Runs, answer, point_of, points_by
from service.compliance.load import Library, Measurable
from service.compliance.policy import declared_of, effective, tier_of
from service.compliance.predicate import applies, facts
from service.compliance.sources import Due, Granted, LedgerFacts, Own, Stated, newest_overlap, own_answer
from service.contracts.compliance import Control, Excepted, Requirement, Status
from service.contracts.facts import ModelFacts
from service.contracts.policies import PolicyContent
from service.contracts.provenance import Overlap
from service.contracts.vocabulary import METRICS
from service.store.tables import Analysis, Audit, Input, Measurement, Model, Principal
from service.store.tables_compliance import (
    Attestation,
    Baseline,
    ComplianceReport,
    Schedule,
    SignOff,
    Slot,
    Verdict,
    Waiver,
)

OVERLAPS: TypeAdapter[list[Overlap]] = TypeAdapter(list[Overlap])
MOST_PROVENANCES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be assessed: one version of a model, over a window, under a policy."""

    model: Model
    window_from: datetime
    as_of: datetime
    policy: PolicyContent
    library: Library
    measurable: Measurable
    ledger: LedgerFacts
    broken: frozenset[UUID]


def question(session: Session, asked: Asked) -> Question:
    """Everything an assessment rests on, from the session's tenant."""
    model_facts = ModelFacts.model_validate(asked.model.facts)
    rules = effective(asked.policy, asked.library)
    tier = tier_of(asked.policy, model_facts)
    needs = [need for control in rules.controls for need in control.requirements if need.source == "measurement"]
    pool = _pool(session, asked, tier=tier, needs=needs, facts_of=model_facts)
    own = _own(session, asked, rules.controls)
    kinds = _used(session, asked)
    true = facts(
        task=model_facts.task,
        tier=tier,
        role=asked.policy.role,
        kinds=kinds,
        families={asked.measurable.families[kind] for kind in kinds if kind in asked.measurable.families},
        layers={layer["type"] for layer in (asked.model.manifest or {}).get("layers", ())},
        jurisdictions=asked.policy.jurisdictions,
    )
    return Question(
        controls=rules.controls,
        found=_found(rules.controls, rules.set_by, asked, pool, own, true),
        as_of=asked.as_of,
        tier=tier,
        applies={control.id: applies(control.applies, true) for control in rules.controls},
        set_by=rules.set_by,
        exceptions=exceptions(session, asked.model.name, asked.as_of),
        before=before(session, asked.model.name, asked.as_of),
        tailored=rules.tailored,
    )


def _found(
    controls: Sequence[Control],
    set_by: Mapping[tuple[str, int], Set],
    asked: Asked,
    pool: Pool,
    own: Own,
    true: frozenset[str],
) -> dict[tuple[str, int], Found]:
    found = {}
    for control in controls:
        for place, need in enumerate(control.requirements):
            at = (control.id, place)
            if not applies(need.applies, true):
                found[at] = Found(applies=False)
            elif need.source == "measurement":
                fresh = set_by[at].fresh if at in set_by else None
                found[at] = answer(need, asked.measurable.by(need), pool, fresh=fresh or need.fresh)
            else:
                found[at] = own_answer(need, control.id, own)
    return found


def _pool(session: Session, asked: Asked, *, tier: str, needs: Sequence[Requirement], facts_of: ModelFacts) -> Pool:
    known = sorted({need.metric for need in needs} & METRICS.keys())
    settings = any(need.config for need in needs)
    versions = _versions(session, asked.model.name)
    baseline = baseline_of(session, asked.model.name, asked.as_of)
    fixed: dict[str, Any] = {}
    if baseline is not None:
        rows = session.scalars(
            select(Measurement).where(Measurement.audit_id == baseline.audit_id, Measurement.metric.in_(known))
        )
        fixed = {row.series_key: point_of(row, versions) for row in rows}
    points = _latest(session, asked, known)
    return Pool(
        models=_same(session, asked.model),
        as_of=asked.as_of,
        tier=tier,
        points=points_by(points, versions),
        declared=declared_of(asked.policy, facts_of),
        parameters=_parameters(session, {row.analysis_id for row in points}) if settings else {},
        broken=asked.broken,
        baseline=fixed,
        runs=_runs(session, asked),
    )


def _same(session: Session, model: Model) -> frozenset[UUID]:
    """The versions of a model whose canonical bytes are the same: evidence of one is evidence of all."""
    if model.canonical_digest is None:
        return frozenset({model.id})
    rows = select(Model.id).where(Model.name == model.name, Model.canonical_digest == model.canonical_digest)
    return frozenset(session.scalars(rows))


def _parameters(session: Session, analyses: set[UUID]) -> dict[UUID, dict[str, Any]]:
    rows = select(Analysis.id, Analysis.parameters).where(Analysis.id.in_(analyses))
    return {row.id: row.parameters for row in session.execute(rows)}


def _used(session: Session, asked: Asked) -> set[str]:
    """Kinds that were ever asked for of any version of the model: one that is no longer run is still in use."""
    rows = (
        select(Analysis.kind)
        .join(Audit, Audit.id == Analysis.audit_id)
        .join(Model, Model.id == Audit.model_id)
        .where(Model.name == asked.model.name, Analysis.created_at < asked.as_of)
        .distinct()
    )
    return set(session.scalars(rows))


def _latest(session: Session, asked: Asked, metrics: Sequence[str]) -> Sequence[Any]:
    """The latest point of each line and version of the model's, before the window's end."""
    place = (
        func.row_number()
        .over(
            partition_by=(Measurement.model_id, Measurement.series_key),
            order_by=(Measurement.created_at.desc(), Measurement.id.desc()),
        )
        .label("place")
    )
    ranked = (
        select(Measurement.id, place)
        .where(
            Measurement.tenant == asked.model.tenant,
            Measurement.model_name == asked.model.name,
            Measurement.metric.in_(metrics),
            Measurement.created_at < asked.as_of,
        )
        .subquery()
    )
    return session.scalars(
        select(Measurement).join(ranked, ranked.c.id == Measurement.id).where(ranked.c.place == 1)
    ).all()


def _runs(session: Session, asked: Asked) -> dict[str, Runs]:
    """How often each kind was run on these bytes within the window, how often without an outcome or a schedule."""
    scheduled = select(Slot.audit_id).where(Slot.audit_id.is_not(None))
    without, planned = Analysis.reason.is_not(None), Audit.id.in_(scheduled)
    rows = session.execute(
        select(Analysis.kind, without, planned, func.count(Analysis.id))
        .join(Audit, Audit.id == Analysis.audit_id)
        .where(
            Audit.model_id.in_(_same(session, asked.model)),
            Analysis.created_at >= asked.window_from,
            Analysis.created_at < asked.as_of,
            Analysis.ended_at.is_not(None),
        )
        .group_by(Analysis.kind, without, planned)
    )
    counted: dict[str, Runs] = {}
    for kind, failed, scheduled_, count in rows:
        before = counted.get(kind, Runs())
        counted[kind] = Runs(
            attempts=before.attempts + count,
            failed=before.failed + (count if failed else 0),
            by_hand=before.by_hand + (0 if scheduled_ else count),
        )
    return counted


def _own(session: Session, asked: Asked, controls: Sequence[Control]) -> Own:
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
            Audit.model_id.in_(_same(session, asked.model)),
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


def baseline_of(session: Session, model_name: str, as_of: datetime) -> Baseline | None:
    """The baseline that was approved at a time."""
    return session.scalars(
        select(Baseline)
        .where(
            Baseline.model_name == model_name,
            Baseline.created_at < as_of,
            or_(Baseline.replaced_at.is_(None), Baseline.replaced_at >= as_of),
        )
        .order_by(Baseline.created_at.desc(), Baseline.id.desc())
        .limit(1)
    ).first()


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


def _versions(session: Session, name: str) -> dict[UUID, str]:
    return dict(session.execute(select(Model.id, Model.version).where(Model.name == name)).all())
