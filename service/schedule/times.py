"""At which moments does a line of cron fire in a zone? Once per local time, whatever clocks are put back or forward.

A local time that does not exist on the day clocks go forward fires at the moment they do; one that happens twice fires
the first time. (cronsim follows Debian's cron in this.)
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from itertools import islice

from cronsim import CronSim, CronSimError

LONGEST = 128
FURTHEST = timedelta(days=366 * 8)
"""Past this nothing is looked for: 29 February comes within eight years, and what has not fired by then never does."""


class BadTime(ValueError):
    """A cron line or a zone that cannot be used; `where` is "cron" or "zone"."""

    def __init__(self, where: str, said: str) -> None:
        self.where = where
        super().__init__(said)


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """An IANA zone. Raises BadTime for offsets, abbreviations and what is no zone."""
    if ("/" not in name and name != "UTC") or name.startswith(("posix/", "right/")):
        raise BadTime("zone", f"{name!r} is no IANA zone such as Europe/Berlin or UTC; an offset has no summer time")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTime("zone", f"there is no IANA zone {name!r}") from error


def check(cron: str, zone: str, start: datetime) -> None:
    """Raise BadTime where a line cannot be read, or never fires."""
    local = zone_of(zone)
    if len(cron) > LONGEST or len(cron.split()) != 5:
        raise BadTime("cron", "five fields are needed: minute, hour, day of the month, month, day of the week")
    try:
        first = next(CronSim(cron, start.astimezone(local)), None)
    except CronSimError as error:
        raise BadTime("cron", f"{cron!r} is no line of cron: {error}") from error
    if first is None or first.astimezone(UTC) - start > FURTHEST:
        raise BadTime("cron", f"{cron!r} never fires: there is no such date")


def fires(cron: str, zone: str, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
    """Moments (UTC) after `after` and before `until`, each later than the one before. Raises BadTime."""
    local = zone_of(zone)
    last = after
    try:
        for moment in CronSim(cron, after.astimezone(local)):
            found = moment.astimezone(UTC)
            if found - after > FURTHEST or (until is not None and found >= until):
                return
            if found > last:
                last = found
                yield found
    except CronSimError as error:
        raise BadTime("cron", f"{cron!r} is no line of cron: {error}") from error


def next_after(cron: str, zone: str, after: datetime, until: datetime | None = None) -> datetime | None:
    """The next moment after one; None when there is none any more."""
    return next(fires(cron, zone, after, until), None)


def upcoming(cron: str, zone: str, after: datetime, count: int, until: datetime | None = None) -> list[datetime]:
    """The next few moments."""
    return list(islice(fires(cron, zone, after, until), count))


def remark(moment: datetime, zone: str) -> str:
    """What is odd about a local time: that clocks change on its day."""
    local = zone_of(zone)
    here = moment.astimezone(local)
    before, after = (here + timedelta(days=days) for days in (-1, 1))
    offsets = [each.astimezone(UTC).astimezone(local).utcoffset() for each in (before, after)]
    if offsets[0] == offsets[1]:
        return ""
    way = "forward" if (offsets[1] or timedelta()) > (offsets[0] or timedelta()) else "back"
    return f"clocks go {way} within a day of this"


@cache
def database_version() -> str:
    """Which edition of the zone database is used."""
    return version("tzdata")
