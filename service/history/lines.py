"""Which lines does a model have, and where is each now? By steps along an index, never by reading every point.

A model with a million points has a few hundred lines. `_walk` goes from each line to the next in one step of an index,
so what is asked costs as many steps as there are lines (a loose index scan).
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, Uuid, bindparam, func, literal, select, type_coerce
from sqlalchemy.orm import Session, aliased

from service.store.base import SharedUuid
from service.store.tables import Audit, Measurement, Model

MOST_LINES = 5000
"""More lines than this are not compared at once: the asker narrows the question."""
FEW_POINTS = 1000
"""Up to so many are read at once, which is sooner done than stepping from line to line."""
MOST_POINTS = 20_000
"""More points than this are not read at once."""
Scope = Literal["model_name", "model_id"]
_LINE = (
    *("series_key", "kind", "kind_version", "metric", "layer", "class_name", "target", "epsilon", "facets"),
    *("dataset_name", "dataset_role", "parameters_digest"),
)
_POINT = ("model_version", "value", "low", "high", "n", "created_at", "audit_id", "analysis_id", "dataset_digest")
_SHARED = frozenset({"audit_id", "analysis_id"})


class TooMuch(ValueError):
    """The question is about more than is answered at once; the message says how to narrow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which lines: every member that is given must hold."""

    metric: str | None = None
    kind: str | None = None
    layer: str | None = None
    dataset_role: str | None = None

    def given(self) -> dict[str, str]:
        """The members that are given, by name."""
        every = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in every if value is not None}


@dataclass(frozen=True, slots=True)
class Series:
    """A line from its first point to its last; `last` has the columns of a point and of its line."""

    last_id: UUID
    first_at: datetime
    count: int
    last: Any


@dataclass(frozen=True, slots=True)
class SeriesSlice:
    """One page of lines in order of metric and key; `next` is a point of its last line, None at the end."""

    rows: Sequence[Series]
    next: tuple[datetime, UUID] | None


def series_page(
    session: Session, tenant: UUID, model_name: str, only: Only, *, limit: int, after: UUID | None = None
) -> SeriesSlice:
    """Lines of a model. `after`: a point of the last line of the page before."""
    given = only.given()
    values: dict[str, Any] = {"tenant": tenant, "model_name": model_name, "most": limit + 1, **given}
    if after is not None:
        values["past"] = after
    found = session.execute(_series_statement(frozenset(given), after is not None), values).all()
    rows = [Series(row.last_id, row.first_at, row.points, row) for row in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return SeriesSlice(rows, None if last is None else (last.created_at, last.last_id))


def latest_of_model(session: Session, tenant: UUID, model_name: str, only: Only) -> dict[str, Any]:
    """Series key -> the latest point of each of a model's lines, whichever version it is of. Raises TooMuch."""
    return _latest(session, tenant, "model_name", model_name, only)


def latest_of_version(session: Session, tenant: UUID, model_id: UUID, only: Only) -> dict[str, Any]:
    """Series key -> the latest point of each line of one version. Raises TooMuch."""
    few = _few_of_version(session, tenant, model_id, only)
    return _latest(session, tenant, "model_id", model_id, only) if few is None else few


def latest_of_audit(session: Session, audit_id: UUID, only: Only) -> dict[str, Any]:
    """Series key -> the latest point of each line that an audit measured. Raises TooMuch."""
    where = [getattr(Measurement, name) == value for name, value in only.given().items()]
    order = (Measurement.created_at, Measurement.id)
    every = select(*_columns(Measurement)).where(Measurement.audit_id == audit_id, *where).order_by(*order)
    found = session.execute(every.limit(MOST_POINTS + 1)).all()
    latest = {row.series_key: row for row in found}
    if len(found) > MOST_POINTS or len(latest) > MOST_LINES:
        raise TooMuch(f"the audit measured more than {MOST_LINES} lines; name a metric, a kind or a layer")
    return latest


