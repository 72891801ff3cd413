"""How are a model's lines found? By steps along an index, never by reading every point.

A model with a million points has a few hundred lines. `_walk` goes from each line to the next in one step of an index,
so what is asked costs as many steps as there are lines (a loose index scan). Statements are built once: their aliases
cost more to make than their rows to find.
"""

import operator
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

from sqlalchemy import CTE, ColumnElement, Select, Uuid, and_, bindparam, func, literal, select
from sqlalchemy.orm import aliased

from service.history.points import columns
from service.store.tables import Audit, Measurement, Model
from service.store.tables_compliance import Baseline

Scope = Literal["model_name", "model_id"]


def places(values: Iterable[object]) -> dict[str, object]:
    """Values for a statement of so many places. (A list as one value is written into the SQL anew each time.)"""
    return {f"place_{number}": value for number, value in enumerate(values)}


def _among(column: Any, number: int) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.in_([bindparam(name, type_=column.type) for name in places(range(number))])
    return found


@cache
def versions(number: int) -> Select[Any]:
    """Ids of so many versions of a model by their names: `model_name`, `places`."""
    shown: tuple[Any, ...] = (Model.id, Model.version)
    called = _among(Model.version, number)
    return select(*shown).where(Model.name == bindparam("model_name"), called)


@cache
def audited_version() -> Select[Any]:
    """The version that an audit is of: `audit_id`."""
    shown: tuple[Any, ...] = (Model.id, Model.name, Model.version)
    return select(*shown).join(Audit, Audit.model_id == Model.id).where(Audit.id == bindparam("audit_id"))


@cache
def version_or_newest() -> Select[Any]:
    """The version called so, else that registered last of those measured: `tenant`, `model_name`, `version`."""
    shown: tuple[Any, ...] = (Model.version,)
    return select(*shown).where(Model.id == _or_newest())


def _or_newest() -> ColumnElement[Any]:
    """The id of the version called so, else of that registered last of those measured."""
    point, called, newest = aliased(Measurement), aliased(Model), aliased(Model)
    measured = select(point.id).where(point.tenant == bindparam("tenant"), point.model_id == newest.id).exists()

    def of_model(table: Any, *where: ColumnElement[bool]) -> Select[Any]:
        return select(table.id).where(table.name == bindparam("model_name"), *where)

    named = of_model(called, called.version == bindparam("version"))
    last = of_model(newest, measured).order_by(newest.created_at.desc(), newest.id.desc()).limit(1)
    return func.coalesce(named.scalar_subquery(), last.scalar_subquery())


@cache
def of_versions(number: int, given: frozenset[str]) -> Select[Any]:
    """Up to `most` points of so many versions: `tenant`, `model_name`, their names as `places`, and what is given."""
    named = (Model.name == bindparam("model_name"), _among(Model.version, number))
    return _of_model(given).join(Model, Model.id == Measurement.model_id).where(*named)


@cache
def of_newest(given: frozenset[str]) -> Select[Any]:
    """The same of `version_or_newest`: `tenant`, `model_name`, `version`, and what is given."""
    return _of_model(given).join(Model, Model.id == Measurement.model_id).where(Measurement.model_id == _or_newest())


def _of_model(given: frozenset[str]) -> Select[Any]:
    """Up to `most` points, each with its id and its version."""
    shown = (*columns(Measurement), Measurement.id, Model.version)
    here = (Measurement.tenant == bindparam("tenant"), *_given(Measurement, given))
    return select(*shown).select_from(Measurement).where(*here).limit(bindparam("most"))


@cache
def of_baseline(given: frozenset[str]) -> Select[Any]:
    """Up to `most` points of the audit of a model's baseline, oldest first, each with the baseline's id and version.

    One row without a point where none is wanted. Values: `model_name`, and what is given.
    """
    wanted = and_(Measurement.audit_id == Baseline.audit_id, *_given(Measurement, given))
    found = (
        select(*columns(Measurement), Baseline.id, Baseline.audit_id.label("of_audit"), Model.version)
        .select_from(Baseline)
        .join(Audit, Audit.id == Baseline.audit_id)
        .join(Model, Model.id == Audit.model_id)
        .join(Measurement, wanted, isouter=True)
        .where(Baseline.model_name == bindparam("model_name"), Baseline.replaced_at.is_(None))
    )
    return found.order_by(Measurement.created_at, Measurement.id).limit(bindparam("most"))


