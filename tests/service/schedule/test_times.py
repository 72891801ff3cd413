"""Does a line of cron fire once per local time, in its zone, over every change of clocks?"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schedule.times import BadTime, check, fires, next_after, remark, upcoming, zone_of

BERLIN, YORK = "Europe/Berlin", "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # Berlin: clocks go back on 25 October 2026 at 03:00, so 02:30 is there twice; forward on 28 March 2027
        (BERLIN, "30 2 * * *", "2026-10-23T12:00", ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]),
        (BERLIN, "30 2 * * *", "2027-03-26T12:00", ["2027-03-27T01:30", "2027-03-28T01:00", "2027-03-29T00:30"]),
        # New York: back on 1 November 2026 at 02:00, forward on 14 March 2027
        (YORK, "30 1 * * *", "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        (YORK, "30 2 * * *", "2027-03-13T12:00", ["2027-03-14T07:00", "2027-03-15T06:30"]),
        (BERLIN, "0 6 * * 1", "2026-10-19T12:00", ["2026-10-26T05:00", "2026-11-02T05:00"]),
        ("UTC", "0 0 29 2 *", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_it_fires_at_these_moments(zone: str, cron: str, after: str, expected: list[str]) -> None:
    assert upcoming(cron, zone, at(after), len(expected)) == [at(each) for each in expected]


@given(
    zone=st.sampled_from([BERLIN, YORK, "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata", "Pacific/Apia"]),
    year=st.integers(2020, 2030),
    day=st.integers(0, 364),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
)
def test_a_daily_time_fires_once_a_day_in_order_whatever_the_clocks_do(
    zone: str, year: int, day: int, minute: int, hour: int
) -> None:
    after = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day)
    found = upcoming(f"{minute} {hour} * * *", zone, after, 20)
    assert all(before < later for before, later in pairwise(found))
    days = [moment.astimezone(zone_of(zone)).date() for moment in found]
    assert len(set(days)) == len(days)
    assert all((later - before).days == 1 for before, later in pairwise(days)) or zone == "Pacific/Apia"
    assert found[0] > after


@pytest.mark.parametrize(
    ("cron", "zone", "where", "said"),
    [
        ("30 2 * *", BERLIN, "cron", "five fields are needed"),
        ("0 0 0 2 * *", BERLIN, "cron", "five fields are needed"),
        ("61 2 * * *", BERLIN, "cron", "is no line of cron"),
        ("a b c d e", BERLIN, "cron", "is no line of cron"),
        ("0 0 30 2 *", BERLIN, "cron", "never fires|is no line of cron"),
        ("0 0 * * *", "+02:00", "zone", "an offset has no summer time"),
        ("0 0 * * *", "CET", "zone", "is no IANA zone"),
        ("0 0 * * *", "Europe/Nowhere", "zone", "there is no IANA zone"),
        ("0 0 * * *", "../../etc/passwd", "zone", "there is no IANA zone"),
        ("0 0 * * *", "posix/Europe/Berlin", "zone", "is no IANA zone"),
        ("0 0 * * *", "right/Europe/Berlin", "zone", "is no IANA zone"),
    ],
)
def test_what_is_no_time_is_refused_in_words(cron: str, zone: str, where: str, said: str) -> None:
    with pytest.raises(BadTime, match=said) as caught:
        check(cron, zone, at("2026-11-22T00:00"))
    assert caught.value.where == where


def test_it_ends_where_it_is_told_to_and_remarks_on_changing_clocks() -> None:
    until = at("2026-10-26T00:00")
    assert list(fires("30 2 * * *", BERLIN, at("2026-10-24T12:00"), until)) == [at("2026-10-25T00:30")]
    assert next_after("30 2 * * *", BERLIN, at("2026-10-25T00:30"), until) is None
    assert remark(at("2026-10-25T00:30"), BERLIN) == "clocks go back within a day of this"
    assert remark(at("2027-03-28T01:00"), BERLIN) == "clocks go forward within a day of this"
    assert remark(at("2026-12-01T00:00"), BERLIN) == ""
