"""How does claimed work end? Each way is fenced by owner and attempt: who has lost the lease writes nothing at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from service.catalog import Catalog
from service.contracts.job import Succeeded
from service.contracts.manifest import DatasetManifest, ModelManifest
from service.contracts.outcome import Measurement as Point
from service.contracts.problem import Reason
from service.contracts.provenance import Provenance
from service.contracts.status import WorkState, WorkType
from service.settings import Settings
from service.store.base import new_id
from service.store.blobs import Stored
from service.store.holdings import hold, refer
from service.store.ledger import record
from service.store.tables import Analysis, Artifact, Audit, Dataset, Model, Work
from service.work.agreement import KIND as REPLAY
from service.work.agreement import agreement, point_of
from service.work.claim import Claim
from service.work.ending import CANCELLED, audit_of, end_analyses, lock_audits
from service.work.keep import keep_artifacts, keep_measurements
from service.work.lease import held
from service.work.queue import announce
from service.work.release import refuse_subjects, refuse_waiting, release_ready, waiting_audits
from service.work.transition import LeaseLost, NotAllowed, step

__all__ = [
    "LeaseLost",
    "NotAllowed",
    "cancelled",
    "fail",
    "give_back",
    "leave_succeeded",
    "refuse",
    "succeed_analysis",
    "succeed_inspection",
    "succeed_report",
]

REPORT_FILES = (("report.html", "text/html; charset=utf-8"), ("report.json", "application/json"))
LONGEST_BACKOFF = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way out of a state."""

    before: WorkState
    after: WorkState
    action: str
    where: tuple[ColumnElement[bool], ...] = ()
    changes: Mapping[str, Any] | None = None


def succeed_analysis(
    session: Session,
    claim: Claim,
    *,
    result: Succeeded,
    stored: Mapping[str, Stored],
    provenance: Provenance,
    now: datetime,
    settings: Settings,
) -> None:
    """Store everything of an analysis and end it; the last one closes its audit.

    `stored` maps the names of the result's files to their kept bytes. Raises LeaseLost, or OverQuota when the files
    are more than the tenant may store; then nothing must be committed.
    """
    lock_audits(session, [audit_of(session, claim.subject_id)])
    _leave(session, claim, _succeeding(), now=now)
    analysis = session.get_one(Analysis, claim.subject_id, populate_existing=True)
    if (result.kind, result.kind_version) != (analysis.kind, analysis.kind_version):
        raise ValueError(
            f"a result of {result.kind} {result.kind_version} for a {analysis.kind} {analysis.kind_version}"
        )
    end_analyses(
        session,
        {analysis.id: None},
        now=now,
        changes={
            "outcome": result.outcome,
            "section": result.section.model_dump(mode="json"),
            "provenance": provenance.model_dump(mode="json"),
        },
    )
    own = _agreement(session, analysis, result, stored, now=now)
    points = keep_measurements(session, analysis, result, now=now, own=own)
    files = keep_artifacts(session, analysis, result.artifacts, stored, settings=settings, now=now)
    session.refresh(analysis)
    record(
        session,
        [analysis, *files],
        tenant=analysis.tenant,
        actor=analysis.created_by,
        now=now,
        subject_type="analysis",
        subject_id=analysis.id,
        action="kept",
        points={analysis.id: points} if points else None,
    )


def _agreement(
    session: Session, analysis: Analysis, result: Succeeded, stored: Mapping[str, Stored], *, now: datetime
) -> dict[str, Point]:
    """Of a replay: how it agrees with what it repeats, as a point of history, and in the log by name."""
    if analysis.replays_id is None:
        return {}
    first = session.get_one(Analysis, analysis.replays_id)
    again = {"outcome": result.outcome, "provenance": result.provenance.model_dump(mode="json")}
    files = {file.file: stored[file.file].digest for file in result.artifacts}
    found = agreement(session, first, again, result.measurements, files)
    record(
        session,
        [],
        tenant=analysis.tenant,
        actor=analysis.created_by,
        now=now,
        subject_type="analysis",
        subject_id=analysis.id,
        action="replayed",
        detail={
            "replays": str(first.id),
            "rule": found.rule,
            "compared": found.compared,
            "mismatches": list(found.mismatches[:50]),
            "more": max(0, len(found.mismatches) - 50),
        },
    )
    return {REPLAY: point_of(found, analysis.kind)}


