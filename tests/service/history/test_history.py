"""History over HTTP: what a line, a bucket, a comparison says; nothing of another tenant; pages that do not slip."""

from typing import Any
from uuid import UUID

import pytest

from service.contracts.history import Buckets, Comparison, Regressions, Rollup
from service.contracts.outcome import Measurement
from service.history.difference import wilson
from service.http.history import SeriesPage
from tests.service.history.conftest import Story
from tests.service.http.asking import NOBODYS, Asker, problem

ACCURACY = "metric=clean_accuracy"


def right(successes: int, n: int = 100, layer: str | None = None) -> Measurement:
    low, high = wilson(successes, n)
    return Measurement(metric="clean_accuracy", layer=layer, value=successes / n, low=low, high=high, n=n)


def total(value: float, layer: str) -> Measurement:
    return Measurement(metric="layer_total", layer=layer, value=value, low=value - 0.1, high=value + 0.1, n=9)


def error(value: float, layer: str) -> Measurement:
    return Measurement(metric="completeness_error", layer=layer, value=value, n=9)


def got(ask: Asker, path: str) -> Any:
    answer = ask.get(f"/v1/history/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json


def approved(person: Asker, audit: UUID | str) -> None:
    body = {"model_name": "net", "audit": str(audit), "reason": "read"}
    assert person.post("/v1/baselines", body).status_code == 201


@pytest.fixture
def told(story: Story) -> Story:
    """Three versions: the second is less often right, the third was measured on other data."""
    story.audit("1", right(95), total(1.0, "a"), total(2.0, "b"), error(0.01, "a"))
    story.audit("2", right(60), total(1.5, "a"), total(2.5, "b"), error(0.02, "a"))
    story.new_data()
    story.audit("3", right(90), total(1.0, "a"))
    return story


def test_lines_come_with_their_first_and_last_point_and_their_number(told: Story, ask: Asker) -> None:
    page = got(ask, "series?model_name=net")
    assert [(line["metric"], line["layer"], line["count"]) for line in page["items"]][:2] == [
        ("clean_accuracy", None, 3),
        ("completeness_error", "a", 2),
    ]
    assert page["next"] is None
    accuracy = page["items"][0]
    assert (accuracy["first_at"], accuracy["last_at"]) == ("2026-03-01T12:00:00Z", "2026-03-01T14:00:00Z")
    assert (accuracy["last"]["value"], accuracy["last"]["model_version"], accuracy["last"]["n"]) == (0.9, "3", 100)
    assert accuracy["direction"] == "higher is better"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (ACCURACY, 1),
        ("metric=layer_total", 2),
        ("layer=a", 2),
        ("metric=layer_total&layer=b", 1),
        ("kind=layer_conductance", 4),
        ("kind=other_kind", 0),
        ("dataset_role=evaluation", 4),
        ("dataset_role=training", 0),
        ("metric=accuracy", 0),
    ],
)
def test_filters_narrow_the_lines(told: Story, ask: Asker, query: str, count: int) -> None:
    assert len(got(ask, f"series?model_name=net&{query}")["items"]) == count
    pages, cursor = [], ""
    while cursor is not None:
        page = got(ask, f"series?model_name=net&limit=1&{query}" + (f"&cursor={cursor}" if cursor else ""))
        pages += page["items"]
        cursor = page["next"]
    assert len({line["series_key"] for line in pages}) == len(pages) == count


def test_pages_hold_every_line_once_while_points_arrive(told: Story, ask: Asker) -> None:
    before = {line["series_key"] for line in got(ask, "series?model_name=net")["items"]}
    seen, cursor, version = [], "", 4
    while cursor is not None:
        page = got(ask, "series?model_name=net&limit=1" + (f"&cursor={cursor}" if cursor else ""))
        seen += [line["series_key"] for line in page["items"]]
        cursor = page["next"]
        told.audit(str(version), right(90), total(1.0, "a"), error(0.01, "a"), total(9.0, f"new {version}"))
        version += 1
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_a_line_in_days_of_a_zone_marks_versions_and_data(told: Story, ask: Asker) -> None:
    (line,) = got(ask, f"series?model_name=net&{ACCURACY}")["items"]
    path = f"buckets?series_key={line['series_key']}&by=day"
    found = got(ask, path)
    (day,) = found["items"]
    assert (day["label"], day["count"], day["versions"], day["dataset_changes"]) == (
        "2026-03-01",
        3,
        ["1", "2", "3"],
        1,
    )
    assert (day["min"], day["median"], day["max"]) == (0.6, 0.9, 0.95)
    assert (day["first"]["value"], day["last"]["value"], day["last"]["low"]) == (0.95, 0.9, line["last"]["low"])
    far = got(ask, path + "&zone=Pacific/Kiritimati")["items"]
    assert [(each["label"], each["start"]) for each in far] == [("2026-03-02", "2026-03-01T10:00:00Z")]
    split = got(ask, path + "&zone=Pacific/Auckland")["items"]
    assert [each["label"] for each in split] == ["2026-03-02"]
    later = got(ask, path + "&since=2026-03-01T13:00:00Z")["items"][0]
    assert (later["count"], later["versions"], later["dataset_changes"]) == (2, ["2", "3"], 1)
    assert got(ask, path + "&until=2026-01-01T00:00:00Z")["items"] == []


