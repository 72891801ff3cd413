"""How soon does history answer, over HTTP, with a million points behind it? On SQLite and on PostgreSQL.

The API serves on loopback as it does in production (waitress, eight threads) and a client keeps one connection. What is
asked is drawn by lot (history_asked.py), the kinds of questions in turn, so that a busy moment meets all of them.
"""

import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
from sqlalchemy import insert, text

from benchmarks.history_asked import (
    BASELINE_VERSION,
    DAY_ONE,
    LAYERS,
    METRICS,
    MODELS,
    QUESTIONS,
    VERSIONS,
    Question,
)
from service.app import create_app
from service.auth import create_principal, create_tenant, issue_key
from service.clock import SystemClock
from service.contracts.base import digest_of
from service.http.server import make_server
from service.settings import Settings
from service.store.base import new_id
from service.store.database import Database
from service.store.migrate import upgrade
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Measurement, Model
from service.store.tables_compliance import Baseline
from tests.servers import postgres

REQUESTS, WARM_UP = 200, 20
THREADS = 8
FLOOR = "/v1/whoami"
NOTHING = digest_of(b"")


def measure() -> list[dict[str, object]]:
    """A row for each database and kind of question: the 95th percentile."""
    with tempfile.TemporaryDirectory() as folder:
        rows = _measured(f"sqlite:///{folder}/history.db", "sqlite", Path(folder))
    with tempfile.TemporaryDirectory() as folder, postgres() as server:
        return rows + _measured(server.create_database("history"), "postgres", Path(folder))


def _measured(url: str, name: str, folder: Path) -> list[dict[str, object]]:
    upgrade(url)
    database = Database(url)
    try:
        now = SystemClock().now()
        tenant = create_tenant(database, "acme", now=now)
        ada = create_principal(database, tenant=tenant, name="ada", now=now)
        key = issue_key(database, ada, scopes=("read",), now=now)
        _load(database, tenant)
        with _serving(database, folder) as address:
            seconds, least = _asked(address, key)
        version = _version(database)
    finally:
        database.close()
    return [
        {
            "name": f"history/{question.name}/{name}/p95",
            "what": f"GET {question.path} over a million points, HTTP on loopback: {question.what}",
            "value": (value := _p95(took)),
            "unit": "s",
            "peer": None,
            "peer_value": None,
            "ratio": None,
            "floor_value": (floor := _p95(least)),
            "floor_ratio": value / floor,
            "runs": len(took),
            "spread": [min(took), median(took), max(took)],
            "device": "cpu",
            "threads": THREADS,
            "versions": {"python": platform.python_version(), name: version},
        }
        for question, took in seconds.items()
    ]


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=100, method="inclusive")[94]


def _version(database: Database) -> str:
    if not database.is_postgres:
        return sqlite3.sqlite_version
    with database.engine.connect() as connection:
        return str(connection.scalar(text("SHOW server_version")))


def _load(database: Database, tenant: UUID) -> None:
    """Twenty models, audited a hundred times each, a point for every layer and metric each time."""
    lines = {key: digest_of(repr(key).encode()) for key in product(range(MODELS), range(LAYERS), range(len(METRICS)))}
    for version in range(VERSIONS):
        with system_session(database) as session:
            for model in range(MODELS):
                at = DAY_ONE + timedelta(days=version, minutes=model)
                owned = {"tenant": tenant, "created_by": tenant, "created_at": at}
                ids = {"model_id": new_id(), "audit_id": new_id(), "analysis_id": new_id()}
                for row in _rows_of_an_audit(ids, model, version, owned):
                    session.add(row)
                    session.flush()
                session.execute(insert(Measurement), list(_points(lines, ids, model, version, owned)))
                if version == BASELINE_VERSION:
                    session.add(Baseline(id=new_id(), **_baseline(model, ids["audit_id"]), **owned))
    if database.is_postgres:
        # Its autovacuum does this in a database that has been running for a while; here it would run while we ask.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _rows_of_an_audit(
    ids: dict[str, UUID], model: int, version: int, owned: dict[str, Any]
) -> Iterator[Model | Audit | Analysis]:
    name = f"model {model}"
    yield Model(id=ids["model_id"], name=name, version=str(version), source_digest=NOTHING, facts={}, **owned)
    yield Audit(id=ids["audit_id"], title="audit", model_id=ids["model_id"], remaining=0, **owned)
    yield Analysis(
        id=ids["analysis_id"],
        audit_id=ids["audit_id"],
        position=0,
        kind="layer_conductance",
        kind_version=1,
        queue="cpu",
        parameters={},
        parameters_digest=NOTHING,
        ended_at=owned["created_at"],
        **owned,
    )


def _baseline(model: int, audit: UUID) -> dict[str, Any]:
    return {"model_name": f"model {model}", "audit_id": audit, "reason": "the one in production"}


def _points(
    lines: dict[tuple[int, int, int], str], ids: dict[str, UUID], model: int, version: int, owned: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for layer, metric in product(range(LAYERS), range(len(METRICS))):
        value = random.random()
        yield {
            "id": new_id(),
            "series_key": lines[model, layer, metric],
            "model_name": f"model {model}",
            "model_version": str(version),
            "kind": "layer_conductance",
            "kind_version": 1,
            "metric": METRICS[metric],
            "layer": f"features.{layer}.conv",
            "facets": "{}",
            "dataset_name": "digits",
            "dataset_role": "evaluation",
            "dataset_digest": digest_of(str(version // 30).encode()),
            "parameters_digest": NOTHING,
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "n": 200,
            **ids,
            **owned,
        }


@contextmanager
def _serving(database: Database, folder: Path) -> Iterator[str]:
    """The API on a free port of loopback, in a process of its own as in production."""
    command = [sys.executable, "-m", "benchmarks.history", database.url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout is not None  # asked for
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def serve(url: str, folder: str) -> None:
    """Serve the API on a database until terminated; the first line written is the port."""
    settings = Settings(
        database_url=url, blobs=f"{folder}/blobs", cursor_key="for this run only", port=0, http_threads=THREADS
    )
    server = make_server(create_app(settings), settings)
    print(server.effective_port, flush=True)
    server.run()


def _asked(address: str, key: str) -> tuple[dict[Question, list[float]], list[float]]:
    """The seconds that each of many requests took, from the first byte asked to the last byte read; and of the floor,
    a request in each turn that asks whose the key is and nothing else."""
    lots = random.Random(7)
    seconds: dict[Question, list[float]] = {question: [] for question in QUESTIONS}
    least: list[float] = []
    headers = {"Authorization": f"Bearer {key}"}
    # The client that is timed does next to nothing by itself; the other one draws what is asked.
    timed = HTTPConnection(address.removeprefix("http://"), timeout=30)
    with httpx.Client(base_url=address, headers=headers, timeout=30) as client, closing(timed):
        for number in range(WARM_UP + REQUESTS):
            took, _ = _timed(timed, FLOOR, headers)
            if number >= WARM_UP:
                least.append(took)
            for question in QUESTIONS:
                asked = question.asked(client, lots)
                took, content = _timed(timed, f"{question.path}?{urlencode(asked)}", headers)
                question.check(asked, content)
                if number >= WARM_UP:
                    seconds[question].append(took)
    return seconds, least


def _timed(connection: HTTPConnection, target: str, headers: dict[str, str]) -> tuple[float, bytes]:
    begun = perf_counter()
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    took = perf_counter() - begun
    if answer.status != 200:
        raise RuntimeError(f"{target} gave {answer.status}: {content!r}")
    return took, content


if __name__ == "__main__":
    serve(*sys.argv[1:])
