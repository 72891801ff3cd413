"""A real stack: broker, API, scheduler and worker as processes, on SQLite and on Postgres."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lamina.client import Client
from lamina.operator import bootstrap, opened, trust
from lamina.up import Stack
from tests.servers import short_directory

QUICK = {
    "LAMINA_LEASE_SECONDS": "3",
    "LAMINA_REAP_SECONDS": "0.3",
    "LAMINA_CANCEL_GRACE_SECONDS": "1",
    "LAMINA_LOG_LEVEL": "WARNING",
}


class Running:
    """A stack that is up, and the key to it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        url = stack.settings()["LAMINA_DATABASE_URL"]
        with opened(url) as database:
            made = bootstrap(database, tenant="acme", principal="ada")
            other = bootstrap(database, tenant="rival", principal="eve")
            assert made is not None
            assert other is not None
            trust(database, tenant="acme", principal="ada")
        self.key, self.other_key = made.text, other.text

    def client(self) -> Client:
        return Client(self.stack.url, self.key)

    def rival(self) -> Client:
        return Client(self.stack.url, self.other_key)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every living process that has this home folder in its command line, its environment or its working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.Error, OSError):
            continue
        if process.pid != psutil.Process().pid and any(str(home) in word for word in words):
            found.append(process)
    return found


@pytest.fixture(scope="session", params=["sqlite", "embedded-pg"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    with short_directory() as home:
        with Stack(home, database=request.param, workers=1, gpus=[], environment=QUICK) as stack:
            yield Running(stack)
        assert processes_of(home) == []


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Running]:
    """A stack of one's own to break things in."""
    with Stack(tmp_path / "home", workers=1, gpus=[], environment=QUICK) as stack:
        yield Running(stack)
    assert processes_of(tmp_path / "home") == []


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    with running.client() as client:
        yield client
