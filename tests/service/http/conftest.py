"""The API on a database of its own, and people with keys who ask it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from waitress.wasyncore import close_all

from service import auth
from service.app import create_app
from service.clock import FixedClock
from service.contracts.api import Scope
from service.http.server import make_server
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from tests.conftest import MakePrincipal, MakeTenant
from tests.service.http.asking import Asker
from tests.service.work.world import CATALOG, World

MakeAsker = Callable[..., Asker]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Small caps, and a broker that is not there."""
    return Settings(
        database_url=database_url,
        broker_url="redis+socket:///nowhere/broker.sock",
        blobs=str(tmp_path / "blobs"),
        scratch=tmp_path / "scratch",
        cursor_key="only for tests",
        smtp_host="mail.example.org",
        smtp_sender="lamina@example.org",
        body_bytes=8192,
        blob_bytes=4096,
        tenant_bytes=10_000,
        tenant_open_work=4,
    )


@pytest.fixture
def app(settings: Settings, database: Database, clock: FixedClock) -> Flask:
    """The application."""
    return create_app(settings, database=database, clock=clock, catalog=CATALOG, broker_ping=lambda: "ok")


@pytest.fixture
def make_asker(app: Flask, database: Database, clock: FixedClock, make_principal: MakePrincipal) -> MakeAsker:
    """Makes someone of a tenant, with a key of the scopes given."""

    def make(tenant: UUID, name: str, scopes: Iterable[Scope] = ("read", "submit", "admin")) -> Asker:
        principal = make_principal(tenant, name)
        key = auth.issue_key(database, principal, scopes=scopes, now=clock.now())
        return Asker(app.test_client(), key, tenant, principal)

    return make


@pytest.fixture
def ask(make_asker: MakeAsker, tenant: UUID) -> Asker:
    """Someone who may do everything."""
    return make_asker(tenant, "bob")


@pytest.fixture
def stranger(make_asker: MakeAsker, make_tenant: MakeTenant) -> Asker:
    """Someone of another tenant, who may do everything there."""
    return make_asker(make_tenant("umbrella"), "eve")


@pytest.fixture
def nobody(ask: Asker) -> Asker:
    """The same without a key."""
    return Asker(ask.client, None, ask.tenant, ask.principal)


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    """The store behind the application."""
    return BlobStore(settings.blobs)


@pytest.fixture
def world(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, settings: Settings) -> World:
    """The workers' side of the asker's tenant."""
    return World(database, clock, tenant, principal, settings.model_copy(update={"tenant_bytes": 1_000_000}))


@pytest.fixture
def port(app: Flask, settings: Settings) -> Iterator[int]:
    """The port of a server of the application."""
    server = make_server(app, settings.model_copy(update={"port": 0, "http_threads": 2}))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.effective_port
    server.trigger.pull_trigger(lambda: close_all(server._map))  # the loop ends when it has nothing to watch
    thread.join(timeout=60)
    server.task_dispatcher.shutdown()
    assert not thread.is_alive()
