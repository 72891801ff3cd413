"""Do bill of materials and model card hold the twin's numbers, and only those that count?"""

import json
from typing import Any, get_args

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pydantic import ValidationError

from service.contracts.base import digest_of
from service.contracts.compliance_reports import ExportForm
from service.report.compliance.twin import ComplianceReport, write
from service.report.exchange.forms import FORMS, export
from tests.service.report.compliance import samples

SAMPLES = {"rich": samples.rich, "first": samples.first, "hostile": samples.hostile}


def bill(report: ComplianceReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(export("cyclonedx", write(report)))
    return found


def front(report: ComplianceReport) -> dict[str, Any]:
    text = export("model-index", write(report)).decode()
    (index,) = yaml.safe_load(text.split("---\n")[1])["model-index"]
    return dict(index)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_equal_twins_give_equal_bytes_that_hold_the_digest(sample: str, form: ExportForm) -> None:
    twin = write(SAMPLES[sample]())
    first = export(form, twin)
    assert export(form, bytes(twin)) == first
    assert digest_of(twin).encode() in first
    assert b"not signed itself" in first


def test_every_form_that_is_offered_is_written() -> None:
    assert set(FORMS) == set(get_args(ExportForm))
    assert len({form.name for form in FORMS.values()}) == len(FORMS)


def test_what_is_no_twin_is_refused() -> None:
    with pytest.raises(ValidationError):
        export("oscal", b'{"schema": "nn-audit-report/1"}')


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_bill_is_valid_by_the_strict_validator(sample: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    made = bill(SAMPLES[sample]())
    assert validator.validate_str(json.dumps(made)) is None
    assert validator.validate_str(json.dumps(made | {"invented": 1})) is not None


@pytest.mark.parametrize("sample", SAMPLES)
def test_references_of_the_bill_lead_somewhere(sample: str) -> None:
    made = bill(SAMPLES[sample]())
    declared = made["declarations"]
    (standard,) = made["definitions"]["standards"]
    (attested,) = declared["attestations"]
    refs = [
        each["bom-ref"]
        for each in (*made["components"], *standard["requirements"], *declared["claims"], *declared["evidence"])
    ]
    assert len(set(refs)) == len(refs)
    used = {each["requirement"] for each in attested["map"]}
    for each in attested["map"]:
        used |= {*each.get("claims", ()), *each.get("counterClaims", ())}
        used |= set(each["conformance"].get("mitigationStrategies", ()))
        assert "score" not in each["conformance"]
    for each in declared["claims"]:
        used |= {each["target"], *each.get("evidence", ()), *each.get("counterEvidence", ())}
    assert used <= set(refs)


def test_a_metric_has_value_interval_and_n() -> None:
    model, *data = bill(samples.rich())["components"]
    metrics = {each["type"]: each for each in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    drop = metrics["corruption_drop"]
    assert (drop["value"], drop["confidenceInterval"]) == ("0.062", {"lowerBound": "0.048", "upperBound": "0.077"})
    assert "n = 800" in drop["slice"]
    assert metrics["robust_accuracy"]["value"] == "0.549"
    assert metrics["robust_accuracy, minus the declared level"]["value"] == "-0.071"
    assert [each["name"] for each in data] == ["claims-background", "claims-2026-q3", "claims-2019-2025"]


def test_insufficient_evidence_is_published_nowhere_as_a_result() -> None:
    report = samples.rich()
    assert any(
        each.word == "seed_ranks" and each.status == "insufficient_evidence" and each.evidence is not None
        for control in report.controls
        for each in control.requirements
    )
    card = bill(report)["components"][0]["modelCard"]
    assert "seed_ranks" not in json.dumps(card["quantitativeAnalysis"])
    assert "seed_ranks" not in json.dumps(front(report))
    evidence = {each["bom-ref"]: each for each in bill(report)["declarations"]["evidence"]}
    assert "insufficient_evidence" in evidence["evidence-XAI-06-1"]["description"]


def test_only_met_and_not_met_are_claimed() -> None:
    report = samples.rich()
    declared = bill(report)["declarations"]
    sides = {each["bom-ref"]: ("evidence" in each, "counterEvidence" in each) for each in declared["claims"]}
    expected = {
        f"claim-{each.id}": (each.status == "met", each.status == "not_met")
        for each in report.controls
        if each.status in {"met", "not_met"}
    }
    assert sides == expected
    assert {each["expires"] for each in declared["evidence"] if each["bom-ref"] == "exception-ROB-01"} == {
        "2026-12-19T00:00:00Z"
    }


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_front_matter_is_yaml_whatever_names_there_are(sample: str) -> None:
    report = SAMPLES[sample]()
    index = front(report)
    assert index["name"].startswith(report.identity.model.name[:10])
    for each in index["results"]:
        assert set(each) - {"task", "dataset", "metrics"} == set()
        for metric in each["metrics"]:
            assert isinstance(metric["value"], int | float)
            assert "n = " in metric["name"]


def test_a_number_with_an_exponent_stays_a_number_in_yaml() -> None:
    report = samples.rich()
    changed = json.loads(write(report))
    (control,) = [each for each in changed["controls"] if each["id"] == "ROB-04"]
    small = {"type": "number", "value": 1e-05, "low": 9e-06, "high": 2e-05, "n": 800}
    control["requirements"][0]["value"] = small
    made = front(ComplianceReport.model_validate_json(json.dumps(changed)))
    values = {each["type"]: each["value"] for result in made["results"] for each in result["metrics"]}
    assert values["corruption_drop"] == 1e-05


def test_the_table_shows_every_requirement() -> None:
    report = samples.rich()
    text = export("model-index", write(report)).decode()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    expected = sum(max(len(each.requirements), 1) for each in report.controls)
    assert len(rows) == expected + 2
    assert all(row.replace("\\|", "").count("|") == 9 for row in rows)
