"""Which measurement answers a requirement? The latest of the exact model with the right settings; never the best.

Of several kinds that answer, each counts by its latest analysis; of several numbers of one analysis (layers, classes,
corruptions) the worst counts. Versions of the model other than the one assessed never do.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.compliance.assess import TIER_FACTOR, Found
from service.contracts.compliance import Evidence, Requirement, Why
from service.contracts.policies import Declared
from service.contracts.vocabulary import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A measurement as the store holds it, with the model version it is of."""

    id: UUID
    analysis: UUID
    audit: UUID
    model: UUID
    model_version: str
    kind: str
    metric: str
    layer: str | None
    class_name: str | None
    epsilon: float | None
    facets: str
    dataset_name: str | None
    dataset_role: str | None
    series_key: str
    value: float
    low: float | None
    high: float | None
    n: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """How often a kind was run on the model in the window, and how often it gave no outcome."""

    attempts: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What may answer. `points`: kind and metric -> measurements, the latest first; `broken`: analyses that do not
    verify; `baseline`: series key -> the approved baseline's measurement; `runs`: kind -> runs in the window.
    """

    model: UUID
    as_of: datetime
    tier: str
    points: Mapping[tuple[str, str], Sequence[Point]]
    broken: frozenset[UUID]
    baseline: Mapping[str, Point]
    has_baseline: bool
    declared: Declared
    runs: Mapping[str, Runs]


def answer(requirement: Requirement, kinds: frozenset[str], pool: Pool, *, fresh: int) -> Found:
    """What there is to answer a requirement that `kinds` can answer, evidence counting for `fresh` days (tier high)."""
    if not kinds:
        return Found(missing=Why.UNMEASURED)
    attempts = sum(pool.runs.get(kind, Runs()).attempts for kind in kinds)
    failed = sum(pool.runs.get(kind, Runs()).failed for kind in kinds)
    oldest = pool.as_of - timedelta(days=fresh * TIER_FACTOR[pool.tier])
    chosen, missing = _chosen(requirement, kinds, pool, oldest)
    if chosen is None:
        return Found(missing=missing, attempts=attempts, failed_attempts=failed)
    found = [_evidence(requirement, point, pool) for point in chosen]
    with_reference = [evidence for evidence in found if evidence is not None]
    if not with_reference:
        plain = _worst(requirement, [_plain(requirement, point) for point in chosen])
        return Found(evidence=plain, reference_missing=True, attempts=attempts, failed_attempts=failed)
    return Found(evidence=_worst(requirement, with_reference), attempts=attempts, failed_attempts=failed)


def _chosen(
    requirement: Requirement, kinds: frozenset[str], pool: Pool, oldest: datetime
) -> tuple[list[Point] | None, Why]:
    """The points of the latest analysis of each kind that is fresh; of the latest of all, where none is."""
    every = [point for kind in sorted(kinds) for point in pool.points.get((kind, requirement.metric), ())]
    of_model = [point for point in every if point.model == pool.model]
    if not of_model:
        return None, Why.SUBJECT_CHANGED if every else Why.NONE
    sound = [point for point in of_model if point.analysis not in pool.broken]
    if not sound:
        return None, Why.UNVERIFIED
    fitting = [point for point in sound if _fits(requirement, point, pool)]
    if not fitting:
        return None, Why.CONFIG_MISMATCH
    latest: dict[str, Point] = {}
    for point in fitting:
        if point.kind not in latest or (point.at, str(point.id)) > (latest[point.kind].at, str(latest[point.kind].id)):
            latest[point.kind] = point
    fresh = [point for point in latest.values() if point.at >= oldest]
    if requirement.over == "latest" or not fresh:
        fresh = [max(fresh or latest.values(), key=lambda point: (point.at, str(point.id)))]
    analyses = {point.analysis for point in fresh}
    points = [point for point in fitting if point.analysis in analyses]
    whole = [point for point in points if point.layer is None and point.class_name is None]
    return (whole if requirement.over == "latest" and whole else points), Why.NONE


def _fits(requirement: Requirement, point: Point, pool: Pool) -> bool:
    if requirement.role is not None and point.dataset_role != requirement.role:
        return False
    facets = json.loads(point.facets)
    if any(facets.get(name) != value for name, value in requirement.config.items()):
        return False
    if requirement.metric == "robust_accuracy" and requirement.relative_to == "declared":
        # The level is declared for one budget; what was found at another says nothing of it.
        epsilon = pool.declared.epsilon
        return epsilon is None or (point.epsilon is not None and math.isclose(point.epsilon, epsilon, rel_tol=1e-9))
    return True


def _evidence(requirement: Requirement, point: Point, pool: Pool) -> Evidence | None:
    """The point relative to what it is held against; None where that is not there."""
    if requirement.relative_to == "nothing":
        return _plain(requirement, point)
    if requirement.relative_to == "declared":
        level = _level(requirement, pool.declared)
        if level is None:
            return None
        return _plain(requirement, point, reference=level).model_copy(
            update={
                "value": point.value - level,
                "low": None if point.low is None else point.low - level,
                "high": None if point.high is None else point.high - level,
            }
        )
    before = pool.baseline.get(point.series_key)
    if before is None:
        return None
    value, low, high = (_ratio if requirement.relative_to == "baseline_ratio" else _difference)(point, before)
    if not math.isfinite(value):
        return None
    changed = {"value": value, "low": low, "high": high}
    return _plain(requirement, point, reference=before.value).model_copy(update=changed)


def _level(requirement: Requirement, declared: Declared) -> float | None:
    if requirement.metric == "robust_accuracy":
        return None if declared.epsilon is None else declared.robust_accuracy
    return declared.accuracy


Interval = tuple[float, float | None, float | None]


def _difference(point: Point, before: Point) -> Interval:
    """Later less earlier; the interval joins both by the method of variance estimates recovery (Zou, Donner 2008)."""
    value = point.value - before.value
    if point.id == before.id:
        return 0.0, 0.0, 0.0
    if point.low is None or point.high is None:
        return value, None, None
    b_low, b_high = _ends(before)
    low = value - math.hypot(point.value - point.low, b_high - before.value)
    high = value + math.hypot(point.high - point.value, before.value - b_low)
    return value, low, high


def _ratio(point: Point, before: Point) -> Interval:
    """Later over earlier; the same method on logarithms. Not a number where one of them is not above zero."""
    if point.id == before.id:
        return 1.0, 1.0, 1.0
    if point.value <= 0 or before.value <= 0:
        return math.nan, None, None
    value = point.value / before.value
    b_low, b_high = _ends(before)
    if point.low is None or point.high is None or point.low <= 0 or b_low <= 0:
        return value, None, None
    down = math.hypot(math.log(point.value / point.low), math.log(b_high / before.value))
    up = math.hypot(math.log(point.high / point.value), math.log(before.value / b_low))
    return value, value * math.exp(-down), value * math.exp(up)


def _ends(point: Point) -> tuple[float, float]:
    return (point.value if point.low is None else point.low), (point.value if point.high is None else point.high)


def _plain(requirement: Requirement, point: Point, *, reference: float | None = None) -> Evidence:
    return Evidence(
        source=requirement.source,
        metric=point.metric,
        value=point.value,
        low=point.low,
        high=point.high,
        n=point.n,
        measured=None if reference is None else point.value,
        reference=reference,
        layer=point.layer,
        facets=json.loads(point.facets),
        kind=point.kind,
        audit=str(point.audit),
        analysis=str(point.analysis),
        measurement=str(point.id),
        series_key=point.series_key,
        model_version=point.model_version,
        dataset=point.dataset_name,
        at=point.at,
    )


def _worst(requirement: Requirement, found: Sequence[Evidence]) -> Evidence:
    """The one farthest on the bad side, by the end of its interval that decides."""
    return max(found, key=lambda each: (_badness(requirement, each), each.measurement or ""))


def _badness(requirement: Requirement, evidence: Evidence) -> float:
    if requirement.op in {"<=", "<"}:
        return evidence.value if evidence.high is None or requirement.rule != "ci" else evidence.high
    if requirement.op in {">=", ">"}:
        return -(evidence.value if evidence.low is None or requirement.rule != "ci" else evidence.low)
    return abs(evidence.value - (requirement.threshold or 0.0))


def points_by(rows: Iterable[Any], versions: Mapping[UUID, str]) -> dict[tuple[str, str], list[Point]]:
    """Rows of measurements (with the columns of the table of that name) by kind and metric."""
    found: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        point = point_of(row, versions)
        found.setdefault((point.kind, point.metric), []).append(point)
    return found


def point_of(row: Any, versions: Mapping[UUID, str]) -> Point:
    """One row as a value."""
    assert row.metric in METRICS, "a metric that has left the vocabulary is not asked for"
    return Point(
        id=row.id,
        analysis=row.analysis_id,
        audit=row.audit_id,
        model=row.model_id,
        model_version=versions.get(row.model_id, row.model_version),
        kind=row.kind,
        metric=row.metric,
        layer=row.layer,
        class_name=row.class_name,
        epsilon=row.epsilon,
        facets=row.facets,
        dataset_name=row.dataset_name,
        dataset_role=row.dataset_role,
        series_key=row.series_key,
        value=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        at=row.created_at,
    )
