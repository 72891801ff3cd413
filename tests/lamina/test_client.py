"""The client sends what the API reads, tries again only what may be tried again, and says why something was refused."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import ValidationError

from lamina.client import ApiProblem, ArtifactDamaged, Client, DeadlinePassed, NotOurs, Unreachable
from lamina.failure import Usage
from lamina.home import Address, NotConfigured, address, keep_address, keep_settings, operator_environment
from lamina.transport import retry_after
from service.contracts.api import ArtifactView, AuditView
from service.contracts.facts import DatasetFacts, ModelFacts
from tests.lamina.answers import (
    DATASET,
    DIGEST,
    FACTS,
    ID,
    INPUT,
    MODEL,
    NOW,
    OTHER,
    POINT,
    Service,
    answer,
    audit,
    page,
    problem,
)

BROKEN = httpx.ConnectError("refused")
AUDIT = UUID(ID)
BUSY = problem("unready", 503, permanent=False)


def submitted(client: Client) -> AuditView:
    return client.submit_audit(
        model=UUID(ID), inputs={"evaluation": UUID(OTHER)}, analyses={"layer_conductance": {"steps": 8}}
    )


# What is sent


def test_the_key_travels_in_the_authorization_header() -> None:
    service = Service(answer(audit()))
    service.client().audit(AUDIT)
    assert service.asked == [f"GET /v1/audits/{ID}"]
    assert service.requests[0].headers["Authorization"] == "Bearer lam_key"


def test_an_upload_announces_size_and_digest_and_streams_the_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB: two chunks
    file = tmp_path / "model.pt2"
    file.write_bytes(content)
    digest = hashlib.sha256(content).digest()
    view = {"digest": "sha256:" + digest.hex(), "size": len(content), "created_at": NOW}
    service = Service(answer(problem("not-found", 404), 404), answer(view, 201))
    seen: list[tuple[int, int]] = []
    assert service.client().upload(file, lambda sent, total: seen.append((sent, total))).size == len(content)
    assert service.asked == [f"GET /v1/blobs/sha256:{digest.hex()}", "POST /v1/blobs"]
    sent = service.requests[1]
    assert sent.content == content
    assert sent.headers["Content-Length"] == str(len(content))
    assert "Transfer-Encoding" not in sent.headers
    assert sent.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    half = len(content) // 2
    assert seen == [(0, len(content)), (half, len(content)), (len(content), len(content))]


def test_bytes_the_service_holds_already_are_not_sent_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    service = Service(answer({"digest": DIGEST, "size": 3, "created_at": NOW}))
    seen: list[tuple[int, int]] = []
    service.client().upload(tmp_path / "file", lambda sent, total: seen.append((sent, total)))
    assert [request.method for request in service.requests] == ["GET"]
    assert seen == [(3, 3)]


def test_an_upload_is_sent_whole_again_after_a_broken_connection(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    stored = answer({"digest": DIGEST, "size": 3, "created_at": NOW}, 201)
    service = Service(answer(problem("not-found", 404), 404), httpx.WriteError("reset"), stored)
    service.client().upload(tmp_path / "file")
    assert [request.content for request in service.requests[1:]] == [b"abc", b"abc"]


def test_a_model_is_registered_with_its_facts_and_lineage() -> None:
    service = Service(answer(MODEL, 202))
    facts = ModelFacts.model_validate_json(json.dumps(FACTS))
    view = service.client().register_model(name="m", version="1", blob=DIGEST, facts=facts, follows=UUID(OTHER))
    sent = json.loads(service.requests[0].content)
    assert (sent["name"], sent["version"], sent["blob"], sent["follows"]) == ("m", "1", DIGEST, OTHER)
    assert sent["facts"]["output"]["classes"] == ["no", "yes"]
    assert view.id == UUID(ID)


def test_a_dataset_is_registered_with_its_facts() -> None:
    service = Service(answer(DATASET, 202))
    facts = DatasetFacts.model_validate_json(json.dumps({"input": INPUT}))
    service.client().register_dataset(name="d", blob=DIGEST, facts=facts)
    sent = json.loads(service.requests[0].content)
    assert (sent["name"], sent["version"]) == ("d", "1")
    assert service.asked == ["POST /v1/datasets"]


def test_a_submission_that_cannot_be_is_refused_before_it_is_sent() -> None:
    service = Service(answer(audit(), 202))
    with pytest.raises(ValidationError, match="analyses"):
        service.client().submit_audit(model=UUID(ID), inputs={}, analyses={})
    assert service.requests == []


def test_every_submission_has_an_idempotency_key_of_its_own() -> None:
    service = Service(answer(audit(), 202))
    client = service.client()
    submitted(client)
    submitted(client)
    keys = [request.headers["Idempotency-Key"] for request in service.requests]
    assert len(set(keys)) == 2
    assert json.loads(service.requests[0].content) == {
        "title": "audit",
        "model": ID,
        "inputs": {"evaluation": {"dataset": OTHER, "analysis": None}},
        "analyses": [{"kind": "layer_conductance", "parameters": {"steps": 8}}],
    }


def test_measurements_are_read_page_after_page_with_the_same_filters() -> None:
    service = Service(answer(page(POINT, POINT, following="c2")), answer(page(POINT)))
    points = list(service.client().measurements(model_name="m & co", metric="completeness_error", order="asc", limit=2))
    assert [point.value for point in points] == [0.02, 0.02, 0.02]
    queries = [dict(request.url.params) for request in service.requests]
    filters = {"model_name": "m & co", "metric": "completeness_error", "order": "asc", "limit": "2"}
    assert queries == [filters, {**filters, "cursor": "c2"}]


def test_pages_are_asked_for_only_as_they_are_read() -> None:
    service = Service(answer(page(MODEL, following="c2")))
    next(service.client().models())
    assert len(service.requests) == 1


# What may be tried again


@pytest.mark.parametrize("trouble", [BROKEN, httpx.ReadTimeout("slow"), answer(BUSY, 503), answer(BUSY, 429)])
def test_a_reading_call_is_tried_again(trouble: httpx.Response | Exception) -> None:
    service = Service(trouble, trouble, answer(audit()))
    assert service.client().audit(AUDIT).id == AUDIT
    assert len(service.requests) == 3
    assert all(0.25 <= pause <= 0.7 for pause in service.slept)
    assert service.slept[1] > service.slept[0]


def test_a_submission_is_tried_again_under_the_same_idempotency_key() -> None:
    service = Service(BROKEN, answer(BUSY, 503), answer(audit(), 202))
    submitted(service.client())
    assert len({request.headers["Idempotency-Key"] for request in service.requests}) == 1
    assert len(service.requests) == 3


def test_making_a_key_is_not_tried_again_since_it_would_make_two() -> None:
    service = Service(BROKEN, answer({}, 201))
    with pytest.raises(Unreachable, match="tried once"):
        service.client().make_key(UUID(ID))
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    service = Service(answer(problem("conflict", status), status))
    with pytest.raises(ApiProblem):
        service.client().audit(AUDIT)
    assert len(service.requests) == 1


def test_retry_after_is_obeyed_to_the_second() -> None:
    service = Service(answer(BUSY, 503, Retry_After="7"), answer(audit()))
    service.client().audit(AUDIT)
    assert service.slept == [7.0]


def test_a_service_that_asks_for_more_patience_than_we_have_is_taken_at_its_word() -> None:
    service = Service(answer(BUSY, 503, Retry_After="3600"))
    with pytest.raises(ApiProblem) as refused:
        service.client().audit(AUDIT)
    assert (len(service.requests), service.slept) == (1, [])
    assert refused.value.retry_after == 3600


def test_it_gives_up_after_the_attempts_it_was_given() -> None:
    service = Service(answer(BUSY, 503, Retry_After="0"))
    with pytest.raises(ApiProblem):
        service.client(attempts=3).audit(AUDIT)
    assert len(service.requests) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_counted_from_the_answers_own(text: str, seconds: float | None) -> None:
    given = httpx.Response(503, headers={"Retry-After": text, "Date": "Sun, 22 Nov 2026 12:00:00 GMT"})
    assert retry_after(given) == seconds


# What comes back


def test_a_problem_reads_as_a_list_of_faults_with_the_remedy() -> None:
    faults = (("/analyses/0/parameters/steps", "must be at most 1024"), ("", "no input in role evaluation"))
    service = Service(answer(problem("invalid", 422, *faults), 422))
    with pytest.raises(ApiProblem) as refused:
        submitted(service.client())
    assert str(refused.value).splitlines() == [
        "It cannot be (422): It is so.",
        "  /analyses/0/parameters/steps: must be at most 1024",
        "  /: no input in role evaluation",
        "  What to do: Do otherwise.",
        "  Request r-1",
    ]
    assert refused.value.slug == "invalid"
    assert refused.value.exit_code == 3


def test_an_answer_that_is_no_problem_document_names_the_address() -> None:
    service = Service(httpx.Response(404, text="<html>"))
    with pytest.raises(NotOurs, match=r"http://lamina\.test/v1/audits/.* 404"):
        service.client().audit(AUDIT)


def test_an_answer_that_is_no_such_value_names_the_address() -> None:
    service = Service(httpx.Response(200, text="hello"))
    with pytest.raises(NotOurs, match="no AuditView"):
        service.client().audit(AUDIT)


def test_a_redirect_is_not_followed_since_it_would_take_the_key_along() -> None:
    service = Service(httpx.Response(302, headers={"Location": "http://elsewhere.test/"}))
    with pytest.raises(NotOurs, match="elsewhere"):
        service.client().audit(AUDIT)
    assert len(service.requests) == 1


def test_a_newer_service_may_say_more_than_this_client_knows() -> None:
    known: dict[str, Any] = audit()
    known["analyses"][0]["news"] = {"a": 1}
    assert Service(answer({**known, "news": 1})).client().audit(AUDIT).title == "release"


def test_an_artifact_is_checked_against_its_digest() -> None:
    content = b"PNG"
    view = ArtifactView(
        id=UUID(ID),
        analysis=None,
        name="overlay.png",
        title="",
        media_type="image/png",
        digest="sha256:" + hashlib.sha256(content).hexdigest(),
        size=3,
    )
    assert Service(httpx.Response(200, content=content)).client().artifact(view) == content
    with pytest.raises(ArtifactDamaged, match=r"overlay\.png"):
        Service(httpx.Response(200, content=b"GIF")).client().artifact(view)


def test_readiness_is_read_also_from_a_service_that_is_not_ready() -> None:
    unready = {"status": "unready", "database": "no", "migrations": "no", "broker": "ok", "workers": []}
    service = Service(answer(unready, 503))
    assert service.client().ready().status == "unready"
    assert len(service.requests) == 1


# Waiting


def test_waiting_shows_every_look_and_ends_with_the_audit() -> None:
    service = Service(answer(audit("queued")), answer(audit("running")), answer(audit("finished")))
    seen: list[str] = []
    view = service.client().wait(AUDIT, on_progress=lambda view: seen.append(view.state))
    assert seen == ["queued", "running", "finished"]
    assert view.state == "finished"


def test_a_cancelled_audit_is_not_waited_for() -> None:
    assert Service(answer(audit("cancelled"))).client().wait(AUDIT).state == "cancelled"


def test_waiting_ends_at_the_deadline_with_its_own_exit_code() -> None:
    with pytest.raises(DeadlinePassed, match="0 s") as late:
        Service(answer(audit("running"))).client().wait(AUDIT, deadline=0)
    assert late.value.exit_code == 4
    assert isinstance(late.value, TimeoutError)


@pytest.mark.parametrize("state", ["ready", "refused"])
def test_a_model_is_waited_for_until_it_is_ready_or_refused(state: str) -> None:
    states = [answer({**MODEL, "state": name}) for name in ("received", "inspecting", state)]
    assert Service(*states).client().wait_for_model(UUID(ID)).state == state


def test_a_report_is_asked_for_again_while_it_is_drawn() -> None:
    waiting = answer(problem("report-not-ready", 409), 409, Retry_After="2")
    service = Service(waiting, waiting, httpx.Response(200, text="<html>"))
    assert service.client().report(AUDIT) == b"<html>"
    assert service.slept == [2.0, 2.0]
    assert service.asked[0] == f"GET /v1/audits/{ID}/report?format=html"


def test_a_report_that_is_late_is_a_deadline_passed() -> None:
    waiting = answer(problem("report-not-ready", 409), 409, Retry_After="2")
    with pytest.raises(DeadlinePassed):
        Service(waiting).client().report(AUDIT, "json", deadline=1)


def test_a_report_that_could_not_be_drawn_is_not_waited_for() -> None:
    service = Service(answer(problem("report-not-ready", 409), 409))
    with pytest.raises(ApiProblem):
        service.client().report(AUDIT)
    assert len(service.requests) == 1


# Where the service is


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LAMINA_URL", "LAMINA_API_KEY", "LAMINA_HOME", "LAMINA_DATABASE_URL", "LAMINA_BLOBS"):
        monkeypatch.delenv(variable, raising=False)


def test_the_address_comes_from_the_home_folder_which_only_its_owner_reads(tmp_path: Path) -> None:
    file = keep_address(tmp_path, Address("http://127.0.0.1:1", "lam_secret"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert address(tmp_path) == Address("http://127.0.0.1:1", "lam_secret")
    assert [path.name for path in tmp_path.iterdir()] == ["client.json"]


def test_the_environment_wins_over_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_address(tmp_path, Address("http://127.0.0.1:1", "lam_secret"))
    monkeypatch.setenv("LAMINA_API_KEY", "lam_other")
    assert address(tmp_path) == Address("http://127.0.0.1:1", "lam_other")
    monkeypatch.setenv("LAMINA_URL", "http://there.test")
    assert address(tmp_path) == Address("http://there.test", "lam_other")


def test_a_kept_key_is_not_sent_to_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_address(tmp_path, Address("http://127.0.0.1:1", "lam_secret"))
    monkeypatch.setenv("LAMINA_URL", "http://elsewhere.test")
    with pytest.raises(NotConfigured, match="LAMINA_API_KEY"):
        address(tmp_path)


def test_without_address_and_key_it_says_how_to_give_them(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"LAMINA_URL and LAMINA_API_KEY.*lamina up"):
        address(tmp_path)


def test_a_broken_home_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "client.json").write_text("{")
    with pytest.raises(Usage, match=r"not JSON.*remove it"):
        address(tmp_path)


def test_a_key_does_not_show_in_the_repr_of_an_address() -> None:
    assert "lam_secret" not in repr(Address("http://127.0.0.1:1", "lam_secret"))


def test_the_operators_settings_are_those_of_the_stack_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operator_environment(tmp_path)["LAMINA_DATABASE_URL"] == f"sqlite:///{tmp_path}/lamina.db"
    file = keep_settings(tmp_path, {"LAMINA_DATABASE_URL": "postgresql+psycopg://kept"})
    assert file.stat().st_mode & 0o777 == 0o600
    assert operator_environment(tmp_path)["LAMINA_DATABASE_URL"] == "postgresql+psycopg://kept"
    monkeypatch.setenv("LAMINA_DATABASE_URL", "postgresql+psycopg://said")
    assert operator_environment(tmp_path)["LAMINA_DATABASE_URL"] == "postgresql+psycopg://said"


def test_a_database_named_by_file_wins_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINA_DATABASE_URL_FILE", "/run/secrets/database_url")
    assert "LAMINA_DATABASE_URL" not in operator_environment(tmp_path)
