"""What is read of a point of history? What its line is of, and what was measured; as plain tuples.

A row of the driver made into a mapped object takes five times as long as all that is done with it then, and reading a
member of SQLAlchemy's own rows ten times as long as of these.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, type_coerce

from service.store.base import SharedUuid


class Point(NamedTuple):
    """A point of a line. The first members say what the line is of, from `model_version` on what the point is."""

    series_key: str
    kind: str
    kind_version: int
    metric: str
    layer: str | None
    class_name: str | None
    target: str | None
    epsilon: float | None
    facets: str
    dataset_name: str | None
    dataset_role: str | None
    parameters_digest: str
    model_version: str
    value: float
    low: float | None
    high: float | None
    n: int
    created_at: datetime
    audit_id: UUID
    analysis_id: UUID
    dataset_digest: str | None


OF_LINE = Point._fields[: Point._fields.index("model_version")]
"""The members that say what the line is of."""
_MEMBERS = len(Point._fields)
_SHARED = frozenset({"audit_id", "analysis_id"})


def columns(table: Any) -> Iterator[ColumnElement[Any]]:
    """The columns of a `Point` in its order; a statement selects them first."""
    for name in Point._fields:
        column = getattr(table, name)
        yield type_coerce(column, SharedUuid()).label(name) if name in _SHARED else column.label(name)


def points(rows: Iterable[Row[Any]]) -> list[Point]:
    """The point that each row begins with."""
    return [Point._make(row[:_MEMBERS]) for row in rows]