def test_a_rollup_shows_the_worst_first_and_of_a_layer_its_worst_line(told: Story, ask: Asker) -> None:
    found = got(ask, "rollup?model_name=net&metric=layer_total")
    assert [(item["layer"], item["last"]["value"], item["last"]["model_version"]) for item in found["items"]] == [
        ("b", 2.5, "2"),
        ("a", 1.0, "3"),
    ]
    told.audit("4", error(0.5, "b"), error(0.1, "a"))
    worst = got(ask, "rollup?model_name=net&metric=completeness_error&over=layer")
    assert [(item["layer"], item["last"]["value"], item["lines"]) for item in worst["items"]] == [
        ("b", 0.5, 1),
        ("a", 0.1, 1),
    ]
    of_version = got(ask, "rollup?model_name=net&metric=completeness_error&model_version=1")
    assert [item["last"]["value"] for item in of_version["items"]] == [0.01]
    shortened = got(ask, "rollup?model_name=net&metric=completeness_error&limit=1")
    assert (shortened["lines"], len(shortened["items"]), shortened["not_shown"]) == (2, 1, 1)
    assert got(ask, "rollup?model_name=net&metric=clean_accuracy&over=layer")["items"] == []


def test_two_versions_are_compared_line_by_line(told: Story, ask: Asker) -> None:
    found = got(ask, "compare?model_name=net&from_version=1&to_version=2")
    assert found["said"] == "4 lines, 1 worse, 1 worse as numbers only, 2 not comparable"
    first, second = found["items"][:2]
    assert (first["metric"], first["verdict"], first["how"]) == ("clean_accuracy", "worse", "newcombe")
    assert (first["difference"], found["tested"]) == (pytest.approx(-0.35), 1)
    assert first["low"] < first["difference"] < first["high"] < 0
    assert (second["metric"], second["how"], second["p"]) == ("completeness_error", "numbers", None)

    changed = got(ask, f"compare?model_name=net&from_version=1&to_version=3&{ACCURACY}")
    assert changed["items"][0]["because"].startswith("the bytes of its dataset changed")
    assert changed["tested"] == 0


def test_the_latest_point_of_a_version_counts(told: Story, ask: Asker) -> None:
    told.audit("3", right(91))
    told.audit("4", right(30))
    found = got(ask, f"compare?model_name=net&from_version=3&to_version=4&{ACCURACY}")
    assert found["items"][0]["before"]["value"] == 0.91
    assert found["items"][0]["verdict"] == "worse"


@pytest.mark.parametrize("narrower", ["", "&metric=clean_accuracy", "&layer=a"])
@pytest.mark.parametrize("asked", ["compare?model_name=net&from_version=1&to_version=4", "regressions?model_name=net"])
def test_a_version_is_read_at_once_or_line_by_line_to_the_same_end(
    told: Story, ask: Asker, carol: Asker, monkeypatch: pytest.MonkeyPatch, asked: str, narrower: str
) -> None:
    first = told.audit("4", right(60), right(70, layer="a"), total(1.0, "a"))
    told.audit("4", right(50), right(80, layer="a"), total(3.0, "a"))
    approved(carol, first)
    path = asked + narrower
    at_once = got(ask, path)
    monkeypatch.setattr("service.history.lines.FEW_POINTS", 0)

    assert got(ask, path) == at_once
    assert any(each["after"] for each in at_once["items"])


def test_a_side_that_measured_none_of_the_lines_is_named_all_the_same(story: Story, ask: Asker, carol: Asker) -> None:
    baseline = story.audit("1", right(95))
    story.audit("2", right(60), total(1.0, "a"))
    story.audit("3", right(60))
    approved(carol, baseline)
    none = got(ask, "regressions?model_name=net&metric=layer_total")
    assert (none["baseline_version"], none["version"], none["items"]) == ("1", "3", [])
    (line,) = got(ask, "regressions?model_name=net&metric=layer_total&version=2")["items"]
    assert (line["before"], line["because"]) == (None, "it was not measured on the baseline")


