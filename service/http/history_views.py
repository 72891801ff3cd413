"""How do lines, buckets and comparisons look from outside? As service/contracts/history.py says, but as plain JSON.

Written without models: a few hundred lines of 30 members cost more to build than to find. That this is what the models
say it is, the tests read back.
"""

from collections.abc import Sequence
from typing import Any

from service.contracts.vocabulary import METRICS
from service.history.buckets import Bucket
from service.history.compare import ALPHA, Compared, counts, said
from service.history.lines import Series
from service.history.points import OF_LINE, Point
from service.http.measurements import facets

Json = dict[str, Any]
BRIEF = ("model_version", "value", "low", "high", "n", "at", "audit", "analysis", "dataset_digest")
"""What the members of a `Point` are called that are not of its line."""


def line(point: Point) -> Json:
    """What the line of a point is of."""
    shown: Json = dict(zip(OF_LINE, point, strict=False))
    metric = METRICS.get(point.metric)  # a metric that has left the vocabulary keeps its points
    shown["unit"] = metric.unit if metric else ""
    shown["direction"] = metric.direction if metric else "no direction"
    shown["facets"] = facets(point.facets)
    return shown


def brief(point: Point | None) -> Json | None:
    """One point beside its line."""
    return None if point is None else dict(zip(BRIEF, point[len(OF_LINE) :], strict=True))


def series(found: Series) -> Json:
    """A line from its first point to its last."""
    return {
        **line(found.last),
        "first_at": found.first_at,
        "last_at": found.last.created_at,
        "count": found.count,
        "last": brief(found.last),
    }


def bucket(found: Bucket) -> Json:
    """What a line did in one bucket."""
    values = [point.value for point in found.points]
    return {
        "label": found.label,
        "start": found.start,
        "end": found.end,
        "count": len(values),
        "first": brief(found.points[0]),
        "last": brief(found.points[-1]),
        "min": min(values),
        "median": found.median,
        "max": max(values),
        "versions": found.versions,
        "dataset_changes": found.dataset_changes,
    }


def comparison(compared: Sequence[Compared], limit: int) -> Json:
    """The members that every comparison has: all lines counted, up to `limit` of them shown."""
    return {
        "level": ALPHA,
        "lines": len(compared),
        "tested": sum(each.p_holm is not None for each in compared),
        "counts": counts(compared),
        "said": said(compared),
        "items": [_difference(each) for each in compared[:limit]],
        "not_shown": max(0, len(compared) - limit),
    }


def _difference(found: Compared) -> Json:
    change = found.change
    return {
        **line(found.line),
        "before": brief(found.before),
        "after": brief(found.after),
        "difference": None if change is None else change.value,
        "low": None if change is None else change.low,
        "high": None if change is None else change.high,
        "how": None if change is None else change.how,
        "p": None if change is None else change.p,
        "p_holm": found.p_holm,
        "p_bh": found.p_bh,
        "verdict": found.verdict,
        "because": found.because,
    }
