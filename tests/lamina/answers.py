"""A service that answers what a test tells it to, and values as the API sends them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from lamina.client import Client

ID = "0197a000-0000-7000-8000-000000000001"
OTHER = "0197a000-0000-7000-8000-000000000002"
DIGEST = "sha256:" + "ab" * 32
NOW = "2026-11-22T12:00:00Z"
INPUT: dict[str, Any] = {"kind": "table", "layout": "NF", "shape": [2], "bounds": {"low": [0], "high": [1]}}
FACTS: dict[str, Any] = {
    "task": "classification",
    "input": INPUT,
    "output": {"kind": "logits", "classes": ["no", "yes"]},
}
MODEL: dict[str, Any] = {
    "id": ID, "name": "m", "version": "1", "follows": None, "state": "ready", "source_digest": DIGEST,
    "canonical_digest": DIGEST, "facts": FACTS, "manifest": None, "refusal": None, "created_by": OTHER,
    "created_at": NOW,
}  # fmt: skip
DATASET: dict[str, Any] = {
    "id": OTHER, "name": "d", "version": "1", "state": "ready", "source_digest": DIGEST, "canonical_digest": DIGEST,
    "facts": {"input": INPUT}, "manifest": None, "refusal": None, "created_by": OTHER, "created_at": NOW,
}  # fmt: skip
POINT: dict[str, Any] = {
    "id": ID, "series_key": DIGEST, "model_name": "m", "model_version": "1", "model": ID, "audit": ID, "analysis": ID,
    "kind": "layer_conductance", "kind_version": 1, "metric": "completeness_error", "unit": "share",
    "direction": "lower is better", "layer": "fc1", "class_name": None, "target": None, "epsilon": None, "facets": {},
    "dataset_name": "d", "dataset_role": "evaluation", "dataset_digest": DIGEST, "dataset_changed": False,
    "parameters_digest": DIGEST, "value": 0.02, "low": 0.01, "high": 0.03, "n": 8, "created_at": NOW,
}  # fmt: skip


def analysis(state: str = "succeeded", **changes: Any) -> dict[str, Any]:
    ended = state in {"succeeded", "failed", "cancelled"}
    return {
        "id": OTHER, "audit": ID, "kind": "layer_conductance", "kind_version": 1, "parameters": {}, "digest": None,
        "state": state, "progress": 1.0 if ended else 0.5, "stage": "", "attempt": 1, "reason": None,
        "created_at": NOW, "ended_at": NOW if ended else None, **changes,
    }  # fmt: skip


def audit(state: str = "finished", *analyses: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": ID, "title": "release", "state": state, "progress": 1.0 if state == "finished" else 0.5,
        "counts": {}, "model": ID, "model_name": "m", "model_version": "1", "inputs": [],
        "analyses": list(analyses or [analysis()]), "report_ready": False, "created_by": OTHER, "created_at": NOW,
        "closed_at": None, **changes,
    }  # fmt: skip


def problem(slug: str, status: int, *faults: tuple[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "type": f"urn:lamina:problem:{slug}", "title": "It cannot be", "status": status, "detail": "It is so.",
        "remedy": "Do otherwise.", "permanent": True,
        "errors": [{"pointer": pointer, "detail": detail} for pointer, detail in faults], "request_id": "r-1",
        **changes,
    }  # fmt: skip


def page(*items: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "next": following}


def answer(value: Any, status: int = 200, **headers: str) -> httpx.Response:
    kind = "application/problem+json" if status >= 400 else "application/json"
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, content=json.dumps(value).encode(), headers={"Content-Type": kind, **named})


Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Service:
    """Gives the answers in order and keeps the requests; the last answer is given again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given(request) if callable(given) else given

    def client(self, **options: Any) -> Client:
        transport = httpx.MockTransport(self)
        return Client("http://lamina.test/", "lam_key", transport=transport, sleep=self.slept.append, **options)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


def routes(table: Iterable[tuple[str, Any]]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers by `METHOD /path`, queries left out; an unknown one is a 404 problem."""
    known = dict(table)

    def give(request: httpx.Request) -> httpx.Response:
        found = known.get(f"{request.method} {request.url.path}")
        if found is None:
            return answer(problem("not-found", 404), 404)
        return found if isinstance(found, httpx.Response) else answer(found)

    return give
