"""Which columns are evidence, and how does the log bind them? By a digest of the row in the event that wrote it.

An event's `detail["evidence"]` maps `table:id` to the digest of the evidence-bearing columns of that row as they were
then. The events are sealed into a chain, so a row changed later, past this module, no longer has the digest that its
latest event says. Only columns that are evidence take part: leases, counters and cached states may move freely.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from service.store.base import EPOCH, Base
from service.store.tables import Analysis, Artifact, Audit, Dataset, Event, Input, Measurement, Model
from service.store.tables_compliance import (
    Alert,
    Attestation,
    Baseline,
    ComplianceReport,
    LegalHold,
    Policy,
    ReportFile,
    Schedule,
    SignOff,
    Slot,
    TreeHead,
    Verdict,
    Waiver,
)

_OWNER = ("tenant", "created_by", "created_at")
EVIDENCE: Mapping[type[Base], tuple[str, ...]] = {
    Model: ("id", "name", "version", "follows_id", "source_digest", "facts", "canonical_digest", "manifest", *_OWNER),
    Dataset: ("id", "name", "version", "source_digest", "facts", "canonical_digest", "manifest", *_OWNER),
    Audit: ("id", "title", "model_id", *_OWNER),
    Input: ("id", "audit_id", "role", "dataset_id", "model_id", "analysis_id", *_OWNER),
    Analysis: (
        *("id", "audit_id", "position", "kind", "kind_version", "parameters", "parameters_digest", "digest"),
        *("replays_id", "outcome", "section", "provenance", "reason", "ended_at", *_OWNER),
    ),
    Artifact: ("id", "audit_id", "analysis_id", "name", "title", "media_type", "digest", "size", *_OWNER),
    Measurement: (
        *("id", "series_key", "model_name", "model_version", "model_id", "audit_id", "analysis_id", "kind"),
        *("kind_version", "metric", "layer", "class_name", "target", "epsilon", "facets", "dataset_name"),
        *("dataset_role", "dataset_digest", "parameters_digest", "value", "low", "high", "n", *_OWNER),
    ),
    Schedule: (
        *("id", "name", "purpose", "model_name", "cron", "zone", "start_at", "end_at", "catch_up", "triggers"),
        *("task", "paused_at", "ended_at", *_OWNER),
    ),
    Slot: (
        *("id", "schedule_id", "key", "cause", "nominal_at", "window_from", "window_to", "state", "late_seconds"),
        *("attempt", "reason", "audit_id", "report_id", *_OWNER),
    ),
    Policy: ("id", "name", "revision", "content", "digest", *_OWNER),
    Baseline: ("id", "model_name", "audit_id", "reason", "replaced_at", *_OWNER),
    Waiver: (
        *("id", "effect", "control", "model_name", "reason", "compensating", "starts_at", "expires_at", "renews_id"),
        *("decision", "decided_by", "decided_at", "decision_comment", "withdrawn_at", *_OWNER),
    ),
    Attestation: (
        *("id", "control", "model_name", "role", "statement", "document_digest", "document_title", "expires_at"),
        *("withdrawn_at", *_OWNER),
    ),
    LegalHold: ("id", "model_name", "audit_id", "reason", "lifted_by", "lifted_at", "lift_reason", *_OWNER),
    ComplianceReport: (
        *("id", "title", "model_name", "model_id", "policy_id", "schedule_id", "window_from", "window_to", "zone"),
        *("as_of", "late_seconds", "trigger", "frameworks", "revision", "supersedes_id", "state", "twin_digest"),
        *("counts", "about", "generated_at", *_OWNER),
    ),
    ReportFile: ("id", "report_id", "name", "media_type", "digest", "size", *_OWNER),
    Verdict: (
        *("id", "report_id", "model_name", "control", "position", "as_of", "status", "reason", "waived", "metric"),
        *("value", "low", "high", "n", "threshold", "analysis_id", *_OWNER),
    ),
    SignOff: ("id", "report_id", "step", "name", "role", "comment", "digest", "key_id", "signature", *_OWNER),
    TreeHead: ("id", "size", "root", "chain_hash", "key_id", "signature", *_OWNER),
    Alert: ("id", "key", "severity", "text", "detail", "model_name", *_OWNER),
}
"""Every table whose rows are evidence, and the columns of it that are."""


MOST_DIGESTS = 1000


def evidence_of(row: Base) -> bytes:
    """The bytes that a row's digest is of: its evidence-bearing columns as JSON, keys sorted, no spaces.

    Times are integer microseconds since 1970 in UTC, ids are text, numbers as Python writes them (the shortest text
    that reads back as the same number). Raises KeyError for a table that holds no evidence.
    """
    return _written({name: getattr(row, name) for name in EVIDENCE[type(row)]})


def evidence_digest(row: Base) -> str:
    """`sha256:` and the SHA-256 of `evidence_of`."""
    return _digest(evidence_of(row))


def evidence_key(row: Base) -> str:
    """How an event names a row: its table and its id."""
    return f"{inspect(type(row)).local_table.name}:{row.id}"  # type: ignore[attr-defined]  # every evidence table has one


def subject_of(digest: str) -> UUID:
    """What an event about bytes or a key names as its subject: the first half of their digest."""
    return UUID(hex=digest.removeprefix("sha256:")[:32])


def points_key(analysis_id: UUID) -> str:
    """How an event names all points of history of an analysis."""
    return f"measurements:{analysis_id}"


def points_evidence(rows: Sequence[Measurement] | Sequence[Mapping[str, Any]]) -> list[str]:
    """The digests of an analysis' points of history in the order of their ids: of each, or of each `group` of them.

    Up to 1000 digests, so that an event stays small; `group_size` says how many points one stands for.
    """
    names = EVIDENCE[Measurement]
    columns = [{name: row[name] if isinstance(row, Mapping) else getattr(row, name) for name in names} for row in rows]
    texts = [_written(point) for point in sorted(columns, key=lambda point: str(point["id"]))]
    size = group_size(len(texts))
    return [_digest(b"\n".join(texts[start : start + size])) for start in range(0, len(texts), size)]


def point_texts(rows: Sequence[Measurement] | Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The bytes that digests of points of history are of, in the order of their ids."""
    names = EVIDENCE[Measurement]
    columns = [{name: row[name] if isinstance(row, Mapping) else getattr(row, name) for name in names} for row in rows]
    return [_written(point) for point in sorted(columns, key=lambda point: str(point["id"]))]


