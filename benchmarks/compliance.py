"""How long does a compliance report over fifty audits take, from the rows to the zip?

One model, fifty weekly audits of three analyses each, in a SQLite file: seal and sign the log, check it and every file,
gather, assess, write the twin, draw page and document, pack the evidence. There is no peer to measure against; the bar
is three seconds.
"""

import platform
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from service.auth import create_principal, create_tenant
from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.store.database import Database
from service.store.migrate import upgrade
from tests.service.work.office import Office, an_office

AUDITS, RUNS = 50, 5
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
WHAT = "a compliance report over 50 audits of 3 analyses: seal, check, gather, assess, HTML, PDF, JSON, zip; SQLite"


def measure() -> list[dict[str, object]]:
    """One row: the median of whole reports, each made anew."""
    with tempfile.TemporaryDirectory() as folder:
        office = _house(Path(folder))
        report = office.ask("net", START, office.clock.now())
        taken = []
        for _ in range(RUNS + 1):
            began = perf_counter()
            made = office.reporter().make(office.tenant, report)
            taken.append(perf_counter() - began)
        assert set(made.files) == {"report.json", "report.dsse.json", "report.html", "report.pdf", "report.zip"}
        office.database.close()
    runs = sorted(taken[1:])
    return [
        {
            "name": "compliance/report50",
            "what": WHAT,
            "value": median(runs),
            "unit": "s",
            "peer": None,
            "peer_value": None,
            "ratio": None,
            "floor_value": None,
            "floor_ratio": None,
            "runs": RUNS,
            "spread": [runs[0], median(runs), runs[-1]],
            "device": "cpu",
            "threads": 1,
            "versions": {"python": platform.python_version()},
        }
    ]


def _house(folder: Path) -> Office:
    """Fifty weeks of audits, ended."""
    url = f"sqlite:///{folder}/compliance.db"
    upgrade(url)
    database, clock = Database(url), FixedClock(START)
    tenant = create_tenant(database, "acme", now=START)
    principal = create_principal(database, tenant=tenant, name="ada", now=START)
    office = an_office(database, clock, tenant, principal, folder)
    model, dataset = office.ready_pair()
    for week in range(AUDITS):
        clock.advance(timedelta(days=7))
        right = 0.9 + week / 1000
        office.measure(model, dataset, "accuracy", _point("clean_accuracy", right, 0.01), file=f"{week}.json")
        office.measure(
            model,
            dataset,
            "layer_conductance",
            *(_point("completeness_error", 0.001 * layer, 0.0005, f"layer{layer}") for layer in range(20)),
            file=f"{week}-layers.json",
        )
        office.measure(model, dataset, "robustness", _point("attack_checks_failed", 0.0, 0.0), file=f"{week}-a.json")
    clock.advance(timedelta(days=1))
    return office


def _point(metric: str, value: float, half: float, layer: str | None = None) -> Measurement:
    return Measurement(metric=metric, layer=layer, facets={}, value=value, low=value - half, high=value + half, n=1000)