@cache
def of_audit(given: frozenset[str]) -> Select[Any]:
    """Up to `most` points that an audit measured, oldest first: `audit_id`, and what is given."""
    here = Measurement.audit_id == bindparam("audit_id")
    every = select(*columns(Measurement)).where(here, *_given(Measurement, given))
    return every.order_by(Measurement.created_at, Measurement.id).limit(bindparam("most"))


@cache
def of_line(bounds: frozenset[str]) -> Select[Any]:
    """Up to `most` points of a line, oldest first: `tenant`, `series_key`, and the bounds given of `since`, `until`."""
    wanted = _of_line(Measurement).order_by(Measurement.created_at, Measurement.id).limit(bindparam("most"))
    if "since" in bounds:
        wanted = wanted.where(Measurement.created_at >= bindparam("since"))
    return wanted.where(Measurement.created_at < bindparam("until")) if "until" in bounds else wanted


@cache
def before() -> Select[Any]:
    """The last point of a line before a time: `tenant`, `series_key`, `since`."""
    newest_first = (Measurement.created_at.desc(), Measurement.id.desc())
    earlier = _of_line(Measurement).where(Measurement.created_at < bindparam("since"))
    return earlier.order_by(*newest_first).limit(1)


@cache
def latest(scope: Scope, given: frozenset[str]) -> Select[Any]:
    """The latest point of up to `most` lines of a scope: `tenant`, the scope, and what is given."""
    last = aliased(Measurement)
    walk = _walk(scope, held="metric" in given, newest=True)
    # By IN and not by a join: for a join SQLite may first read the whole table to make a Bloom filter of it.
    here = last.id.in_(select(walk.c.id).where(walk.c.id.is_not(None)))
    return select(*columns(last)).where(here, *_wanted(last, given)).limit(bindparam("most"))


@cache
def series(given: frozenset[str], onward: bool) -> Select[Any]:  # it is cached by place
    """Up to `most` lines of a model in order of metric and key: the last point, the first time, how many points.

    Values: `tenant`, `model_name`, what is given, and `past`, a point of the line that it goes onward from.
    """
    first, last, newest, counted = (aliased(Measurement) for _ in range(4))
    walk = _walk("model_name", held="metric" in given, newest=False, onward=onward, bounded=given <= {"metric"})
    page = (
        select(first.metric, first.series_key, first.created_at.label("first_at"))
        .where(first.id.in_(select(walk.c.id).where(walk.c.id.is_not(None))), *_wanted(first, given))
        .order_by(first.metric, first.series_key)
        .limit(bindparam("most"))
        .subquery()
    )
    latest = _on_line(newest, newest.id, page.c.series_key).order_by(newest.created_at.desc(), newest.id.desc())
    count = _on_line(counted, func.count(counted.id), page.c.series_key)
    return (
        select(*columns(last), last.id.label("last_id"), page.c.first_at, count.scalar_subquery().label("points"))
        .select_from(page)
        .join(last, last.id == latest.limit(1).scalar_subquery())
        .order_by(page.c.metric, page.c.series_key)
    )


def _on_line(table: Any, shown: Any, key: Any) -> Select[Any]:
    """Something of the points of one line."""
    return select(shown).where(table.tenant == bindparam("tenant"), table.series_key == key)


def _of_line(table: Any) -> Select[Any]:
    """The points of one line."""
    on_line = (table.tenant == bindparam("tenant"), table.series_key == bindparam("series_key"))
    return select(*columns(table)).where(*on_line)


def _given(table: Any, given: frozenset[str]) -> list[ColumnElement[bool]]:
    """Conditions that every point of a wanted line meets."""
    return [getattr(table, name) == bindparam(name) for name in sorted(given)]


def _wanted(table: Any, given: frozenset[str]) -> list[ColumnElement[bool]]:
    """Conditions on what the walk finds; to the metric it holds by itself."""
    return _given(table, given - {"metric"})


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
