"""Does SQLite read along an index, whatever is asked over HTTP? Never a whole table, nor all of a tenant's rows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from service.store.database import Database
from tests.service.http.asking import Asker
from tests.service.http.test_isolation import BY_ID, LISTS, Ids, ids, path_of

__all__ = ["ids"]
WHOLE = re.compile(r"SCAN (?!CONSTANT ROW|walk|anon_|t\b)|\(tenant=\?\)")
FEW = frozenset({"api_key", "baseline", "policy", "principal"})
"""Tables that people fill, one row at a time."""
HISTORY = (
    "series?model_name=net",
    "series?model_name=net&metric=layer_total",
    f"buckets?series_key=sha256:{'0' * 64}",
    "rollup?model_name=net&metric=layer_total",
    "rollup?model_name=net&metric=layer_total&model_version=1",
    "compare?model_name=net&from_version=1&to_version=1",
    "regressions?model_name=net",
)


@contextmanager
def plans(database: Database) -> Iterator[dict[str, list[str]]]:
    """Each statement that reads while this is entered, with the steps SQLite takes for it."""
    found: dict[str, list[str]] = {}

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "WITH")) and statement not in found:
            cursor = connection.connection.cursor()
            steps = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found[statement] = [step[3] for step in steps]

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)


def whole(statement: str, steps: list[str]) -> list[str]:
    """The steps that read more than was asked for. A page in the order of an index ends when it is full."""
    if "LIMIT" in statement and not any("TEMP B-TREE" in step for step in steps):
        return []
    return [step for step in steps if WHOLE.search(step) and step.split()[1] not in FEW]


def test_no_request_reads_all_there_is(ask: Asker, ids: Ids, database: Database) -> None:
    if database.is_postgres:
        return  # its planner follows what the tables hold, here a row each
    asked = [path_of(endpoint, ids[endpoint.parameters[0].what]) for endpoint in BY_ID if endpoint.method == "GET"]
    asked += [endpoint.path for endpoint in LISTS] + [f"/v1/history/{each}" for each in HISTORY]
    with plans(database) as found:
        for path in asked:
            assert ask.get(path).status_code < 500 or path.startswith("/v1/artifacts/"), (
                path
            )  # this world keeps no bytes
    assert len(found) > 50
    assert {statement: steps for statement, steps in found.items() if whole(statement, steps)} == {}