def points_of_line(
    session: Session, tenant: UUID, series_key: str, *, since: datetime | None, until: datetime | None
) -> tuple[Any, Sequence[Any]]:
    """The point before `since` (None: there is none) and those from it until `until`, oldest first. Raises TooMuch."""
    on_line = select(*_columns(Measurement)).where(Measurement.tenant == tenant, Measurement.series_key == series_key)
    wanted = on_line.order_by(Measurement.created_at, Measurement.id).limit(MOST_POINTS + 1)
    before = None
    if since is not None:
        newest_first = (Measurement.created_at.desc(), Measurement.id.desc())
        earlier = on_line.where(Measurement.created_at < since).order_by(*newest_first).limit(1)
        before = session.execute(earlier).first()
        wanted = wanted.where(Measurement.created_at >= since)
    if until is not None:
        wanted = wanted.where(Measurement.created_at < until)
    found = session.execute(wanted).all()
    if len(found) > MOST_POINTS:
        raise TooMuch(f"the line has more than {MOST_POINTS} points in this time; narrow it by since and until")
    return before, found


def first_of_line(session: Session, tenant: UUID, series_key: str) -> Any:
    """The oldest point of a line; None if there is no such line."""
    on_line = select(*_columns(Measurement)).where(Measurement.tenant == tenant, Measurement.series_key == series_key)
    return session.execute(on_line.order_by(Measurement.created_at, Measurement.id).limit(1)).first()


def version_called(session: Session, model_name: str, version: str) -> UUID | None:
    """The id of a model's version; None if there is none."""
    return session.scalar(select(Model.id).where(Model.name == model_name, Model.version == version))


def audited(session: Session, audit_id: UUID) -> tuple[UUID, str, str] | None:
    """Id, name and version of the model that an audit is of; None if there is no such audit."""
    columns: tuple[Any, ...] = (Model.id, Model.name, Model.version)
    row = session.execute(select(*columns).join(Audit, Audit.model_id == Model.id).where(Audit.id == audit_id)).first()
    return None if row is None else (row.id, row.name, row.version)


def newest_measured(session: Session, tenant: UUID, model_name: str) -> tuple[UUID, str] | None:
    """Id and version of the model registered last that has a point of history; None if none has."""
    row = session.execute(_newest_statement(), {"tenant": tenant, "model_name": model_name}).first()
    return None if row is None else (row.id, row.version)


def _few_of_version(session: Session, tenant: UUID, model_id: UUID, only: Only) -> dict[str, Any] | None:
    """The latest point of each line of a version that has few points; None where it has more."""
    where = [getattr(Measurement, name) == value for name, value in only.given().items()]
    of_version = select(Measurement.id, *_columns(Measurement)).where(
        Measurement.tenant == tenant, Measurement.model_id == model_id, *where
    )
    found = session.execute(of_version.limit(FEW_POINTS + 1)).all()
    if len(found) > FEW_POINTS:
        return None
    latest: dict[str, Any] = {}
    for row in found:
        other = latest.get(row.series_key)
        if other is None or (row.created_at, row.id) > (other.created_at, other.id):
            latest[row.series_key] = row
    return latest


def _latest(session: Session, tenant: UUID, scope: Scope, whose: str | UUID, only: Only) -> dict[str, Any]:
    given = only.given()
    values = {"tenant": tenant, scope: whose, "most": MOST_LINES + 1, **given}
    found = session.execute(_latest_statement(scope, frozenset(given)), values).all()
    if len(found) > MOST_LINES:
        raise TooMuch(f"there are more than {MOST_LINES} lines; name a metric, a kind or a layer")
    return {row.series_key: row for row in found}


# Statements are built once: their aliases cost more to make than their rows to find.


@cache
def _newest_statement() -> Select[Any]:
    point = aliased(Measurement)
    measured = select(point.id).where(point.tenant == bindparam("tenant"), point.model_id == Model.id).exists()
    columns: tuple[Any, ...] = (Model.id, Model.version)
    return (
        select(*columns)
        .where(Model.name == bindparam("model_name"), measured)
        .order_by(Model.created_at.desc(), Model.id.desc())
        .limit(1)
    )


@cache
def _latest_statement(scope: Scope, given: frozenset[str]) -> Select[Any]:
    last = aliased(Measurement)
    walk = _walk(scope, held="metric" in given, newest=True)
    # By IN and not by a join: for a join SQLite may first read the whole table to make a Bloom filter of it.
    here = last.id.in_(select(walk.c.id).where(walk.c.id.is_not(None)))
    return select(*_columns(last)).where(here, *_wanted(last, given)).limit(bindparam("most"))


