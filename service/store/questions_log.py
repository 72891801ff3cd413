"""What is asked of the log? Pages of events, newest first, heads, leaves and keys, each within the session's tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.tables import Event
from service.store.tables_compliance import Chain, SigningKey, TreeHead


@dataclass(frozen=True, slots=True)
class EventsPage:
    """One page of events; `before`: the id that the next one ends before, None at the end."""

    rows: Sequence[Event]
    before: int | None


def events_page(
    session: Session, *, limit: int, before: int | None = None, subject_id: UUID | None = None
) -> EventsPage:
    """Events, newest first; of one subject, if given."""
    statement = select(Event).order_by(Event.id.desc()).limit(limit + 1)
    if subject_id is not None:
        statement = statement.where(Event.subject_id == subject_id)
    if before is not None:
        statement = statement.where(Event.id < before)
    found = session.scalars(statement).all()
    return EventsPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def sealed_size(session: Session) -> int:
    """How many events are sealed."""
    return session.scalar(select(Chain.size)) or 0


def head_of_size(session: Session, size: int) -> TreeHead | None:
    """A head that was signed over so many events: the latest of them; None if none was."""
    statement = select(TreeHead).where(TreeHead.size == size).order_by(TreeHead.created_at.desc(), TreeHead.id.desc())
    return session.scalars(statement.limit(1)).first()


def leaves(session: Session, size: int) -> list[str]:
    """The leaves of the first `size` events, in order: O(size)."""
    found = session.scalars(select(Event.leaf_hash).where(Event.chain_number < size).order_by(Event.chain_number))
    return [leaf for leaf in found if leaf is not None]


def signing_keys(session: Session) -> Sequence[SigningKey]:
    """Every public key of the service, oldest first."""
    return session.scalars(select(SigningKey).order_by(SigningKey.created_at, SigningKey.id)).all()
