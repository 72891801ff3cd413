"""Every claim ends, whatever the child says, the store lacks or the database does: with a child made of a script."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DataError, OperationalError

from service.auth import set_trust
from service.clock import FixedClock
from service.contracts.job import JOB, Analyse, ArtifactFile, Inspected, Member, Succeeded
from service.contracts.outcome import Measurement
from service.contracts.status import WorkState
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Model, Work
from service.work import lease
from service.work.claim import Claim
from service.work.finish import succeed_analysis
from tests.service.work.world import CATALOG, World, dataset_manifest, provenance, result, stored
from workers.sandbox.spec import ChildSpec, Exit, Level
from workers.tasks import Desk

DONE = Exit(code=0, signal=None, reason="completed", detail="", peak_rss_bytes=1)
DEAD = Exit(code=None, signal=11, reason="crashed", detail="", peak_rss_bytes=1)
Script = Callable[[Path, Any], Iterator[dict[str, Any]]]


class Child:
    """Runs its script where its worker listens; ends with it."""

    level = Level.FULL

    def __init__(self, scratch: Path, script: Script, end: Exit) -> None:
        self._says = script(scratch, JOB.validate_json((scratch / "job.json").read_bytes()))
        self._end, self._ended = end, False

    def messages(self, timeout: float) -> Iterator[dict[str, Any]]:
        yield from self._says
        self._ended = True

    def poll(self) -> Exit | None:
        return self._end if self._ended else None

    def wait(self, timeout: float) -> Exit | None:
        return self.poll()

    def kill(self) -> None:
        self._ended = True


class Zygote:
    """Makes children of one script."""

    pid, level = 1, Level.FULL

    def __init__(self, script: Script, end: Exit) -> None:
        self._script, self._end = script, end

    def spawn(self, spec: ChildSpec) -> Child:
        return Child(spec.scratch, self._script, self._end)


@pytest.fixture
def world(database: Database, clock: FixedClock, tenant: UUID, principal: UUID) -> World:
    return World(database, clock, tenant, principal)


@pytest.fixture
def ready(world: World, tmp_path: Path) -> tuple[UUID, UUID]:
    """A model and a dataset whose canonical bytes are kept."""
    model, dataset = world.ready_pair()
    for subject in (model, dataset):
        BlobStore(str(tmp_path / "blobs")).put(world.tenant, [f"canonical {subject} ".encode()], most=1000)
    return model, dataset


def desk(world: World, tmp_path: Path, script: Script, *, end: Exit = DONE, **settings: Any) -> Desk:
    made = Desk(
        Settings(blobs=str(tmp_path / "blobs"), scratch=tmp_path / "scratch", **settings),
        "w",
        database=world.database,
        blobs=BlobStore(str(tmp_path / "blobs")),
        zygote=Zygote(script, end),  # type: ignore[arg-type]  # what a desk needs of a zygote
        clock=world.clock,
    )
    made.catalog, made._has = CATALOG, [f"{name}@1" for name in CATALOG.kinds()]
    made._warm.set()
    return made


def works(world: World, subject: type[Any] = Analysis) -> list[Work]:
    with system_session(world.database) as session:
        found = select(Work).join(subject, subject.work_id == Work.id)
        order = Analysis.position if subject is Analysis else Work.id
        return list(session.scalars(found.order_by(order)))


def success(job: Analyse, member: Member, *points: Measurement, files: tuple[str, ...] = ()) -> Succeeded:
    """A right answer for one member."""
    right = provenance().model_copy(
        update={
            "analysis_digest": member.digest,
            "model_digest": job.model.digest,
            "input_digests": {role: one.digest for role, one in job.inputs.items()},
        }
    )
    return result(*points, files=files).model_copy(update={"provenance": right})


def write(scratch: Path, member: str, answer: Succeeded | Inspected, **files: bytes) -> dict[str, Any]:
    folder = scratch / "results" / member
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "result.json").write_text(answer.model_dump_json())
    return {"type": "result", "member": member}


def all_succeed(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
    for member in job.members:
        yield write(scratch, member.id, success(job, member))


def test_a_result_that_cannot_be_stored_fails_its_member_alone(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        for at, member in enumerate(job.members):
            points = [Measurement(metric="layer_total", value=1.0, n=1 + at)]
            yield write(scratch, member.id, success(job, member, *points))

    def full(session: Any, claim: Claim, *, result: Succeeded, **rest: Any) -> None:
        if result.measurements[0].n == 2:
            raise DataError("INSERT INTO measurement", None, Exception("value out of range"))
        succeed_analysis(session, claim, result=result, **rest)

    monkeypatch.setattr("service.work.finish.succeed_analysis", full)
    world.audit(*ready, analyses=3)
    desk(world, tmp_path, script).run(str(works(world)[0].id))
    first, second, third = works(world)
    assert (first.state, third.state) == ("succeeded", "succeeded")
    assert (second.state, second.attempt, second.reason and second.reason["code"]) == ("queued", 1, "not-stored")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("trusted", "state", "code"), [(False, "failed", "sandbox-too-weak"), (True, "succeeded", None)]
)
def test_a_strangers_work_does_not_start_below_level_full(
    trusted: bool, state: str, code: str | None, world: World, ready: tuple[UUID, UUID], tmp_path: Path
) -> None:
    set_trust(world.database, world.principal, trusted=trusted, now=world.clock.now())
    world.audit(*ready)
    made = desk(world, tmp_path, all_succeed)
    made.zygote.level = Level.PARTIAL
    made.run(str(works(world)[0].id))
    (work,) = works(world)
    assert (work.state, work.reason and work.reason["code"]) == (state, code)


def test_a_number_no_column_can_hold_is_refused_for_good(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path
) -> None:
    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        for member in job.members:
            point = Measurement(metric="layer_total", value=1.0, n=1).model_copy(update={"n": 2**70})
            yield write(scratch, member.id, success(job, member, point))

    world.audit(*ready)
    desk(world, tmp_path, script).run(str(works(world)[0].id))
    (work,) = works(world)
    assert (work.state, work.reason and work.reason["code"]) == ("failed", "result-refused")


def test_files_over_the_quota_fail_for_good_and_leave_no_bytes_behind(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path
) -> None:
    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        for member in job.members:
            files = {"big.json": b" " * 2000 + b"1"}
            answer = success(job, member).model_copy(
                update={"artifacts": (ArtifactFile(file="big.json", media_type="application/json"),)}
            )
            yield write(scratch, member.id, answer, **files)

    world.audit(*ready)
    before = sorted((tmp_path / "blobs").rglob("*"))
    desk(world, tmp_path, script, tenant_bytes=1024).run(str(works(world)[0].id))
    (work,) = works(world)
    assert (work.state, work.reason and work.reason["code"]) == ("failed", "storage-full")
    assert sorted((tmp_path / "blobs").rglob("*")) == before


def test_a_database_away_for_a_moment_costs_no_computation(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = []
    real = lease.heartbeat

    def heartbeat(*given: Any, **named: Any) -> WorkState | None:
        beats.append(1)
        if len(beats) == 1:
            raise OperationalError("UPDATE work", {}, OSError("gone"))
        return real(*given, **named)

    monkeypatch.setattr(lease, "heartbeat", heartbeat)
    world.audit(*ready)
    desk(world, tmp_path, all_succeed).run(str(works(world)[0].id))
    assert beats
    assert works(world)[0].state == "succeeded"


def test_a_lost_lease_does_not_keep_the_others_of_a_dead_group_waiting(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path
) -> None:
    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        with system_session(world.database) as session:
            session.get_one(Work, UUID(job.members[0].id)).owner = "another"
        yield from ()

    world.audit(*ready, analyses=3)
    desk(world, tmp_path, script, end=DEAD).run(str(works(world)[0].id))
    first, second, third = works(world)
    assert (first.state, first.owner) == ("running", "another")
    assert [(one.state, one.solo, one.max_attempts - one.attempt) for one in (second, third)] == [
        ("queued", True, world.settings.max_attempts)
    ] * 2


def test_a_child_that_cancels_itself_has_failed(world: World, ready: tuple[UUID, UUID], tmp_path: Path) -> None:
    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        yield {"type": "result", "member": job.members[0].id, "status": "cancelled"}

    world.audit(*ready)
    desk(world, tmp_path, script).run(str(works(world)[0].id))
    (work,) = works(world)
    assert (work.state, work.reason and work.reason["code"]) == ("failed", "child-misbehaved")


def test_leases_are_renewed_while_inputs_are_fetched(
    world: World, ready: tuple[UUID, UUID], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.audit(*ready)
    renewed = threading.Event()
    real, fetch = lease.heartbeat, BlobStore.fetch

    def heartbeat(*given: Any, **named: Any) -> WorkState | None:
        state = real(*given, **named)
        renewed.set()
        return state

    def slow(*given: Any) -> None:
        assert renewed.wait(60), "no lease was renewed while a file was fetched"
        fetch(*given)

    monkeypatch.setattr(lease, "heartbeat", heartbeat)
    monkeypatch.setattr(BlobStore, "fetch", slow)
    desk(world, tmp_path, all_succeed, lease_seconds=0.2).run(str(works(world)[0].id))
    assert works(world)[0].state == "succeeded"


def test_a_dataset_has_no_manifest_of_a_model(world: World, tmp_path: Path) -> None:
    model = world.model()
    BlobStore(str(tmp_path / "blobs")).put(world.tenant, [b"model net 1"], most=1000)

    def script(scratch: Path, job: Any) -> Iterator[dict[str, Any]]:
        answer = Inspected(manifest=dataset_manifest(stored("canonical")), canonical="canonical")
        yield write(scratch, job.member, answer, canonical=b"canonical")

    with system_session(world.database) as session:
        work = session.scalars(select(Work.id).where(Work.subject_id == model)).one()
    desk(world, tmp_path, script).run(str(work))
    with system_session(world.database) as session:
        row = session.get_one(Model, model)
        assert (row.manifest, row.refusal and row.refusal["code"]) == (None, "result-refused")


def test_a_zygote_that_cannot_start_keeps_no_work_waiting(world: World, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    made = desk(world, tmp_path, all_succeed)
    made._warm.clear()
    made.zygote = SimpleNamespace(start=_no_memory, level=Level.FULL, close=lambda: None)  # type: ignore[assignment]
    made._keeper.start()
    assert made._warm.wait(60)
    made._closing.set()
    made._keeper.join(60)


def _no_memory() -> None:
    raise OSError(12, "Cannot allocate memory")
