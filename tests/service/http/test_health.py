from datetime import timedelta

import pytest
from flask import Flask

from service.app import create_app, ping
from service.clock import FixedClock
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Worker
from tests.servers import Servers
from tests.service.http.asking import Asker
from tests.service.work.world import CATALOG


def register(database: Database, clock: FixedClock) -> None:
    with system_session(database) as session:
        session.add(
            Worker(
                id="cpu@host",
                queues=["cpu"],
                device="cpu",
                sandbox_level="full",
                kinds={"layer_conductance": 1},
                lamina_version="0.1.0",
                started_at=clock.now(),
                last_seen_at=clock.now(),
            )
        )


def test_the_process_answers_without_a_key(nobody: Asker) -> None:
    answer = nobody.get("/healthz")

    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (200, "ok")


def test_all_is_ready_with_a_worker_and_a_broker(nobody: Asker, database: Database, clock: FixedClock) -> None:
    register(database, clock)

    answer = nobody.get("/readyz")

    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    (worker,) = answer.json["workers"]
    assert (worker["sandbox_level"], worker["alive"]) == ("full", True)
    assert worker["id"].startswith("worker-")
    assert "host" not in worker["id"]  # the machine's name is not for everybody who asks


def test_without_a_worker_heard_of_lately_it_is_degraded(nobody: Asker, database: Database, clock: FixedClock) -> None:
    register(database, clock)
    clock.advance(timedelta(minutes=2))

    answer = nobody.get("/readyz")

    assert answer.json is not None
    assert (answer.status_code, answer.json["status"], answer.json["workers"][0]["alive"]) == (200, "degraded", False)


def test_without_a_broker_it_is_degraded_not_unready(settings: Settings, database: Database, clock: FixedClock) -> None:
    register(database, clock)
    app = create_app(settings, database=database, clock=clock, catalog=CATALOG)

    answer = app.test_client().get("/readyz")

    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert "does not answer" in answer.json["broker"]
    assert "/nowhere" not in answer.text


def unready(app: Flask) -> dict[str, str]:
    answer = app.test_client().get("/readyz")
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (503, "unready")
    assert answer.headers["Retry-After"] == "5"
    found: dict[str, str] = answer.json
    return found


def test_without_migrations_it_is_unready(empty_url: str, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"database_url": empty_url}), catalog=CATALOG, broker_ping=lambda: "ok")

    assert "lamina migrate" in unready(app)["migrations"]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql+psycopg://u:hush@127.0.0.1:1/x"])
def test_without_a_database_it_is_unready_and_tells_no_password(url: str, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"database_url": url}), catalog=CATALOG, broker_ping=lambda: "ok")

    found = unready(app)

    assert "does not answer" in found["database"]
    assert "hush" not in str(found)


@pytest.mark.stack
def test_a_broker_that_is_there_is_ok(servers: Servers) -> None:
    assert ping(servers.valkey().celery_url) == "ok"
