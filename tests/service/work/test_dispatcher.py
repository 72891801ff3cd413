"""What is announced, in whose turn, and what becomes of it when the broker is gone?"""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from service.clock import FixedClock
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Outbox
from service.work import finish
from service.work.dispatcher import dispatch
from tests.conftest import MakePrincipal, MakeTenant
from tests.service.work.test_claim import take, works_of
from tests.service.work.test_finish import TRANSIENT
from tests.service.work.world import World

TWO = Settings(tenant_in_flight=2)


def announced(world: World, settings: Settings = TWO) -> list[UUID]:
    sent: list[UUID] = []
    dispatch(world.database, lambda work, _queue: sent.append(UUID(work)), settings=settings, clock=world.clock)
    return sent


def outbox(world: World) -> list[UUID]:
    with system_session(world.database) as session:
        return list(session.scalars(select(Outbox.work_id).order_by(Outbox.id)))


@pytest.fixture
def works(world: World) -> list[UUID]:
    return works_of(world, world.audit(*world.ready_pair(), analyses=5))


def test_a_tenant_has_only_so_much_in_flight_and_the_oldest_goes_first(world: World, works: list[UUID]) -> None:
    assert announced(world) == works[:2]
    assert announced(world) == []
    assert outbox(world) == works[2:]
    held = take(world, works[0])
    assert held is not None
    assert announced(world) == [], "what runs is in flight too"
    world.succeed(held)
    assert announced(world) == [works[2]]


def test_tenants_take_turns(
    world: World,
    works: list[UUID],
    database: Database,
    clock: FixedClock,
    make_tenant: MakeTenant,
    make_principal: MakePrincipal,
) -> None:
    tenant = make_tenant("other")
    other = World(database, clock, tenant, make_principal(tenant, "eve"))
    theirs = works_of(other, other.audit(*other.ready_pair(), analyses=5))
    order = announced(world)
    assert set(order[:2]) == {works[0], theirs[0]}
    assert set(order[2:]) == {works[1], theirs[1]}


def test_a_broker_that_is_gone_leaves_the_rest_in_the_outbox(world: World, works: list[UUID]) -> None:
    sent: list[str] = []

    def send(work_id: str, _queue: str) -> None:
        if len(sent) == 1:
            raise ConnectionError("the broker is gone")
        sent.append(work_id)

    with pytest.raises(ConnectionError):
        dispatch(world.database, send, settings=TWO, clock=world.clock)
    assert sent == [str(works[0])]
    assert outbox(world) == works[1:]
    assert announced(world) == [works[1]]


def test_work_that_is_not_due_is_not_announced(world: World, works: list[UUID]) -> None:
    held = take(world, works[0])
    assert held is not None
    with system_session(world.database) as session:
        finish.fail(session, held, TRANSIENT, world.clock.now())
    assert works[0] not in announced(world, Settings(tenant_in_flight=100))
    world.clock.advance(timedelta(seconds=2))
    assert set(announced(world, Settings(tenant_in_flight=100))) == {works[0]}


def test_lines_of_work_that_needs_no_announcement_go_away(world: World) -> None:
    audit = world.audit(*world.ready_pair(), analyses=2)
    take(world, works_of(world, audit)[0])
    world.cancel(audit)
    assert announced(world) == []
    assert outbox(world) == []


def test_it_says_which_queue(world: World, works: list[UUID]) -> None:
    queues: list[str] = []
    dispatch(world.database, lambda _work, queue: queues.append(queue), settings=TWO, clock=world.clock)
    assert queues == ["cpu", "cpu"]
