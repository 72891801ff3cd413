"""How does work end, and what follows?"""

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from service.contracts.outcome import Measurement as Point
from service.contracts.problem import Reason
from service.contracts.status import WorkState
from service.settings import Settings
from service.store.holdings import OverQuota
from service.store.system import system_session
from service.store.tables import (
    Analysis,
    Artifact,
    Audit,
    Blob,
    Dataset,
    Event,
    Measurement,
    Model,
    Outbox,
    Tenant,
    Work,
)
from service.work import finish
from service.work.claim import Claim
from service.work.keep import series_key
from service.work.shown import analysis_state, audit_state, intake_state
from tests.service.work.test_claim import take, works_of
from tests.service.work.world import World, result, stored

TRANSIENT = Reason(code="child-died", detail="The child died.", permanent=False)
PERMANENT = Reason(code="bad-shape", detail="The shape is wrong.")


def held_analysis(world: World, analyses: int = 1) -> tuple[UUID, Claim]:
    audit = world.audit(*world.ready_pair(), analyses=analyses)
    held = take(world, works_of(world, audit)[0])
    assert held is not None
    return audit, held


def row(world: World, work_id: UUID) -> Work:
    with system_session(world.database) as session:
        return session.get_one(Work, work_id)


def fail(world: World, held: Claim, reason: Reason) -> None:
    with system_session(world.database) as session:
        finish.fail(session, held, reason, world.clock.now())


def test_a_permanent_failure_ends_the_analysis_with_its_reason(world: World) -> None:
    audit, held = held_analysis(world)
    fail(world, held, PERMANENT)
    with system_session(world.database) as session:
        analysis = session.get_one(Analysis, held.subject_id)
        assert analysis.reason is not None
        assert (analysis.reason["code"], analysis.ended_at) == ("bad-shape", world.clock.now())
        assert analysis_state(analysis) == "failed"
        assert audit_state(session.get_one(Audit, audit)) == "finished"


def test_a_passing_failure_is_tried_again_later_until_the_attempts_are_used_up(world: World) -> None:
    _, held = held_analysis(world)
    for attempt, wait in ((1, 2), (2, 4)):
        fail(world, held, TRANSIENT)
        found = row(world, held.work_id)
        assert (found.state, found.attempt, found.owner) == ("queued", attempt, None)
        assert found.not_before == world.clock.now() + timedelta(seconds=wait)
        assert take(world, held.work_id) is None
        world.clock.advance(timedelta(seconds=wait))
        again = take(world, held.work_id)
        assert again is not None
        held = again
    fail(world, held, TRANSIENT)
    assert (row(world, held.work_id).state, row(world, held.work_id).attempt) == ("failed", 3)


def test_giving_back_costs_no_attempt_yet_the_old_claim_is_void(world: World) -> None:
    _, held = held_analysis(world)
    for _ in range(5):
        with system_session(world.database) as session:
            finish.give_back(session, held, solo=False, now=world.clock.now())
        again = take(world, held.work_id)
        assert again is not None, "five shutdowns are not five attempts"
        with pytest.raises(finish.LeaseLost):
            world.succeed(held)
        held = again
    world.succeed(held)
    assert row(world, held.work_id).state == "succeeded"


