"""How does an audit begin and how is it called off? In one transaction: checked, written, queued; or refused whole."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.catalog import Catalog, pointer
from service.contracts.api import AuditSubmission
from service.contracts.base import digest_of_value
from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.problem import Fault
from service.contracts.status import OPEN, WorkState
from service.settings import Settings
from service.store.base import new_id
from service.store.ledger import record
from service.store.tables import Analysis, Audit, Dataset, Input, Model, Tenant, Work
from service.work.ending import CANCELLED, end_analyses, lock_audits
from service.work.refusals import Invalid, OverOpenWork
from service.work.release import release_audit
from service.work.transition import note, transition

COMPARED = frozenset({"training"})
COMPARISONS = frozenset({"before", "after"})
"""Roles that an audit may name though no kind asks for them: every analysis says how many examples they share."""


def submit(
    session: Session,
    submission: AuditSubmission,
    *,
    tenant: UUID,
    principal: UUID,
    catalog: Catalog,
    settings: Settings,
    now: datetime,
) -> Audit:
    """Write an audit; its analyses are queued at once if every input is ready, else when the last one is.

    `session` is the tenant's. Raises Invalid with every fault of the request, OverOpenWork at the tenant's cap.
    """
    # Held until the commit: an inspection that ends meanwhile waits, and then finds these analyses waiting for it.
    model = session.scalar(select(Model).where(Model.id == submission.model).with_for_update(read=True, of=Model))
    wanted = {filled.dataset for filled in submission.inputs.values() if filled.dataset is not None}
    datasets = {
        dataset.id: dataset
        for dataset in session.scalars(
            select(Dataset).where(Dataset.id.in_(wanted)).order_by(Dataset.id).with_for_update(read=True, of=Dataset)
        )
    }
    faults = [
        *_model_faults(model),
        *_input_faults(submission, model, datasets),
        *_earlier_faults(session, submission),
        *_analysis_faults(submission, catalog, settings),
    ]
    if faults or model is None:
        raise Invalid(faults)
    _make_room(session, tenant, len(submission.analyses), settings)
    audit = _write(session, submission, tenant=tenant, principal=principal, catalog=catalog, now=now)
    release_audit(session, audit.id, catalog=catalog, settings=settings, now=now)
    return audit


def cancel(session: Session, audit_id: UUID, *, actor: UUID, now: datetime) -> Audit:
    """Call an audit off: what has not begun ends now, what runs is told. A closed audit stays as it is.

    Raises LookupError when the session sees no such audit.
    """
    lock_audits(session, [audit_id])
    audit = session.get(Audit, audit_id, populate_existing=True)
    if audit is None:
        raise LookupError(f"there is no audit {audit_id}")
    if audit.closed_at is not None or audit.cancel_requested_at is not None:
        return audit
    audit.cancel_requested_at = now
    note(
        session,
        tenant=audit.tenant,
        actor=actor,
        now=now,
        subject_type="audit",
        subject_id=audit_id,
        action="cancel requested",
    )
    session.flush()
    works = session.scalars(
        select(Work)
        .join(Analysis, Analysis.work_id == Work.id)
        .where(Analysis.audit_id == audit_id, Work.state.in_([state.value for state in OPEN]))
        .order_by(Work.id)
        .with_for_update(of=Work)
        .execution_options(populate_existing=True)
    ).all()
    ended = list(
        session.scalars(
            select(Analysis.id).where(
                Analysis.audit_id == audit_id, Analysis.work_id.is_(None), Analysis.ended_at.is_(None)
            )
        )
    )
    for work in works:
        if work.state == WorkState.QUEUED.value:
            transition(session, work, WorkState.CANCELLED, actor=actor, now=now, action="cancelled")
            ended.append(work.subject_id)
        elif work.state == WorkState.RUNNING.value:
            transition(session, work, WorkState.CANCELLING, actor=actor, now=now, action="cancel requested")
    end_analyses(session, dict.fromkeys(ended, CANCELLED), now=now)
    session.refresh(audit)
    return audit


def _model_faults(model: Model | None) -> list[Fault]:
    if model is None:
        return [Fault(pointer="/model", detail="there is no such model; register it first")]
    if model.refusal is not None:
        return [Fault(pointer="/model", detail=f"this model was refused: {model.refusal['detail']}"[:4000])]
    return []


def _input_faults(submission: AuditSubmission, model: Model | None, datasets: dict[UUID, Dataset]) -> list[Fault]:
    faults = []
    for role, filled in submission.inputs.items():
        if filled.dataset is None:
            continue
        at = pointer("inputs", role, "dataset")
        dataset = datasets.get(filled.dataset)
        if dataset is None:
            faults.append(Fault(pointer=at, detail="there is no such dataset; register it first"))
        elif dataset.refusal is not None:
            faults.append(Fault(pointer=at, detail=f"this dataset was refused: {dataset.refusal['detail']}"[:4000]))
        elif model is not None:
            faults += _mismatches(
                at, ModelFacts.model_validate(model.facts), DatasetFacts.model_validate(dataset.facts)
            )
    return faults


def _earlier_faults(session: Session, submission: AuditSubmission) -> list[Fault]:
    """Earlier analyses must have ended with an outcome; roles take datasets or analyses, as they are called."""
    faults = []
    for role, filled in submission.inputs.items():
        at = pointer("inputs", role, "dataset" if filled.analysis is None else "analysis")
        if (role in COMPARISONS) != (filled.analysis is not None):
            takes = "an earlier analysis" if role in COMPARISONS else "a dataset"
            faults.append(Fault(pointer=at, detail=f"the role {role} takes {takes}"))
        elif filled.analysis is not None:
            earlier = session.scalar(select(Analysis).where(Analysis.id == filled.analysis))
            if earlier is None:
                faults.append(Fault(pointer=at, detail="there is no such analysis"))
            elif earlier.ended_at is None:
                faults.append(Fault(pointer=at, detail="this analysis has not ended; wait for it"))
            elif earlier.reason is not None:
                faults.append(Fault(pointer=at, detail="this analysis ended without an outcome"))
    return faults


def _mismatches(at: str, model: ModelFacts, dataset: DatasetFacts) -> list[Fault]:
    """Where the declared facts of a model and of a dataset contradict each other."""
    pairs: list[tuple[str, object, object]] = [
        ("kind of example", model.input.kind, dataset.input.kind),
        ("layout", model.input.layout, dataset.input.layout),
        ("shape of an example", tuple(model.input.shape), tuple(dataset.input.shape)),
    ]
    if model.output.classes and dataset.classes:
        pairs.append(("class names", tuple(model.output.classes), tuple(dataset.classes)))
    return [
        Fault(
            pointer=at,
            detail=f"the {name} is declared {_short(given)} for this dataset and {_short(expected)} for the model; "
            "register the one that is wrong again",
        )
        for name, expected, given in pairs
        if expected != given
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _analysis_faults(submission: AuditSubmission, catalog: Catalog, settings: Settings) -> list[Fault]:
    faults = []
    if len(submission.analyses) > settings.analyses_per_audit:
        faults.append(
            Fault(
                pointer="/analyses",
                detail=f"{len(submission.analyses)} analyses; an audit takes {settings.analyses_per_audit} at most",
            )
        )
    kinds = catalog.kinds()
    needed: dict[str, str] = {}
    earlier: dict[str, str] = {}
    optional = set[str]()
    for index, analysis in enumerate(submission.analyses):
        at = pointer("analyses", index)
        if analysis.kind not in kinds:
            faults += [Fault(pointer=at + "/kind", detail=f.detail) for f in catalog.problems(analysis.kind, {})]
            continue
        faults += [
            Fault(pointer=(at + "/parameters" + fault.pointer)[:1024], detail=fault.detail)
            for fault in catalog.problems(analysis.kind, analysis.parameters)
        ]
        needed |= dict.fromkeys(kinds[analysis.kind].roles, analysis.kind)
        earlier |= dict.fromkeys(kinds[analysis.kind].analysis_roles, analysis.kind)
        optional |= set(kinds[analysis.kind].optional_roles)
    faults += [
        Fault(pointer=pointer("inputs", role), detail=f"{kind} needs a dataset in the role {role}")
        for role, kind in needed.items()
        if role not in submission.inputs
    ]
    faults += [
        Fault(pointer=pointer("inputs", role), detail=f"{kind} needs an earlier analysis in the role {role}")
        for role, kind in earlier.items()
        if role not in submission.inputs
    ]
    if all(analysis.kind in kinds for analysis in submission.analyses):
        faults += [
            Fault(pointer=pointer("inputs", role), detail=f"no analysis asked for uses the role {role}; leave it out")
            for role in submission.inputs
            if role not in {*needed, *earlier, *optional, *COMPARED}
        ]
    return faults


def _make_room(session: Session, tenant: UUID, wanted: int, settings: Settings) -> None:
    """Count under the tenant's lock, so that two submissions cannot both take the last place."""
    session.scalars(select(Tenant.id).where(Tenant.id == tenant).with_for_update()).one()
    there = session.scalars(
        select(func.count(Analysis.id)).where(Analysis.tenant == tenant, Analysis.ended_at.is_(None))
    ).one()
    if there + wanted > settings.tenant_open_work:
        raise OverOpenWork(
            f"{there} analyses are open and {wanted} more would be over the {settings.tenant_open_work} a tenant may "
            "have; wait for some to end, or cancel an audit"
        )


