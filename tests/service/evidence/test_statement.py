"""Is the statement one that other tools read, and does it say of each control what the report says?"""

import json
from typing import Any

import jsonschema
import pytest

from service.contracts.base import canonical_json
from service.evidence.statement import Result, statement

HEX = "ab" * 32
DIGEST = "sha256:" + HEX
DESCRIPTOR: dict[str, Any] = {
    "type": "object",
    "required": ["digest"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "digest": {
            "type": "object",
            "minProperties": 1,
            "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
            "additionalProperties": {"type": "string"},
        },
    },
}
TESTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}
SCHEMA = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": DESCRIPTOR},
        "predicateType": {"const": "https://in-toto.io/attestation/test-result/v0.1"},
        "predicate": {
            "type": "object",
            "required": ["result", "configuration"],
            "properties": {
                "result": {"enum": ["PASSED", "WARNED", "FAILED"]},
                "configuration": {"type": "array", "items": DESCRIPTOR},
                "url": {"type": "string", "format": "uri"},
                "passedTests": TESTS,
                "warnedTests": TESTS,
                "failedTests": TESTS,
            },
        },
    },
}
"""The statement and its predicate as their specifications have them (fields beyond these are allowed there)."""


def made(*results: Result) -> Any:
    content = statement(
        twin_digest=DIGEST,
        models={"net@2": "sha256:" + "cd" * 32},
        results=results,
        configuration={"policy": DIGEST, "library": DIGEST},
        timestamp="2026-04-01T06:00:00Z",
    )
    read = json.loads(content)
    assert canonical_json(read) == content
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    return read


def test_every_status_has_its_list() -> None:
    predicate = made(
        Result(control="B", status="met"),
        Result(control="A", status="met"),
        Result(control="C", status="not_met"),
        Result(control="D", status="not_met", waived=True),
        Result(control="E", status="stale"),
        Result(control="F", status="insufficient_evidence"),
        Result(control="G", status="not_applicable"),
        Result(control="H", status="met", waived=True),
    )["predicate"]
    assert predicate == {
        "result": "FAILED",
        "passedTests": ["A", "B", "H"],
        "warnedTests": ["D", "E", "F"],
        "failedTests": ["C"],
        "configuration": [
            {"name": "library", "digest": {"sha256": HEX}},
            {"name": "policy", "digest": {"sha256": HEX}},
        ],
        "timestamp": "2026-04-01T06:00:00Z",
    }


@pytest.mark.parametrize(
    ("statuses", "result"),
    [
        (["met"], "PASSED"),
        (["met", "not_applicable"], "PASSED"),
        (["met", "stale"], "WARNED"),
        (["met", "stale", "not_met"], "FAILED"),
        (["not_applicable"], "WARNED"),
        ([], "WARNED"),
    ],
)
def test_the_result_is_the_worst_of_all_and_nothing_assessed_is_no_pass(statuses: list[str], result: str) -> None:
    results = [Result(control=f"C{place}", status=status) for place, status in enumerate(statuses)]
    assert made(*results)["predicate"]["result"] == result


def test_it_speaks_of_the_twin_and_of_the_model() -> None:
    assert made()["subject"] == [
        {"name": "report.json", "digest": {"sha256": HEX}},
        {"name": "net@2", "digest": {"sha256": "cd" * 32}},
    ]