@cache
def _series_statement(given: frozenset[str], onward: bool) -> Select[Any]:  # it is cached by place
    first, last, oldest, newest, counted = (aliased(Measurement) for _ in range(5))
    walk = _walk("model_name", held="metric" in given, newest=False, onward=onward, bounded=given <= {"metric"})
    page = (
        select(first.series_key)
        .where(first.id.in_(select(walk.c.id).where(walk.c.id.is_not(None))), *_wanted(first, given))
        .order_by(first.metric, first.series_key)
        .limit(bindparam("most"))
        .subquery()
    )
    latest = _on_line(newest, newest.id, page.c.series_key).order_by(newest.created_at.desc(), newest.id.desc())
    earliest = _on_line(oldest, oldest.created_at, last.series_key).order_by(oldest.created_at, oldest.id)
    count = _on_line(counted, func.count(counted.id), last.series_key)
    return (
        select(
            last.id.label("last_id"),
            earliest.limit(1).scalar_subquery().label("first_at"),
            count.scalar_subquery().label("points"),
            *_columns(last),
        )
        .where(last.id.in_(select(latest.limit(1).scalar_subquery()).select_from(page)))
        .order_by(last.metric, last.series_key)
    )


def _on_line(table: Any, shown: Any, key: Any) -> Select[Any]:
    """Something of the points of one line."""
    return select(shown).where(table.tenant == bindparam("tenant"), table.series_key == key)


def _wanted(table: Any, given: frozenset[str]) -> list[ColumnElement[bool]]:
    """Conditions on what the walk finds; to the metric it holds by itself."""
    return [getattr(table, name) == bindparam(name) for name in sorted(given - {"metric"})]


def _walk(scope: Scope, *, held: bool, newest: bool, onward: bool = False, bounded: bool = False) -> CTE:
    """The id of a point of every line in a scope: the newest, from the last line to the first; or the oldest, onward.

    A NULL comes last. `held`: only lines of one metric. `onward`: it starts after the line of the point `past`.
    `bounded`: it ends after `most` lines.
    """
    follows: Callable[[Any, Any], ColumnElement[bool]] = operator.lt if newest else operator.gt

    def entry(*conditions: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[Any]:
        """The id of the point where the first line is entered that these conditions leave."""
        table = aliased(Measurement)
        order = (table.metric, table.series_key, table.created_at, table.id)
        return (
            select(table.id)
            .where(table.tenant == bindparam("tenant"), getattr(table, scope) == bindparam(scope))
            .where(*(condition(table) for condition in conditions))
            .order_by(*(each.desc() if newest else each for each in order))
            .limit(1)
            .scalar_subquery()
        )

    def of_point(point: Any, name: str) -> ColumnElement[Any]:
        table = aliased(Measurement)
        return select(getattr(table, name)).where(table.id == point).correlate_except(table).scalar_subquery()

    def step(point: Any) -> ColumnElement[Any]:
        """Where the next line is entered: the next key of the same metric, else the next metric's first.

        As two steps, because SQLite takes only the first member of a comparison of pairs to its index.
        """
        beside = entry(
            lambda table: table.metric == of_point(point, "metric"),
            lambda table: follows(table.series_key, of_point(point, "series_key")),
        )
        beyond = entry(lambda table: follows(table.metric, of_point(point, "metric")))
        return beside if held else func.coalesce(beside, beyond)

    if onward:
        first = step(bindparam("past", type_=Uuid()))
    else:
        first = entry(*((lambda table: table.metric == bindparam("metric"),) if held else ()))
    walk = select(first.label("id"), literal(1).label("place")).cte("walk", recursive=True)
    more = select(step(walk.c.id), walk.c.place + 1).where(walk.c.id.is_not(None))
    return walk.union_all(more.where(walk.c.place < bindparam("most")) if bounded else more)


def _columns(table: Any) -> Iterator[ColumnElement[Any]]:
    """What is read of a point: plain columns, since a mapped object takes five times as long."""
    return _named(table, (*_LINE, *_POINT))


def _named(table: Any, names: Sequence[str]) -> Iterator[ColumnElement[Any]]:
    for name in names:
        column = getattr(table, name)
        yield type_coerce(column, SharedUuid()).label(name) if name in _SHARED else column.label(name)
