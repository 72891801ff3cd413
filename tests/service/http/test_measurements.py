from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from service.contracts.outcome import Measurement
from service.http.measurements import MeasurementPage
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World


@pytest.fixture
def history(ask: Asker, world: World) -> list[str]:
    """The ids of three audits, a minute apart, each with points of two layers."""
    model, dataset = world.ready_pair()
    made = []
    for value in (1.0, 2.0, 3.0):
        audit = ask.post("/v1/audits", bodies.audit(model, dataset)).json
        assert audit is not None
        held = world.claim_subject(UUID(audit["analyses"][0]["id"]))
        assert held is not None
        layers = [Measurement(metric="layer_total", layer=name, value=value, low=0.0, high=9.0, n=3) for name in "ab"]
        world.succeed(held, *layers)
        made.append(audit["id"])
        world.clock.advance(timedelta(minutes=1))
    return made


def values(ask: Asker, query: str) -> Sequence[float]:
    answer = ask.get(f"/v1/measurements?{query}")
    assert answer.json is not None, answer.text
    return [item["value"] for item in answer.json["items"]]


def test_a_point_says_what_it_is_and_where_it_came_from(ask: Asker, history: list[str]) -> None:
    found = ask.get("/v1/measurements?layer=a&limit=1").json

    assert found is not None
    (point,) = found["items"]
    assert point["audit"] == history[2]
    assert (point["value"], point["low"], point["high"], point["n"]) == (3.0, 0.0, 9.0, 3)
    assert (point["metric"], point["unit"], point["direction"]) == ("layer_total", "target output", "no direction")
    assert (point["model_name"], point["model_version"], point["dataset_role"]) == ("net", "1", "evaluation")
    assert (point["facets"], point["dataset_changed"]) == ({}, False)


def test_a_page_is_what_its_model_says_it_is(ask: Asker, history: list[str]) -> None:
    answer = ask.get("/v1/measurements?limit=4")
    page = MeasurementPage.model_validate_json(answer.data)
    assert len(page.items) == 4
    assert page.model_dump(mode="json") == answer.json


def test_history_runs_either_way(ask: Asker, history: list[str]) -> None:
    assert values(ask, "layer=a") == [3.0, 2.0, 1.0]
    assert values(ask, "layer=a&order=asc") == [1.0, 2.0, 3.0]


def test_every_filter_narrows(ask: Asker, history: list[str]) -> None:
    everything = ask.get("/v1/measurements").json
    assert everything is not None
    line = everything["items"][0]["series_key"]

    assert len(values(ask, "model_name=net&model_version=1&kind=layer_conductance&metric=layer_total")) == 6
    assert len(values(ask, f"series_key={line}")) == 3
    assert values(ask, f"audit={history[0]}") == [1.0, 1.0]
    assert values(ask, "layer=a&since=2026-03-01T12:01:00Z") == [3.0, 2.0]
    assert values(ask, "layer=a&until=2026-03-01T12:01:00%2B00:00") == [1.0]
    for nothing in (
        "model_name=other",
        "model_version=2",
        "kind=lime",
        "metric=accuracy",
        "layer=z",
        f"audit={NOBODYS}",
    ):
        assert values(ask, nothing) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_point_once(ask: Asker, history: list[str], order: str) -> None:
    seen, query = [], f"order={order}&limit=4"
    while query:
        page = ask.get(f"/v1/measurements?{query}").json
        assert page is not None
        seen += [item["id"] for item in page["items"]]
        query = "" if page["next"] is None else f"order={order}&limit=4&cursor={page['next']}"

    whole = ask.get(f"/v1/measurements?order={order}").json
    assert whole is not None
    assert seen == [item["id"] for item in whole["items"]]
    assert len(set(seen)) == 6


BAD = (
    ("limit=0", "?limit"),
    ("limit=501", "?limit"),
    ("limit=5.5", "?limit"),
    ("limit=", "?limit"),
    ("limit=1&limit=2", "?limit"),
    ("since=yesterday", "?since"),
    ("since=2026-03-01", "?since"),
    ("since=2026-03-01T12:00:00", "?since"),
    ("since=1772366400", "?since"),
    ("until=2026-13-01T12:00:00Z", "?until"),
    ("series_key=abc", "?series_key"),
    ("audit=abc", "?audit"),
    ("order=up", "?order"),
    ("layer=%00", "?layer"),
    ("model_name=a%00b", "?model_name"),
    ("epsilon=1", "?epsilon"),
    ("cursor=", "?cursor"),
    ("cursor=AAAA", "?cursor"),
    ("cursor=%C3%A9", "?cursor"),
)


@pytest.mark.parametrize(("query", "pointer"), BAD)
def test_a_query_that_means_nothing_is_refused_at_its_parameter(ask: Asker, query: str, pointer: str) -> None:
    problem(ask.get(f"/v1/measurements?{query}"), "invalid", pointer)


def test_all_faults_of_a_query_come_at_once(ask: Asker) -> None:
    problem(ask.get("/v1/measurements?limit=x&order=up&nonsense=1"), "invalid", "?limit", "?order", "?nonsense")


def test_a_cursor_is_good_for_its_filters_its_list_and_its_tenant(
    ask: Asker, stranger: Asker, history: list[str]
) -> None:
    page = ask.get("/v1/measurements?layer=a&limit=1").json
    assert page is not None
    cursor = page["next"]

    assert values(ask, f"layer=a&cursor={cursor}") == [2.0, 1.0]
    for asker, path in (
        (ask, f"/v1/measurements?layer=b&cursor={cursor}"),
        (ask, f"/v1/measurements?layer=a&order=asc&cursor={cursor}"),
        (ask, f"/v1/models?cursor={cursor}"),
        (stranger, f"/v1/measurements?layer=a&cursor={cursor}"),
        (ask, f"/v1/measurements?layer=a&cursor={cursor[:-2]}AA"),
    ):
        problem(asker.get(path), "invalid", "?cursor")
