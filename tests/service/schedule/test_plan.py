"""What becomes of every time that was due, whenever somebody looks?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schedule.plan import MOST_AT_ONCE, MOST_PERIODS, CatchUp, Clockwork, plan
from service.schedule.times import fires

START = datetime(2026, 6, 1, 4, tzinfo=UTC)  # a Monday, 06:00 in Berlin
WEEK = timedelta(days=7)


def weekly(catch_up: CatchUp = "latest_only", end: datetime | None = None) -> Clockwork:
    return Clockwork(
        cron="0 6 * * 1", zone="Europe/Berlin", due=START, previous=START - WEEK, end=end, catch_up=catch_up
    )


def acts(catch_up: CatchUp, weeks_late: float) -> list[str]:
    return [slot.act for slot in plan(weekly(catch_up), START + weeks_late * WEEK).slots]


def test_nothing_is_due_before_its_time_nor_when_the_clock_went_back() -> None:
    before = plan(weekly(), START - timedelta(seconds=1))
    assert (before.slots, before.due, before.previous) == ((), START, START - WEEK)


def test_a_slot_has_the_window_between_its_times() -> None:
    made = plan(weekly(), START + timedelta(seconds=3))
    (slot,) = made.slots
    assert (slot.begin, slot.end, slot.nominal, slot.late_seconds) == (START - WEEK, START, START, 3.0)
    assert slot.key == "time:2026-06-01T04:00:00Z"
    assert (made.due, made.previous) == (START + WEEK, START)


@pytest.mark.parametrize(
    ("catch_up", "weeks_late", "expected"),
    [
        ("latest_only", 0, ["start"]),
        ("latest_only", 0.9, ["start"]),
        ("latest_only", 3.1, ["missed", "missed", "missed", "start"]),
        ("each_period", 3.1, ["start"] * 4),
        ("each_period", 14.1, ["start"] * MOST_PERIODS + ["skipped"] * 3),
        ("skip", 0, ["start"]),
        ("skip", 0.1, ["skipped"]),
        ("skip", 2.1, ["missed", "missed", "skipped"]),
    ],
)
def test_what_was_missed_is_caught_up_as_the_schedule_says(
    catch_up: CatchUp, weeks_late: float, expected: list[str]
) -> None:
    assert acts(catch_up, weeks_late) == expected


def test_what_is_not_carried_out_says_why() -> None:
    made = plan(weekly("each_period"), START + 14.1 * WEEK)
    assert {slot.said for slot in made.slots if slot.act == "start"} == {""}
    assert made.slots[-1].said == "no scheduler ran then, and more periods were missed than are caught up"


def test_years_of_minutes_are_not_counted_to_make_the_first_few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0

    def counting(*asked: Any) -> Iterator[datetime]:
        nonlocal counted
        for moment in fires(*asked):
            counted += 1
            yield moment

    monkeypatch.setattr("service.schedule.plan.fires", counting)
    minutely = replace(weekly("each_period"), cron="* * * * *")
    made = plan(minutely, START + timedelta(days=30))
    assert len(made.slots) == MOST_AT_ONCE
    assert counted <= MOST_AT_ONCE


def test_it_is_over_at_its_end() -> None:
    made = plan(weekly(end=START + WEEK), START + 5 * WEEK)
    assert [slot.nominal for slot in made.slots] == [START]
    assert made.due is None


@given(
    looks=st.lists(st.floats(0, 30), min_size=1, max_size=12),
    catch_up=st.sampled_from(["latest_only", "each_period", "skip"]),
)
def test_however_often_somebody_looks_each_time_has_one_slot_and_windows_join(
    looks: list[float], catch_up: CatchUp
) -> None:
    clockwork, slots = weekly(catch_up), []
    for weeks in looks:  # in any order: clocks jump
        made = plan(clockwork, START + weeks * WEEK)
        slots += made.slots
        assert made.due is not None
        clockwork = Clockwork(
            cron=clockwork.cron,
            zone=clockwork.zone,
            due=made.due,
            previous=made.previous,
            end=None,
            catch_up=catch_up,
        )
    assert len({slot.key for slot in slots}) == len(slots)
    assert all(slot.end == later.begin for slot, later in pairwise(slots))
    assert len(slots) == int(max(looks)) + 1 or abs(max(looks) - round(max(looks))) < 0.01