def succeed_inspection(
    session: Session,
    claim: Claim,
    *,
    manifest: ModelManifest | DatasetManifest,
    canonical: Stored,
    now: datetime,
    settings: Settings,
    catalog: Catalog,
) -> None:
    """The model or dataset is ready; what waited for it alone is queued. Raises LeaseLost, OverQuota."""
    _leave(session, claim, _succeeding(), now=now)
    subject = _subject(session, claim)
    subject.manifest = manifest.model_dump(mode="json")
    subject.canonical_digest = canonical.digest
    record(
        session,
        [subject],
        tenant=subject.tenant,
        actor=subject.created_by,
        now=now,
        subject_type=subject.__tablename__,
        subject_id=subject.id,
        action="ready",
    )
    release_ready(session, subject, catalog=catalog, settings=settings, now=now)
    hold(
        session,
        tenant=claim.tenant,
        principal=claim.created_by,
        stored=canonical,
        most_bytes=settings.tenant_bytes,
        now=now,
    )
    refer(session, claim.tenant, canonical.digest)


def succeed_report(session: Session, claim: Claim, html: Stored, twin: Stored, now: datetime) -> None:
    """The report of a closed audit is drawn: keep both forms of it. Raises LeaseLost.

    Its bytes are counted, but never refused: the service owes a report for what it has done.
    """
    _leave(session, claim, _succeeding(), now=now)
    audit = session.get_one(Audit, claim.subject_id)
    files = zip(REPORT_FILES, (html, twin), strict=True)
    rows = []
    for (name, media_type), stored in sorted(files, key=lambda file: file[1].digest):
        hold(
            session,
            tenant=claim.tenant,
            principal=claim.created_by,
            stored=stored,
            most_bytes=2**62,
            now=now,
        )
        refer(session, claim.tenant, stored.digest)
        rows.append(
            Artifact(
                id=new_id(),
                tenant=claim.tenant,
                created_by=claim.created_by,
                created_at=now,
                audit_id=audit.id,
                analysis_id=None,
                name=name,
                title=f"Report of {audit.title}",
                media_type=media_type,
                digest=stored.digest,
                size=stored.size,
            )
        )
    session.add_all(rows)
    record(
        session,
        rows,
        tenant=claim.tenant,
        actor=claim.created_by,
        now=now,
        subject_type="audit",
        subject_id=audit.id,
        action="report kept",
    )


def leave_succeeded(session: Session, claim: Claim, *, now: datetime) -> None:
    """End claimed work well; what it made is the caller's to write in the same transaction. Raises LeaseLost."""
    _leave(session, claim, _succeeding(), now=now)


def refuse(session: Session, claim: Claim, reason: Reason, now: datetime) -> None:
    """A model or dataset does not come in; what waited for it ends with that. Raises LeaseLost."""
    _lock_for(session, claim)
    _leave(session, claim, _failing("refused", reason), now=now, detail={"reason": reason.code})
    _after_failure(session, claim, reason, now)


def fail(session: Session, claim: Claim, reason: Reason, now: datetime) -> None:
    """The work could not be done. If trying again can help and attempts are left, it is queued again, later.

    Raises LeaseLost.
    """
    _lock_for(session, claim)
    ways: tuple[_Way, ...] = _failing("failed", reason)
    if not reason.permanent:
        again = {**_QUEUED, "not_before": now + backoff(claim.attempt), "reason": reason.model_dump(mode="json")}
        retry = _Way(
            before=WorkState.RUNNING,
            after=WorkState.QUEUED,
            action="retried",
            where=(Work.attempt < Work.max_attempts,),
            changes=again,
        )
        given_up = _Way(before=WorkState.CANCELLING, after=WorkState.CANCELLED, action="cancelled")
        ways = (retry, ways[0], given_up)
    work = _leave(session, claim, ways, now=now, detail={"reason": reason.code})
    if work.state == WorkState.QUEUED.value:
        announce(session, work, now=now)
    else:
        _after_failure(session, claim, reason if work.state == WorkState.FAILED.value else CANCELLED, now)


