"""Which lines does a model have, and where is each now? What is asked of them, and how much at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from service.history import statements
from service.history.points import Point, points
from service.history.statements import Scope
from service.store.questions import Conditions

MOST_LINES = 5000
"""More lines than this are not compared at once: the asker narrows the question."""
FEW_POINTS = 1000
"""Up to so many are read at once, which is sooner done than stepping from line to line."""
MOST_POINTS = 20_000
"""More points than this are not read at once."""


class TooMuch(ValueError):
    """The question is about more than is answered at once; the message says how to narrow it."""


class NoVersion(LookupError):
    """There are no such versions of a model: `names`."""

    def __init__(self, model_name: str, names: frozenset[str]) -> None:
        super().__init__(f"there is no such version of a model called {model_name!r}")
        self.names = names


@dataclass(frozen=True, slots=True, kw_only=True)
class Only(Conditions):
    """Which lines."""

    metric: str | None = None
    kind: str | None = None
    layer: str | None = None
    dataset_role: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line from its first point to its last."""

    last: Point
    last_id: UUID
    first_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class OfBaseline:
    """A baseline, its audit, the version of the model that this is of, and series key -> the latest point of it."""

    id: UUID
    audit: UUID
    version: str
    latest: dict[str, Point]


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
    found = session.execute(statements.series(frozenset(given), after is not None), values).all()
    lasts = points(found[:limit])
    shown = [Series(last, row.last_id, row.first_at, row.points) for last, row in zip(lasts, found, strict=False)]
    return SeriesSlice(shown, (shown[-1].last.created_at, shown[-1].last_id) if len(found) > limit else None)


def latest_of_model(session: Session, tenant: UUID, model_name: str, only: Only) -> dict[str, Point]:
    """Series key -> the latest point of each of a model's lines, whichever version it is of. Raises TooMuch."""
    return _latest(session, tenant, "model_name", model_name, only)


def latest_of_versions(
    session: Session, tenant: UUID, model_name: str, versions: Collection[str], only: Only
) -> dict[str, dict[str, Point]]:
    """Of each version: series key -> the latest point of each line of it. Raises TooMuch, NoVersion."""
    given = only.given()
    most = len(versions) * FEW_POINTS + 1
    asked = {"tenant": tenant, "model_name": model_name, "most": most, **given, **statements.places(versions)}
    found = session.execute(statements.of_versions(len(versions), frozenset(given)), asked).all()
    few = _latest_among(found)
    if len(found) == most or len(few) < len(versions):
        known = called(session, model_name, versions)
        if len(found) == most:
            return {each: _latest(session, tenant, "model_id", known[each], only) for each in versions}
    return {each: few.get(each, {}) for each in versions}


def latest_of_newest(
    session: Session, tenant: UUID, model_name: str, version: str, only: Only
) -> tuple[str, dict[str, Point]] | None:
    """This version of a model, if there is one, else that registered last of those with a point of history; and
    series key -> the latest point of each line of it. None: nothing of the model was measured. Raises TooMuch."""
    given = only.given()
    asked = {"tenant": tenant, "model_name": model_name, "version": version, **given}
    found = session.execute(statements.of_newest(frozenset(given)), {**asked, "most": FEW_POINTS + 1}).all()
    if 0 < len(found) <= FEW_POINTS:
        ((name, latest),) = _latest_among(found).items()
        return name, latest
    newest = session.execute(statements.version_or_newest(), asked).scalar()
    if newest is None:
        return None
    return newest, latest_of_versions(session, tenant, model_name, {newest}, only)[newest] if found else {}


def _latest_among(found: Sequence[Row[Any]]) -> dict[str, dict[str, Point]]:
    """Of each version that these points are of: series key -> the latest of its line."""
    few: dict[str, dict[str, tuple[Point, UUID]]] = {}
    for one, row in zip(points(found), found, strict=True):
        latest = few.setdefault(row.version, {})
        other = latest.get(one.series_key)
        if other is None or (one.created_at, row.id) > (other[0].created_at, other[1]):
            latest[one.series_key] = one, row.id
    return {version: {key: one for key, (one, _) in latest.items()} for version, latest in few.items()}


