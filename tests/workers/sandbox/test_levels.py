"""Is the level of a sandbox said wherever somebody decides by it? In /readyz, by the doctor, in every provenance."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import select

from lamina import doctor
from service.app import create_app
from service.clock import FixedClock
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis
from tests.service.work.world import World
from tests.workers import test_tasks
from tests.workers.test_tasks import all_succeed, desk, works
from workers.sandbox import level
from workers.sandbox.spec import Level

DOORS = {Level.FULL: (), Level.PARTIAL: ("fork",), Level.RLIMITS_ONLY: ("fork", "open a socket")}


@pytest.fixture
def world(database: Database, clock: FixedClock, tenant: UUID, principal: UUID) -> World:
    return World(database, clock, tenant, principal)


@pytest.mark.parametrize("reached", list(Level))
def test_readyz_says_what_each_workers_zygote_measured(reached: Level, world: World, tmp_path: Path) -> None:
    made = desk(world, tmp_path, all_succeed)
    made.zygote = SimpleNamespace(start=lambda: None, level=reached, close=lambda: None)  # type: ignore[assignment]
    made.settings.scratch.mkdir()
    made._warm.clear()
    made._keeper.start()
    assert made._warm.wait(60)
    made._closing.set()
    made._keeper.join(60)
    app = create_app(made.settings, database=world.database, clock=world.clock, broker_ping=lambda: "ok")
    asked = app.test_client().get("/readyz")
    assert asked.json is not None
    assert [worker["sandbox_level"] for worker in asked.json["workers"]] == [reached.value]


@pytest.mark.parametrize("reached", list(Level))
def test_the_doctor_says_the_level_and_what_runs_at_it(reached: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = level.Measured(reached, abi=7, own_uid=True, missing=(), open_doors=DOORS[reached])
    monkeypatch.setattr(level, "probe", lambda: measured)
    found = doctor._sandbox()
    assert f"level {reached.value}" in found.found
    assert all(door in found.found for door in DOORS[reached])
    assert (found.state == "ok") == (reached is Level.FULL)
    assert ("trusted" in found.remedy) == (reached is not Level.FULL)
    assert ("LAMINA_ALLOW_WEAK_SANDBOX" in found.remedy) == (reached is Level.RLIMITS_ONLY)


@pytest.mark.parametrize("reached", [Level.FULL, Level.PARTIAL])
def test_a_provenance_says_what_the_child_itself_reached(
    reached: Level,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU that can be less than what the machine gives, and a result cannot claim more."""
    monkeypatch.setattr(test_tasks.Child, "level", reached)
    model, dataset = world.ready_pair()
    for subject in (model, dataset):
        BlobStore(str(tmp_path / "blobs")).put(world.tenant, [f"canonical {subject} ".encode()], most=1000)
    world.audit(model, dataset)
    desk(world, tmp_path, all_succeed).run(str(works(world)[0].id))
    with system_session(world.database) as session:
        provenance = session.scalars(select(Analysis.provenance)).one()
    assert provenance is not None
    assert provenance["sandbox_level"] == reached.value