def cancelled(session: Session, claim: Claim, now: datetime) -> None:
    """The worker has stopped as asked. Raises LeaseLost; NotAllowed if nobody asked."""
    _lock_for(session, claim)
    _leave(session, claim, (_Way(before=WorkState.CANCELLING, after=WorkState.CANCELLED, action="cancelled"),), now=now)
    if claim.type is WorkType.ANALYSIS:
        end_analyses(session, {claim.subject_id: CANCELLED}, now=now)


def give_back(session: Session, claim: Claim, *, solo: bool, now: datetime) -> None:
    """Queue the work again as if it had not been tried; `solo`: the next time without its group. Raises LeaseLost.

    The number of the attempt still grows, because it is what fences a late writer; one more attempt is allowed
    instead. Work that is being cancelled ends cancelled.
    """
    _lock_for(session, claim)
    changes = {**_QUEUED, "max_attempts": Work.max_attempts + 1, **({"solo": True} if solo else {})}
    ways = (
        _Way(before=WorkState.RUNNING, after=WorkState.QUEUED, action="given back", changes=changes),
        _Way(before=WorkState.CANCELLING, after=WorkState.CANCELLED, action="cancelled"),
    )
    work = _leave(session, claim, ways, now=now)
    if work.state == WorkState.QUEUED.value:
        announce(session, work, now=now)
    elif claim.type is WorkType.ANALYSIS:
        end_analyses(session, {claim.subject_id: CANCELLED}, now=now)


def backoff(attempt: int) -> timedelta:
    """How long to wait after a failed attempt (1, 2, ...): two seconds, then twice as long each time."""
    return min(timedelta(seconds=2 << min(attempt - 1, 16)), LONGEST_BACKOFF)


_QUEUED: dict[str, Any] = {"owner": None, "lease_until": None, "progress": 0.0, "stage": "", "announced_at": None}


def _succeeding() -> tuple[_Way, ...]:
    done = {"progress": 1.0, "stage": "", "reason": None}
    states = (WorkState.RUNNING, WorkState.CANCELLING)
    return tuple(_Way(before=state, after=WorkState.SUCCEEDED, action="succeeded", changes=done) for state in states)


def _failing(action: str, reason: Reason) -> tuple[_Way, ...]:
    why = {"reason": reason.model_dump(mode="json")}
    states = (WorkState.RUNNING, WorkState.CANCELLING)
    return tuple(_Way(before=state, after=WorkState.FAILED, action=action, changes=why) for state in states)


def _leave(
    session: Session,
    claim: Claim,
    ways: Sequence[_Way],
    *,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> Work:
    """Take the first way that is open. Ways are listed in the order in which the states follow each other."""
    for way in ways:
        work = step(
            session,
            claim.work_id,
            way.before,
            way.after,
            now=now,
            action=way.action,
            detail={"owner": claim.owner, **(detail or {})},
            where=(*held(claim), *way.where),
            changes=way.changes,
        )
        if work is not None:
            return work
    found = session.get(Work, claim.work_id, populate_existing=True)
    if found is not None and (found.owner, found.attempt) == (claim.owner, claim.attempt) and found.open:
        raise NotAllowed(f"work {claim.work_id} is {found.state}, from which it cannot be {ways[-1].action}")
    raise LeaseLost(f"work {claim.work_id} is no longer held by {claim.owner} as attempt {claim.attempt}")


def _lock_for(session: Session, claim: Claim) -> None:
    if claim.type is WorkType.ANALYSIS:
        lock_audits(session, [audit_of(session, claim.subject_id)])


def _after_failure(session: Session, claim: Claim, reason: Reason, now: datetime) -> None:
    if claim.type is WorkType.ANALYSIS:
        end_analyses(session, {claim.subject_id: reason}, now=now)
    elif claim.type is WorkType.INSPECTION:
        refuse_subjects(session, [claim.subject_id], reason)
        lock_audits(session, waiting_audits(session, [claim.subject_id]))
        refuse_waiting(session, [claim.subject_id], reason, now=now)


def _subject(session: Session, claim: Claim) -> Model | Dataset:
    return session.get(Model, claim.subject_id) or session.get_one(Dataset, claim.subject_id)
