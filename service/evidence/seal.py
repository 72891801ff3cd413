"""Who puts events into the chain? One appender per tenant at a time: committed events, in order, soon after.

Sealing is a transaction of its own, never part of another's, so no request and no worker ever waits for it. Any number
of schedulers may seal: the tenant's row of `chain` moves by compare-and-swap, and who comes second writes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.clock import Clock
from service.evidence import merkle
from service.evidence.chain import START, Entry, joined, raw
from service.evidence.heads import Head, SignedHead, signed
from service.evidence.keys import SigningKeys
from service.store.base import EPOCH, new_id
from service.store.database import Database
from service.store.ledger import record
from service.store.system import system_session
from service.store.tables import Event
from service.store.tables_compliance import Chain, SigningKey, TreeHead

BATCH = 500
TRIES = 5
MICROSECOND = timedelta(microseconds=1)
T = TypeVar("T")


class Keys(Protocol):
    """What knows the key that signs now."""

    def current(self) -> SigningKeys: ...


class SealingStuck(RuntimeError):
    """A tenant's log cannot be sealed, which no other appender is the reason of; the message names the tenant."""


class _Overtaken(Exception):
    """Another appender sealed these events first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appender:
    """Seals the log of every tenant, and signs its head."""

    database: Database
    clock: Clock
    keys: Keys

    def seal(self) -> int:
        """Seal every event that is committed and has no place yet; returns how many."""
        with system_session(self.database, writes=False) as session:
            tenants = list(session.scalars(select(Event.tenant).where(Event.chain_number.is_(None)).distinct()))
        return sum(_each(tenants, self.seal_tenant))

    def seal_tenant(self, tenant: UUID) -> int:
        """Seal one tenant's log to its end, in batches; returns how many events. Raises SealingStuck."""
        sealed, tries = 0, TRIES
        while True:
            try:
                with system_session(self.database) as session:
                    count = _append(session, tenant, self.clock)
            except (_Overtaken, IntegrityError) as error:
                tries -= 1
                if not tries:
                    raise SealingStuck(
                        f"the log of tenant {tenant} takes no more events: {type(error).__name__}; "
                        "run `lamina log verify`, which names what stands in its way"
                    ) from error
                continue
            if not count:
                return sealed
            sealed, tries = sealed + count, TRIES

    def head(self, tenant: UUID) -> SignedHead:
        """A signed head over everything of a tenant that is committed now, kept.

        That it was signed is an event of its own, after the head: a head that is deleted later is missed.
        """
        self.seal_tenant(tenant)
        keys = self.keys.current()
        with system_session(self.database) as session:
            publish(session, keys, self.clock)
            chain = _chain(session, tenant)
            size, chain_hash = (chain.size, chain.chain_hash) if chain else (0, START)
            frontier = _read(chain.frontier) if chain else []
            at = (self.clock.now() - EPOCH) // MICROSECOND
            root = "sha256:" + merkle.root_of(frontier).hex()
            made = signed(Head(tenant=str(tenant), size=size, root=root, chain_hash=chain_hash, at=at), keys)
            row = TreeHead(
                id=new_id(),
                tenant=tenant,
                created_by=tenant,
                created_at=EPOCH + at * MICROSECOND,
                size=size,
                root=root,
                chain_hash=chain_hash,
                key_id=made.key_id,
                signature=made.signature,
            )
            session.add(row)
            _note_head(session, row)
        self.seal_tenant(tenant)
        return made

    def heads_due(self, every: timedelta) -> int:
        """Sign a head for each tenant whose log has grown since its last one, if that is older than `every`."""
        with system_session(self.database, writes=False) as session:
            now = self.clock.now()
            due = []
            for chain in session.scalars(select(Chain).where(Chain.size > 0)):
                last = newest_head(session, chain.tenant)
                # The event that tells of the last head is no growth.
                if last is None or (last.size + 1 < chain.size and last.created_at + every <= now):
                    due.append(chain.tenant)
        return len(_each(due, self.head))


def _each(tenants: Sequence[UUID], step: Callable[[UUID], T]) -> list[T]:
    """A step for every tenant: one whose log is broken holds up no other. Raises SealingStuck at the end."""
    done, stuck = [], []
    for tenant in tenants:
        try:
            done.append(step(tenant))
        except SealingStuck as error:
            stuck.append(error)
    if stuck:
        raise stuck[0]
    return done


