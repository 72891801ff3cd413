from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.history.buckets import By, bucket_of, buckets

# Among them: clocks put back over midnight (St John's until 2011, Havana), midnights that never were (Sao Paulo until
# 2018, Beirut), half hours (Lord Howe), a whole date left out (Apia, 30 December 2011), a date lived twice (Kwajalein).
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "America/Havana", "America/Sao_Paulo",
    "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Asia/Kolkata",
]  # fmt: skip
MOMENTS = st.datetimes(datetime(1968, 1, 1), datetime(2037, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001  # the zone follows
BY = st.sampled_from(["day", "week", "month"])


@dataclass(frozen=True)
class Point:
    created_at: datetime
    value: float = 0.0
    low: float | None = None
    high: float | None = None
    n: int = 1
    model_version: str = "1"
    dataset_digest: str | None = "a"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "start", "hours"),
    [
        ("2026-03-29T12:00+02:00", "2026-03-28T23:00+00:00", 23),
        ("2026-10-25T12:00+01:00", "2026-10-24T22:00+00:00", 25),
        ("2026-07-01T12:00+02:00", "2026-06-30T22:00+00:00", 24),
    ],
)
def test_a_day_is_as_long_as_clocks_make_it(moment: str, start: str, hours: int) -> None:
    begin, end, _ = bucket_of(at(moment), "day", ZoneInfo("Europe/Berlin"))
    assert begin == at(start)
    assert end - begin == timedelta(hours=hours)


def test_the_hour_that_comes_twice_is_in_one_day_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = at("2026-10-25T02:30+02:00"), at("2026-10-25T02:30+01:00")
    assert bucket_of(first, "day", berlin) == bucket_of(second, "day", berlin)


def test_a_day_whose_midnight_is_skipped_begins_when_clocks_skip_it() -> None:
    begin, end, named = bucket_of(at("2018-11-04T12:00-02:00"), "day", ZoneInfo("America/Sao_Paulo"))
    assert (begin, end - begin, str(named)) == (at("2018-11-04T03:00+00:00"), timedelta(hours=23), "2018-11-04")


def test_a_date_that_never_was_has_no_bucket() -> None:
    """Samoa went from 29 to 31 December 2011."""
    apia = ZoneInfo("Pacific/Apia")
    before = bucket_of(at("2011-12-29T12:00-10:00"), "day", apia)
    after = bucket_of(at("2011-12-31T12:00+14:00"), "day", apia)
    assert before[1] == after[0]
    assert (str(before[2]), str(after[2])) == ("2011-12-29", "2011-12-31")


def test_weeks_begin_on_monday_and_are_named_as_iso_does() -> None:
    points = [Point(at("2026-12-31T12:00+00:00")), Point(at("2027-01-03T23:59+00:00")), Point(at("2027-01-04T00:00Z"))]
    found = buckets(points, "week", ZoneInfo("UTC"))
    assert [(each.label, len(each.points)) for each in found] == [("2026-W53", 2), ("2027-W01", 1)]
    assert found[0].start == at("2026-12-28T00:00+00:00")


def test_a_month_holds_both_changes_of_its_clocks() -> None:
    begin, end, _ = bucket_of(at("2026-10-10T00:00+00:00"), "month", ZoneInfo("Europe/Berlin"))
    assert (begin, end) == (at("2026-09-30T22:00+00:00"), at("2026-10-31T23:00+00:00"))


@given(MOMENTS, BY, st.sampled_from(ZONES))
def test_every_moment_lies_in_one_bucket_and_its_border_in_the_next(moment: datetime, by: By, name: str) -> None:
    zone = ZoneInfo(name)
    start, end, _ = bucket_of(moment, by, zone)
    assert start <= moment < end
    assert bucket_of(start, by, zone)[:2] == (start, end)
    assert bucket_of(end - timedelta(microseconds=1), by, zone)[:2] == (start, end)
    assert bucket_of(end, by, zone)[0] == end


@given(st.lists(st.tuples(MOMENTS, st.floats(-1e6, 1e6)), max_size=40), BY, st.sampled_from(ZONES))
def test_every_point_is_in_exactly_one_bucket(given: list[tuple[datetime, float]], by: By, name: str) -> None:
    points = [Point(moment, value) for moment, value in sorted(given)]
    found = buckets(points, by, ZoneInfo(name))
    assert [point for each in found for point in each.points] == points
    assert all(each.points for each in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    for each in found:
        assert all(each.start <= point.created_at < each.end for point in each.points)
        values = [point.value for point in each.points]
        assert min(values) <= each.median <= max(values)


def test_changes_of_model_and_data_are_marked_in_the_bucket_they_come_in() -> None:
    day = datetime(2026, 5, 4, tzinfo=UTC)
    points = [
        Point(day, 1.0, model_version="2"),
        Point(day + timedelta(hours=1), 4.0, model_version="2", dataset_digest="b"),
        Point(day + timedelta(hours=2), 2.0, model_version="3", dataset_digest="a"),
        Point(day + timedelta(days=1), 9.0, model_version="3", dataset_digest="a"),
    ]
    first, second = buckets(points, "day", ZoneInfo("UTC"), before=Point(day - timedelta(days=1), model_version="2"))
    assert (first.versions, first.dataset_changes, first.median) == (("3",), 2, 2.0)
    assert (second.versions, second.dataset_changes) == ((), 0)
    (alone, _) = buckets(points, "day", ZoneInfo("UTC"))
    assert alone.versions == ("2", "3")
