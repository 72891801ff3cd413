"""How does a compliance report come to be asked for, and how does it end? As a row with work, then with its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.contracts.compliance import Assessment, counts
from service.contracts.compliance_reports import ComplianceReportSubmission
from service.contracts.problem import Fault
from service.contracts.status import WorkType
from service.schedule.times import BadTime, zone_of
from service.store.base import new_id
from service.store.blobs import Stored
from service.store.holdings import hold, refer
from service.store.ledger import record
from service.store.tables import Analysis, Model
from service.store.tables_compliance import ComplianceReport, Policy, ReportFile, Verdict
from service.work.claim import Claim
from service.work.finish import leave_succeeded
from service.work.queue import COMPLIANCE_QUEUE, enqueue
from service.work.refusals import Conflict, Invalid, OverOpenWork

ATTEMPTS = 3
MOST_WAITING = 200
"""Reports a tenant may have waiting to be made: they are made one after the other, for all tenants."""
MEDIA = {
    "report.json": "application/json",
    "report.html": "text/html; charset=utf-8",
    "report.pdf": "application/pdf",
    "report.dsse.json": "application/vnd.in-toto+json",
    "report.zip": "application/zip",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A report that is due. `trigger` says what caused it: a person, a time, a new version, ..."""

    title: str
    model: Model
    policy: UUID | None
    schedule: UUID | None
    window_from: datetime
    window_to: datetime
    zone: str
    late_seconds: float
    trigger: str
    frameworks: Sequence[str]
    revision: int = 1
    supersedes: UUID | None = None


def ask_for_report(
    session: Session, wanted: Wanted, *, tenant: UUID, principal: UUID, now: datetime
) -> ComplianceReport:
    """A new report, queued. Raises OverOpenWork, and Conflict when the report to be superseded was revised already."""
    waiting = select(func.count(ComplianceReport.id)).where(
        ComplianceReport.tenant == tenant, ComplianceReport.state == "waiting"
    )
    if session.scalars(waiting).one() >= MOST_WAITING:
        raise OverOpenWork(f"{MOST_WAITING} compliance reports wait to be made; ask again when some are")
    report = ComplianceReport(
        id=new_id(),
        tenant=tenant,
        created_by=principal,
        created_at=now,
        title=wanted.title,
        model_name=wanted.model.name,
        model_id=wanted.model.id,
        policy_id=wanted.policy,
        schedule_id=wanted.schedule,
        window_from=wanted.window_from,
        window_to=wanted.window_to,
        zone=wanted.zone,
        as_of=wanted.window_to,
        late_seconds=wanted.late_seconds,
        trigger=wanted.trigger,
        frameworks=list(wanted.frameworks),
        revision=wanted.revision,
        supersedes_id=wanted.supersedes,
        state="waiting",
    )
    session.add(report)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("that report has a later revision already; read it, and revise that one") from error
    work = enqueue(
        session,
        type=WorkType.REPORT,
        subject_id=report.id,
        tenant=tenant,
        created_by=principal,
        queue=COMPLIANCE_QUEUE,
        max_attempts=ATTEMPTS,
        now=now,
    )
    report.work_id = work.id
    _note(session, [report], report, action="asked for", actor=principal, now=now)
    return report


def submit_report(
    session: Session,
    submission: ComplianceReportSubmission,
    *,
    frameworks: Sequence[str],
    tenant: UUID,
    principal: UUID,
    now: datetime,
) -> ComplianceReport:
    """A report that somebody asks for by hand; `frameworks` are those that the library knows. Raises Invalid."""
    faults = []
    model = latest_model(session, submission.model_name, submission.model_version)
    if model is None:
        wanted = f" version {submission.model_version!r}" if submission.model_version else " version that is ready"
        faults.append(Fault(pointer="/model_name", detail=f"there is no{wanted} of a model of this name"))
    policy = None
    if submission.policy is not None:
        policy = latest_policy(session, submission.policy)
        if policy is None:
            faults.append(Fault(pointer="/policy", detail="there is no policy of this name"))
    faults += [
        Fault(
            pointer=f"/frameworks/{index}", detail=f"the library knows no framework {name!r}: {', '.join(frameworks)}"
        )
        for index, name in enumerate(submission.frameworks)
        if name not in frameworks
    ]
    if submission.window_to <= submission.window_from:
        faults.append(Fault(pointer="/window_to", detail="the window ends before it begins"))
    if submission.window_to > now:
        faults.append(Fault(pointer="/window_to", detail="the window ends in the future; nothing is known of that yet"))
    if not _zone(submission.zone):
        faults.append(Fault(pointer="/zone", detail="this is no IANA zone, such as Europe/Berlin"))
    if faults or model is None:
        raise Invalid(faults)
    wanted_report = Wanted(
        title=submission.title,
        model=model,
        policy=None if policy is None else policy.id,
        schedule=None,
        window_from=submission.window_from,
        window_to=submission.window_to,
        zone=submission.zone,
        late_seconds=0.0,
        trigger="by hand",
        frameworks=submission.frameworks,
    )
    return ask_for_report(session, wanted_report, tenant=tenant, principal=principal, now=now)


def revise_report(session: Session, report: ComplianceReport, *, principal: UUID, now: datetime) -> ComplianceReport:
    """A new revision over the same window, from what is known now. Raises Conflict where it cannot be revised."""
    if report.state == "waiting":
        raise Conflict("a report that is not made yet has nothing to revise")
    wanted = Wanted(
        title=report.title,
        model=session.get_one(Model, report.model_id),
        policy=report.policy_id and _latest_revision(session, report.policy_id),
        schedule=report.schedule_id,
        window_from=report.window_from,
        window_to=report.window_to,
        zone=report.zone,
        late_seconds=0.0,
        trigger="revision",
        frameworks=report.frameworks,
        revision=report.revision + 1,
        supersedes=report.id,
    )
    return ask_for_report(session, wanted, tenant=report.tenant, principal=principal, now=now)


