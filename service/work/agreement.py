"""Does an analysis give the same again? What came is held against what is stored, number by number, file by file.

On the same device, CPU capability, threads and library versions every number and file must be the same, bit for bit.
Elsewhere numbers may differ by rounding, and the stated tolerance holds. Which rule was used is kept beside the count.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.outcome import Measurement as Point
from service.store.tables import Analysis, Artifact, Measurement

KIND = "replay"
METRIC = "replay_mismatches"
TOLERANCE = 1e-3
"""Of the largest magnitude of a metric, where the machine is another; float32 moves by 4e-5 from plan to plan."""
SAME = ("device", "cpu_capability", "threads", "versions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How a replay agrees: what was compared, what was otherwise (named), and by which rule."""

    rule: Literal["bitwise", "tolerance"]
    compared: int
    mismatches: tuple[str, ...]


def agreement(
    session: Session, first: Analysis, again: Mapping[str, Any], points: Sequence[Point], files: Mapping[str, str]
) -> Agreement:
    """How what came again (`outcome` and `provenance`, its points, file name -> digest) agrees with what is stored."""
    rule: Literal["bitwise", "tolerance"] = "bitwise" if _same_machine(first, again) else "tolerance"
    stored = {
        _line(row): row.value
        for row in session.scalars(
            select(Measurement).where(Measurement.analysis_id == first.id, Measurement.kind == first.kind)
        )
    }
    came = {_line_of(point): point.value for point in points}
    mismatches = list(_numbers(stored, came, rule))
    compared = len(stored.keys() | came.keys())
    if rule == "bitwise":
        compared += 1
        if json.dumps(first.outcome, sort_keys=True) != json.dumps(again["outcome"], sort_keys=True):
            mismatches.append("the outcome")
        kept = dict(
            session.execute(select(Artifact.name, Artifact.digest).where(Artifact.analysis_id == first.id)).all()
        )
        compared += len(kept.keys() | files.keys())
        mismatches += sorted(name for name in kept.keys() | files.keys() if kept.get(name) != files.get(name))
    return Agreement(rule=rule, compared=compared, mismatches=tuple(mismatches))


def point_of(found: Agreement, kind: str) -> Point:
    """The agreement as a point of history."""
    return Point(
        metric=METRIC,
        facets={"rule": found.rule, "of": kind},
        value=float(len(found.mismatches)),
        n=max(1, found.compared),
    )


Line = tuple[str, str | None, str | None, str | None, float | None, str]


def _line(row: Measurement) -> Line:
    return row.metric, row.layer, row.class_name, row.target, row.epsilon, row.facets


def _line_of(point: Point) -> Line:
    facets = json.dumps({**point.facets}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return point.metric, point.layer, point.class_name, point.target, point.epsilon, facets


def _numbers(stored: Mapping[Line, float], came: Mapping[Line, float], rule: str) -> Iterator[str]:
    largest: dict[str, float] = {}
    for line, value in stored.items():
        largest[line[0]] = max(largest.get(line[0], 0.0), abs(value))
    for line in sorted(stored.keys() | came.keys(), key=str):
        one, other = stored.get(line), came.get(line)
        allowed = 0.0 if rule == "bitwise" else TOLERANCE * largest.get(line[0], 0.0)
        if one is None or other is None or not math.isclose(one, other, rel_tol=0.0, abs_tol=allowed):
            where = " at ".join(each for each in (line[0], line[1]) if each)
            yield f"{where}: {one} and {other}"


def _same_machine(first: Analysis, again: Mapping[str, Any]) -> bool:
    one, other = (first.provenance or {}).get("machine", {}), (again.get("provenance") or {}).get("machine", {})
    return all(one.get(name) == other.get(name) for name in SAME)
