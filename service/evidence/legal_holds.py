"""What may not go because somebody forbade it, and did any of it go all the same?

Who gives bytes up and who places a hold take turns, so that a hold comes either before, and is seen, or after. Which it
was, the order of their events tells; the times of two machines would not.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.evidence.log_check import read_rows
from service.store.tables import Analysis, Artifact, Audit, Event, Model
from service.store.tables_compliance import LegalHold

SUBJECT = "legal_hold"
PLACED = "placed"
LIFTED = "lifted"
GIVEN_UP = "bytes given up"

Held = tuple[str | None, str | None]
"""What a hold is on: the name of a model, or the id of an audit."""


def is_held() -> Any:
    """Whether a hold in force is on an analysis, its audit or its model; for statements that have all three."""
    on_it = or_(LegalHold.audit_id == Analysis.audit_id, LegalHold.model_name == Model.name)
    found = select(LegalHold.id).where(LegalHold.tenant == Analysis.tenant, LegalHold.lifted_at.is_(None), on_it)
    return found.correlate(Analysis, Model).exists().label("held")


def given_up_while_held(session: Session, tenant: UUID) -> dict[str, datetime]:
    """Bytes that went while a hold was in force on an analysis that had left them behind, and when; by the log."""
    found: dict[str, datetime] = {}
    for digest, at, holds in _goings(session, tenant):
        rows = session.execute(
            select(Artifact.audit_id, Model.name)
            .join(Audit, Audit.id == Artifact.audit_id)
            .join(Model, Model.id == Audit.model_id)
            .where(Artifact.tenant == tenant, Artifact.digest == digest, Artifact.created_at <= at)
        ).all()
        if any((name, None) in holds or (None, str(audit)) in holds for audit, name in rows):
            found[digest] = at
    return found


def _goings(session: Session, tenant: UUID) -> Iterator[tuple[str, datetime, frozenset[Held]]]:
    """What went, when, and what was held then; only where anything was."""
    statement = select(Event).where(Event.tenant == tenant, Event.subject_type.in_((SUBJECT, "blob")))
    events, _ = read_rows(session, statement.order_by(Event.id), Event)
    holds: dict[UUID, Held] = {}
    for event in events:
        detail: Mapping[str, Any] = event.detail if isinstance(event.detail, dict) else {}
        if event.subject_type == SUBJECT and event.action == PLACED:
            holds[event.subject_id] = (detail.get("model"), detail.get("audit"))
        elif event.subject_type == SUBJECT and event.action == LIFTED:
            holds.pop(event.subject_id, None)
        elif holds and event.action == GIVEN_UP and isinstance(digest := detail.get("digest"), str):
            yield digest, event.created_at, frozenset(holds.values())