def test_regressions_are_found_against_the_approved_baseline(story: Story, ask: Asker, carol: Asker) -> None:
    first = story.audit("1", right(95), total(1.0, "a"), error(0.01, "a"))
    story.audit("2", right(60), total(1.0, "a"), error(0.01, "b"))

    none = got(ask, "regressions?model_name=net")
    assert (none["baseline"], none["lines"]) == (None, 0)
    assert "no baseline" in none["said"]

    approved(carol, first)
    found = got(ask, "regressions?model_name=net")
    assert (found["version"], found["baseline_version"]) == ("2", "1")
    assert found["said"] == "4 lines, 1 worse, 3 not comparable"
    assert (found["items"][0]["metric"], found["items"][0]["verdict"]) == ("clean_accuracy", "worse")
    assert len(found["items"]) == found["lines"] == 4

    problem(ask.get("/v1/history/regressions?model_name=net&version=9"), "invalid", "?version")

    itself = got(ask, "regressions?model_name=net&version=1")
    assert itself["counts"]["not_comparable"] == itself["lines"] == 3
    assert all("very same" in each["because"] for each in itself["items"])
    again = story.audit("1", right(95))
    audited = got(ask, f"regressions?model_name=net&audit={again}&{ACCURACY}")
    assert (audited["version"], audited["items"][0]["verdict"]) == ("1", "no_difference_shown")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("series?model_name=net", SeriesPage),
        ("rollup?model_name=net&metric=clean_accuracy", Rollup),
        ("compare?model_name=net&from_version=1&to_version=2", Comparison),
        ("regressions?model_name=net", Regressions),
    ],
)
def test_answers_are_what_their_models_say(told: Story, ask: Asker, carol: Asker, path: str, model: Any) -> None:
    audit = got(ask, f"series?model_name=net&{ACCURACY}")["items"][0]["last"]["audit"]
    approved(carol, audit)
    answer = ask.get(f"/v1/history/{path}")
    value = model.model_validate_json(answer.data)
    assert value.model_dump(mode="json") == answer.json


def test_buckets_are_what_their_model_says(told: Story, ask: Asker) -> None:
    key = got(ask, f"series?model_name=net&{ACCURACY}")["items"][0]["series_key"]
    answer = ask.get(f"/v1/history/buckets?series_key={key}")
    assert Buckets.model_validate_json(answer.data).model_dump(mode="json") == answer.json


def test_nothing_is_told_of_another_tenant(told: Story, ask: Asker, stranger: Asker) -> None:
    (line,) = got(ask, f"series?model_name=net&{ACCURACY}")["items"]
    key, audit = line["series_key"], line["last"]["audit"]
    assert got(stranger, "series?model_name=net")["items"] == []
    assert got(stranger, "rollup?model_name=net&metric=clean_accuracy")["items"] == []
    assert got(stranger, "regressions?model_name=net")["version"] is None
    unknown = "sha256:" + "0" * 64
    for theirs, nobodys in (
        (f"buckets?series_key={key}", f"buckets?series_key={unknown}"),
        (f"rollup?model_name=net&metric=a&audit={audit}", f"rollup?model_name=net&metric=a&audit={NOBODYS}"),
        (f"regressions?model_name=net&audit={audit}", f"regressions?model_name=net&audit={NOBODYS}"),
    ):
        answers = [problem(stranger.get(f"/v1/history/{path}"), "invalid") for path in (theirs, nobodys)]
        assert answers[0].errors == answers[1].errors
    compared = stranger.get("/v1/history/compare?model_name=net&from_version=1&to_version=2")
    problem(compared, "invalid", "?from_version", "?to_version")
    cursor = got(ask, "series?model_name=net&limit=1")["next"]
    problem(stranger.get(f"/v1/history/series?model_name=net&cursor={cursor}"), "invalid", "?cursor")


BAD = [
    ("series", "?model_name"),
    ("series?model_name=net&cursor=AAAA", "?cursor"),
    ("buckets?series_key=abc", "?series_key"),
    ("buckets?series_key=sha256:" + "a" * 64 + "&zone=CET", "?zone"),
    ("buckets?series_key=sha256:" + "a" * 64 + "&zone=Nowhere/Town", "?zone"),
    ("buckets?series_key=sha256:" + "a" * 64 + "&by=hour", "?by"),
    ("rollup?model_name=net", "?metric"),
    ("rollup?model_name=net&metric=a&model_version=9", "?model_version"),
    ("compare?model_name=net&from_version=1&to_version=9", "?to_version"),
    ("regressions?model_name=net&version=9", "?version"),
    ("rollup?model_name=net&metric=a&limit=0", "?limit"),
]


@pytest.mark.parametrize(("path", "pointer"), BAD)
def test_a_question_that_means_nothing_is_refused_at_its_parameter(
    told: Story, ask: Asker, path: str, pointer: str
) -> None:
    problem(ask.get(f"/v1/history/{path}"), "invalid", pointer)


def test_a_version_that_measured_none_of_these_lines_is_known_all_the_same(told: Story, ask: Asker) -> None:
    told._registered("5")
    found = got(ask, "compare?model_name=net&from_version=5&to_version=1")
    assert found["counts"]["not_comparable"] == found["lines"] > 0
    assert {each["because"] for each in found["items"]} == {"it was not measured on version 5"}
    same = got(ask, "compare?model_name=net&from_version=1&to_version=1")
    assert all("very same" in each["because"] for each in same["items"])
    assert got(ask, "rollup?model_name=net&metric=clean_accuracy&model_version=5")["items"] == []


def test_latest_is_the_version_registered_last_that_was_measured(told: Story, ask: Asker, carol: Asker) -> None:
    told._registered("5")
    assert got(ask, "regressions?model_name=net")["version"] == "3"
    late: UUID = told.audit("latest", right(1))
    assert got(ask, "regressions?model_name=net&version=latest")["version"] == "latest"
    assert late
