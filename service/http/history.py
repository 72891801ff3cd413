"""Endpoints of history: a model's lines, one line in buckets, all lines at once, and how two versions differ."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json
from sqlalchemy.orm import Session

from service.contracts.api import KindName, Page, Role, Version
from service.contracts.base import Digest, Name, Value
from service.contracts.history import Buckets, By, Comparison, Over, Regressions, Rollup, SeriesView
from service.contracts.problem import Fault
from service.history import lines
from service.history.buckets import buckets
from service.history.compare import badness, compare
from service.history.lines import MOST_LINES, Only, TooMuch
from service.history.points import Point
from service.http.endpoint import LINK, Answer, Resource
from service.http.history_views import brief, bucket, comparison, line, series
from service.http.measurements import Moment
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, Reply
from service.http.problems import invalid
from service.schedule.times import BadTime, database_version, zone_of

history = Resource(
    tag="history",
    about="What many measurements say together. A line is what points of one `series_key` make: one question, asked "
    "again and again. Two points differ where their intervals, and the number of lines looked at, leave little to "
    "chance; without intervals they are compared as numbers, and that is said.",
)
Metric = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Layer = Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]
Most = Annotated[int, Field(ge=1, le=MOST_LINES, description="Most lines shown; all are counted.")]
OF_MODEL = Field(description="Lines of the model of this name.")
OF_METRIC = Field(None, description="Lines of this metric only.")
OF_KIND = Field(None, description="Lines of this kind of analysis only.")
OF_LAYER = Field(None, description="Lines of this layer only.")
OF_ROLE = Field(None, description="Lines of the dataset in this role only.")


class SeriesQuery(PageQuery):
    """Which lines."""

    model_name: Name = OF_MODEL
    metric: Metric | None = OF_METRIC
    kind: KindName | None = OF_KIND
    layer: Layer | None = OF_LAYER
    dataset_role: Role | None = OF_ROLE


class BucketsQuery(Value):
    """Which line, and into which buckets."""

    series_key: Digest = Field(description="The line.")
    by: By = Field("week", description="How long a bucket is; weeks begin on Monday.")
    zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        "UTC", description="IANA zone whose midnights are the borders."
    )
    since: Moment | None = Field(None, description="Points from this time on.")
    until: Moment | None = Field(None, description="Points before this time.")


class LinesQuery(Value):
    """Which lines of a comparison."""

    model_name: Name = OF_MODEL
    metric: Metric | None = OF_METRIC
    kind: KindName | None = OF_KIND
    layer: Layer | None = OF_LAYER
    dataset_role: Role | None = OF_ROLE
    limit: Most = 100


class RollupQuery(LinesQuery):
    """Which lines, over what."""

    metric: Metric = Field(description="The metric.")
    over: Over = Field("line", description="line: every line. layer, class: of each the worst of its lines.")
    model_version: Version | None = Field(None, description="The latest of this version; else of any.")
    audit: UUID | None = Field(None, description="The latest of this audit.")


class CompareQuery(LinesQuery):
    """Which two versions."""

    from_version: Version = Field(description="The version before.")
    to_version: Version = Field(description="The version after.")


class RegressionsQuery(LinesQuery):
    """Which version."""

    version: Version = Field(
        "latest", description="The version; `latest`, unless one is called so: registered last of those measured."
    )
    audit: UUID | None = Field(None, description="What this audit measured, instead of the latest of a version.")


class SeriesPage(Page[SeriesView]):
    """One page of lines."""


@history.endpoint(
    "GET",
    "/v1/history/series",
    scope="read",
    answers=(Answer(status=200, description="One page of lines.", model=SeriesPage, headers=(LINK,)),),
)
def list_series(call: Call[SeriesQuery, None]) -> Reply:
    """List a model's lines.

    In order of metric and key, each with its first and last time, its number of points and its last value.
    """
    place = start(call)
    after = None if place is None else place[1]
    with call.reads() as session:
        page = lines.series_page(
            session, call.caller.tenant, call.query.model_name, _only(call.query), limit=call.query.limit, after=after
        )
    cursor, headers = following(call, page.next)
    return Reply(content=to_json({"items": [series(each) for each in page.rows], "next": cursor}), headers=headers)


@history.endpoint(
    "GET",
    "/v1/history/buckets",
    scope="read",
    answers=(Answer(status=200, description="The line in buckets.", model=Buckets),),
)
def read_buckets(call: Call[BucketsQuery, None]) -> Reply:
    """Read a line in days, weeks or months.

    Borders are midnights of a zone, so a day may have 23 or 25 hours. Changes of the model's version and of the data
    are marked where they come.
    """
    asked = call.query
    try:
        zone = zone_of(asked.zone)
    except BadTime as error:
        raise invalid([Fault(pointer="?zone", detail=str(error))]) from error
    with call.reads() as session, _narrow("?since"):
        before, found = lines.points_of_line(
            session, call.caller.tenant, asked.series_key, since=asked.since, until=asked.until
        )
        known = found[0] if found else lines.first_of_line(session, call.caller.tenant, asked.series_key)
    if known is None:
        raise invalid([Fault(pointer="?series_key", detail="there is no line of this key")])
    content = {
        "line": line(known),
        "by": asked.by,
        "zone": asked.zone,
        "tzdata": database_version(),
        "points": len(found),
        "items": [bucket(each) for each in buckets(found, asked.by, zone, before)],
    }
    return Reply(content=to_json(content))


@history.endpoint(
    "GET",
    "/v1/history/rollup",
    scope="read",
    answers=(Answer(status=200, description="The latest of each line.", model=Rollup),),
)
def read_rollup(call: Call[RollupQuery, None]) -> Reply:
    """Read the latest of every line of a metric.

    The worst first, by the metric's direction; the largest first where it has none.
    """
    asked = call.query
    with call.reads() as session, _narrow("?metric"):
        if asked.audit is not None:
            _audit_of(session, asked.audit, asked.model_name, asked.model_version)
            found = lines.latest_of_audit(session, asked.audit, _only(asked))
        elif asked.model_version is not None:
            version = asked.model_version
            with _called({"?model_version": version}):
                of_version = lines.latest_of_versions(
                    session, call.caller.tenant, asked.model_name, {version}, _only(asked)
                )
            found = of_version[version]
        else:
            found = lines.latest_of_model(session, call.caller.tenant, asked.model_name, _only(asked))
    points = sorted(found.values(), key=lambda point: (-badness(point.metric, point.value), point.series_key))
    groups: dict[str, list[Point]] = {}
    name = {"line": "series_key", "layer": "layer", "class": "class_name"}[asked.over]
    for point in points:
        key = getattr(point, name)
        if key is not None:
            groups.setdefault(key, []).append(point)
    items = [{**line(group[0]), "lines": len(group), "last": brief(group[0])} for group in groups.values()]
    content = {
        "model_name": asked.model_name,
        "metric": asked.metric,
        "over": asked.over,
        "lines": len(points),
        "items": items[: asked.limit],
        "not_shown": max(0, len(items) - asked.limit),
    }
    return Reply(content=to_json(content))


@history.endpoint(
    "GET",
    "/v1/history/compare",
    scope="read",
    answers=(Answer(status=200, description="Every line of both.", model=Comparison),),
)
def compare_versions(call: Call[CompareQuery, None]) -> Reply:
    """Compare two versions of a model.

    Line by line, the latest point of each. A line whose data changed, or whose metric has no direction, gets no
    verdict. Verdicts take all lines tested into account; filters make that family smaller, so choose them beforehand.
    """
    asked, tenant = call.query, call.caller.tenant
    with call.reads() as session, _narrow("?metric"):
        wanted = {"?from_version": asked.from_version, "?to_version": asked.to_version}
        with _called(wanted):
            found = lines.latest_of_versions(session, tenant, asked.model_name, {*wanted.values()}, _only(asked))
    before, after = (found[each] for each in wanted.values())
    sides = (f"version {asked.from_version}", f"version {asked.to_version}")
    content = {
        "model_name": asked.model_name,
        "from_version": asked.from_version,
        "to_version": asked.to_version,
        **comparison(compare(before, after, sides=sides), asked.limit),
    }
    return Reply(content=to_json(content))


@history.endpoint(
    "GET",
    "/v1/history/regressions",
    scope="read",
    answers=(Answer(status=200, description="Every line of both.", model=Regressions),),
)
def list_regressions(call: Call[RegressionsQuery, None]) -> Reply:
    """Look for regressions against the approved baseline.

    Every line of the baseline and of the version is counted and shown, whatever its verdict. Without a baseline there
    is none.
    """
    asked = call.query
    with call.reads() as session, _narrow("?metric"):
        looked_at = _looked_at(session, call)
        baseline = lines.latest_of_baseline(session, asked.model_name, _only(asked))
    version, after = looked_at or (None, {})
    before = {} if baseline is None else baseline.latest
    if baseline is None or version is None:
        before = after = {}  # of nothing to compare with, nothing is shown
    content = {
        "model_name": asked.model_name,
        "baseline": None if baseline is None else baseline.id,
        "baseline_audit": None if baseline is None else baseline.audit,
        "baseline_version": None if baseline is None else baseline.version,
        "version": version,
        **comparison(compare(before, after, sides=("the baseline", "this version")), asked.limit),
    }
    if baseline is None:
        content["said"] = "no baseline of this model is approved, so nothing was compared"
    elif version is None:
        content["said"] = "no version of this model was measured, so nothing was compared"
    return Reply(content=to_json(content))


def _looked_at(session: Session, call: Call[RegressionsQuery, None]) -> tuple[str, dict[str, Point]] | None:
    """The version that is compared with the baseline, and the latest point of each of its lines.

    As it is named, or the named audit's, or the newest measured; None: nothing was.
    """
    asked, tenant, only = call.query, call.caller.tenant, _only(call.query)
    if asked.audit is not None:
        named = None if asked.version == "latest" else asked.version
        version = _audit_of(session, asked.audit, asked.model_name, named)
        return version, lines.latest_of_audit(session, asked.audit, only)
    if asked.version == "latest":
        return lines.latest_of_newest(session, tenant, asked.model_name, asked.version, only)
    with _called({"?version": asked.version}):
        found = lines.latest_of_versions(session, tenant, asked.model_name, {asked.version}, only)
    return asked.version, found[asked.version]


def _audit_of(session: Session, audit_id: UUID, model_name: str, version: str | None = None) -> str:
    """The version that an audit is of, which must be of that model."""
    found = lines.audited(session, audit_id)
    if found is None or found[1] != model_name or version not in (None, found[2]):
        raise invalid([Fault(pointer="?audit", detail="there is no audit of this id, of this model and version")])
    return found[2]


def _only(asked: Any) -> Only:
    return Only(metric=asked.metric, kind=asked.kind, layer=asked.layer, dataset_role=asked.dataset_role)


@contextmanager
def _narrow(pointer: str) -> Iterator[None]:
    try:
        yield
    except TooMuch as error:
        raise invalid([Fault(pointer=pointer, detail=str(error))]) from error


@contextmanager
def _called(wanted: Mapping[str, str]) -> Iterator[None]:
    """`wanted`: parameter -> the version it names."""
    try:
        yield
    except lines.NoVersion as error:
        raise invalid(
            [Fault(pointer=at, detail=str(error)) for at, version in wanted.items() if version in error.names]
        ) from error
