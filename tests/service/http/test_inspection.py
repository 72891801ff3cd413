"""Is what inspection found served in every state of a model, to people and to machines?"""

import pytest

from service.contracts.problem import Reason
from service.report.inspection import Inspection
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Model
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.report.reading import Page
from tests.service.work.world import World


@pytest.fixture
def path(ask: Asker, world: World) -> str:
    """Where the inspection of a ready model is."""
    model = world.model()
    world.inspect(model)
    return f"/v1/models/{model}/inspection"


def test_people_get_a_page_that_may_load_and_run_nothing(ask: Asker, path: str) -> None:
    answer = ask.get(path, headers={"Accept": "text/html,*/*;q=0.8"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script" not in policy
    assert answer.headers["Vary"] == "Accept"
    shown = dict(Page(answer.text).shown)
    assert shown["/name"] == "net"
    assert shown["/identity/0/cell"] == "ready"


def test_machines_get_its_values(ask: Asker, path: str) -> None:
    by_accept = ask.get(path, headers={"Accept": "application/json"})
    by_format = ask.get(f"{path}?format=json", headers={"Accept": "text/html"})

    assert by_accept.data == by_format.data
    assert by_accept.headers["Content-Type"] == "application/json"
    assert by_accept.json is not None
    assert by_accept.json["state"] == "ready"
    assert set(by_accept.json) == set(Inspection.model_fields)


def test_who_accepts_anything_gets_the_page(ask: Asker, path: str) -> None:
    for headers in ({}, {"Accept": "*/*"}):
        assert ask.get(path, headers=headers).headers["Content-Type"].startswith("text/html")


def test_it_says_who_registered_it_by_name(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    model = bodies.made(ask.post("/v1/models", bodies.model(digest)))

    answer = ask.get(f"/v1/models/{model}/inspection?format=html")

    assert dict(Page(answer.text).shown)["/identity/1/cell"] == "bob"
    assert "Not inspected yet" in answer.text


def test_a_refused_model_shows_its_refusal(ask: Asker, world: World, database: Database) -> None:
    model = world.model()
    reason = Reason(code="opaque-constant", detail="holds <b>a pickled</b> object", remedy="export it again")
    with system_session(database) as session:
        session.get_one(Model, model).refusal = reason.model_dump(mode="json")

    answer = ask.get(f"/v1/models/{model}/inspection?format=html")

    shown = dict(Page(answer.text).shown)
    assert (shown["/refusal/detail"], shown["/refusal/remedy"]) == ("holds <b>a pickled</b> object", "export it again")
    assert "<b>" not in answer.text


def test_no_other_form_is_served(ask: Asker, path: str) -> None:
    problem(ask.get(path, headers={"Accept": "application/pdf"}), "not-acceptable")
    problem(ask.get(f"{path}?format=pdf"), "invalid", "?format")


def test_it_is_sent_again_only_when_it_changed(ask: Asker, path: str) -> None:
    for form in ("html", "json"):
        first = ask.get(f"{path}?format={form}")
        again = ask.get(f"{path}?format={form}", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        assert first.headers["Cache-Control"] == "private, no-cache"


def test_an_unknown_model_and_anothers_have_none(ask: Asker, stranger: Asker, path: str) -> None:
    problem(ask.get(f"/v1/models/{NOBODYS}/inspection?format=html"), "not-found")
    problem(stranger.get(f"{path}?format=html"), "not-found")
