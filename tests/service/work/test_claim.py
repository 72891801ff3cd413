"""Who gets work, and who does not?"""

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service.contracts.status import WorkState
from service.store.system import system_session
from service.store.tables import Analysis, Event, Work
from service.work import finish, lease
from service.work.claim import Claim, claim, claim_group
from tests.service.work.world import LEASE, World


def works_of(world: World, audit: UUID) -> list[UUID]:
    with system_session(world.database) as session:
        return [
            work
            for work in session.scalars(
                select(Analysis.work_id).where(Analysis.audit_id == audit).order_by(Analysis.position)
            )
            if work is not None
        ]


def take(world: World, work_id: UUID, owner: str = "w", has: list[str] | None = None) -> Claim | None:
    with system_session(world.database) as session:
        return claim(session, work_id, owner=owner, now=world.clock.now(), lease=LEASE, has=has)


@pytest.fixture
def works(world: World) -> list[UUID]:
    return works_of(world, world.audit(*world.ready_pair(), analyses=4))


def test_of_eight_who_claim_at_once_exactly_one_gets_it(world: World, works: list[UUID]) -> None:
    barrier, claims = threading.Barrier(8), []

    def one(owner: str) -> None:
        barrier.wait()
        claims.append(take(world, works[0], owner))

    threads = [threading.Thread(target=one, args=(f"w{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [held for held in claims if held is not None]
    assert len(claims) == 8
    with system_session(world.database) as session:
        row = session.get_one(Work, works[0])
        assert (row.owner, row.attempt) == (winner.owner, 1)
        assert session.scalars(select(Event.id).where(Event.action == "claimed")).all().__len__() == 3


def test_claimed_work_is_not_claimed_again_even_after_its_lease(world: World, works: list[UUID]) -> None:
    assert take(world, works[0]) is not None
    assert take(world, works[0], "other") is None
    world.clock.advance(LEASE * 2)
    assert take(world, works[0], "other") is None, "the reaper alone takes work from a worker"


def test_work_that_is_not_due_is_not_claimed(world: World, works: list[UUID]) -> None:
    with system_session(world.database) as session:
        session.execute(update(Work).values(not_before=world.clock.now() + timedelta(seconds=5)))
    assert take(world, works[0]) is None
    world.clock.advance(timedelta(seconds=5))
    assert take(world, works[0]) is not None


def test_a_worker_claims_only_what_it_can_do(world: World, works: list[UUID]) -> None:
    assert take(world, works[0], has=["layer_conductance@2", "lime@1"]) is None
    assert take(world, works[0], has=["layer_conductance@1"]) is not None


def test_a_group_is_the_rest_of_one_audit_up_to_a_number(world: World, works: list[UUID]) -> None:
    other = works_of(world, world.audit(*_pair(world), analyses=1))
    first = take(world, works[0])
    assert first is not None
    with system_session(world.database) as session:
        group = claim_group(session, first, owner="w", now=world.clock.now(), lease=LEASE, most=2)
    assert [held.work_id for held in group] == works[1:3]
    assert take(world, other[0]) is not None, "another audit's work is nobody's yet"


def _pair(world: World) -> tuple[UUID, UUID]:
    model, dataset = world.model(version="2"), world.dataset(version="2")
    world.inspect(model)
    world.inspect(dataset)
    return model, dataset


def test_work_that_must_run_alone_joins_no_group_and_gathers_none(world: World, works: list[UUID]) -> None:
    alone = take(world, works[1])
    assert alone is not None
    with system_session(world.database) as session:
        finish.give_back(session, alone, solo=True, now=world.clock.now())
    first, again = take(world, works[0]), take(world, works[1])
    assert first is not None
    assert again is not None
    assert (again.solo, again.attempt) == (True, 2)
    with system_session(world.database) as session:
        assert claim_group(session, again, owner="w", now=world.clock.now(), lease=LEASE, most=9) == []
        group = claim_group(session, first, owner="w", now=world.clock.now(), lease=LEASE, most=9)
    assert [held.work_id for held in group] == works[2:]


def test_a_heartbeat_renews_the_lease_and_tells_of_a_wish_to_cancel(world: World) -> None:
    audit = world.audit(*world.ready_pair())
    held = take(world, works_of(world, audit)[0])
    assert held is not None
    world.clock.advance(LEASE - timedelta(seconds=1))
    assert beat(world, held, progress=0.25) is WorkState.RUNNING
    with system_session(world.database) as session:
        row = session.get_one(Work, held.work_id)
        assert (row.lease_until, row.progress, row.stage) == (world.clock.now() + LEASE, 0.25, "sweep")
    world.cancel(audit)
    assert beat(world, held, progress=0.5) is WorkState.CANCELLING
    with system_session(world.database) as session:
        finish.cancelled(session, held, world.clock.now())
    assert beat(world, held, progress=0.5) is None


def beat(world: World, held: Claim, progress: float) -> WorkState | None:
    with system_session(world.database) as session:
        return lease.heartbeat(session, held, now=world.clock.now(), lease=LEASE, progress=progress, stage="sweep")
