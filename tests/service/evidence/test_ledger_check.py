"""Is every change made past the service found, and named? A thousand of them, one after the other, each undone."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import FixedClock
from service.evidence import merkle
from service.evidence.bundle import SUMS, zipped
from service.evidence.chain import START, joined, raw
from service.evidence.heads import Head, signed
from service.evidence.keys import SigningKeys
from service.evidence.ledger_check import check_tenant
from service.evidence.log_check import Finding, check_log
from service.evidence.seal import MICROSECOND, entry_of, publish
from service.evidence.verify import verify
from service.store.base import EPOCH, new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Event
from service.store.tables_compliance import Chain, TreeHead
from tests.conftest import MakePrincipal
from tests.service.evidence.tampering import Done, Refused, Tamperer, looking, owned, populate
from tests.service.work.office import Office, an_office

SEED = 20261123


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


@pytest.fixture
def reports(office: Office, clock: FixedClock, make_principal: MakePrincipal) -> list[UUID]:
    return populate(office, clock, make_principal(office.tenant, "carol"))


def findings(office: Office) -> list[Finding]:
    with system_session(office.database, writes=False) as session:
        return check_tenant(session, office.blobs, office.tenant)


def named(done: Done, found: list[Finding]) -> bool:
    return any(each.table == done.table and any(name in each.row for name in done.names) for each in found)


def attempted(way: Callable[[], Done]) -> Done | None:
    """What was done; None where the table itself takes no such row, so that nothing was tampered with."""
    try:
        return way()
    except (DBAPIError, Refused):
        return None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_tamperings_are_each_found_and_named(office: Office, reports: list[UUID]) -> None:
    assert len(reports) == 2
    assert findings(office) == []
    count = 60 if office.database.is_postgres else 840
    missed, did = [], 0
    with owned(office.database) as connection:
        tamperer = Tamperer(connection, office.tenant, random.Random(SEED), office.folder / "blobs")
        ways: list[tuple[int, Callable[[], Done]]] = [
            (50, tamperer.column),
            (10, tamperer.deletion),
            (6, tamperer.insertion),
            (20, tamperer.event),
            (2, tamperer.insertion_of_event),
            (4, tamperer.lock),
            (3, tamperer.key),
            (2, tamperer.tombstone),
        ]

        def check() -> list[Finding]:
            with looking(connection) as session:
                return check_tenant(session, office.blobs, office.tenant)

        while did < count:
            (way,) = tamperer.draw.choices([way for _, way in ways], [weight for weight, _ in ways])
            undo = connection.begin_nested()
            done = attempted(way)
            if done is not None:
                did += 1
                if not named(done, found := check()):
                    missed.append((done, found[:3]))
            undo.rollback()
        for _ in range(count // 14):
            with tamperer.bytes() as done:
                if not named(done, found := check()):
                    missed.append((done, found[:3]))
        assert check() == []
    assert missed == []
    assert findings(office) == []


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_tampering_with_a_reports_zip_is_found_and_named(office: Office, reports: list[UUID]) -> None:
    draw = random.Random(SEED)
    whole = office.file(reports[1], "report.zip")
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != SUMS}
    trusted = {office.keys.key_id: office.keys.public}
    assert verify(whole, trusted).holds
    missed = []
    for number in range(100):
        name = draw.choice(sorted(members))
        changed = bytearray(members[name])
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        forged = {**members, name: bytes(changed)}
        if verify(zipped(forged), trusted).holds:  # with its sum put right
            missed.append((number, name, "forged"))
        if number % 4 == 0 and f"{name} was changed" not in clumsy(whole, forged, trusted):
            missed.append((number, name, "not named"))
    assert missed == []


def clumsy(whole: bytes, forged: dict[str, bytes], trusted: dict[str, bytes]) -> str:
    """What is said of a zip whose members were changed and whose sums were not."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(target, "w") as new:
        for each in old.namelist():
            new.writestr(each, forged.get(each, old.read(each)))
    return "; ".join(check.said for check in verify(target.getvalue(), trusted).checks if check.passed is False)


def rewrite(office: Office, session: Session, first: int) -> Chain:
    """What an owner of the database can do: change an event, and every hash that hangs on it."""
    events = session.scalars(select(Event).where(Event.tenant == office.tenant).order_by(Event.chain_number)).all()
    chain_hash = START if first == 0 else events[first - 1].chain_hash or ""
    frontier = merkle.appended([], [raw(event.leaf_hash or "") for event in events[:first]])
    for event in events[first:]:
        if event.chain_number == first:
            event.action = "rewritten"
        event.leaf_hash = entry_of(event).leaf()
        event.chain_hash = chain_hash = joined(chain_hash, event.leaf_hash)
        frontier = merkle.appended(frontier, [raw(event.leaf_hash)])
    chain = session.get_one(Chain, office.tenant)
    chain.size, chain.chain_hash = len(events), chain_hash
    chain.frontier = [[size, root.hex()] for size, root in frontier]
    session.flush()
    return chain