def latest_of_audit(session: Session, audit_id: UUID, only: Only) -> dict[str, Point]:
    """Series key -> the latest point of each line that an audit measured. Raises TooMuch."""
    given = only.given()
    asked = {"audit_id": audit_id, "most": MOST_POINTS + 1, **given}
    return _last_of_each(session.execute(statements.of_audit(frozenset(given)), asked).all())


def latest_of_baseline(session: Session, model_name: str, only: Only) -> OfBaseline | None:
    """The baseline that counts now; None where nothing is approved. Raises TooMuch."""
    given = only.given()
    asked = {"model_name": model_name, "most": MOST_POINTS + 1, **given}
    found = session.execute(statements.of_baseline(frozenset(given)), asked).all()
    if not found:
        return None
    first = found[0]
    return OfBaseline(first.id, first.of_audit, first.version, _last_of_each(found) if first.series_key else {})


def _last_of_each(found: Sequence[Row[Any]]) -> dict[str, Point]:
    """The last point of each line, of the points of an audit from the oldest on. Raises TooMuch."""
    latest = {each.series_key: each for each in points(found)}
    if len(found) > MOST_POINTS or len(latest) > MOST_LINES:
        raise TooMuch(f"the audit measured more than {MOST_LINES} lines; name a metric, a kind or a layer")
    return latest


def points_of_line(
    session: Session, tenant: UUID, series_key: str, *, since: datetime | None, until: datetime | None
) -> tuple[Point | None, list[Point]]:
    """The point before `since` (None: there is none) and those from it until `until`, oldest first. Raises TooMuch."""
    line = {"tenant": tenant, "series_key": series_key}
    bounds = {name: at for name, at in (("since", since), ("until", until)) if at is not None}
    before = points(session.execute(statements.before(), {**line, "since": since})) if since is not None else []
    wanted = statements.of_line(frozenset(bounds))
    found = points(session.execute(wanted, {**line, **bounds, "most": MOST_POINTS + 1}).all())
    if len(found) > MOST_POINTS:
        raise TooMuch(f"the line has more than {MOST_POINTS} points in this time; narrow it by since and until")
    return before[0] if before else None, found


def first_of_line(session: Session, tenant: UUID, series_key: str) -> Point | None:
    """The oldest point of a line; None if there is no such line."""
    line = {"tenant": tenant, "series_key": series_key, "most": 1}
    return next(iter(points(session.execute(statements.of_line(frozenset()), line))), None)


def called(session: Session, model_name: str, versions: Collection[str]) -> dict[str, UUID]:
    """The ids of versions of a model. Raises NoVersion."""
    asked = {"model_name": model_name, **statements.places(versions)}
    known = {row.version: row.id for row in session.execute(statements.versions(len(versions)), asked)}
    if unknown := frozenset(versions) - known.keys():
        raise NoVersion(model_name, unknown)
    return known


def audited(session: Session, audit_id: UUID) -> tuple[UUID, str, str] | None:
    """Id, name and version of the model that an audit is of; None if there is no such audit."""
    row = session.execute(statements.audited_version(), {"audit_id": audit_id}).first()
    return None if row is None else (row.id, row.name, row.version)


def _latest(session: Session, tenant: UUID, scope: Scope, whose: str | UUID, only: Only) -> dict[str, Point]:
    given = only.given()
    values = {"tenant": tenant, scope: whose, "most": MOST_LINES + 1, **given}
    found = session.execute(statements.latest(scope, frozenset(given)), values).all()
    if len(found) > MOST_LINES:
        raise TooMuch(f"there are more than {MOST_LINES} lines; name a metric, a kind or a layer")
    return {each.series_key: each for each in points(found)}
