"""How do bytes go whose time is over? A tombstone and an event first, together; the bytes once both are committed.

The row of the file stays, and so does its digest, in it and in the log: what is gone is told from what was taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.clock import Clock
from service.evidence.log_check import read_rows
from service.evidence.retention import LOG_FLOOR, KeptFile, due
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.holdings import tombstone
from service.store.ledger import record
from service.store.system import system_session
from service.store.tables import Analysis, Artifact, Audit, Blob, Event, Input, Model
from service.store.tables_compliance import Baseline, ComplianceReport, Verdict

ACTION = "bytes given up"
SUBJECT = "blob"
BATCH = 100
MOST_NAMED = 50
AGAIN = timedelta(days=7)
"""How long removing is tried again: a process may end between the tombstone and the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Gives up the files of analyses whose time is over. Any number of these may run: a tombstone is set once.

    `log`: how long what a run left behind is kept.
    """

    database: Database
    blobs: BlobStore
    clock: Clock
    log: timedelta

    def sweep(self) -> int:
        """Give up what is due, in short transactions; returns how many files went."""
        now, gone = self.clock.now(), 0
        with system_session(self.database, writes=False) as session:
            found = [(tenant, _due(session, tenant, digests, now, self.log)) for tenant, digests in _old(session, now)]
        for tenant, files in found:
            if files:
                # Asked again where it is written: a report made meanwhile may rest on them.
                with system_session(self.database) as session:
                    digests = [file.digest for file in files]
                    gone += _give_up(session, tenant, _due(session, tenant, digests, now, self.log), now, self.log)
        self._remove(now)
        return gone

    def _remove(self, now: datetime) -> None:
        """Remove what lately got a tombstone and has it still: the same bytes may have come in again since."""
        with system_session(self.database, writes=False) as session:
            lately = session.execute(select(Blob.tenant, Blob.digest).where(Blob.deleted_at > now - AGAIN)).all()
        for tenant, digest in lately:
            with system_session(self.database) as session:
                row = session.scalar(
                    select(Blob.digest)
                    .where(Blob.tenant == tenant, Blob.digest == digest, Blob.deleted_at.is_not(None))
                    .with_for_update()
                )
                if row is not None:
                    self.blobs.delete(tenant, digest)


def subject_of(digest: str) -> UUID:
    """What an event about bytes names as its subject: the first half of their digest."""
    return UUID(hex=digest.removeprefix("sha256:")[:32])


def given_up(session: Session, tenant: UUID) -> dict[str, datetime]:
    """When bytes were given up under retention, by digest: what the log's newest event of each says."""
    statement = select(Event).where(Event.tenant == tenant, Event.subject_type == SUBJECT, Event.action == ACTION)
    events, _ = read_rows(session, statement.order_by(Event.id), Event)
    told = ((event.detail.get("digest"), event.created_at) for event in events if isinstance(event.detail, dict))
    return {digest: at for digest, at in told if isinstance(digest, str)}


def last_ends(session: Session, tenant: UUID, gone: Mapping[str, datetime]) -> Iterator[tuple[str, datetime]]:
    """Of bytes given up, when the last analysis ended that had left them behind by then."""
    digests = sorted(gone)
    for start in range(0, len(digests), BATCH):
        rows = session.execute(
            select(Artifact.digest, Artifact.created_at, Analysis.ended_at)
            .join(Analysis, Analysis.id == Artifact.analysis_id)
            .where(Artifact.tenant == tenant, Artifact.digest.in_(digests[start : start + BATCH]))
        )
        ends: dict[str, datetime] = {}
        for digest, made_at, ended_at in rows:
            if ended_at is not None and made_at <= gone[digest]:
                ends[digest] = max(ended_at, ends.get(digest, ended_at))
        yield from ends.items()


def _old(session: Session, now: datetime) -> Iterator[tuple[UUID, list[str]]]:
    """Bytes that nothing names but files of analyses past the floor, by tenant, a batch at a time."""
    rows = session.execute(
        select(Blob.tenant, Blob.digest)
        .join(Artifact, (Artifact.tenant == Blob.tenant) & (Artifact.digest == Blob.digest))
        .join(Analysis, Analysis.id == Artifact.analysis_id)
        .where(Blob.deleted_at.is_(None), Analysis.ended_at <= now - LOG_FLOOR)
        .group_by(Blob.tenant, Blob.digest, Blob.references)
        # Every use is counted, so that equal bytes of a model, a data set or a report keep these as well.
        .having(func.count() == Blob.references)
        .order_by(Blob.tenant, Blob.digest)
    ).all()
    for tenant, group in groupby(rows, key=lambda row: row.tenant):
        digests = [row.digest for row in group]
        yield from ((tenant, digests[start : start + BATCH]) for start in range(0, len(digests), BATCH))