def group_size(points: int) -> int:
    """How many points of history share a digest."""
    return max(1, -(-points // MOST_DIGESTS))


def record(
    session: Session,
    rows: Sequence[Base],
    *,
    tenant: UUID,
    actor: UUID,
    now: datetime,
    subject_type: str,
    subject_id: UUID,
    action: str,
    detail: Mapping[str, Any] | None = None,
    points: Mapping[UUID, Sequence[str]] | None = None,
) -> Event:
    """Write down what happened, bound to the rows it wrote, as they are now. Call it last: later changes need another.

    Rows are flushed first, so that defaults are in them. `points` are the `points_evidence` of analyses by id.
    """
    session.flush()
    evidence: dict[str, Any] = {evidence_key(row): evidence_digest(row) for row in rows}
    evidence |= {points_key(analysis): list(digests) for analysis, digests in (points or {}).items()}
    event = Event(
        tenant=tenant,
        created_by=actor,
        created_at=now,
        subject_type=subject_type,
        subject_id=subject_id,
        action=action,
        detail={**(detail or {}), **({"evidence": evidence} if evidence else {})},
    )
    session.add(event)
    session.flush()
    return event


def _written(columns: Mapping[str, Any]) -> bytes:
    plain = {name: _plain(value) for name, value in columns.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    return value