def test_a_rewritten_log_no_longer_leads_to_its_heads(office: Office) -> None:
    office.ready_pair()
    office.appender.head(office.tenant)
    with owned(office.database) as connection, looking(connection) as session:
        rewrite(office, session, 2)
        found = check_tenant(session, office.blobs, office.tenant)
        assert {each.table for each in found} == {"tree_head"}
        assert any("the log was rewritten before it" in each.said for each in found)


def test_what_was_rewritten_after_the_last_head_cannot_be_told(office: Office) -> None:
    office.ready_pair()
    last = office.appender.head(office.tenant)
    with owned(office.database) as connection, looking(connection) as session:
        rewrite(office, session, last.head.size)
        assert check_tenant(session, office.blobs, office.tenant) == []


def test_heads_and_keys_kept_elsewhere_tell_of_a_log_that_was_made_anew(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    kept = office.appender.head(office.tenant)
    trusted = {office.keys.key_id: office.keys.public}
    rogue = SigningKeys.made()
    with owned(office.database) as connection, looking(connection) as session:
        assert check_tenant(session, office.blobs, office.tenant, trusted=trusted, kept=[kept]) == []
        session.execute(delete(TreeHead))
        session.execute(delete(Event).where(Event.subject_type == "tree_head"))
        chain = rewrite(office, session, 2)
        publish(session, rogue, clock)
        root = "sha256:" + merkle.root_of([(size, bytes.fromhex(found)) for size, found in chain.frontier]).hex()
        at = (clock.now() - EPOCH) // MICROSECOND
        head = Head(tenant=str(office.tenant), size=chain.size, root=root, chain_hash=chain.chain_hash, at=at)
        forged = TreeHead(
            id=new_id(),
            tenant=office.tenant,
            created_by=office.tenant,
            created_at=clock.now(),
            size=head.size,
            root=root,
            chain_hash=head.chain_hash,
            key_id=rogue.key_id,
            signature=signed(head, rogue).signature,
        )
        session.add(forged)
        session.flush()
        assert list(check_log(session, office.tenant)) == []  # nothing in the database itself can tell
        found = list(check_log(session, office.tenant, trusted=trusted, kept=[kept]))
        assert {each.row for each in found} == {str(forged.id), f"kept, of {kept.head.size} events"}


def test_what_has_not_ended_is_bound_by_what_was_asked_for(office: Office) -> None:
    model, dataset = office.ready_pair()
    audit = office.audit(model, dataset, analyses=2, kind="accuracy")
    assert findings(office) == []
    with owned(office.database) as connection, looking(connection) as session:
        one, other = session.scalars(select(Analysis.id).where(Analysis.audit_id == audit)).all()
        changes = ({"kind": "robustness"}, {"parameters": {"a": 1}}, {"outcome": {"answer": 41}})
        for change in changes:
            undo = session.begin_nested()
            session.execute(update(Analysis).where(Analysis.id == one).values(**change))
            (found,) = check_tenant(session, office.blobs, office.tenant)
            assert (found.table, found.row) == ("analysis", str(one))
            undo.rollback()
        session.execute(delete(Analysis).where(Analysis.id == other))
        gone = Finding("analysis", str(other), "it was asked for, and it is gone")
        assert check_tenant(session, office.blobs, office.tenant) == [gone]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("table", "column"), [("model", "facts"), ("model", "created_at"), ("event", "detail"), ("event", "created_at")]
)
def test_a_row_that_cannot_be_read_is_named(office: Office, table: str, column: str) -> None:
    model, _ = office.ready_pair()
    office.appender.head(office.tenant)
    with owned(office.database) as connection:
        number = connection.scalar(text("SELECT max(chain_number) - 2 FROM event"))
        where, row = ("chain_number = :row", number) if table == "event" else ("id = :row", model.hex)
        connection.execute(text(f"UPDATE {table} SET {column} = '{{x' WHERE {where}"), {"row": row})
        with looking(connection) as session:
            found = check_tenant(session, office.blobs, office.tenant)
    assert {each.table for each in found if "cannot be read" in each.said} == {table}
    if table == "model":
        assert {each.row for each in found} == {str(model)}