def keep_report(
    session: Session,
    claim: Claim,
    *,
    files: Mapping[str, Stored],
    twin_digest: str,
    assessment: Assessment,
    about: Mapping[str, object],
    now: datetime,
) -> ComplianceReport:
    """The report is made: its files, its verdicts, its digest; an earlier revision is superseded. Raises LeaseLost.

    Its bytes are counted, but never refused: the service owes a report for what it has done.
    """
    leave_succeeded(session, claim, now=now)
    report = session.get_one(ComplianceReport, claim.subject_id)
    owned = {"tenant": report.tenant, "created_by": report.created_by, "created_at": now}
    rows = []
    for name, stored in sorted(files.items(), key=lambda file: file[1].digest):  # blobs are locked in one order
        hold(session, tenant=report.tenant, principal=report.created_by, stored=stored, most_bytes=2**62, now=now)
        refer(session, report.tenant, stored.digest)
        rows.append(
            ReportFile(
                id=new_id(),
                report_id=report.id,
                name=name,
                media_type=MEDIA[name],
                digest=stored.digest,
                size=stored.size,
                **owned,
            )
        )
    verdicts = list(_verdicts(report, assessment, now))
    report.state, report.twin_digest, report.generated_at = "generated", twin_digest, now
    report.counts = dict(counts(assessment.controls))
    report.about = {**about, "runners": _runners(session, assessment)}
    report.reason = None
    session.add_all([*rows, *verdicts])
    superseded = _supersede(session, report)
    _note(
        session, [report, *rows, *verdicts, *superseded], report, action="generated", actor=report.created_by, now=now
    )
    return report


def latest_model(session: Session, name: str, version: str | None) -> Model | None:
    """The named version of a model, or the latest that is ready."""
    ready = select(Model).where(Model.name == name, Model.canonical_digest.is_not(None))
    if version is not None:
        ready = ready.where(Model.version == version)
    return session.scalars(ready.order_by(Model.created_at.desc(), Model.id.desc()).limit(1)).first()


def latest_policy(session: Session, name: str) -> Policy | None:
    """The newest revision of a policy."""
    return session.scalars(select(Policy).where(Policy.name == name).order_by(Policy.revision.desc()).limit(1)).first()


def _latest_revision(session: Session, policy_id: UUID) -> UUID:
    found = latest_policy(session, session.get_one(Policy, policy_id).name)
    assert found is not None, "the one at hand is a revision of it"
    return found.id


def _verdicts(report: ComplianceReport, assessment: Assessment, now: datetime) -> Sequence[Verdict]:
    shared = {
        "tenant": report.tenant,
        "created_by": report.created_by,
        "created_at": now,
        "report_id": report.id,
        "model_name": report.model_name,
        "as_of": report.as_of,
    }
    rows = []
    for one in assessment.controls:
        waived = one.exception is not None and one.exception.effect == "waived"
        rows.append(
            Verdict(id=new_id(), control=one.control.id, position=-1, status=one.status.value, waived=waived, **shared)
        )
        for position, judged in enumerate(one.judged):
            found = judged.evidence
            rows.append(
                Verdict(
                    id=new_id(),
                    control=one.control.id,
                    position=position,
                    status=judged.status.value,
                    reason=judged.why and judged.why.value,
                    waived=waived,
                    metric=judged.requirement.metric,
                    value=found and found.value,
                    low=found and found.low,
                    high=found and found.high,
                    n=found and found.n,
                    threshold=judged.threshold,
                    analysis_id=UUID(found.analysis) if found and found.analysis else None,
                    **shared,
                )
            )
    return rows


def _runners(session: Session, assessment: Assessment) -> list[str]:
    """Who ran the analyses of the totals: a verdict names the last of them only, and none of their runners signs."""
    counted = {
        UUID(each.analysis)
        for one in assessment.controls
        for judged in one.judged
        for each in (judged.evidence.added if judged.evidence else ())
    }
    listed = sorted(counted)
    found: set[UUID] = set()
    for start in range(0, len(listed), 1000):  # databases take so many values at once, and not any number
        some = select(Analysis.created_by).where(Analysis.id.in_(listed[start : start + 1000])).distinct()
        found |= set(session.scalars(some))
    return sorted(map(str, found))


def _supersede(session: Session, report: ComplianceReport) -> list[ComplianceReport]:
    """End the revision before, in whatever state of signing it is: the later one speaks for the window now."""
    if report.supersedes_id is None:
        return []
    session.execute(
        update(ComplianceReport)
        .where(ComplianceReport.id == report.supersedes_id)
        .values(state="superseded")
        .execution_options(synchronize_session=False)
    )
    return [session.get_one(ComplianceReport, report.supersedes_id, populate_existing=True)]


def _note(
    session: Session,
    rows: Sequence[ComplianceReport | ReportFile | Verdict],
    report: ComplianceReport,
    *,
    action: str,
    actor: UUID,
    now: datetime,
) -> None:
    record(
        session,
        rows,
        tenant=report.tenant,
        actor=actor,
        now=now,
        subject_type="compliance_report",
        subject_id=report.id,
        action=action,
        detail={"model": report.model_name, "revision": report.revision, "twin": report.twin_digest},
    )


def _zone(name: str) -> bool:
    try:
        zone_of(name)
    except BadTime:
        return False
    return True
