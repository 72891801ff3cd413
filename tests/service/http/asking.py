"""How do the tests ask? With a key, over Flask's own client, and with one eye on the shape of every refusal."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.contracts.problem import TYPE_PREFIX, Problem

NOBODYS = UUID("01935300-0000-7000-8000-000000000000")


@dataclass(frozen=True)
class Asker:
    """Someone with a key (or none), and their tenant."""

    client: FlaskClient
    key: str | None
    tenant: UUID
    principal: UUID

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> TestResponse:
        given = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return self.client.open(path, method=method, headers={**given, **(headers or {})}, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.send("GET", path, **more)

    def delete(self, path: str) -> TestResponse:
        return self.send("DELETE", path)

    def post(self, path: str, body: Any, **more: Any) -> TestResponse:
        """Post JSON."""
        return self.send("POST", path, data=json.dumps(body), content_type="application/json", **more)

    def upload(self, content: bytes, **more: Any) -> TestResponse:
        """Upload bytes."""
        return self.send("POST", "/v1/blobs", data=content, content_type="application/octet-stream", **more)


def sent(answer: TestResponse, status: int = 200) -> dict[str, Any]:
    """What an answer of this status holds."""
    assert answer.status_code == status, answer.text
    return dict(answer.json or {})


def problem(answer: TestResponse, slug: str, *pointers: str) -> Problem:
    """The problem an answer holds, which must be of this kind, of the one shape, and about these places."""
    assert answer.content_type == "application/problem+json", (answer.status, answer.text)
    found = Problem.model_validate_json(answer.data)
    assert found.type == TYPE_PREFIX + slug, answer.text
    assert found.status == answer.status_code
    assert found.request_id == answer.headers["X-Request-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    if pointers:
        assert {fault.pointer for fault in found.errors} == set(pointers), answer.text
    return found
