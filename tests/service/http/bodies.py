"""Which requests are right? One of each, to be bent by the tests."""

from typing import Any

from tests.service.http.asking import Asker

TABLE: dict[str, Any] = {"kind": "table", "layout": "NF", "shape": [2], "bounds": {"low": [0], "high": [1]}}


def upload(ask: Asker, content: str) -> str:
    answer = ask.upload(content.encode())
    assert answer.json is not None
    return str(answer.json["digest"])


def model(blob: str, **changes: Any) -> dict[str, Any]:
    facts = {"task": "classification", "input": TABLE, "output": {"kind": "logits", "classes": ["no", "yes"]}}
    return {"name": "net", "version": "1", "blob": blob, "facts": facts, **changes}


def dataset(blob: str, **changes: Any) -> dict[str, Any]:
    return {"name": "table", "blob": blob, "facts": {"input": TABLE, "classes": ["no", "yes"]}, **changes}


def audit(model_id: object, dataset_id: object, **changes: Any) -> dict[str, Any]:
    return {
        "model": str(model_id),
        "inputs": {"evaluation": {"dataset": str(dataset_id)}},
        "analyses": [{"kind": "layer_conductance", "parameters": {"steps": 8}}],
        **changes,
    }


def made(answer: Any, status: int = 202) -> str:
    """The id of what was made."""
    assert answer.status_code == status, answer.text
    return str(answer.json["id"])
