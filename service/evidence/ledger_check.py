"""Is everything in the database still what the log says of it? Chain, signed heads, every row of evidence, every blob.

What is found is named: the table, the row, and what is wrong with it. A change made past this service, to a row, an
event, a head or a file, cannot hide without the private key and a rewrite of every head that was handed out.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.evidence.chain import Link, breaks, heads_broken
from service.evidence.heads import head_holds
from service.evidence.seal import entry_of, signed_head
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
from service.store.tables import Artifact, Blob, Dataset, Event, Measurement, Model
from service.store.tables_compliance import ReportFile, SigningKey, TreeHead


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that is not what it was: which table, which row (or event number, or digest), and what is wrong."""

    table: str
    row: str
    said: str


Bound = Mapping[str, Any]
"""What the log says of rows: `table:id` -> digest; `measurements:analysis` -> digests."""


def check_log(session: Session, tenant: UUID) -> Iterator[Finding]:
    """The chain from its first event to its end, and every head that was signed over it."""
    hashes: dict[int, str] = {}

    def links() -> Iterator[Link]:
        for event in _events(session, tenant):
            if event.chain_number is not None:
                hashes[event.chain_number + 1] = event.chain_hash or ""
                yield Link(
                    number=event.chain_number,
                    entry=entry_of(event),
                    leaf=event.leaf_hash or "",
                    chain_hash=event.chain_hash or "",
                )

    for each in breaks(links()):
        yield Finding("event", str(each.number), each.said)
    rows = session.scalars(select(TreeHead).where(TreeHead.tenant == tenant).order_by(TreeHead.size)).all()
    keys = {key.id: key.public_key for key in session.scalars(select(SigningKey))}
    for row in rows:
        if not head_holds(signed_head(row), keys):
            yield Finding("tree_head", str(row.id), "its signature does not hold: it was changed, or its key was")
    named = {(row.size, row.chain_hash): row for row in rows}
    for each in heads_broken(hashes, sorted(named)):
        yield Finding("tree_head", str(each.number), each.said)


def bound_by(session: Session, tenant: UUID) -> dict[str, Any]:
    """What the newest event that speaks of a row says of it."""
    found: dict[str, Any] = {}
    for event in _events(session, tenant):
        said = event.detail.get("evidence")
        if isinstance(said, dict):
            found |= said
    return found


def check_rows(rows: Iterable[Base], bound: Bound) -> Iterator[Finding]:
    """Rows of evidence (but points of history) against what the log says of them."""
    for row in rows:
        key = evidence_key(row)
        table, _, name = key.partition(":")
        said = bound.get(key)
        if said is None:
            yield Finding(table, name, "no event speaks of it: it was put in past the service")
        elif said != evidence_digest(row):
            yield Finding(table, name, "it is not what the log says of it: it was changed")


def check_points(points: Mapping[UUID, Sequence[Measurement]], bound: Bound) -> Iterator[Finding]:
    """Points of history by analysis, against what the log says of them; one that was changed is named."""
    for analysis, rows in sorted(points.items(), key=lambda each: str(each[0])):
        ordered = sorted(rows, key=lambda row: str(row.id))
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


def check_blobs(blobs: BlobStore, tenant: UUID, rows: Iterable[Blob]) -> Iterator[Finding]:
    """Held bytes against their digests; deleted ones (with a tombstone) are passed by."""
    for row in rows:
        if row.deleted_at is not None:
            continue
        try:
            found = _rehashed(blobs, tenant, row.digest)
        except (OSError, LookupError):
            yield Finding("blob", row.digest, "its bytes are gone, and there is no tombstone")
            continue
        if found != row.digest:
            yield Finding("blob", row.digest, f"its bytes are {found} now: they were changed")


def check_tenant(session: Session, blobs: BlobStore, tenant: UUID) -> list[Finding]:
    """Everything of a tenant: log, heads, every row of evidence in every table, every held blob."""
    bound = bound_by(session, tenant)
    found = list(check_log(session, tenant))
    seen: set[str] = set()
    for table in EVIDENCE:
        rows = session.scalars(select(table).where(table.tenant == tenant)).all()  # type: ignore[attr-defined]  # all are owned
        if table is Measurement:
            points: dict[UUID, list[Measurement]] = {}
            for row in rows:
                assert isinstance(row, Measurement)
                points.setdefault(row.analysis_id, []).append(row)
            found += check_points(points, bound)
            seen |= {points_key(analysis) for analysis in points}
        else:
            found += check_rows(rows, bound)
            seen |= {evidence_key(row) for row in rows}
    for key in sorted(bound.keys() - seen):
        table_name, _, row_id = key.partition(":")
        name = ("measurement", f"of analysis {row_id}") if table_name == "measurements" else (table_name, row_id)
        found.append(Finding(*name, "the log speaks of it, and it is gone"))
    held = session.scalars(select(Blob).where(Blob.tenant == tenant)).all()
    found += check_blobs(blobs, tenant, held)
    found += _unheld(session, tenant, {row.digest: row for row in held})
    return sorted(set(found))


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


def _events(session: Session, tenant: UUID) -> Iterator[Event]:
    """Sealed events in their order, then the rest in order of id."""
    statement = (
        select(Event)
        .where(Event.tenant == tenant)
        .order_by(Event.chain_number.is_(None), Event.chain_number, Event.id)
        .execution_options(yield_per=1000)
    )
    yield from session.scalars(statement)


def _rehashed(blobs: BlobStore, tenant: UUID, digest: str) -> str:
    found = hashlib.sha256()
    with blobs.open(tenant, digest) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return "sha256:" + found.hexdigest()