def _due(session: Session, tenant: UUID, digests: Sequence[str], now: datetime, log: timedelta) -> list[KeptFile]:
    return due(_files(session, tenant, digests), now, log)


def _give_up(session: Session, tenant: UUID, files: Sequence[KeptFile], now: datetime, log: timedelta) -> int:
    """A tombstone and an event for each; returns of how many. What is used by more than was counted stays."""
    taken = [file for file in files if tombstone(session, tenant, file.digest, uses=len(file.artifacts), now=now)]
    for file in taken:
        record(
            session,
            [],
            tenant=tenant,
            actor=tenant,
            now=now,
            subject_type=SUBJECT,
            subject_id=subject_of(file.digest),
            action=ACTION,
            detail={
                "digest": file.digest,
                "size": file.size,
                "class": file.kept_as,
                "log_days": log.days,
                "artifacts": [str(each) for each in file.artifacts[:MOST_NAMED]],
                "count": len(file.artifacts),
            },
        )
    return len(taken)


def _files(session: Session, tenant: UUID, digests: Sequence[str]) -> list[KeptFile]:
    """Bytes as they stand now, with everything that may still ask for them."""
    rows = session.execute(
        select(Artifact.digest, Artifact.id, Artifact.size, Analysis.ended_at, _reported(), _used(), _in_use())
        .join(Analysis, Analysis.id == Artifact.analysis_id)
        .where(Artifact.tenant == tenant, Artifact.digest.in_(digests), Analysis.ended_at.is_not(None))
        .order_by(Artifact.digest, Artifact.id)
    ).all()
    files = []
    for digest, group in groupby(rows, key=lambda row: row.digest):
        mine = list(group)
        documented = [max(row.reported_at, row.used_at) for row in mine if row.reported_at is not None]
        files.append(
            KeptFile(
                digest=digest,
                size=mine[0].size,
                artifacts=tuple(row.id for row in mine),
                ended_at=max(row.ended_at for row in mine),
                documented_at=max(documented, default=None),
                in_use=any(row.in_use for row in mine),
            )
        )
    return files


def _reported() -> Any:
    """When the last report was made that rests on the analysis: that cites it, or that it was run for."""
    of_model = select(Model.name).join(Audit, Audit.model_id == Model.id).where(Audit.id == Analysis.audit_id)
    cites = select(Verdict.id).where(Verdict.report_id == ComplianceReport.id, Verdict.analysis_id == Analysis.id)
    within = (
        (ComplianceReport.model_name == of_model.correlate(Analysis).scalar_subquery())
        & (Analysis.ended_at >= ComplianceReport.window_from)
        & (Analysis.ended_at < ComplianceReport.as_of)
    )
    cited = cites.correlate(ComplianceReport, Analysis).exists()
    return (
        select(func.max(ComplianceReport.generated_at))
        .where(ComplianceReport.tenant == Analysis.tenant, cited | within)
        .correlate(Analysis)
        .scalar_subquery()
        .label("reported_at")
    )


def _used() -> Any:
    """When the model of the analysis was last asked something."""
    own = select(Audit.model_id).where(Audit.id == Analysis.audit_id).correlate(Analysis).scalar_subquery()
    used = aliased(Audit)
    return select(func.max(used.created_at)).where(used.model_id == own).scalar_subquery().label("used_at")


def _in_use() -> Any:
    """Whether a baseline in force or an analysis yet to end reads the analysis."""
    reader = aliased(Analysis)
    compared = (
        select(Input.id)
        .join(reader, reader.audit_id == Input.audit_id)
        .where(Input.analysis_id == Analysis.id, reader.ended_at.is_(None))
    )
    fixed = select(Baseline.id).where(Baseline.audit_id == Analysis.audit_id, Baseline.replaced_at.is_(None))
    return (compared.correlate(Analysis).exists() | fixed.correlate(Analysis).exists()).label("in_use")
