"""Which measurement answers a requirement? The latest of the exact model with the right settings; never the best.

Of several kinds that answer, each counts by its latest audit; of several numbers of that audit (layers, classes, two
analyses of one kind) all are judged, and the worst counts. Other bytes than those assessed never do.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.compliance.assess import TIER_FACTOR, Found
from service.contracts.compliance import Added, Evidence, Requirement, Why
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
    kind_version: int
    metric: str
    layer: str | None
    class_name: str | None
    target: str | None
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
    """How often a kind was run on the model in the window, how often without an outcome or a schedule."""

    attempts: int = 0
    failed: int = 0
    by_hand: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What may answer.

    `models`: the versions whose canonical bytes are those assessed. `points`: kind and metric -> measurements;
    `parameters`: analysis -> what it was run with; `broken`: analyses that do not verify; `baseline`: series key -> the
    approved baseline's measurement; `runs`: kind -> runs in the window; `versions`: kind -> the version it is at now.
    """

    models: frozenset[UUID]
    as_of: datetime
    tier: str
    points: Mapping[tuple[str, str], Sequence[Point]]
    declared: Declared
    parameters: Mapping[UUID, Mapping[str, Any]] = field(default_factory=dict)
    broken: frozenset[UUID] = frozenset()
    baseline: Mapping[str, Point] = field(default_factory=dict)
    runs: Mapping[str, Runs] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)


def answer(requirement: Requirement, kinds: frozenset[str], pool: Pool, *, fresh: int) -> Found:
    """What there is to answer a requirement that `kinds` can answer, evidence counting for `fresh` days (tier high)."""
    if not kinds:
        return Found(missing=Why.UNMEASURED)
    runs = [pool.runs.get(kind, Runs()) for kind in kinds]
    found = _answered(requirement, kinds, pool, pool.as_of - timedelta(days=fresh * TIER_FACTOR[pool.tier]))
    return replace(
        found,
        attempts=sum(run.attempts for run in runs),
        failed_attempts=sum(run.failed for run in runs),
        by_hand=sum(run.by_hand for run in runs),
    )


def _answered(requirement: Requirement, kinds: frozenset[str], pool: Pool, oldest: datetime) -> Found:
    every = [point for kind in kinds for point in pool.points.get((kind, requirement.metric), ())]
    of_model = [point for point in every if point.model in pool.models]
    if not of_model:
        return Found(missing=Why.SUBJECT_CHANGED if every else Why.NONE)
    fitting = [point for point in of_model if _fits(requirement, point, pool)]
    if not fitting:
        return Found(missing=Why.CONFIG_MISMATCH)
    sound = [point for point in fitting if point.analysis not in pool.broken]
    if not sound:
        return Found(missing=Why.UNVERIFIED)
    chosen = _latest(requirement, sound, oldest)
    notes = _notes(chosen, [point for point in fitting if point.analysis in pool.broken], pool.versions)
    if requirement.over == "total":
        return Found(evidence=_total(requirement, sound, chosen, oldest), note="; ".join(notes))
    return _against(requirement, chosen, pool, notes)


def _against(requirement: Requirement, chosen: Sequence[Point], pool: Pool, notes: list[str]) -> Found:
    """The points relative to what they are held against; those without it are told, where others have it."""
    held = [evidence for point in chosen if (evidence := _evidence(requirement, point, pool)) is not None]
    if not held:
        worst, *others = _ordered(requirement, [_plain(requirement, point) for point in chosen])
        return Found(evidence=worst, others=tuple(others), reference_missing=True, note="; ".join(notes))
    if left := len(chosen) - len(held):
        notes.append(f"{left} of {len(chosen)} lines have no counterpart in the baseline and are not compared")
    worst, *others = _ordered(requirement, held)
    return Found(evidence=worst, others=tuple(others), note="; ".join(notes))


def _latest(requirement: Requirement, sound: Sequence[Point], oldest: datetime) -> list[Point]:
    """The points of the latest audit of each kind that is fresh; of the latest of all, where none is."""
    latest: dict[str, Point] = {}
    for point in sorted(sound, key=_age_of):
        latest[point.kind] = point
    fresh = [point for point in latest.values() if point.at >= oldest]
    if requirement.over == "latest" or not fresh:
        fresh = [max(fresh or latest.values(), key=_age_of)]
    runs = {(point.audit, point.kind) for point in fresh}
    points = [point for point in sound if (point.audit, point.kind) in runs]
    whole = [point for point in points if point.layer is None and point.class_name is None]
    return whole if requirement.over == "latest" and whole else points


