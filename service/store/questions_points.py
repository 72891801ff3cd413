"""Which points of history does a page hold? Read as plain rows along an index, by statements that are built once."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, bindparam, select, tuple_, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from service.store.base import SharedUuid, UtcTime
from service.store.questions import After, Conditions, Slice, keyset
from service.store.tables import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Points(Conditions):
    """Which points of history. `since` is included, `until` is not."""

    model_name: str | None = None
    model_version: str | None = None
    kind: str | None = None
    metric: str | None = None
    layer: str | None = None
    series_key: str | None = None
    audit: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PagePoint:
    """One point of history, and whether the dataset's bytes changed since the point before it on its line.

    `measurement` has the columns of the table of that name, but not its tenant and maker.
    """

    measurement: Any
    dataset_changed: bool


def measurements_page(
    session: Session,
    points: Points,
    *,
    limit: int,
    after: After | None = None,
    newest_first: bool = True,
) -> Slice[PagePoint]:
    """Points of history in order of time."""
    given = points.given()
    values = {**given, "most": limit + 1}
    if after is not None:
        values |= {"after_time": after[0], "after_id": after[1]}
    statement = _page(frozenset(given), after is not None, newest_first)
    found = session.execute(statement, values).all()
    shown = [PagePoint(row, row.digest_before not in (None, row.dataset_digest)) for row in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return Slice(shown, None if last is None else (last.created_at, last.id))


def condition(member: str) -> ColumnElement[bool]:
    """A member of `Points` as SQL, its value to be given by that name."""
    if member == "since":
        return Measurement.created_at >= bindparam(member)
    if member == "until":
        return Measurement.created_at < bindparam(member)
    column: InstrumentedAttribute[Any] = Measurement.audit_id if member == "audit" else getattr(Measurement, member)
    return column == bindparam(member)


@cache
def _page(given: frozenset[str], onward: bool, newest_first: bool) -> Select[Any]:
    there = tuple_(bindparam("after_time", type_=UtcTime()), bindparam("after_id", type_=Uuid())) if onward else None
    wanted = _POINTS.where(*(condition(member) for member in sorted(given)))
    return keyset(wanted, Measurement, bindparam("most"), there, newest_first=newest_first)


def _points() -> Select[Any]:
    """Every point and the dataset's digest at the point before it on its line: one step along an index each."""
    earlier = aliased(Measurement)
    digest_before = (
        select(earlier.dataset_digest)
        .where(
            earlier.tenant == Measurement.tenant,
            earlier.series_key == Measurement.series_key,
            tuple_(earlier.created_at, earlier.id) < tuple_(Measurement.created_at, Measurement.id),
        )
        .order_by(earlier.created_at.desc(), earlier.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    # A page of mapped objects, each with six UUIDs, takes five times as long to read.
    shared = {"model_id", "audit_id", "analysis_id"}
    shown: list[ColumnElement[Any]] = [
        type_coerce(getattr(Measurement, name), SharedUuid()).label(name)
        if name in shared
        else getattr(Measurement, name)
        for name in Measurement.__mapper__.column_attrs.keys()  # noqa: SIM118  # not a dict: it yields the columns
        if name not in {"tenant", "created_by"}
    ]
    return select(*shown, digest_before.label("digest_before"))


_POINTS = _points()
POINT_COLUMNS = tuple(column.name for column in _POINTS.selected_columns)
"""Names of what a `PagePoint.measurement` holds, in order: a row taken as a tuple is read eight times as fast."""