def publish(session: Session, keys: SigningKeys, clock: Clock) -> None:
    """Keep the public half of the key at hand, for whoever checks a signature later."""
    if session.get(SigningKey, keys.key_id) is None:
        row = {"id": keys.key_id, "public_key": keys.public, "created_at": clock.now(), "retired_at": None}
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        session.execute(dialect.insert(SigningKey).on_conflict_do_nothing(), [row])  # another may do so at this moment


def newest_head(session: Session, tenant: UUID) -> TreeHead | None:
    """The last head that was signed for a tenant."""
    return session.scalars(
        select(TreeHead)
        .where(TreeHead.tenant == tenant)
        .order_by(TreeHead.size.desc(), TreeHead.created_at.desc(), TreeHead.id.desc())
        .limit(1)
    ).first()


def signed_head(row: TreeHead) -> SignedHead:
    """A kept head as the value that was signed."""
    at = (row.created_at - EPOCH) // MICROSECOND
    head = Head(tenant=str(row.tenant), size=row.size, root=row.root, chain_hash=row.chain_hash, at=at)
    return SignedHead(head=head, key_id=row.key_id, signature=row.signature)


def entry_of(event: Event) -> Entry:
    """An event as it is hashed."""
    return Entry(
        id=event.id,
        tenant=str(event.tenant),
        by=str(event.created_by),
        at=(event.created_at - EPOCH) // MICROSECOND,
        subject_type=event.subject_type,
        subject_id=str(event.subject_id),
        action=event.action,
        before=event.before,
        after=event.after,
        detail=event.detail,
    )


def _note_head(session: Session, row: TreeHead) -> None:
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=row.created_by,
        now=row.created_at,
        subject_type="tree_head",
        subject_id=row.id,
        action="head signed",
        detail={"size": row.size},
    )


def _append(session: Session, tenant: UUID, clock: Clock) -> int:
    chain = _chain(session, tenant)
    if chain is None:
        # Two that begin at once collide here, and one of them tries again later.
        row = {"tenant": tenant, "created_by": tenant, "created_at": clock.now(), "size": 0}
        session.execute(insert(Chain), [row | {"chain_hash": START, "frontier": []}])
        chain = session.get_one(Chain, tenant)
    # Read after the lock: what another appender has sealed meanwhile must not be seen as it was before.
    events = session.scalars(
        select(Event).where(Event.tenant == tenant, Event.chain_number.is_(None)).order_by(Event.id).limit(BATCH)
    ).all()
    if not events:
        return 0
    leaves, hashes = _joined(chain.chain_hash, events)
    moved = session.scalar(
        update(Chain)
        .where(Chain.tenant == tenant, Chain.size == chain.size, Chain.chain_hash == chain.chain_hash)
        .values(
            size=chain.size + len(events),
            chain_hash=hashes[-1],
            frontier=_written(merkle.appended(_read(chain.frontier), [raw(leaf) for leaf in leaves])),
        )
        .returning(Chain.size)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise _Overtaken
    first = chain.size
    session.execute(
        update(Event),
        [
            {"id": event.id, "chain_number": first + place, "leaf_hash": leaf, "chain_hash": chain_hash}
            for place, (event, leaf, chain_hash) in enumerate(zip(events, leaves, hashes, strict=True))
        ],
        execution_options={"synchronize_session": False},
    )
    return len(events)


def _joined(before: str, events: Sequence[Event]) -> tuple[list[str], list[str]]:
    leaves, hashes = [], []
    for event in events:
        leaf = entry_of(event).leaf()
        before = joined(before, leaf)
        leaves.append(leaf)
        hashes.append(before)
    return leaves, hashes


def _chain(session: Session, tenant: UUID) -> Chain | None:
    return session.scalar(
        select(Chain).where(Chain.tenant == tenant).with_for_update().execution_options(populate_existing=True)
    )


def _read(frontier: Sequence[tuple[int, str]]) -> merkle.Frontier:
    return [(size, bytes.fromhex(found)) for size, found in frontier]


def _written(frontier: merkle.Frontier) -> list[list[int | str]]:
    return [[size, found.hex()] for size, found in frontier]
