"""Every way to be told no has one shape."""

import json
import logging
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from service.contracts.api import Whoami
from service.http.endpoint import Answer, Resource
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import PROBLEMS
from service.http.routing import install
from service.store.database import Database
from tests.service.http.asking import Asker, problem
from tests.service.http.conftest import MakeAsker


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nope", "/v1/audits/", "//v1/audits", "/v1/audits//x", "/%00"]
)
def test_an_unknown_path_is_not_found(nobody: Asker, path: str) -> None:
    problem(nobody.get(path), "not-found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_another_method_is_told_which_there_are(nobody: Asker, method: str) -> None:
    answer = nobody.send(method, "/v1/audits")

    problem(answer, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


HEADERS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Basic dTpw",
    "Bearer lam_000000000000_" + "0" * 64,
    "Bearer lam_x_y",
    "Bearer " + "é" * 10,
    "lam_000000000000_" + "0" * 64,
)


@pytest.mark.parametrize("header", HEADERS)
def test_without_a_valid_key_nothing_is_said(nobody: Asker, header: str | None) -> None:
    given = {} if header is None else {"Authorization": header}

    answer = nobody.get("/v1/audits", headers=given)

    problem(answer, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="lamina"'


def test_a_key_without_the_scope_is_told_which_it_needs(make_asker: MakeAsker, ask: Asker) -> None:
    reader = make_asker(ask.tenant, "reader", ["read"])

    assert "submit" in problem(reader.post("/v1/audits", {}), "forbidden").detail
    assert "admin" in problem(reader.get("/v1/keys"), "forbidden").detail
    assert reader.get("/v1/audits").status_code == 200


def test_submit_grants_read_and_admin_does_not(make_asker: MakeAsker, ask: Asker) -> None:
    assert make_asker(ask.tenant, "s", ["submit"]).get("/v1/audits").status_code == 200
    problem(make_asker(ask.tenant, "a", ["admin"]).get("/v1/audits"), "forbidden")


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half an object": b'{"model": ',
    "two values": b"{} {}",
    "a trailing comma": b'{"model": 1,}',
    "single quotes": b"{'model': 1}",
    "NaN": b'{"model": NaN}',
    "Infinity": b'{"model": -Infinity}',
    "no UTF-8": b'{"model": "\xff"}',
    "UTF-16": '{"model": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a surrogate pair": b'{"title": "\\ud800"}',
    "a member twice": b'{"title": "a", "title": "b"}',
    "too deep a list": b"[" * 33 + b"]" * 33,
    "too deep an object": b'{"a":' * 1000,
    "too long a number": b'{"title": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_json_is_malformed(ask: Asker, content: bytes) -> None:
    answer = ask.send("POST", "/v1/audits", data=content, content_type="application/json")

    problem(answer, "malformed")


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_json_that_is_no_object_is_invalid_as_a_whole(ask: Asker, body: Any) -> None:
    problem(ask.post("/v1/audits", body), "invalid", "")


UNSTORABLE = (
    ('{"title": "a\\u0000b"}', "/title"),
    ('{"analyses": [{"kind": "k", "parameters": {"x": 1e999}}]}', "/analyses/0/parameters/x"),
    ('{"analyses": [{"kind": "k", "parameters": {"x": 9007199254740992}}]}', "/analyses/0/parameters/x"),
    ('{"analyses": [{"kind": "k", "parameters": {"a\\u0000b": 1}}]}', "/analyses/0/parameters"),
)


@pytest.mark.parametrize(("content", "pointer"), UNSTORABLE)
def test_json_that_cannot_be_kept_is_refused_at_its_place(ask: Asker, content: str, pointer: str) -> None:
    problem(ask.send("POST", "/v1/audits", data=content, content_type="application/json"), "invalid", pointer)


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_only_json_is_read_as_json(ask: Asker, media_type: str) -> None:
    problem(ask.send("POST", "/v1/audits", data="{}", content_type=media_type), "unsupported-media-type")


def test_json_may_name_its_charset(ask: Asker) -> None:
    answer = ask.send("POST", "/v1/audits", data="{}", content_type="application/json; charset=utf-8")

    problem(answer, "invalid", "/model", "/analyses")


def test_a_body_over_the_limit_is_too_large(ask: Asker) -> None:
    content = json.dumps({"title": "x" * 10_000})

    refused = problem(ask.send("POST", "/v1/audits", data=content, content_type="application/json"), "too-large")

    assert "8192 bytes" in refused.detail


def test_a_thousand_faults_are_counted_rather_than_listed(ask: Asker) -> None:
    found = problem(ask.post("/v1/audits", {f"m{n}": 0 for n in range(500)}), "invalid")

    assert len(found.errors) == 101
    assert "and 402 more" in found.errors[-1].detail


def test_query_and_body_and_headers_are_checked_together(ask: Asker) -> None:
    answer = ask.post("/v1/audits?wait=1", {"title": ""}, headers={"Idempotency-Key": "a b"})

    problem(answer, "invalid", "?wait", "Idempotency-Key", "/title", "/model", "/analyses")


def broken(error: Exception) -> Resource:
    resource = Resource(tag="broken", about="An endpoint that fails.")

    @resource.endpoint("GET", "/broken", scope=None, answers=(Answer(status=200, description="", model=Whoami),))
    def fail(call: Call[NoQuery, None]) -> Reply:
        """Fail."""
        raise error

    return resource


@pytest.fixture
def parts(app: Flask) -> Any:
    """What the application's endpoints share."""
    return app.view_functions["health.get_readiness"].args[0]  # type: ignore[attr-defined]  # a partial


def test_the_unexpected_is_logged_and_tells_nothing(parts: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("broken")
    install(app, parts, broken(KeyError("/etc/secret")).endpoints)

    with caplog.at_level(logging.ERROR, "lamina.http"):
        answer = app.test_client().get("/broken", headers={"X-Request-Id": "find-me-1"})

    found = problem(answer, "internal")
    assert found.request_id == "find-me-1"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "find-me-1" in caplog.text
    assert "/etc/secret" in caplog.text


def test_a_database_that_is_busy_or_gone_is_worth_another_try(parts: Any) -> None:
    app = Flask("broken")
    error = OperationalError("SELECT hush", {}, Exception("database is locked"))
    install(app, parts, broken(error).endpoints)

    answer = app.test_client().get("/broken")

    assert not problem(answer, "unavailable").permanent
    assert answer.headers["Retry-After"] == "2"
    assert "hush" not in answer.text


def test_a_database_that_is_gone_answers_the_same_before_the_key_is_known(ask: Asker, database: Database) -> None:
    database.close()
    if database.is_postgres:
        pytest.skip("a closed pool opens again; only a file can be taken away here")
    assert database.engine.url.database is not None
    from pathlib import Path

    for path in Path(database.engine.url.database).parent.glob("lamina.db*"):
        path.unlink()

    problem(ask.get("/v1/audits"), "unavailable")


@pytest.mark.parametrize("given", ["", "has space", "x" * 65, "<script>", "né"])
def test_a_request_id_that_is_no_short_token_is_replaced(nobody: Asker, given: str) -> None:
    answer = nobody.get("/v1/nope", headers={"X-Request-Id": given})

    assert answer.headers["X-Request-Id"] != given
    problem(answer, "not-found")


def test_every_answer_carries_the_same_protection(ask: Asker) -> None:
    for path in ("/healthz", "/v1/whoami", "/v1/kinds", "/v1/nope", "/openapi.json"):
        headers = ask.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Access-Control-Allow-Origin" not in headers
        assert "Set-Cookie" not in headers


def test_every_problem_has_a_word_a_status_and_a_remedy() -> None:
    for slug, kind in PROBLEMS.items():
        assert slug == kind.slug
        assert 400 <= kind.status < 600
        assert kind.remedy
