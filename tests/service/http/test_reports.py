from uuid import UUID

import pytest

from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Audit, Work
from service.work import finish
from tests.service.http import bodies
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.work.world import World

PAGE, TWIN = b"<!doctype html><title>Report</title>", b'{"title":"Report"}'


@pytest.fixture
def closed(ask: Asker, world: World) -> str:
    """The id of an audit that is closed, its report not yet drawn."""
    audit = bodies.made(ask.post("/v1/audits", bodies.audit(*world.ready_pair())))
    ask.delete(f"/v1/audits/{audit}")
    return audit


@pytest.fixture
def drawn(closed: str, ask: Asker, world: World, blobs: BlobStore, database: Database) -> str:
    """The id of an audit with its report."""
    html, twin = (blobs.put(ask.tenant, [content], most=1000) for content in (PAGE, TWIN))
    held = world.claim_subject(UUID(closed))
    assert held is not None
    with system_session(database) as session:
        finish.succeed_report(session, held, html, twin, world.clock.now())
    return closed


def test_people_get_a_page_that_may_load_and_run_nothing(ask: Asker, drawn: str) -> None:
    answer = ask.get(f"/v1/audits/{drawn}/report", headers={"Accept": "text/html,*/*;q=0.8"})

    assert (answer.data, answer.headers["Content-Type"]) == (PAGE, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script" not in policy
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert answer.headers["Vary"] == "Accept"


def test_machines_get_its_twin(ask: Asker, drawn: str) -> None:
    by_accept = ask.get(f"/v1/audits/{drawn}/report", headers={"Accept": "application/json"})
    by_format = ask.get(f"/v1/audits/{drawn}/report?format=json", headers={"Accept": "text/html"})

    for answer in (by_accept, by_format):
        assert (answer.data, answer.headers["Content-Type"]) == (TWIN, "application/json")


def test_an_audit_with_its_report_says_so(ask: Asker, drawn: str) -> None:
    shown, listed = ask.get(f"/v1/audits/{drawn}").json, ask.get("/v1/audits").json

    assert shown is not None
    assert listed is not None
    assert (shown["report_ready"], listed["items"][0]["report_ready"]) == (True, True)


def test_no_other_form_is_served(ask: Asker, drawn: str) -> None:
    answer = ask.get(f"/v1/audits/{drawn}/report", headers={"Accept": "application/pdf"})
    problem(answer, "not-acceptable")

    problem(ask.get(f"/v1/audits/{drawn}/report?format=pdf"), "invalid", "?format")


def test_a_report_that_is_not_drawn_says_when_to_ask_again(ask: Asker, world: World, closed: str) -> None:
    running = bodies.made(ask.post("/v1/audits", bodies.audit(world.model(version="2"), world.dataset(version="2"))))

    for audit, why in ((closed, "being drawn"), (running, "1 of its analyses have not ended")):
        answer = ask.get(f"/v1/audits/{audit}/report", headers={"Accept": "text/html"})
        assert why in problem(answer, "report-not-ready").detail
        assert int(answer.headers["Retry-After"]) > 0


def test_a_report_that_could_not_be_drawn_says_why(ask: Asker, closed: str, database: Database) -> None:
    with system_session(database) as session:
        work = session.get_one(Work, session.get_one(Audit, UUID(closed)).report_work_id)
        work.state, work.reason = "failed", {"code": "drawing-failed", "detail": "the drawing process ran out of time"}

    answer = ask.get(f"/v1/audits/{closed}/report?format=html")

    assert "ran out of time" in problem(answer, "report-not-ready").detail
    assert "Retry-After" not in answer.headers


def test_a_report_never_changes_once_drawn(ask: Asker, drawn: str) -> None:
    first = ask.get(f"/v1/audits/{drawn}/report?format=html")

    again = ask.get(f"/v1/audits/{drawn}/report?format=html", headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    assert "immutable" in first.headers["Cache-Control"]


def test_an_unknown_audit_has_no_report(ask: Asker) -> None:
    problem(ask.get(f"/v1/audits/{NOBODYS}/report?format=html"), "not-found")
