"""How do lines, buckets and comparisons look from outside? As service/contracts/history.py says, but as plain JSON.

Written without models: a few hundred lines of 30 members cost more to build than to find. That this is what the models
say it is, the tests read back.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from service.contracts.vocabulary import METRICS
from service.history.buckets import Bucket
from service.history.compare import ALPHA, Compared, counts, said
from service.history.lines import Series

Json = dict[str, Any]


def line(point: Any) -> Json:
    """What the line of a point is of."""
    metric = METRICS.get(point.metric)  # a metric that has left the vocabulary keeps its points
    return {
        "series_key": point.series_key,
        "kind": point.kind,
        "kind_version": point.kind_version,
        "metric": point.metric,
        "unit": metric.unit if metric else "",
        "direction": metric.direction if metric else "no direction",
        "layer": point.layer,
        "class_name": point.class_name,
        "target": point.target,
        "epsilon": point.epsilon,
        "facets": _facets(point.facets),
        "dataset_name": point.dataset_name,
        "dataset_role": point.dataset_role,
        "parameters_digest": point.parameters_digest,
    }


def brief(point: Any) -> Json | None:
    """One point beside its line."""
    if point is None:
        return None
    return {
        "model_version": point.model_version,
        "value": point.value,
        "low": point.low,
        "high": point.high,
        "n": point.n,
        "at": point.created_at,
        "audit": point.audit_id,
        "analysis": point.analysis_id,
        "dataset_digest": point.dataset_digest,
    }


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


@lru_cache(maxsize=1024)
def _facets(text: str) -> dict[str, str]:
    """The facets of a line; few texts stand in many rows. Read only."""
    return dict(json.loads(text))
