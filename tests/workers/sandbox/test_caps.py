"""Does a bound end its own analysis, with its reason, and nothing else? Through the worker, down to the database."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import select

from service.catalog import Catalog
from service.clock import FixedClock
from service.contracts.api import (
    AnalysisSubmission,
    AuditSubmission,
    DatasetSubmission,
    InputSubmission,
    ModelSubmission,
)
from service.contracts.status import WorkState, WorkType
from service.settings import Settings
from service.store.base import new_id
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.holdings import hold
from service.store.system import system_session
from service.store.tables import Analysis, Model, Principal, Tenant, Work
from service.work import intake
from tests.conftest import START
from tests.service.work.world import World
from tests.workers.facts import dataset_facts, model_facts
from tests.workers.greedy import GREEDY
from tests.workers.networks import SHAPES, Mlp, made
from tests.workers.subject.test_pt2 import raw_export
from workers.sandbox.client import Zygote
from workers.sandbox.spec import Level
from workers.tasks import Desk

from .test_life import _descendants

pytestmark = pytest.mark.stack
MEBIBYTE = 1 << 20
CATALOG = Catalog({"greedy": GREEDY.entry()})
ROUNDS = 12
TIGHT: dict[str, dict[str, Any]] = {"spin": {"child_cpu_seconds": 1}, "sleep": {"child_wall_seconds": 2.0}}


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """With the kind that meets bounds, and nothing else changed."""
    opened = Zygote(preload="tests.workers.greedy_preload")
    opened.start()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A model and a dataset as their owner would send them."""
    folder = tmp_path_factory.mktemp("files")
    raw_export(made(Mlp).eval(), SHAPES[Mlp], folder / "m.pt2")
    np.savez(folder / "d.npz", inputs=np.zeros((6, 4), np.float32), labels=np.zeros(6, int))
    return (folder / "m.pt2").read_bytes(), (folder / "d.npz").read_bytes()


@pytest.fixture
def world(migrated_sqlite: Path, tmp_path: Path) -> Iterator[World]:
    """A tenant on a database of its own, its principal trusted."""
    shutil.copyfile(migrated_sqlite, tmp_path / "lamina.db")
    database, tenant, principal = Database(f"sqlite:///{tmp_path / 'lamina.db'}"), new_id(), new_id()
    with system_session(database) as session:
        session.add(Tenant(id=tenant, name="acme", stored_bytes=0, created_at=START))
        session.flush()
        who = {"id": principal, "tenant": tenant, "created_by": principal, "kind": "person", "name": "ada"}
        session.add(Principal(**who, created_at=START, trusted=True))
    yield World(database, FixedClock(START), tenant, principal, catalog=CATALOG)
    database.close()


def desk(world: World, tmp_path: Path, zygote: Zygote, **settings: Any) -> Desk:
    given: dict[str, Any] = {
        "child_memory_bytes": 512 * MEBIBYTE, "child_cpu_seconds": 30, "child_wall_seconds": 60.0,
        "child_file_bytes": 8 * MEBIBYTE,
    }  # fmt: skip
    made = Desk(
        Settings(blobs=str(tmp_path / "blobs"), scratch=tmp_path / "scratch", **given | settings),
        "w", database=world.database, blobs=BlobStore(str(tmp_path / "blobs")), zygote=zygote, clock=world.clock,
    )  # fmt: skip
    made.catalog, made._has = CATALOG, ["greedy@1"]
    made._warm.set()
    return made


def registered(world: World, tmp_path: Path, files: tuple[bytes, bytes], *roles: str | None) -> list[UUID]:
    """A dataset and a model for each role, on their way to inspection."""
    blobs, digests = BlobStore(str(tmp_path / "blobs")), []
    who: dict[str, Any] = {"tenant": world.tenant, "principal": world.principal, "now": START}
    for content in files:
        kept = blobs.put(world.tenant, [content], most=1 << 30)
        with world.database.session(world.tenant) as session:
            hold(session, stored=kept, most_bytes=1 << 40, **who)
        digests.append(kept.digest)
    data = DatasetSubmission(name="table", version="1", blob=digests[1], facts=dataset_facts(SHAPES[Mlp]))
    made = []
    with world.database.session(world.tenant) as session:
        made.append(intake.register_dataset(session, data, **who, settings=world.settings).id)
        for at, role in enumerate(roles):
            facts = model_facts(SHAPES[Mlp]).model_copy(update={"role": role})
            wanted = ModelSubmission(name="net", version=f"{at}", blob=digests[0], facts=facts)
            made.append(intake.register_model(session, wanted, **who, settings=world.settings).id)
    return made