def test_of_two_who_commit_at_once_the_one_who_lost_the_lease_writes_nothing(world: World) -> None:
    _, loser = held_analysis(world)
    fail(world, loser, TRANSIENT)
    world.clock.advance(timedelta(seconds=2))
    winner = take(world, loser.work_id, "other")
    assert winner is not None
    barrier, lost = threading.Barrier(2), []

    def commit(held: Claim, value: float) -> None:
        barrier.wait()
        try:
            world.succeed(held, Point(metric="layer_total", value=value, n=1), files=(f"{value}.json",))
        except finish.LeaseLost:
            lost.append(held.owner)

    threads = [threading.Thread(target=commit, args=pair) for pair in ((loser, 1.0), (winner, 2.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == ["w"]
    with system_session(world.database) as session:
        assert session.scalars(select(Measurement.value)).all() == [2.0]
        assert session.scalars(select(Artifact.name)).all() == ["2.0.json"]


def test_eight_analyses_that_end_at_once_close_their_audit_once(world: World) -> None:
    audit = world.audit(*world.ready_pair(), analyses=8)
    claims = [take(world, work) for work in works_of(world, audit)]
    barrier, errors = threading.Barrier(8), []

    def commit(held: Claim) -> None:
        barrier.wait()
        try:
            world.succeed(held, files=("same.json",))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=commit, args=(held,)) for held in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with system_session(world.database) as session:
        assert session.get_one(Audit, audit).remaining == 0
        assert len(session.scalars(select(Event.id).where(Event.action == "closed")).all()) == 1
        assert len(session.scalars(select(Work.id).where(Work.type == "report")).all()) == 1
        assert session.get_one(Blob, (world.tenant, stored("same.json").digest)).references == 8


def test_two_inspections_that_end_at_once_release_the_audit_that_waits_for_both(world: World) -> None:
    model, dataset = world.model(), world.dataset()
    audit = world.audit(model, dataset, analyses=2)
    assert works_of(world, audit) == []
    claims = [world.claim_subject(subject) for subject in (model, dataset)]
    barrier = threading.Barrier(2)

    def commit(held: Claim) -> None:
        barrier.wait()
        world.inspected(held)

    threads = [threading.Thread(target=commit, args=(held,)) for held in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    released = works_of(world, audit)
    assert len(released) == 2
    with system_session(world.database) as session:
        first, second = session.scalars(select(Analysis).where(Analysis.audit_id == audit))
        assert first.digest == second.digest != None  # noqa: E711  # equal, and there
        assert set(session.scalars(select(Outbox.work_id))) >= set(released)
        assert {session.get_one(Work, work).needs for work in released} == {"layer_conductance@1"}


def test_a_submission_and_an_inspection_that_meet_leave_nothing_waiting(world: World) -> None:
    dataset = world.dataset()
    world.inspect(dataset)
    for version in range(5):
        model = world.model(version=str(version))
        held = world.claim_subject(model)
        assert held is not None
        barrier, audits = threading.Barrier(2), []

        def submit(model: UUID = model, barrier: threading.Barrier = barrier, made: list[UUID] = audits) -> None:
            barrier.wait()
            made.append(world.audit(model, dataset))

        asker = threading.Thread(target=submit)
        asker.start()
        barrier.wait()
        world.inspected(held)
        asker.join()
        assert len(works_of(world, audits[0])) == 1


def test_a_refused_model_ends_what_waits_for_it_and_says_why(world: World) -> None:
    model, dataset = world.model(), world.dataset()
    audit = world.audit(model, dataset, analyses=2)
    held = world.claim_subject(model)
    assert held is not None
    reason = Reason(code="corrupt", detail="The archive is truncated.", remedy="Export it again.")
    with system_session(world.database) as session:
        finish.refuse(session, held, reason, world.clock.now())
    with system_session(world.database) as session:
        assert intake_state(session.get_one(Model, model)) == "refused"
        found = session.get_one(Audit, audit)
        assert audit_state(found) == "finished"
        for analysis in found.analyses:
            assert analysis.reason is not None
            assert analysis.reason["code"] == "input-refused"
            assert "truncated" in analysis.reason["detail"]
            assert analysis_state(analysis) == "failed"
    world.inspect(dataset)
    assert works_of(world, audit) == []


def test_an_inspection_that_always_kills_its_worker_is_a_refusal(world: World) -> None:
    dataset = world.dataset()
    audit = world.audit(world.model(), dataset)
    held = world.claim_subject(dataset)
    assert held is not None
    fail(world, held, PERMANENT)
    with system_session(world.database) as session:
        assert intake_state(session.get_one(Dataset, dataset)) == "refused"
        assert session.get_one(Audit, audit).closed_at is not None


def test_files_over_the_quota_are_not_stored_and_the_claim_still_holds(world: World) -> None:
    _, held = held_analysis(world)
    with system_session(world.database) as session:
        used = session.get_one(Tenant, world.tenant).stored_bytes
    world.settings = Settings(tenant_bytes=max(used, 1024))
    huge = {"big.json": stored("x" * 2000)}
    with pytest.raises(OverQuota), system_session(world.database) as session:
        finish.succeed_analysis(
            session,
            held,
            result=result(files=("big.json",)),
            stored=huge,
            provenance=result().provenance,
            now=world.clock.now(),
            settings=world.settings,
        )
    assert row(world, held.work_id).state == "running"
    fail(world, held, PERMANENT)
    assert row(world, held.work_id).state == "failed"


def test_a_result_of_another_kind_is_not_stored(world: World) -> None:
    _, held = held_analysis(world)
    with pytest.raises(ValueError, match="layer_conductance"), system_session(world.database) as session:
        finish.succeed_analysis(
            session,
            held,
            result=result(kind="other_kind"),
            stored={},
            provenance=result().provenance,
            now=world.clock.now(),
            settings=world.settings,
        )
    assert row(world, held.work_id).state == "running"


def test_an_outcome_committed_while_cancelling_is_kept(world: World) -> None:
    audit, held = held_analysis(world, analyses=2)
    world.cancel(audit)
    assert row(world, held.work_id).state == WorkState.CANCELLING.value
    world.succeed(held)
    with system_session(world.database) as session:
        found = session.get_one(Audit, audit)
        assert sorted(analysis_state(analysis) for analysis in found.analyses) == ["cancelled", "succeeded"]
        assert audit_state(found) == "cancelled"
        assert found.report_work_id is not None


def test_a_failure_while_cancelling_is_the_cancelling(world: World) -> None:
    audit, held = held_analysis(world)
    world.cancel(audit)
    fail(world, held, TRANSIENT)
    assert row(world, held.work_id).state == "cancelled"


def test_nobody_may_say_that_uncancelled_work_was_cancelled(world: World) -> None:
    _, held = held_analysis(world)
    with pytest.raises(finish.NotAllowed), system_session(world.database) as session:
        finish.cancelled(session, held, world.clock.now())


def test_a_report_is_kept_as_two_files_of_its_audit(world: World) -> None:
    audit, held = held_analysis(world)
    world.succeed(held)
    report = world.claim_subject(audit)
    assert report is not None
    with system_session(world.database) as session:
        finish.succeed_report(session, report, stored("<html>"), stored("{}"), world.clock.now())
    with system_session(world.database) as session:
        files = session.scalars(select(Artifact).where(Artifact.analysis_id.is_(None)).order_by(Artifact.name)).all()
        assert [(file.name, file.digest) for file in files] == [
            ("report.html", stored("<html>").digest),
            ("report.json", stored("{}").digest),
        ]


SHARED = {
    "tenant": UUID(int=1),
    "model_name": "net",
    "kind": "k",
    "kind_version": 1,
    "dataset_name": "table",
    "dataset_role": "evaluation",
    "parameters_digest": "sha256:1",
}
POINT = Point(metric="layer_total", layer="fc1", value=1.0, low=0.5, high=1.5, n=3)


def test_what_belongs_to_the_point_does_not_change_its_line() -> None:
    other = POINT.model_copy(update={"value": 2.0, "low": None, "high": None, "n": 9})
    assert series_key(SHARED, POINT) == series_key(SHARED, other)


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "clean_accuracy"},
        {"layer": "fc2"},
        {"class_name": "cat"},
        {"target": "1"},
        {"epsilon": 0.1},
        {"facets": {"norm": "linf"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_names_a_line_changes_it(change: dict[str, object]) -> None:
    assert series_key(SHARED, POINT) != series_key(SHARED, POINT.model_copy(update=change))


@pytest.mark.parametrize("name", SHARED)
def test_so_does_whose_and_of_what_it_is(name: str) -> None:
    assert series_key(SHARED, POINT) != series_key({**SHARED, name: "another"}, POINT)