def _total(requirement: Requirement, sound: Sequence[Point], chosen: Sequence[Point], oldest: datetime) -> Evidence:
    """All that is fresh, added up; n is how many analyses that is. Each is named, the latest as the evidence."""
    last = max(chosen, key=_age_of)
    counted = sorted((point for point in sound if point.at >= oldest), key=_age_of) or [last]
    runs = len({point.analysis for point in counted})
    changed = {"value": math.fsum(point.value for point in counted), "low": None, "high": None, "n": runs}
    named = {
        "measured": last.value,
        "said": f"{runs} analyses, added up; the latest is named",
        "added": tuple(Added(measurement=str(point.id), analysis=str(point.analysis)) for point in counted),
    }
    return _plain(requirement, last).model_copy(update=changed | named)


def _notes(chosen: Sequence[Point], broken: Sequence[Point], versions: Mapping[str, int]) -> list[str]:
    """What does not verify is not passed over in silence, nor that a number was computed in an earlier way."""
    newest = max(point.at for point in chosen)
    later = {point.analysis for point in broken if point.at >= newest}
    notes = [f"{len(later)} later analyses do not verify and do not count"] if later else []
    earlier = {(p.kind, p.kind_version) for p in chosen if p.kind_version < versions.get(p.kind, p.kind_version)}
    notes += [
        f"taken with version {version} of {kind}, which is at {versions[kind]}" for kind, version in sorted(earlier)
    ]
    return notes


def _age_of(point: Point) -> tuple[datetime, str]:
    return point.at, str(point.id)


def _fits(requirement: Requirement, point: Point, pool: Pool) -> bool:
    if requirement.role is not None and point.dataset_role != requirement.role:
        return False
    facets = json.loads(point.facets)
    settings = {name: _text(value) for name, value in pool.parameters.get(point.analysis, {}).items()} | facets
    if any(settings.get(name) != value for name, value in requirement.config.items()):
        return False
    if requirement.metric == "robust_accuracy" and requirement.relative_to == "declared":
        # The level is declared for one budget in L-infinity; what was found at another says nothing of it.
        epsilon = pool.declared.epsilon
        if epsilon is None:
            return True
        same = point.epsilon is not None and math.isclose(point.epsilon, epsilon, rel_tol=1e-9)
        return same and facets.get("norm", "linf") == "linf"
    return True


def _text(value: Any) -> str:
    """A parameter as a library writes it."""
    return value if isinstance(value, str) else json.dumps(value)


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
    if before is None or before.analysis in pool.broken:
        return None
    value, low, high = (_ratio if requirement.relative_to == "baseline_ratio" else _difference)(point, before)
    if not math.isfinite(value):
        return None
    changed = {"value": value, "low": low, "high": high}
    return _plain(requirement, point, reference=before.value).model_copy(update=changed)


def _level(requirement: Requirement, declared: Declared) -> float | None:
    if requirement.metric == "robust_accuracy":
        return None if declared.epsilon is None else declared.robust_accuracy
    assert requirement.metric == "clean_accuracy", "a library with another is refused: nobody can declare its level"
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
        facets=json.loads(point.facets) | _places(point),
        kind=point.kind,
        audit=str(point.audit),
        analysis=str(point.analysis),
        measurement=str(point.id),
        series_key=point.series_key,
        model_version=point.model_version,
        dataset=point.dataset_name,
        at=point.at,
    )


def _places(point: Point) -> dict[str, str]:
    """What a point is about beside its layer and facets."""
    epsilon = None if point.epsilon is None else f"{point.epsilon:.12g}"
    named = {"class": point.class_name, "target": point.target, "epsilon": epsilon}
    return {name: value for name, value in named.items() if value is not None}


def _ordered(requirement: Requirement, found: Sequence[Evidence]) -> list[Evidence]:
    """The farthest on the bad side first, by the end of its interval that decides; of equals always the same one."""
    return sorted(found, key=lambda each: (-_badness(requirement, each), each.measurement or ""))


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
        kind_version=row.kind_version,
        metric=row.metric,
        layer=row.layer,
        class_name=row.class_name,
        target=row.target,
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
