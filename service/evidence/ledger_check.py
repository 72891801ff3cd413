"""Is everything in the database still what the log says of it? The log itself, every row of evidence, every blob.

What is found is named: the table, the row, and what is wrong with it. A change made past this service, to a row, an
event, a head or a file, cannot hide without the private key and a rewrite of every head that was handed out. What is
written after the last such head can be rewritten, with all that hangs on it, by whoever owns the database.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.base import digest_of_value
from service.evidence.giving_up import given_up, last_ends
from service.evidence.heads import SignedHead
from service.evidence.legal_holds import given_up_while_held
from service.evidence.log_check import UNREADABLE, Finding, check_log, events_of, read_rows
from service.evidence.retention import LOG_FLOOR, too_early
from service.store.base import Base
from service.store.blobs import CHUNK, BlobStore
from service.store.ledger import (
    EVIDENCE,
    evidence_digest,
    evidence_key,
    group_size,
    points_evidence,
    points_key,
)
from service.store.tables import Analysis, Artifact, Blob, Dataset, Event, Measurement, Model
from service.store.tables_compliance import ReportFile

NO_VALUE = "it holds what no row of this service can: it was changed"
Bound = Mapping[str, Any]
"""What the log says of rows: `table:id` -> digest; `measurements:analysis` -> digests."""


def bound_by(session: Session, tenant: UUID) -> dict[str, Any]:
    """What the newest event that speaks of a row says of it."""
    found: dict[str, Any] = {}
    for event in events_of(session, tenant):
        said = (
            event.detail.get("evidence") if not isinstance(event, Finding) and isinstance(event.detail, dict) else None
        )
        if isinstance(said, dict):
            found |= said
    return found


def asked_for(session: Session, tenant: UUID) -> dict[str, Mapping[str, Any]]:
    """What each analysis was asked for as, by id, in the words of the events that submitted them."""
    statement = select(Event).where(Event.tenant == tenant, Event.subject_type == "audit", Event.action == "submitted")
    events, _ = read_rows(session, statement, Event)
    found: dict[str, Mapping[str, Any]] = {}
    for event in events:
        said = event.detail.get("analyses") if isinstance(event.detail, dict) else None
        if isinstance(said, list):
            found |= {str(each.get("analysis")): each for each in said if isinstance(each, dict)}
    return found


def check_asked(rows: Iterable[Analysis], asked: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Analyses that have not ended: what was asked for binds them until their end does, and they hold nothing yet."""
    for row in rows:
        said = asked.get(str(row.id))
        if said is None:
            yield Finding("analysis", str(row.id), "no event speaks of it: it was put in past the service")
        elif (row.kind, row.parameters_digest) != (said.get("kind"), said.get("parameters_digest")) or (
            digest_of_value(row.parameters) != row.parameters_digest
        ):
            yield Finding("analysis", str(row.id), "it is not what was asked for: it was changed")
        elif any(part is not None for part in (row.outcome, row.section, row.provenance, row.reason)):
            yield Finding("analysis", str(row.id), "it holds what it came to, and no event tells of its end")


def check_rows(rows: Iterable[Base], bound: Bound) -> Iterator[Finding]:
    """Rows of evidence (but points of history) against what the log says of them."""
    for row in rows:
        key = evidence_key(row)
        table, _, name = key.partition(":")
        said = bound.get(key)
        if said is None:
            yield Finding(table, name, "no event speaks of it: it was put in past the service")
        elif said != _digest_now(row):
            yield Finding(table, name, "it is not what the log says of it: it was changed")


def check_points(points: Mapping[UUID, Sequence[Measurement]], bound: Bound) -> Iterator[Finding]:
    """Points of history by analysis, against what the log says of them; one that was changed is named."""
    for analysis, rows in sorted(points.items(), key=lambda each: str(each[0])):
        whole = [row for row in rows if _digest_now(row) is not None]
        yield from (Finding("measurement", str(row.id), NO_VALUE) for row in rows if row not in whole)
        ordered = sorted(whole, key=lambda row: str(row.id))
        said = bound.get(points_key(analysis))
        wanted = said if isinstance(said, list) else []
        found = points_evidence(ordered)
        if len(found) != len(wanted):
            yield Finding(
                "measurement",
                f"of analysis {analysis}",
                f"the log speaks of other numbers than the {len(ordered)} here",
            )
            # Which ones are left over is told as far as digests stand for one number each.
            for row, digest in zip(ordered, found, strict=False) if group_size(len(ordered)) == 1 else ():
                if digest not in wanted:
                    yield Finding("measurement", str(row.id), "no event speaks of it as it is")
            continue
        size = group_size(len(ordered))
        for place, (digest, other) in enumerate(zip(found, wanted, strict=True)):
            if digest != other:
                names = ", ".join(str(row.id) for row in ordered[place * size : (place + 1) * size][:3])
                more = "" if size == 1 else f" or another of the {size} after it"
                yield Finding("measurement", f"{names}{more}", "it is not what the log says of it: it was changed")


