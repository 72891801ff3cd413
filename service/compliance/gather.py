"""What is stored that bears on a report? Read in a few questions, as values; the assessment reads nothing itself."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.compliance.assess import Found, Question
from service.compliance.candidates import Pool, Runs, answer, point_of, points_by
from service.compliance.load import Library, Measurable
from service.compliance.policy import declared_of, effective, tier_of
from service.compliance.predicate import applies, facts
from service.compliance.sources import InForce, LedgerFacts, Own, Stated, newest_overlap, own_answer
from service.contracts.compliance import Control, Excepted, Status
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
    wanted = {
        need.metric for control in rules.controls for need in control.requirements if need.source == "measurement"
    }
    pool = _pool(session, asked, tier=tier, metrics=wanted, facts_of=model_facts)
    own = _own(session, asked)
    kinds = set(pool.runs)
    true = facts(
        task=model_facts.task,
        tier=tier,
        role=asked.policy.role,
        kinds=kinds,
        families={asked.measurable.families[kind] for kind in kinds if kind in asked.measurable.families},
    )
    return Question(
        controls=rules.controls,
        found=_found(rules.controls, rules.set_by, asked, pool, own),
        as_of=asked.as_of,
        tier=tier,
        applies={control.id: applies(control.applies, true) for control in rules.controls},
        set_by=rules.set_by,
        exceptions=exceptions(session, asked.model.name, asked.as_of),
        before=before(session, asked.model.name, asked.as_of),
        tailored=rules.tailored,
    )


def _found(
    controls: Sequence[Control], set_by: Mapping[tuple[str, int], Any], asked: Asked, pool: Pool, own: Own
) -> dict[tuple[str, int], Found]:
    found = {}
    for control in controls:
        for place, need in enumerate(control.requirements):
            at = (control.id, place)
            if need.source == "measurement":
                fresh = set_by[at].fresh if at in set_by and set_by[at].fresh is not None else need.fresh
                found[at] = answer(need, asked.measurable.by(need), pool, fresh=fresh)
            else:
                found[at] = own_answer(need, control.id, own)
    return found


def _pool(session: Session, asked: Asked, *, tier: str, metrics: set[str], facts_of: ModelFacts) -> Pool:
    known = sorted(metrics & METRICS.keys())
    versions = _versions(session, asked.model.name)
    baseline = baseline_of(session, asked.model.name, asked.as_of)
    fixed: dict[str, Any] = {}
    if baseline is not None:
        rows = session.scalars(
            select(Measurement).where(Measurement.audit_id == baseline.audit_id, Measurement.metric.in_(known))
        )
        fixed = {row.series_key: point_of(row, versions) for row in rows}
    return Pool(
        model=asked.model.id,
        as_of=asked.as_of,
        tier=tier,
        points=points_by(_latest(session, asked, known), versions),
        broken=asked.broken,
        baseline=fixed,
        has_baseline=baseline is not None,
        declared=declared_of(asked.policy, facts_of),
        runs=_runs(session, asked),
    )


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
    """How often each kind was run on this version within the window, and how often without an outcome."""
    rows = session.execute(
        select(Analysis.kind, Analysis.reason.is_not(None), func.count(Analysis.id))
        .join(Audit, Audit.id == Analysis.audit_id)
        .where(
            Audit.model_id == asked.model.id,
            Analysis.created_at >= asked.window_from,
            Analysis.created_at < asked.as_of,
            Analysis.ended_at.is_not(None),
        )
        .group_by(Analysis.kind, Analysis.reason.is_not(None))
    )
    counted: dict[str, Counter[bool]] = {}
    for kind, without, count in rows:
        counted.setdefault(kind, Counter())[bool(without)] += count
    return {kind: Runs(attempts=sum(found.values()), failed=found[True]) for kind, found in counted.items()}


def _own(session: Session, asked: Asked) -> Own:
    granted = _granted(session, asked.model.name, asked.as_of)
    return Own(
        as_of=asked.as_of,
        ledger=asked.ledger,
        slots=_slots(session, asked),
        exceptions=[
            InForce(
                control=row.control,
                length=row.expires_at - row.starts_at,
                self_granted=row.decided_by == row.created_by,
            )
            for row in granted
        ],
        statements=_statements(session, asked.model.name, asked.as_of),
        approved=_approved(session, asked.model.name, asked.as_of),
        unfounded_thresholds=0,  # a policy without owner and reason for one is refused
        shared=_shared(session, asked),
    )


def _slots(session: Session, asked: Asked) -> dict[str, int] | None:
    rows = session.execute(
        select(Slot.state, func.count(Slot.id))
        .join(Schedule, Schedule.id == Slot.schedule_id)
        .where(
            Schedule.model_name == asked.model.name,
            Schedule.purpose == "audits",
            Slot.cause == "time",
            Slot.nominal_at >= asked.window_from,
            Slot.nominal_at < asked.as_of,
        )
        .group_by(Slot.state)
    )
    return dict(rows.all()) or None


def _statements(session: Session, model_name: str, as_of: datetime) -> list[Stated]:
    rows = session.execute(
        select(Attestation, Principal.name)
        .join(Principal, Principal.id == Attestation.created_by)
        .where(or_(Attestation.model_name.is_(None), Attestation.model_name == model_name))
        .where(Attestation.created_at < as_of)
    )
    return [
        Stated(
            control=row.control,
            who=name,
            role=row.role,
            statement=row.statement,
            at=row.created_at,
            expires_at=row.expires_at,
            withdrawn_at=row.withdrawn_at,
        )
        for row, name in rows
    ]


def _approved(session: Session, model_name: str, as_of: datetime) -> tuple[datetime, str] | None:
    found = session.execute(
        select(SignOff.created_at, SignOff.name)
        .join(ComplianceReport, ComplianceReport.id == SignOff.report_id)
        .where(ComplianceReport.model_name == model_name, SignOff.step == "approved", SignOff.created_at < as_of)
        .order_by(SignOff.created_at.desc())
        .limit(1)
    ).one_or_none()
    return None if found is None else (found.created_at, found.name)


def _shared(session: Session, asked: Asked) -> tuple[datetime, Overlap] | None:
    both = select(Input.audit_id).where(Input.role == "training")
    rows = session.execute(
        select(Analysis.ended_at, Analysis.provenance)
        .join(Audit, Audit.id == Analysis.audit_id)
        .where(
            Audit.model_id == asked.model.id,
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
    """Exceptions in force at a time, by control; of several the one that ends last."""
    found: dict[str, Excepted] = {}
    names = dict(session.execute(select(Principal.id, Principal.name)).all())
    rows = _granted(session, model_name, as_of)
    for row in sorted(rows, key=lambda each: each.expires_at):
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
