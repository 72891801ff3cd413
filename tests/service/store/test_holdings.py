"""Is every stored byte counted once, and none beyond the cap?"""

import threading
from uuid import UUID

import pytest

from service.clock import FixedClock
from service.contracts.base import digest_of
from service.store.blobs import Stored
from service.store.database import Database
from service.store.holdings import NotHeld, OverQuota, hold, refer, tombstone
from service.store.system import system_session
from service.store.tables import Blob, Tenant

ONE = Stored(digest_of(b"one"), 100)
TWO = Stored(digest_of(b"two"), 50)


class Shelf:
    """One tenant's holdings."""

    def __init__(self, database: Database, clock: FixedClock, tenant: UUID) -> None:
        self.database, self.clock, self.tenant = database, clock, tenant

    def hold(self, stored: Stored, most: int = 1000) -> None:
        with self.database.session(self.tenant) as session:
            held = hold(
                session,
                tenant=self.tenant,
                principal=self.tenant,
                stored=stored,
                most_bytes=most,
                now=self.clock.now(),
            )
            assert (held.digest, held.deleted_at) == (stored.digest, None)

    def refer(self, stored: Stored, by: int = 1) -> None:
        with self.database.session(self.tenant) as session:
            refer(session, self.tenant, stored.digest, by)

    def tombstone(self, stored: Stored) -> bool:
        with self.database.session(self.tenant) as session:
            return tombstone(session, self.tenant, stored.digest, now=self.clock.now())

    @property
    def bytes(self) -> int:
        with system_session(self.database) as session:
            return session.get_one(Tenant, self.tenant).stored_bytes


@pytest.fixture
def shelf(database: Database, clock: FixedClock, tenant: UUID) -> Shelf:
    return Shelf(database, clock, tenant)


def test_bytes_already_held_cost_nothing(shelf: Shelf) -> None:
    shelf.hold(ONE)
    shelf.hold(ONE)
    shelf.hold(TWO)
    assert shelf.bytes == 150


def test_the_cap_holds_to_the_byte_and_a_refusal_changes_nothing(shelf: Shelf) -> None:
    shelf.hold(ONE, most=100)
    shelf.hold(ONE, most=100)
    with pytest.raises(OverQuota, match="149"):
        shelf.hold(TWO, most=149)
    assert shelf.bytes == 100
    with system_session(shelf.database) as session:
        assert session.get(Blob, (shelf.tenant, TWO.digest)) is None
    shelf.hold(TWO, most=150)


def test_used_bytes_are_not_given_up_and_unused_ones_are_counted_back(shelf: Shelf) -> None:
    shelf.hold(ONE)
    shelf.refer(ONE)
    assert shelf.tombstone(ONE) is False
    shelf.refer(ONE, -1)
    assert shelf.tombstone(ONE) is True
    assert shelf.tombstone(ONE) is False
    assert shelf.bytes == 0
    with system_session(shelf.database) as session:
        assert session.get_one(Blob, (shelf.tenant, ONE.digest)).deleted_at == shelf.clock.now()


def test_deleted_bytes_cannot_be_used_until_they_come_back(shelf: Shelf) -> None:
    shelf.hold(ONE)
    shelf.tombstone(ONE)
    with pytest.raises(NotHeld, match="upload"):
        shelf.refer(ONE)
    shelf.hold(ONE)
    shelf.refer(ONE)
    assert shelf.bytes == 100


def test_a_count_of_uses_never_falls_below_zero(shelf: Shelf) -> None:
    shelf.hold(ONE)
    with pytest.raises(NotHeld):
        shelf.refer(ONE, -1)


def test_eight_at_once_do_not_get_past_the_cap(shelf: Shelf) -> None:
    barrier, refused = threading.Barrier(8), []

    def one(index: int) -> None:
        barrier.wait()
        try:
            shelf.hold(Stored(digest_of(bytes([index])), 100), most=300)
        except OverQuota:
            refused.append(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shelf.bytes, len(refused)) == (300, 5)
