"""What does every test start from? A database of its own, on SQLite and on PostgreSQL, and a still clock."""

import gc
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from werkzeug.routing import Rule

from service.clock import FixedClock
from service.store import database as store_database
from service.store.base import new_id
from service.store.database import Database
from service.store.migrate import upgrade
from service.store.system import system_session
from service.store.tables import Principal, Tenant
from tests.preloaded import Preloaded, preloaded
from tests.servers import Servers
from tests.stacks import client, fragile, running

__all__ = ["client", "fragile", "running"]  # fixtures of whole stacks

gc.disable()  # until all tests are imported; see pytest_collection_finish

# Test processes run side by side, one for each core: threads beside them would only wait for each other. What torch
# and BLAS start with is read when they are imported, which no test has done yet.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same cases every time, so that a red build is about the change; `make test-long` draws new ones. Neither a
# case nor its drawing has a deadline: it would tell how fast the machine is.
settings.register_profile("drawn", print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", settings.get_profile("drawn"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MakeTenant = Callable[[str], UUID]
MakePrincipal = Callable[[UUID, str], UUID]


def pytest_collection_finish() -> None:
    """Leave out of every later collection what is there to stay: millions of objects, walked again each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test draws without a seed of its own is the same in every run, whatever ran before it."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def unhurried_disk() -> Iterator[None]:
    """No test of this process loses power: SQLite need not wait for the disk at every commit. Real processes do."""
    durable = store_database._sqlite_pragmas

    def volatile(connection: Any, record: Any) -> None:
        durable(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_database, "_sqlite_pragmas", volatile)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_urls_are_built() -> Iterator[None]:
    """Each application compiles what would build its URLs, three quarters of its start, and none of ours builds any."""

    def unused(_rule: Rule, _append_unknown: bool = True) -> Callable[..., Any]:
        def build(**_values: Any) -> Any:
            raise AssertionError("nothing of ours builds URLs")

        return build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", unused)
        yield


@pytest.fixture(scope="session", name="preloaded")
def preloaded_process() -> Iterator[Preloaded]:
    """Runs programs in forks of a process that imported what workers preload."""
    with preloaded() as run:
        yield run


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this run; each starts when it is first asked for."""
    with Servers() as shared:
        yield shared


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table and no row, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.stack)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated database that only this test uses."""
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "lamina.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        shared: Servers = request.getfixturevalue("servers")
        url = shared.fresh_database(upgrade)
        yield url
        shared.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.stack)])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without tables that only this test uses."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('tmp_path') / 'empty.db'}"
    else:
        shared: Servers = request.getfixturevalue("servers")
        url = shared.fresh_database()
        yield url
        shared.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database that only this test uses."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that moves only when told to."""
    return FixedClock(START)


@pytest.fixture
def make_tenant(database: Database, clock: FixedClock) -> MakeTenant:
    """Makes a tenant of a name."""

    def make(name: str) -> UUID:
        row = Tenant(id=new_id(), name=name, stored_bytes=0, created_at=clock.now())
        with system_session(database) as session:
            session.add(row)
        return row.id

    return make


@pytest.fixture
def make_principal(database: Database, clock: FixedClock) -> MakePrincipal:
    """Makes a principal of a tenant."""

    def make(tenant: UUID, name: str) -> UUID:
        key = new_id()
        row = Principal(id=key, tenant=tenant, created_by=key, created_at=clock.now(), kind="person", name=name)
        with system_session(database) as session:
            session.add(row)
        return row.id

    return make


@pytest.fixture
def tenant(make_tenant: MakeTenant) -> UUID:
    """A tenant."""
    return make_tenant("acme")


@pytest.fixture
def principal(make_principal: MakePrincipal, tenant: UUID) -> UUID:
    """A person of that tenant."""
    return make_principal(tenant, "ada")
