"""Is a tenant's log whole? From its first event to its last: the chain, how far it is sealed, every signed head, keys.

What cannot even be read is named as well: whoever changes a table by hand need not leave what a column can hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, String, cast, select
from sqlalchemy.orm import Session

from service.evidence import merkle
from service.evidence.chain import START, Link, breaks, heads_broken, raw
from service.evidence.heads import SignedHead, head_holds
from service.evidence.key_check import Keys
from service.evidence.seal import entry_of, signed_head
from service.store.tables import Event
from service.store.tables_compliance import Chain, TreeHead

CHUNK_ROWS = 500
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that is not what it was: which table, which row (or event number, or digest), and what is wrong."""

    table: str
    row: str
    said: str


@dataclass(slots=True)
class _Walked:
    """What a walk along the log came to: the chain's hash and the tree's root after so many events."""

    hashes: dict[int, str] = field(default_factory=dict)
    roots: dict[int, str] = field(default_factory=dict)
    frontier: merkle.Frontier = field(default_factory=list)


def check_log(
    session: Session,
    tenant: UUID,
    *,
    trusted: Mapping[str, bytes] | None = None,
    kept: Sequence[SignedHead] = (),
) -> Iterator[Finding]:
    """The chain from its first event to its end, how far it says it is sealed, and every head that was signed over it.

    `trusted`: public keys (id -> raw bytes) known from elsewhere, without which the database's own count; `kept`: heads
    of this log that were handed out, which it must still lead to.
    """
    rows, findings = read_rows(session, select(TreeHead).where(TreeHead.tenant == tenant), TreeHead)
    yield from findings
    heads = sorted(rows, key=lambda row: (row.size, str(row.id)))
    walked, found = _walk(session, tenant, {row.size for row in heads} | {each.head.size for each in kept})
    yield from found
    yield from _check_chain_row(session, tenant, walked)
    known = Keys.of(session)
    yield from (Finding("signing_key", name, said) for name, said in known.faults())
    for name in sorted({row.key_id for row in heads} - known.public.keys()):
        yield Finding("signing_key", name, "a head says that it was signed with it, and it is not here")
    keys = known.public if trusted is None else known.led_to_by(trusted)
    for row in heads:
        yield from _check_head("tree_head", str(row.id), _signed(row), keys, walked)
        if known.retired_before(row.key_id, row.created_at):
            yield Finding("tree_head", str(row.id), "it was signed with a key that had retired")
    for each in kept:
        name = f"kept, of {each.head.size} events"
        if each.head.tenant != str(tenant):
            yield Finding("tree_head", name, "it is of another tenant's log")
        else:
            yield from _check_head("tree_head", name, each, keys, walked)


def events_of(session: Session, tenant: UUID) -> Iterator[Event | Finding]:
    """Sealed events in their order, then the rest in order of id; a finding for one that cannot be read."""
    numbers = session.scalars(
        select(Event.id)
        .where(Event.tenant == tenant)
        .order_by(Event.chain_number.is_(None), Event.chain_number, Event.id)
    ).all()
    for start in range(0, len(numbers), CHUNK_ROWS):
        chunk = numbers[start : start + CHUNK_ROWS]
        rows, findings = read_rows(session, select(Event).where(Event.id.in_(chunk)), Event)
        yield from findings
        by_id = {row.id: row for row in rows}
        yield from (by_id[number] for number in chunk if number in by_id)


def read_rows(session: Session, statement: Select[Any], table: type[T]) -> tuple[list[T], list[Finding]]:
    """The rows of a statement, and a finding for each that cannot be read: read one by one if not all can be."""
    try:
        return list(session.scalars(statement)), []
    except UNREADABLE:
        rows: list[T] = []
        findings = []
        mapped: Any = table
        text = cast(mapped.id, String)
        for name in session.scalars(statement.with_only_columns(text)).all():
            try:
                rows += session.scalars(statement.where(text == name))
            except UNREADABLE as error:
                findings.append(Finding(mapped.__tablename__, _dashed(name), _said(error)))
        return rows, findings


def _walk(session: Session, tenant: UUID, sizes: set[int]) -> tuple[_Walked, list[Finding]]:
    walked, found = _Walked(), list[Finding]()

    def links() -> Iterator[Link]:
        for event in events_of(session, tenant):
            if isinstance(event, Finding):
                found.append(event)
            elif event.chain_number is not None:
                try:
                    link = _link(event)
                    walked.frontier = merkle.appended(walked.frontier, [raw(link.leaf)])
                except UNREADABLE as error:
                    found.append(Finding("event", str(event.chain_number), _said(error)))
                    continue
                walked.hashes[link.number + 1] = link.chain_hash
                if link.number + 1 in sizes:
                    walked.roots[link.number + 1] = _root(walked.frontier)
                yield link

    found += [Finding("event", str(each.number), each.said) for each in breaks(links())]
    return walked, found


def _link(event: Event) -> Link:
    return Link(
        number=event.chain_number or 0,
        entry=entry_of(event),
        leaf=event.leaf_hash or "",
        chain_hash=event.chain_hash or "",
    )


def _check_chain_row(session: Session, tenant: UUID, walked: _Walked) -> Iterator[Finding]:
    """The row that the appender goes on from: a wrong one would spoil everything after it."""
    try:
        chain = session.scalars(select(Chain).where(Chain.tenant == tenant)).one_or_none()
    except UNREADABLE as error:
        yield Finding("chain", str(tenant), _said(error))
        return
    size = max(walked.hashes, default=0)
    if chain is None:
        if size:
            yield Finding("chain", str(tenant), f"{size} events are sealed, and the row that says so is gone")
        return
    frontier = [[count, root.hex()] for count, root in walked.frontier]
    for name, here, there in (
        ("size", chain.size, size),
        ("chain_hash", chain.chain_hash, walked.hashes.get(size, START)),
        ("frontier", chain.frontier, frontier),
        ("created_by", chain.created_by, tenant),
    ):
        if here != there:
            yield Finding("chain", str(tenant), f"its {name} is not that of the log, which ends at {size} events")


def _check_head(
    table: str, row: str, signed: SignedHead | None, keys: Mapping[str, bytes], walked: _Walked
) -> Iterator[Finding]:
    if signed is None or not head_holds(signed, keys):
        yield Finding(table, row, "its signature does not hold: it was changed, or its key was, or is not a known one")
    if signed is None:
        return
    head = signed.head
    broken = list(heads_broken(walked.hashes, [(head.size, head.chain_hash)]))
    yield from (Finding(table, row, each.said) for each in broken)
    if not broken and walked.roots.get(head.size, _root([])) != head.root:
        yield Finding(table, row, f"the root over the first {head.size} events is not the one that was signed")


def _signed(row: TreeHead) -> SignedHead | None:
    try:
        return signed_head(row)
    except UNREADABLE:
        return None


def _root(frontier: merkle.Frontier) -> str:
    return "sha256:" + merkle.root_of(frontier).hex()


def _dashed(name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        return name


def _said(error: Exception) -> str:
    return f"it cannot be read: {type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