def _write(
    session: Session, submission: AuditSubmission, *, tenant: UUID, principal: UUID, catalog: Catalog, now: datetime
) -> Audit:
    owned = {"tenant": tenant, "created_by": principal, "created_at": now}
    audit = Audit(
        id=new_id(),
        title=submission.title,
        model_id=submission.model,
        remaining=len(submission.analyses),
        **owned,
    )
    session.add(audit)
    session.flush()
    inputs = [
        Input(
            id=new_id(),
            audit_id=audit.id,
            role=role,
            dataset_id=filled.dataset,
            analysis_id=filled.analysis,
            **owned,
        )
        for role, filled in submission.inputs.items()
    ]
    session.add_all(inputs)
    kinds = catalog.kinds()
    asked_for = []
    for position, asked in enumerate(submission.analyses):
        parameters = catalog.filled(asked.kind, asked.parameters)
        analysis = Analysis(
            id=new_id(),
            audit_id=audit.id,
            position=position,
            kind=asked.kind,
            kind_version=kinds[asked.kind].version,
            queue=kinds[asked.kind].queue,
            parameters=parameters,
            parameters_digest=digest_of_value(parameters),
            **owned,
        )
        session.add(analysis)
        asked_for.append(
            {"analysis": str(analysis.id), "kind": asked.kind, "parameters_digest": analysis.parameters_digest}
        )
    record(
        session,
        [audit, *inputs],
        tenant=tenant,
        actor=principal,
        now=now,
        subject_type="audit",
        subject_id=audit.id,
        action="submitted",
        detail={"analyses": asked_for},
    )
    return audit
