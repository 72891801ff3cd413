"""Endpoint of measurements: the history of every number that was kept."""

import json
import re
from functools import lru_cache
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import to_json

from service.contracts.api import KindName, MeasurementView, Page, Version
from service.contracts.base import Digest, Name
from service.contracts.vocabulary import METRICS
from service.http.endpoint import LINK, Answer, Resource
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, Reply
from service.store.questions_points import POINT_COLUMNS, PagePoint, Points, measurements_page

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")

measurements = Resource(
    tag="measurements",
    about="History: one number per point, with its interval, its sample size and where it came from. Points of one "
    "`series_key` make a line: they differ in model version and data, never in what was measured or how.",
)


def _moment(text: str) -> str:
    if not RFC3339.fullmatch(text):
        raise ValueError("should be a time with its zone, such as 2026-11-22T12:00:00Z")
    return text


# Lax, because strict pydantic takes no text for a time here; the pattern before it is the strictness.
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)]


class MeasurementQuery(PageQuery):
    """Which points of history."""

    model_name: Name | None = Field(None, description="Points of the model of this name, all versions.")
    model_version: Version | None = Field(None, description="Points of this version only.")
    kind: KindName | None = Field(None, description="Points of this kind of analysis only.")
    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = Field(
        None, description="Points of this metric only."
    )
    layer: Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = Field(
        None, description="Points of this layer only."
    )
    series_key: Digest | None = Field(None, description="Points of this line only.")
    audit: UUID | None = Field(None, description="Points of this audit only.")
    since: Moment | None = Field(None, description="Points from this time on.")
    until: Moment | None = Field(None, description="Points before this time.")
    order: Literal["asc", "desc"] = Field("desc", description="Order of time: desc is newest first.")


class MeasurementPage(Page[MeasurementView]):
    """One page of history."""


@measurements.endpoint(
    "GET",
    "/v1/measurements",
    scope="read",
    answers=(Answer(status=200, description="One page of points.", model=MeasurementPage, headers=(LINK,)),),
)
def list_measurements(call: Call[MeasurementQuery, None]) -> Reply:
    """Read history.

    `dataset_changed` marks a point whose dataset's bytes differ from those of the point before it on its line.
    """
    asked = call.query
    points = Points(
        model_name=asked.model_name,
        model_version=asked.model_version,
        kind=asked.kind,
        metric=asked.metric,
        layer=asked.layer,
        series_key=asked.series_key,
        audit=asked.audit,
        since=asked.since,
        until=asked.until,
    )
    with call.reads() as session:
        page = measurements_page(
            session, points, limit=asked.limit, after=start(call), newest_first=asked.order == "desc"
        )
        items = [_show(point) for point in page.rows]
    cursor, headers = following(call, page.next)
    # Written without a model: a hundred points of 27 members cost more to build than to find. That this is what
    # MeasurementPage says it is, the tests read back.
    return Reply(content=to_json({"items": items, "next": cursor}), headers=headers)


@lru_cache(maxsize=1024)
def facets(text: str) -> dict[str, str]:
    """The facets of a line; few texts stand in many rows. Read only."""
    return dict(json.loads(text))


def _show(point: PagePoint) -> dict[str, object]:
    """A point with the members of MeasurementView."""
    shown = dict(zip(POINT_COLUMNS, point.measurement, strict=True))
    del shown["digest_before"]
    metric = METRICS.get(shown["metric"])  # a metric that has left the vocabulary keeps its points
    return shown | {
        "model": shown.pop("model_id"),
        "audit": shown.pop("audit_id"),
        "analysis": shown.pop("analysis_id"),
        "unit": metric.unit if metric else "",
        "direction": metric.direction if metric else "no direction",
        "facets": facets(shown["facets"]),
        "dataset_changed": point.dataset_changed,
    }
