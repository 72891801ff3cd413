"""What is stored that bears on a report? Read in a few questions, as values; the assessment reads nothing itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from service.compliance.asked import Asked, same_bytes
from service.compliance.assess import Found, Question, Set
from service.compliance.candidates import Pool, Runs, answer, point_of, points_by
from service.compliance.policy import declared_of, effective, tier_of
from service.compliance.predicate import applies, facts
from service.compliance.recorded import before, exceptions, recorded
from service.compliance.sources import Own, own_answer
from service.contracts.compliance import Control, Requirement
from service.contracts.facts import ModelFacts
from service.contracts.vocabulary import METRICS
from service.store.tables import Analysis, Audit, Measurement, Model
from service.store.tables_compliance import Baseline, Slot

__all__ = ["Asked", "baseline_of", "question"]


def question(session: Session, asked: Asked) -> Question:
    """Everything an assessment rests on, from the session's tenant."""
    model_facts = ModelFacts.model_validate(asked.model.facts)
    rules = effective(asked.policy, asked.library)
    tier = tier_of(asked.policy, model_facts)
    needs = [need for control in rules.controls for need in control.requirements if need.source == "measurement"]
    pool = _pool(session, asked, tier=tier, needs=needs, facts_of=model_facts)
    own = recorded(session, asked, rules.controls)
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
        models=same_bytes(session, asked.model),
        as_of=asked.as_of,
        tier=tier,
        points=points_by(points, versions),
        declared=declared_of(asked.policy, facts_of),
        parameters=_parameters(session, {row.analysis_id for row in points}) if settings else {},
        broken=asked.broken,
        baseline=fixed,
        runs=_runs(session, asked),
        versions=asked.measurable.versions,
    )


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
            Audit.model_id.in_(same_bytes(session, asked.model)),
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


def _versions(session: Session, name: str) -> dict[UUID, str]:
    return dict(session.execute(select(Model.id, Model.version).where(Model.name == name)).all())
