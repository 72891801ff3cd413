"""Is what a dead worker or a forgetful broker left behind picked up, and nothing else?"""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from service.store.system import system_session
from service.store.tables import Analysis, Audit, Model, Outbox, Work
from service.work.finish import LeaseLost
from service.work.reaper import UNHEARD, Reaped, reap
from service.work.shown import audit_state, counts, intake_state
from tests.service.work.test_claim import take, works_of
from tests.service.work.world import LEASE, World


def reaped(world: World) -> Reaped:
    with system_session(world.database) as session:
        return reap(session, now=world.clock.now())


def outbox(world: World) -> list[UUID]:
    with system_session(world.database) as session:
        return list(session.scalars(select(Outbox.work_id)))


def clear_outbox(world: World) -> None:
    with system_session(world.database) as session:
        session.execute(delete(Outbox))
        session.execute(update(Work).values(announced_at=world.clock.now()))


@pytest.fixture
def work(world: World) -> UUID:
    return works_of(world, world.audit(*world.ready_pair()))[0]


def test_a_lease_that_holds_is_left_alone(world: World, work: UUID) -> None:
    take(world, work)
    world.clock.advance(LEASE)
    assert reaped(world) == Reaped()


def test_an_expired_lease_is_queued_again_announced_and_void(world: World, work: UUID) -> None:
    held = take(world, work)
    assert held is not None
    clear_outbox(world)
    world.clock.advance(LEASE + timedelta(microseconds=1))
    assert reaped(world) == Reaped(requeued=1)
    assert outbox(world) == [work]
    with pytest.raises(LeaseLost):
        world.succeed(held)
    again = take(world, work, "other")
    assert again is not None
    assert (again.attempt, again.solo) == (2, True)
    world.succeed(again)


def test_work_that_kills_every_worker_fails_at_its_last_attempt(world: World) -> None:
    audit = world.audit(*world.ready_pair())
    (work,) = works_of(world, audit)
    for attempt in range(1, 4):
        held = take(world, work)
        assert held is not None
        assert held.attempt == attempt
        world.clock.advance(LEASE * 2)
        assert reaped(world) == (Reaped(requeued=1) if attempt < 3 else Reaped(failed=1))
    assert take(world, work) is None
    with system_session(world.database) as session:
        analysis = session.scalars(select(Analysis)).one()
        assert analysis.reason is not None
        assert analysis.reason["code"] == "worker-lost"
        assert audit_state(session.get_one(Audit, audit)) == "finished"


def test_a_model_that_kills_every_worker_is_refused_and_ends_what_waits(world: World) -> None:
    model, dataset = world.model(), world.dataset()
    audit = world.audit(model, dataset, analyses=2)
    for _ in range(3):
        assert world.claim_subject(model) is not None
        world.clock.advance(LEASE * 2)
        reaped(world)
    with system_session(world.database) as session:
        assert intake_state(session.get_one(Model, model)) == "refused"
        assert counts(session.get_one(Audit, audit).analyses) == {"failed": 2}
        assert session.get_one(Audit, audit).closed_at is not None


def test_an_expired_lease_of_cancelled_work_is_the_end_of_it(world: World) -> None:
    audit = world.audit(*world.ready_pair())
    take(world, works_of(world, audit)[0])
    world.cancel(audit)
    world.clock.advance(LEASE * 2)
    assert reaped(world) == Reaped(cancelled=1)
    with system_session(world.database) as session:
        assert audit_state(session.get_one(Audit, audit)) == "cancelled"


def test_work_the_broker_forgot_is_announced_again_after_a_minute_and_not_before(world: World, work: UUID) -> None:
    clear_outbox(world)
    world.clock.advance(UNHEARD - timedelta(microseconds=1))
    assert reaped(world) == Reaped()
    world.clock.advance(timedelta(microseconds=1))
    assert reaped(world) == Reaped(reannounced=1)
    assert outbox(world) == [work]
    assert reaped(world) == Reaped(), "what is in the outbox needs no second line"


def test_work_that_waits_for_its_time_is_not_announced_before_it(world: World, work: UUID) -> None:
    clear_outbox(world)
    with system_session(world.database) as session:
        session.execute(update(Work).values(not_before=world.clock.now() + 5 * UNHEARD))
    world.clock.advance(2 * UNHEARD)
    assert reaped(world) == Reaped()


def test_a_dead_worker_leaves_a_whole_group_to_run_one_by_one(world: World) -> None:
    works = works_of(world, world.audit(*world.ready_pair(), analyses=3))
    for work in works:
        take(world, work)
    world.clock.advance(LEASE * 2)
    assert reaped(world) == Reaped(requeued=3)
    with system_session(world.database) as session:
        assert set(session.scalars(select(Work.solo).where(Work.id.in_(works)))) == {True}


def test_a_report_that_a_scheduler_left_is_taken_up_again(world: World) -> None:
    audit = world.audit(*world.ready_pair())
    held = take(world, works_of(world, audit)[0])
    assert held is not None
    world.succeed(held)
    assert world.claim_subject(audit) is not None
    world.clock.advance(LEASE * 2)
    assert reaped(world) == Reaped(requeued=1)
    assert world.claim_subject(audit) is not None
