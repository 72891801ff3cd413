"""How does another key take over? The one that signs vouches for it and retires, in every log, in one transaction."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.clock import Clock
from service.evidence.keys import SigningKeys
from service.evidence.seal import publish
from service.evidence.succession import Succession, vouched
from service.store.base import EPOCH
from service.store.database import Database
from service.store.ledger import record, subject_of
from service.store.system import system_session
from service.store.tables import Tenant
from service.store.tables_compliance import SigningKey

MICROSECOND = timedelta(microseconds=1)


class CannotSucceed(ValueError):
    """The key cannot take over; the message says why."""


def hand_over(database: Database, retiring: SigningKeys, successor: SigningKeys, clock: Clock) -> Succession:
    """Retire a key in favour of another, which it vouches for; each tenant's log tells of it. Raises CannotSucceed.

    Where that has been done already, its word is given again: who was cut off before the other key was put in its
    place may go on.
    """
    with system_session(database) as session:
        publish(session, retiring, clock)
        done = session.get(SigningKey, successor.key_id)
        if done is not None:
            return _word(done, retiring.key_id)
        at = (clock.now() - EPOCH) // MICROSECOND
        word = vouched(retiring, successor.public, at)
        moved = session.scalar(
            update(SigningKey)
            .where(SigningKey.id == retiring.key_id, SigningKey.retired_at.is_(None))
            .values(retired_at=EPOCH + at * MICROSECOND)
            .returning(SigningKey.id)
            .execution_options(synchronize_session=False)
        )
        if moved is None:
            raise CannotSucceed(f"the key {retiring.key_id} has retired already, in favour of another")
        session.add(
            SigningKey(
                id=successor.key_id,
                public_key=successor.public,
                created_at=EPOCH + at * MICROSECOND,
                succeeds=retiring.key_id,
                vouched=word.signature,
            )
        )
        for tenant in session.scalars(select(Tenant.id).order_by(Tenant.id)):
            record(
                session,
                [],
                tenant=tenant,
                actor=tenant,
                now=EPOCH + at * MICROSECOND,
                subject_type="signing_key",
                subject_id=subject_of(successor.key_id),
                action="signing key succeeded",
                detail={"succession": word.model_dump(mode="json")},
            )
    return word


def successions(session: Session) -> list[Succession]:
    """Every key's word for the next, oldest first."""
    rows = session.scalars(
        select(SigningKey).where(SigningKey.succeeds.is_not(None)).order_by(SigningKey.created_at, SigningKey.id)
    )
    return [succession_of(row) for row in rows]


def succession_of(row: SigningKey) -> Succession:
    """The word that a key's row holds. Raises ValueError where it holds none that could be one."""
    return Succession.model_validate(
        {
            "retired": row.succeeds,
            "ed25519": row.public_key.hex(),
            "at": (row.created_at - EPOCH) // MICROSECOND,
            "signature": row.vouched,
        }
    )


def _word(row: SigningKey, retiring: str) -> Succession:
    if row.succeeds != retiring:
        raise CannotSucceed(f"the key {row.id} has signed already, and {retiring} did not vouch for it")
    return succession_of(row)
