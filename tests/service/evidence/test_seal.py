"""Does every event get its one place in its tenant's chain, whoever seals and whenever?"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from service.clock import FixedClock
from service.evidence import merkle
from service.evidence.chain import START, Link, breaks, heads_broken, raw
from service.evidence.heads import head_holds
from service.evidence.keys import SigningKeys
from service.evidence.seal import Appender, SealingStuck, entry_of, newest_head, publish, signed_head
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Event
from service.store.tables_compliance import Chain, SigningKey
from service.work.transition import note
from tests.conftest import MakePrincipal, MakeTenant


@pytest.fixture
def appender(database: Database, clock: FixedClock) -> Appender:
    return Appender(database=database, clock=clock, keys=SigningKeys.made())


def happen(database: Database, tenant: UUID, principal: UUID, clock: FixedClock, count: int) -> None:
    with database.session(tenant) as session:
        for number in range(count):
            note(
                session,
                tenant=tenant,
                actor=principal,
                now=clock.now(),
                subject_type="audit",
                subject_id=principal,
                action=f"happened {number}",
                detail={"share": 0.1 * number},
            )


def links(database: Database, tenant: UUID) -> list[Link]:
    with system_session(database) as session:
        rows = session.scalars(
            select(Event).where(Event.tenant == tenant, Event.chain_number.is_not(None)).order_by(Event.chain_number)
        )
        return [
            Link(number=row.chain_number or 0, entry=entry_of(row), leaf=row.leaf_hash, chain_hash=row.chain_hash)
            for row in rows
        ]


def test_every_tenant_has_a_chain_of_its_own_from_its_first_event_on(
    database: Database,
    clock: FixedClock,
    appender: Appender,
    make_tenant: MakeTenant,
    make_principal: MakePrincipal,
) -> None:
    tenants = [make_tenant("one"), make_tenant("two")]
    for tenant, count in zip(tenants, (7, 3), strict=True):
        happen(database, tenant, make_principal(tenant, "ada"), clock, count)
    assert appender.seal() >= 10
    assert appender.seal() == 0
    for tenant, count in zip(tenants, (7, 3), strict=True):
        log = links(database, tenant)
        assert len(log) >= count
        assert [link.number for link in log] == list(range(len(log)))
        assert list(breaks(log)) == []
        with system_session(database) as session:
            chain = session.get_one(Chain, tenant)
        assert (chain.size, chain.chain_hash) == (len(log), log[-1].chain_hash)
        frontier = [(size, bytes.fromhex(found)) for size, found in chain.frontier]
        assert merkle.root_of(frontier) == merkle.root([raw(link.leaf) for link in log])


def test_a_head_covers_what_is_committed_and_is_kept_with_the_key_that_proves_it(
    database: Database, clock: FixedClock, appender: Appender, tenant: UUID, principal: UUID
) -> None:
    happen(database, tenant, principal, clock, 5)
    made = appender.head(tenant)
    *log, told = links(database, tenant)
    assert made.head.size == len(log)
    assert (told.entry.subject_type, told.entry.action) == ("tree_head", "head signed")
    assert (
        list(heads_broken({link.number + 1: link.chain_hash for link in log}, [(len(log), made.head.chain_hash)])) == []
    )
    with system_session(database) as session:
        row = newest_head(session, tenant)
        assert row is not None
        assert signed_head(row) == made
        keys = {key.id: key.public_key for key in session.scalars(select(SigningKey))}
    assert head_holds(made, keys)


def test_heads_are_signed_when_the_log_has_grown_and_time_has_passed(
    database: Database, clock: FixedClock, appender: Appender, tenant: UUID, principal: UUID
) -> None:
    hour = timedelta(hours=1)
    happen(database, tenant, principal, clock, 2)
    appender.seal()
    assert appender.heads_due(hour) == 1
    happen(database, tenant, principal, clock, 1)
    appender.seal()
    assert appender.heads_due(hour) == 0
    clock.advance(hour)
    assert appender.heads_due(hour) == 1
    clock.advance(hour)
    assert appender.heads_due(hour) == 0


def test_an_empty_log_has_a_head_as_well(database: Database, appender: Appender, make_tenant: MakeTenant) -> None:
    made = appender.head(make_tenant("quiet"))
    assert (made.head.size, made.head.chain_hash) == (0, START)
    assert made.head.root == "sha256:" + merkle.EMPTY.hex()


@pytest.mark.slow
def test_many_appenders_at_once_leave_one_chain(
    database: Database, clock: FixedClock, tenant: UUID, principal: UUID
) -> None:
    keys = SigningKeys.made()
    stop = threading.Event()
    failures: list[BaseException] = []

    def seal() -> None:
        mine = Appender(database=database, clock=clock, keys=keys)
        while not stop.is_set():
            try:
                mine.seal()
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=seal) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        happen(database, tenant, principal, clock, 12)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    Appender(database=database, clock=clock, keys=keys).seal()
    log = links(database, tenant)
    assert len(log) >= 240
    assert list(breaks(log)) == []


def test_a_log_that_takes_no_more_events_is_told_and_holds_up_no_other(
    database: Database, clock: FixedClock, appender: Appender, make_tenant: MakeTenant, make_principal: MakePrincipal
) -> None:
    broken, whole = make_tenant("broken"), make_tenant("whole")
    happen(database, broken, make_principal(broken, "ada"), clock, 3)
    appender.seal()
    with system_session(database) as session:  # an event put in where the next one belongs
        size = session.get_one(Chain, broken).size
        session.execute(
            insert(Event).values(
                tenant=broken,
                created_by=broken,
                created_at=clock.now(),
                subject_type="audit",
                subject_id=broken,
                action="submitted",
                detail={},
                chain_number=size,
            )
        )
    happen(database, broken, broken, clock, 1)
    happen(database, whole, whole, clock, 4)
    with pytest.raises(SealingStuck, match=f"the log of tenant {broken} takes no more events: IntegrityError"):
        appender.seal()
    assert len(links(database, whole)) == 4
    clock.advance(timedelta(hours=1))
    with pytest.raises(SealingStuck):
        appender.heads_due(timedelta(hours=1))
    with system_session(database) as session:
        assert newest_head(session, whole) is not None


def test_a_key_is_published_once_however_many_do_so(database: Database, clock: FixedClock) -> None:
    keys = SigningKeys.made()

    def publishes(_number: int) -> None:
        with system_session(database) as session:
            publish(session, keys, clock)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publishes, range(8)))
    with system_session(database) as session:
        assert session.scalars(select(SigningKey.id)).all() == [keys.key_id]
