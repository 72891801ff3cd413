"""Schedules by the command: made, looked ahead and back, paused, fired, ended."""

import json

import pytest

from tests.lamina.bureau import Bureau, bureau
from tests.lamina.typed import lamina

__all__ = ["bureau"]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
AUDIT = ("--analysis", "accuracy", "--input", "evaluation=table@1")


def test_a_schedule_of_audits_lives_and_ends(bureau: Bureau) -> None:
    bureau.office.ready_pair()
    clock = ("--cron", "30 2 * * *", "--zone", "Europe/Berlin")
    made = lamina("schedule", "create", "nightly", "--model", "net", *clock, *AUDIT, "--trigger", "new_version")
    assert made.exit_code == 0, made.output
    for text in (
        "nightly  running",
        "30 2 * * * (Europe/Berlin), new version",
        "latest only",
        "2026-03-02T02:30:00+01:00",
    ):
        assert text in made.stdout
    (view,) = json.loads(lamina("schedule", "list", "--model", "net", "--json").stdout)
    assert view["task"]["inputs"] == {"evaluation": {"name": "table", "version": "1"}}
    assert len(json.loads(lamina("schedule", "next", view["id"], "-n", "3", "--json").stdout)["items"]) == 3
    ran = lamina("schedule", "run", view["id"])
    assert ran.exit_code == 0, ran.output
    (slot,) = json.loads(lamina("schedule", "slots", view["id"], "--json").stdout)
    assert (slot["state"], slot["audit"] is not None) == ("started", True)
    assert slot["audit"] in lamina("schedule", "slots", view["id"]).stdout
    assert "paused" in lamina("schedule", "pause", view["id"]).stdout
    assert "running" in lamina("schedule", "resume", view["id"]).stdout
    assert "ended" in lamina("schedule", "end", view["id"]).stdout
    assert "it fires at no time" in lamina("schedule", "next", view["id"]).stderr
    assert lamina("schedule", "run", view["id"]).exit_code == 3


def test_a_schedule_of_reports_names_its_policy(bureau: Bureau) -> None:
    bureau.office.ready_pair()
    made = lamina(
        "schedule", "create", "monthly", "--model", "net", "--cron", "0 6 1 * *", "--framework", "EUAIA", "--json"
    )
    assert made.exit_code == 0, made.output
    view = json.loads(made.stdout)
    assert (view["purpose"], view["catch_up"], view["task"]["frameworks"]) == ("report", "each_period", ["EUAIA"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--cron", "0 6 * * *", "--input", "evaluation=table"], 2, "give --analysis as well"),
        (["--cron", "0 6 * * *", *AUDIT, "--policy", "ours"], 2, "make two schedules"),
        ([*AUDIT], 2, "this would never fire"),
        (["--cron", "0 6 * * *", "--from", "2026-03-01T06:00"], 2, "has no zone"),
        (["--cron", "0 6 31 2 *", *AUDIT], 3, "cron"),
    ],
)
def test_what_cannot_be_scheduled_says_why(bureau: Bureau, words: list[str], code: int, said: str) -> None:
    bureau.office.ready_pair()
    refused = lamina("schedule", "create", "s", "--model", "net", *words)
    assert (refused.exit_code, said in refused.stderr) == (code, True), refused.stderr


def test_a_line_of_cron_is_tried_without_making_anything(bureau: Bureau) -> None:
    tried = lamina("schedule", "try", "30 2 * * *", "--zone", "Europe/Berlin", "-n", "40")
    assert tried.exit_code == 0, tried.output
    assert "2026-03-29T03:00:00+02:00" in tried.stdout  # there is no 02:30 that night
    assert "clocks go forward" in tried.stdout
    assert json.loads(lamina("schedule", "list", "--json").stdout) == []
    assert bureau.who == "ada"