def check_blobs(
    blobs: BlobStore, tenant: UUID, rows: Iterable[Blob], gone: Mapping[str, datetime]
) -> Iterator[Finding]:
    """Held bytes against their digests; of those that are gone, the log must tell (`gone`: digest -> when)."""
    for row in rows:
        if row.deleted_at is not None:
            if gone.get(row.digest) != row.deleted_at:
                yield Finding("blob", row.digest, "its bytes are marked as given up, and no event tells of that")
            continue
        try:
            found = _rehashed(blobs, tenant, row.digest)
        except (OSError, LookupError):
            yield Finding("blob", row.digest, "its bytes are gone, and there is no tombstone")
            continue
        if found != row.digest:
            yield Finding("blob", row.digest, f"its bytes are {found} now: they were changed")


def check_retention(session: Session, tenant: UUID, gone: Mapping[str, datetime]) -> Iterator[Finding]:
    """Bytes given up before anybody may, by the times of the log and of the analyses, or against a legal hold."""
    for digest, ended_at in last_ends(session, tenant, gone):
        if too_early(gone[digest], ended_at):
            days = (gone[digest] - ended_at).days
            yield Finding(
                "blob",
                digest,
                f"its bytes were given up on {gone[digest]:%Y-%m-%d}, {days} days after the analysis ended: "
                f"{LOG_FLOOR.days} is the least",
            )
    for digest, at in given_up_while_held(session, tenant).items():
        if digest in gone:
            yield Finding("blob", digest, f"its bytes were given up on {at:%Y-%m-%d} while a legal hold forbade it")


def check_tenant(
    session: Session,
    blobs: BlobStore,
    tenant: UUID,
    *,
    trusted: Mapping[str, bytes] | None = None,
    kept: Sequence[SignedHead] = (),
) -> list[Finding]:
    """Everything of a tenant: log, heads, every row of evidence in every table, every held blob.

    `trusted` and `kept`: keys and heads known from elsewhere, as for `check_log`.
    """
    bound = bound_by(session, tenant)
    found = list(check_log(session, tenant, trusted=trusted, kept=kept))
    seen: set[str] = set()
    for table in EVIDENCE:
        here, keys = _check_table(session, tenant, table, bound)
        found += here
        seen |= keys
    for key in sorted(bound.keys() - seen):
        table_name, _, row_id = key.partition(":")
        name = ("measurement", f"of analysis {row_id}") if table_name == "measurements" else (table_name, row_id)
        found.append(Finding(*name, "the log speaks of it, and it is gone"))
    held = session.scalars(select(Blob).where(Blob.tenant == tenant)).all()
    gone = given_up(session, tenant)
    found += check_blobs(blobs, tenant, held, gone)
    found += check_retention(session, tenant, gone)
    found += _unheld(session, tenant, {row.digest: row for row in held})
    return sorted(set(found))


def _check_table(session: Session, tenant: UUID, table: Any, bound: Bound) -> tuple[list[Finding], set[str]]:
    """What is wrong in one table, and the keys of the rows that are there."""
    rows, found = read_rows(session, select(table).where(table.tenant == tenant), table)
    unread = {f"{each.table}:{each.row}" for each in found}
    if table is Analysis:
        asked = asked_for(session, tenant)
        open_rows = [row for row in rows if row.ended_at is None and evidence_key(row) not in bound]
        here = {evidence_key(row) for row in rows}
        gone = sorted(asked.keys() - {key.partition(":")[2] for key in here | unread})
        found += check_asked(open_rows, asked)
        found += (Finding("analysis", name, "it was asked for, and it is gone") for name in gone)
        return [*found, *check_rows([row for row in rows if row not in open_rows], bound)], unread | here
    if table is not Measurement:
        return [*found, *check_rows(rows, bound)], unread | {evidence_key(row) for row in rows}
    points: dict[UUID, list[Measurement]] = {}
    for row in rows:
        points.setdefault(row.analysis_id, []).append(row)
    return [*found, *check_points(points, bound)], {points_key(analysis) for analysis in points}


def blobs_of(session: Session, tenant: UUID, digests: Collection[str]) -> list[Blob]:
    """The rows of some held bytes."""
    wanted = sorted(set(digests))
    return list(session.scalars(select(Blob).where(Blob.tenant == tenant, Blob.digest.in_(wanted))))


def _unheld(session: Session, tenant: UUID, held: Mapping[str, Blob]) -> Iterator[Finding]:
    """Rows that name bytes which the tenant does not hold at all, not even as a tombstone."""
    columns = (
        (Model, (Model.source_digest, Model.canonical_digest)),
        (Dataset, (Dataset.source_digest, Dataset.canonical_digest)),
        (Artifact, (Artifact.digest,)),
        (ReportFile, (ReportFile.digest,)),
    )
    for table, digests in columns:
        for row_id, *named in session.execute(select(table.id, *digests).where(table.tenant == tenant)):
            for digest in named:
                if digest is not None and digest not in held:
                    yield Finding(table.__tablename__, str(row_id), f"the bytes {digest} that it names are not held")
                elif digest is not None and held[digest].deleted_at is not None and table is not Artifact:
                    said = f"its bytes were given up, and {table.__tablename__} {row_id} still rests on them"
                    yield Finding("blob", digest, said)


def _digest_now(row: Base) -> str | None:
    """The digest of a row as it is; None where it holds what no row of ours can, as a NaN."""
    try:
        return evidence_digest(row)
    except UNREADABLE:
        return None


def _rehashed(blobs: BlobStore, tenant: UUID, digest: str) -> str:
    found = hashlib.sha256()
    with blobs.open(tenant, digest) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return "sha256:" + found.hexdigest()
