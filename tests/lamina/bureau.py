"""A service in this process whose commands, API, workers and scheduler share one tenant, one key and one clock."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from lamina.client import Client
from service import auth
from service.app import create_app
from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.evidence.own_keys import keys_of
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from tests.conftest import MakePrincipal
from tests.service.work.office import Office


@dataclass
class Bureau:
    """The office behind the API, and whose key the commands use."""

    office: Office
    keys: dict[str, str]
    who: str = "ada"

    def audited(self) -> tuple[str, str]:
        """A model with one audit; returns the window that holds it, to the day."""
        clock = self.office.clock
        begin = clock.now()
        model, dataset = self.office.ready_pair()
        accurate = Measurement(metric="clean_accuracy", value=0.95, low=0.94, high=0.96, n=2000)
        self.office.measure(model, dataset, "accuracy", accurate)
        clock.advance(timedelta(days=1))
        return begin.isoformat(), clock.now().isoformat()

    def reported(self) -> UUID:
        """A report on it."""
        self.audited()
        now = self.office.clock.now()
        report = self.office.ask("net", now - timedelta(days=1), now)
        assert self.office.make_reports() == 1
        return report


@pytest.fixture
def bureau(
    database: Database,
    clock: FixedClock,
    tenant: UUID,
    make_principal: MakePrincipal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bureau:
    for variable in [name for name in os.environ if name.startswith("LAMINA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "220")
    settings = Settings(
        database_url=database.url, blobs=str(tmp_path / "blobs"), cursor_key="only for tests", render_seconds=30.0
    )
    people = {name: make_principal(tenant, name) for name in ("ada", "carol")}
    office = Office(
        database,
        clock,
        tenant,
        people["ada"],
        settings=settings,
        keys=keys_of(settings),
        store=BlobStore(settings.blobs),
    )
    web = create_app(settings, database=database, clock=clock, catalog=office.catalog, broker_ping=lambda: "ok")
    keys = {name: auth.issue_key(database, person, now=clock.now()) for name, person in people.items()}
    made = Bureau(office, keys)
    worked: list[int] = []

    def from_home(_class: type[Client], _folder: Path | None = None) -> Client:
        return Client(
            "http://lamina.test",
            keys[made.who],
            transport=httpx.WSGITransport(web),
            sleep=lambda _seconds: worked.append(office.make_reports()),  # who waits lets the scheduler work
        )

    monkeypatch.setattr(Client, "from_home", classmethod(from_home))
    return made