def ask(world: World, dataset: UUID, model: UUID, *what: str) -> None:
    """An audit of one analysis for each thing to be taken too much of."""
    wanted = AuditSubmission(
        model=model, inputs={"evaluation": InputSubmission(dataset=dataset)},
        analyses=tuple(
            AnalysisSubmission(kind="greedy", parameters={"do": do, "tag": at}) for at, do in enumerate(what)
        ),
    )  # fmt: skip
    world.submit(wanted)


def run_all(world: World, desk: Desk) -> int:
    """Do what is queued until nothing is; how many pieces of work were begun."""
    begun = 0
    for _ in range(ROUNDS):
        with system_session(world.database) as session:
            waiting = list(
                session.scalars(
                    select(Work.id).where(Work.state == WorkState.QUEUED.value, Work.type != WorkType.REPORT.value)
                )
            )
        if not waiting:
            return begun
        for work in waiting:
            desk.run(str(work))
            begun += 1
        world.clock.advance(timedelta(minutes=10))
    raise AssertionError("work is left after so many rounds")


def nothing_is_left(tmp_path: Path, zygote: Zygote, pid: int | None) -> None:
    assert list((tmp_path / "scratch").iterdir()) == []
    assert _descendants(zygote.pid or 0) == []
    assert zygote.pid == pid


BOUNDS = [
    ("allocate", "memory", "memory"),
    ("swell", "memory", "memory"),
    ("spin", "time", "processor time"),
    ("sleep", "time", "deadline"),
    ("big file", "files", "larger than a child may write"),
    ("many files", "files", "more files"),
    ("full disk", "files", "more into them"),
    ("descriptors", "files", "open at once"),
    ("threads", "processes", "more threads"),
]


@pytest.mark.parametrize(("do", "code", "words"), BOUNDS)
def test_a_bound_ends_its_analysis_and_no_other(
    do: str, code: str, words: str, world: World, zygote: Zygote, files: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Three analyses of one audit share a child; the middle one takes too much."""
    pid = zygote.pid
    dataset, model = registered(world, tmp_path, files, None)
    run_all(world, desk(world, tmp_path, zygote))
    ask(world, dataset, model, "nothing", do, "nothing")
    run_all(world, desk(world, tmp_path, zygote, **TIGHT.get(do, {})))
    with system_session(world.database) as session:
        rows = session.execute(
            select(Work, Analysis.provenance).join(Analysis, Analysis.work_id == Work.id).order_by(Analysis.position)
        ).all()
    assert [work.state for work, _ in rows] == ["succeeded", "failed", "succeeded"], [work.reason for work, _ in rows]
    _is_told(rows[1][0].reason, code, words)
    assert [provenance and provenance["sandbox_level"] for _, provenance in rows] == [zygote.level, None, zygote.level]
    nothing_is_left(tmp_path, zygote, pid)


@pytest.mark.parametrize(("do", "code", "words"), BOUNDS)
def test_a_bound_ends_its_inspection_and_no_other(
    do: str, code: str, words: str, world: World, zygote: Zygote, files: tuple[bytes, bytes], tmp_path: Path
) -> None:
    pid = zygote.pid
    _, greedy, modest = registered(world, tmp_path, files, do, None)
    run_all(world, desk(world, tmp_path, zygote, **TIGHT.get(do, {})))
    with system_session(world.database) as session:
        works = {work.subject_id: work for work in session.scalars(select(Work))}
        manifest = session.get_one(Model, modest).manifest
    assert manifest is not None, works[modest].reason
    assert works[greedy].state == "failed"
    _is_told(works[greedy].reason, code, words)
    nothing_is_left(tmp_path, zygote, pid)


def _is_told(reason: dict[str, Any] | None, code: str, words: str) -> None:
    assert reason is not None
    assert reason["code"] == code
    assert words in reason["detail"]
    assert reason["remedy"]


@pytest.mark.parametrize("level", [Level.PARTIAL, Level.RLIMITS_ONLY])
@pytest.mark.parametrize("trusted", [False, True])
def test_below_level_full_a_strangers_model_is_not_opened(
    trusted: bool, level: Level, world: World, zygote: Zygote, files: tuple[bytes, bytes], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Nor is a trusted principal's at the lowest level, until the operator says so as well."""
    with system_session(world.database) as session:
        session.get_one(Principal, world.principal).trusted = trusted
    _, model = registered(world, tmp_path, files, None)
    monkeypatch.setattr(zygote, "level", level)
    run_all(world, desk(world, tmp_path, zygote))
    with system_session(world.database) as session:
        row = session.get_one(Model, model)
        work = session.get_one(Work, row.work_id)
    if trusted and level is Level.PARTIAL:
        assert work.state == "succeeded"
    else:
        assert (work.state, work.reason and work.reason["code"]) == ("failed", "sandbox-too-weak")
        assert work.reason is not None
        assert level.value in work.reason["detail"]
