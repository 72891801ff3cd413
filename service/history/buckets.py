"""In which day, week or month of a zone does a moment lie? In exactly one: each ends where the next begins.

A day begins at the first midnight of its date, or, where clocks skip midnight, when they do. Days are therefore 23, 24
or 25 hours long (or another length, where a zone has moved otherwise). A week begins on Monday (ISO 8601).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from statistics import median
from typing import Literal
from zoneinfo import ZoneInfo

from service.history.points import Point

By = Literal["day", "week", "month"]
ONE_DAY = timedelta(days=1)
LABELS: dict[By, str] = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The points of a line between two moments, the second excluded, in order of time.

    `versions`: model versions that begin in it, `dataset_changes`: points whose data differ from the point before.
    """

    start: datetime
    end: datetime
    label: str
    points: tuple[Point, ...]
    versions: tuple[str, ...]
    dataset_changes: int

    @property
    def median(self) -> float:
        """The median of its values; of an even number the mean of the middle two."""
        return float(median(point.value for point in self.points))


def bucket_of(moment: datetime, by: By, zone: ZoneInfo) -> tuple[datetime, datetime, date]:
    """Where a moment's bucket begins and ends (UTC), and the local date it is named for."""
    first = _first(moment.astimezone(zone).date(), by)
    # A clock put back over midnight shows the old date again on the new day.
    while moment >= _begin(_next(first, by), zone):
        first = _next(first, by)
    while moment < _begin(first, zone):
        first = _first(first - ONE_DAY, by)
    return _begin(first, zone), _begin(_next(first, by), zone), first


def buckets(points: Iterable[Point], by: By, zone: ZoneInfo, before: Point | None = None) -> list[Bucket]:
    """The buckets that hold points, in order of time; `points` are so already. `before` is the point before them."""
    made: list[Bucket] = []
    start = end = None
    held: list[Point] = []
    named = date.min
    last = before
    for point in points:
        if start is None or end is None or point.created_at >= end:
            if start is not None and end is not None:
                made.append(_bucket(start, end, named, held, by, last))
                last = held[-1]
            start, end, named = bucket_of(point.created_at, by, zone)
            held = []
        held.append(point)
    if start is not None and end is not None:
        made.append(_bucket(start, end, named, held, by, last))
    return made


def _bucket(start: datetime, end: datetime, named: date, held: list[Point], by: By, before: Point | None) -> Bucket:
    versions, changes, last = [], 0, before
    for point in held:
        if last is None or point.model_version != last.model_version:
            versions.append(point.model_version)
        changes += last is not None and point.dataset_digest != last.dataset_digest
        last = point
    return Bucket(
        start=start,
        end=end,
        label=f"{named:{LABELS[by]}}",
        points=tuple(held),
        versions=tuple(versions),
        dataset_changes=changes,
    )


def _first(day: date, by: By) -> date:
    """The first day of the bucket that a date lies in."""
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def _next(first: date, by: By) -> date:
    """The first day of the bucket after the one that begins with a date."""
    if by == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if by == "week" else 1)


@lru_cache(maxsize=4096)
def _begin(day: date, zone: ZoneInfo) -> datetime:
    """When a date begins. A midnight that clocks skip becomes the moment they do; of two, the first counts."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
