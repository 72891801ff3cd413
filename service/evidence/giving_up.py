"""How do bytes go whose time is over? A tombstone and an event first, together; the bytes once both are committed.

The row of the file stays, and so does its digest, in it and in the log: what is gone is told from what was taken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.clock import Clock
from service.evidence.legal_holds import GIVEN_UP, is_held
from service.evidence.log_check import read_rows
from service.evidence.retention import LOG_FLOOR, KeptFile, due
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.holdings import tombstone
from service.store.ledger import record, subject_of
from service.store.system import system_session
from service.store.tables import Analysis, Artifact, Audit, Blob, Event, Input, Model
from service.store.tables_compliance import Baseline, ComplianceReport, Verdict
from service.store.turns import LEGAL_HOLDS, take_turns

ACTION = GIVEN_UP
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

    def sweep(self, *, again: bool = True) -> int:
        """Give up what is due, in short transactions; returns how many files went.

        `again`: remove the bytes of whatever got a tombstone lately, for somebody who was cut off before that.
        """
        now, gone = self.clock.now(), 0
        with system_session(self.database, writes=False) as session:
            found = [(tenant, _due(session, tenant, digests, now, self.log)) for tenant, digests in _old(session, now)]
            since = now - AGAIN if again else now
        for tenant, files in found:
            for start in range(0, len(files), BATCH):
                digests = [file.digest for file in files[start : start + BATCH]]
                # Asked again where it is written: a report made meanwhile may rest on them, a hold may forbid it.
                with system_session(self.database) as session:
                    take_turns(session, tenant, LEGAL_HOLDS)
                    gone += _give_up(session, tenant, _due(session, tenant, digests, now, self.log), now, self.log)
        self._remove(since)
        return gone

    def _remove(self, since: datetime) -> None:
        """Remove what got a tombstone and has it still: the same bytes may have come in again since."""
        with system_session(self.database, writes=False) as session:
            lately = session.execute(
                select(Blob.tenant, Blob.digest).where(Blob.deleted_at >= since).order_by(Blob.tenant, Blob.digest)
            ).all()
        for start in range(0, len(lately), BATCH):
            digests = [row.digest for row in lately[start : start + BATCH]]
            with system_session(self.database) as session:
                still = session.execute(
                    select(Blob.tenant, Blob.digest)
                    .where(Blob.digest.in_(digests), Blob.deleted_at >= since)
                    .order_by(Blob.tenant, Blob.digest)
                    .with_for_update()
                ).all()
                for tenant, digest in still:
                    self.blobs.delete(tenant, digest)


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
    """Bytes that nothing names but files of analyses past the floor, by tenant."""
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
        yield tenant, [row.digest for row in group]


def _due(session: Session, tenant: UUID, digests: Sequence[str], now: datetime, log: timedelta) -> list[KeptFile]:
    rests = _Rests.of(session, tenant)
    batches = (digests[start : start + BATCH] for start in range(0, len(digests), BATCH))
    return [file for batch in batches for file in due(_files(session, tenant, batch, rests), now, log)]


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


def _files(session: Session, tenant: UUID, digests: Sequence[str], rests: "_Rests") -> list[KeptFile]:
    """Bytes as they stand now, with everything that may still ask for them."""
    rows = session.execute(
        select(
            Artifact.digest,
            Artifact.id,
            Artifact.size,
            Artifact.analysis_id,
            Analysis.ended_at,
            Audit.model_id,
            Model.name,
            _in_use(),
            is_held(),
        )
        .join(Analysis, Analysis.id == Artifact.analysis_id)
        .join(Audit, Audit.id == Analysis.audit_id)
        .join(Model, Model.id == Audit.model_id)
        .where(Artifact.tenant == tenant, Artifact.digest.in_(digests), Analysis.ended_at.is_not(None))
        .order_by(Artifact.digest, Artifact.id)
    ).all()
    files = []
    for digest, group in groupby(rows, key=lambda row: row.digest):
        mine = list(group)
        documented = (rests.documented(row.analysis_id, row.ended_at, row.model_id, row.name) for row in mine)
        files.append(
            KeptFile(
                digest=digest,
                size=mine[0].size,
                artifacts=tuple(row.id for row in mine),
                ended_at=max(row.ended_at for row in mine),
                documented_at=max((at for at in documented if at is not None), default=None),
                in_use=any(row.in_use for row in mine),
                held=any(row.held for row in mine),
            )
        )
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rests:
    """What a tenant's reports rest on, read once for all files.

    `cited`: analysis -> when the last report was made that cites it; `windows`: model name -> of each report its
    window and when it was made; `used`: model -> when it was last asked something.
    """

    cited: Mapping[UUID, datetime]
    windows: Mapping[str, Sequence[tuple[datetime, datetime, datetime]]]
    used: Mapping[UUID, datetime]

    @classmethod
    def of(cls, session: Session, tenant: UUID) -> "_Rests":
        made = select(Verdict.analysis_id, func.max(ComplianceReport.generated_at)).join(
            ComplianceReport, ComplianceReport.id == Verdict.report_id
        )
        cited = session.execute(
            made.where(Verdict.tenant == tenant, Verdict.analysis_id.is_not(None)).group_by(Verdict.analysis_id)
        )
        windows: dict[str, list[tuple[datetime, datetime, datetime]]] = {}
        for report in session.scalars(select(ComplianceReport).where(ComplianceReport.tenant == tenant)):
            made_at = report.generated_at or report.created_at  # one that is being made rests on them already
            windows.setdefault(report.model_name, []).append((report.window_from, report.as_of, made_at))
        used = session.execute(
            select(Audit.model_id, func.max(Audit.created_at)).where(Audit.tenant == tenant).group_by(Audit.model_id)
        )
        return cls(cited=_pairs(cited), windows=windows, used=_pairs(used))

    def documented(self, analysis: UUID, ended_at: datetime, model: UUID, name: str) -> datetime | None:
        """The last use of the model, or the last report if that is later; None if no report rests on the analysis."""
        reports = [made_at for since, until, made_at in self.windows.get(name, ()) if since <= ended_at < until]
        if analysis in self.cited:
            reports.append(self.cited[analysis])
        return max(*reports, self.used[model]) if reports else None


def _pairs(rows: Iterable[Any]) -> dict[UUID, datetime]:
    return {name: at for name, at in rows if name is not None and at is not None}


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
