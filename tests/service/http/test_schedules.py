"""Schedules over HTTP: made, run now, bounded in number and in how far ahead they begin."""

from datetime import timedelta
from typing import Any

import pytest

from service.clock import FixedClock
from service.schedule.times import FURTHEST
from service.work import schedules
from tests.service.http.asking import Asker, problem
from tests.service.work.world import World

WEEKLY = {
    "name": "weekly",
    "model_name": "net",
    "cron": "0 6 * * 1",
    "zone": "Europe/Berlin",
    "task": {"purpose": "report", "title": "weekly"},
}


def made(ask: Asker, **changes: Any) -> str:
    answer = ask.post("/v1/schedules", {**WEEKLY, **changes})
    assert answer.status_code == 201, answer.text
    return str((answer.json or {})["id"])


def test_a_schedule_run_now_starts_one_report_for_one_key(ask: Asker, world: World, clock: FixedClock) -> None:
    world.ready_pair()
    schedule = made(ask)
    clock.advance(timedelta(days=1))
    key = {"Idempotency-Key": "now"}
    first, second = (ask.send("POST", f"/v1/schedules/{schedule}/run-now", headers=key) for _ in range(2))
    assert (first.status_code, second.json) == (202, first.json)
    assert [slot["state"] for slot in (ask.get(f"/v1/schedules/{schedule}/slots").json or {})["items"]] == ["started"]


def test_one_that_has_not_begun_is_not_run(ask: Asker, world: World, clock: FixedClock) -> None:
    world.ready_pair()
    schedule = made(ask, start_at=(clock.now() + timedelta(days=3)).isoformat())
    said = problem(ask.send("POST", f"/v1/schedules/{schedule}/run-now"), "conflict").detail
    assert said.startswith("The schedule has not begun")
    assert (ask.get(f"/v1/schedules/{schedule}/slots").json or {})["items"] == []


def test_it_begins_within_years(ask: Asker, clock: FixedClock) -> None:
    late = (clock.now() + FURTHEST + timedelta(days=1)).isoformat()
    problem(ask.post("/v1/schedules", {**WEEKLY, "start_at": late}), "invalid", "/start_at")
    problem(ask.post("/v1/schedules", {**WEEKLY, "start_at": "9999-12-31T23:00:00Z"}), "invalid", "/start_at")


def test_there_are_only_so_many(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "MOST_ALIVE", 2)
    first, _ = made(ask), made(ask)
    assert "2 schedules have not ended" in problem(ask.post("/v1/schedules", WEEKLY), "conflict").detail
    assert ask.delete(f"/v1/schedules/{first}").status_code in (200, 204)
    made(ask)


@pytest.mark.parametrize("zone", ["posix/Europe/Berlin", "right/UTC", "/etc/localtime", "Europe/../UTC"])
def test_a_zone_is_named_as_iana_names_it(ask: Asker, zone: str) -> None:
    problem(ask.post("/v1/schedules", {**WEEKLY, "zone": zone}), "invalid", "/zone")
