"""Does the gate open for what is surely good, and say of everything else why not?"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import fromstring

import pytest

from lamina.commands.gate import read_policy
from lamina.failure import Usage
from lamina.gate import GatePolicy, faults, judged, junit, markdown, passes
from lamina.gate_forms import annotations, sarif
from service.contracts.api import MeasurementView
from service.contracts.base import digest_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


def point(value: float, low: float | None = None, high: float | None = None, **changes: Any) -> MeasurementView:
    values: dict[str, Any] = {
        "id": UUID(int=9),
        "series_key": digest_of(b"line"),
        "model_name": "net",
        "model_version": "2",
        "model": A,
        "audit": A,
        "analysis": A,
        "kind": "accuracy",
        "kind_version": 1,
        "metric": "clean_accuracy",
        "unit": "share of examples",
        "direction": "higher is better",
        "layer": None,
        "class_name": None,
        "target": None,
        "epsilon": None,
        "facets": {},
        "dataset_name": None,
        "dataset_role": None,
        "dataset_digest": None,
        "dataset_changed": False,
        "parameters_digest": digest_of(b"parameters"),
        "value": value,
        "low": low,
        "high": high,
        "n": 500,
        "created_at": NOW - timedelta(days=1),
    }
    return MeasurementView.model_validate(values | changes)


def policy(**rule: Any) -> GatePolicy:
    wanted = {"metric": "clean_accuracy", "op": ">=", "threshold": 0.9} | rule
    return GatePolicy.model_validate({"model": "net", "rules": [wanted]})


@pytest.mark.parametrize(
    ("rule", "points", "expected"),
    [
        ({}, [point(0.95, 0.92, 0.97)], "pass"),
        ({}, [point(0.95, 0.89, 0.97)], "inconclusive"),
        ({}, [point(0.85, 0.8, 0.89)], "fail"),
        ({}, [point(0.95)], "inconclusive"),
        ({"rule": "point"}, [point(0.95)], "pass"),
        ({"min_n": 501}, [point(0.95, 0.92, 0.97)], "inconclusive"),
        ({"max_age_days": 0.5}, [point(0.95, 0.92, 0.97)], "missing"),
        ({}, [], "missing"),
        ({"kind": "corruption"}, [point(0.95, 0.92, 0.97)], "missing"),
        ({"facets": {"a": "b"}}, [point(0.95, 0.92, 0.97)], "missing"),
        ({}, [point(0.95, 0.92, 0.97), point(0.5, 0.4, 0.6, class_name="zero")], "pass"),
        ({"class_name": "zero"}, [point(0.5, 0.4, 0.6, class_name="zero")], "fail"),
        ({}, [point(0.95, 0.92, 0.97, layer="a"), point(0.5, 0.4, 0.6, layer="b")], "fail"),
        # the newest analysis counts, not the best
        ({}, [point(0.99, 0.98, 1.0, created_at=NOW - timedelta(days=9)), point(0.5, 0.4, 0.6, analysis=B)], "fail"),
    ],
)
def test_a_rule_is_judged(rule: dict[str, Any], points: list[MeasurementView], expected: str) -> None:
    (verdict,) = judged(policy(**rule), points, {}, NOW)
    assert verdict.status == expected, verdict.said


@pytest.mark.parametrize(("value", "expected"), [(0.91, "pass"), (0.86, "pass"), (0.84, "fail")])
def test_a_regression_is_held_against_the_approved_baseline(value: float, expected: str) -> None:
    wanted = GatePolicy.model_validate(
        {"model": "net", "rules": [{"metric": "clean_accuracy", "most_regression": 0.05}]}
    )
    before = point(0.9)
    (verdict,) = judged(wanted, [point(value)], {before.series_key: before}, NOW)
    assert verdict.status == expected, verdict.said
    (without,) = judged(wanted, [point(value)], {}, NOW)
    assert (without.status, without.said.endswith("the approved baseline has no such line")) == ("missing", True)


def test_inconclusive_passes_only_where_the_policy_says_so() -> None:
    unsure = judged(policy(), [point(0.95, 0.89, 0.97)], {}, NOW)
    assert not passes(policy(), unsure)
    assert passes(policy().model_copy(update={"on_inconclusive": "pass"}), unsure)
    assert not passes(policy().model_copy(update={"on_inconclusive": "pass"}), judged(policy(), [], {}, NOW))


def test_what_pipelines_read_is_well_formed_whatever_names_there_are() -> None:
    hostile = '<b>"&]]>\u200b|`*'
    verdicts = judged(policy(layer=hostile), [point(0.5, 0.4, 0.6, layer=hostile)], {}, NOW)
    suite = fromstring(junit(hostile, verdicts))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    text = markdown(hostile, verdicts)
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model: net\nrules: []\n", "rules"),
        ("model: net\nrules: [{metric: nonsense, op: '>=', threshold: 1}]\n", "rule 1: 'nonsense' is no word"),
        ("model: net\nrules: [{metric: clean_accuracy, op: '>='}]\n", "give both op and threshold"),
        ("model: net\nrules: [{metric: clean_accuracy}]\n", "it demands nothing"),
        ("model: net\nrules: [{metric: layer_total, most_regression: 1}]\n", "has no direction"),
        ("model: net\nrules: [{metric: failed_checks, op: '==', threshold: 0}]\n", "== goes with rule: point"),
        ("model: [\n", "is no YAML"),
        ("model: net\ntypo: 1\nrules: [{metric: clean_accuracy, op: '>=', threshold: 1}]\n", "typo"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_rule(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(content)
    with pytest.raises(Usage, match=said):
        read_policy(file)


def test_the_example_and_json_are_read(tmp_path: Path) -> None:
    example = read_policy(Path(__file__).parents[2] / "examples" / "gate.yaml")
    assert faults(example) == []
    file = tmp_path / "gate.json"
    file.write_text(json.dumps(example.model_dump(mode="json")))
    assert read_policy(file) == example


@pytest.mark.parametrize(
    ("points", "on_inconclusive", "expected"),
    [
        ([point(0.95, 0.92, 0.97)], "fail", ("pass", "none")),
        ([point(0.85, 0.8, 0.89)], "pass", ("fail", "error")),
        ([point(0.95, 0.89, 0.97)], "fail", ("fail", "error")),
        ([point(0.95, 0.89, 0.97)], "pass", ("fail", "warning")),
        ([], "pass", ("fail", "error")),
    ],
)
def test_sarif_and_annotations_are_as_grave_as_the_verdict(
    points: list[MeasurementView], on_inconclusive: str, expected: tuple[str, str]
) -> None:
    wanted = policy().model_copy(update={"on_inconclusive": on_inconclusive})
    verdicts = judged(wanted, points, {}, NOW)
    log = json.loads(sarif(wanted, "ci/gate 1.yaml", verdicts, "0.1.0"))
    ((run,), version) = (log["runs"], log["version"])
    ((result,), (rule,)) = (run["results"], run["tool"]["driver"]["rules"])
    assert (version, result["kind"], result["level"]) == ("2.1.0", *expected)
    assert (result["ruleId"], result["ruleIndex"]) == (rule["id"], 0)
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "ci/gate%201.yaml"
    assert result["properties"].get("n") == (500 if points else None)
    printed = annotations(wanted, "ci/gate.yaml", verdicts)
    assert printed.startswith(f"::{expected[1]} file=ci/gate.yaml,title=gate%3A ") is (expected[1] != "none")
    assert printed.count("\n") == (expected[1] != "none")


def test_a_name_is_no_command_of_its_own() -> None:
    name = "a, b%0A::error::x"
    printed = annotations(policy(), "a,b:c.yaml", judged(policy(layer=name), [], {}, NOW))
    assert printed.startswith("::error file=a%2Cb%3Ac.yaml,title=")
    assert "a, b%250A" in printed
