"""How long from submit to stored, and from `up` to ready? On the embedded stack, over HTTP, one after another."""

import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID

import numpy as np
import torch
from sqlalchemy import select

from lamina.client import Client
from lamina.operator import bootstrap, opened, trust
from lamina.up import Stack
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Dataset, Work
from tests.end_to_end.material import Registered, dataset_facts, register

AUDITS = 60
STARTS = 9
ONE_STEP = {"steps": 1, "verify": 0}


def measure() -> list[dict[str, object]]:
    """Rows for submit-to-stored (p50, p95) and for the start."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        starts = [_start(home) for _ in range(STARTS + 1)][1:]
        return [*_submitting(home, Path(folder)), _row("stack/up_to_ready", "lamina up to ready, warm", starts)]


def _start(home: Path) -> float:
    begun = perf_counter()
    with Stack(home, gpus=[]):
        return perf_counter() - begun


def _submitting(home: Path, folder: Path) -> list[dict[str, object]]:
    with Stack(home, gpus=[]) as stack:
        url = stack.settings()["LAMINA_DATABASE_URL"]
        with opened(url) as database:
            key = bootstrap(database, tenant="bench", principal="bench")
            trust(database, tenant="bench", principal="bench")
        assert key is not None
        with Client(stack.url, key.text) as client:
            ids = register(client, folder, "bench", examples=4)
            submitted = [_one(client, ids) for _ in range(AUDITS + 5)][5:]
            blob = client.dataset(ids.dataset).source_digest
            inspected = [_smallest(client, blob, number) for number in range(AUDITS + 5)][5:]
        with opened(url) as database, system_session(database) as session:
            rows = session.execute(
                select(Audit.id, Audit.created_at, Analysis.ended_at).join(Analysis, Analysis.audit_id == Audit.id)
            )
            stored = {row.id: (row.ended_at - row.created_at).total_seconds() for row in rows}
            rows = session.execute(select(Dataset.id, Dataset.created_at, Work.ended_at).join(Dataset.work))
            ready = {row.id: (row.ended_at - row.created_at).total_seconds() for row in rows}
    total = [stored[audit] + request for audit, request in submitted]
    trivial = [ready[dataset] + request for dataset, request in inspected]
    least = "the smallest job of a child: a dataset of 4 examples registered, inspected, stored; the request included"
    what = "a real .pt2 MLP, layer_conductance of all layers, one step, 4 examples; the request included"
    return [
        _row("service/submit_to_stored/p50", what, total),
        _row("service/submit_to_stored/p95", what, total, float(np.percentile(total, 95))),
        _row("service/smallest_job/p50", least, trivial),
        _row("service/smallest_job/p95", least, trivial, float(np.percentile(trivial, 95))),
    ]


def _one(client: Client, ids: Registered) -> tuple[UUID, float]:
    begun = perf_counter()
    audit = client.submit_audit(
        model=ids.model, inputs={"evaluation": ids.dataset}, analyses={"layer_conductance": ONE_STEP}
    )
    seconds = perf_counter() - begun
    client.wait(audit.id, deadline=30)
    return audit.id, seconds


def _smallest(client: Client, blob: str, number: int) -> tuple[UUID, float]:
    begun = perf_counter()
    dataset = client.register_dataset(name=f"smallest {number}", blob=blob, facts=dataset_facts())
    seconds = perf_counter() - begun
    client.wait_for_dataset(dataset.id, deadline=30)
    return dataset.id, seconds


def _row(name: str, what: str, seconds: Sequence[float], value: float | None = None) -> dict[str, object]:
    return {
        "name": name,
        "what": what,
        "value": median(seconds) if value is None else value,
        "unit": "s",
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "floor_value": None,
        "floor_ratio": None,
        "runs": len(seconds),
        "spread": [min(seconds), median(seconds), max(seconds)],
        "device": "cpu",
        "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
