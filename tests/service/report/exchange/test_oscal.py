"""Does OSCAL say what the twin says, and nothing that it does not?"""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from service.contracts.compliance_reports import ExportForm
from service.report.compliance.twin import ComplianceReport, write
from service.report.exchange.forms import export
from tests.service.report.compliance import samples

SAMPLES = {"rich": samples.rich, "first": samples.first, "hostile": samples.hostile}
UUID5 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TOKEN = re.compile(r"[^\W\d][\w.\-]*")
STRING = re.compile(r"\S(.*\S)?")
DOCUMENTS: dict[ExportForm, tuple[str, str, str]] = {
    "oscal": ("assessment-results", "assessment_results", "AssessmentResults"),
    "oscal-plan": ("assessment-plan", "assessment_plan", "AssessmentPlan"),
    "oscal-catalog": ("catalog", "catalog", "Catalog"),
}


def exported(report: ComplianceReport, form: ExportForm = "oscal") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(export(form, write(report)))[DOCUMENTS[form][0]]
    return found


def result(report: ComplianceReport) -> dict[str, Any]:
    (found,) = exported(report)["results"]
    return dict(found)


def said(of: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in of["props"]}


def inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object."""
    for name, held in value.items() if isinstance(value, dict) else enumerate(value):
        yield str(name), held
        if isinstance(held, dict | list):
            yield from inside(held)


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_models_of_compliance_trestle_take_it(sample: str, form: ExportForm) -> None:
    _key, module, model = DOCUMENTS[form]
    oscal = pytest.importorskip(f"trestle.oscal.{module}", reason="compliance-trestle is no dependency")
    getattr(oscal, model).model_validate_json(json.dumps(exported(SAMPLES[sample](), form)))


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_ids_names_and_references_are_as_the_format_asks(sample: str, form: ExportForm) -> None:
    document = exported(SAMPLES[sample](), form)
    members = list(inside(document))
    ids = [value for name, value in members if name == "uuid"]
    parts = [value for name, value in members if name == "id"]
    assert len(set(ids)) == len(ids)
    assert len(set(parts)) == len(parts)
    assert all(UUID5.fullmatch(each) for each in ids)
    assert document["metadata"]["oscal-version"] == "1.2.1"
    for name, value in members:
        assert value not in ("", [], {}, None), name
        if name == "props":
            for prop in value:
                assert TOKEN.fullmatch(prop["name"]), prop
                assert STRING.fullmatch(prop["value"]), prop
        if name.endswith("-uuid"):
            assert value in ids, name
        if name == "href" and value.startswith("#"):
            assert value[1:] in ids
        if name == "control-id":
            assert TOKEN.fullmatch(value)


def test_every_applicable_control_has_one_finding_with_its_status() -> None:
    report = samples.rich()
    findings = {each["target"]["target-id"]: each for each in result(report)["findings"]}
    expected = {
        "met": ("satisfied", "pass"),
        "not_met": ("not-satisfied", "fail"),
        "stale": ("not-satisfied", "other"),
        "insufficient_evidence": ("not-satisfied", "other"),
    }
    assert {each.status for each in report.controls} == {*expected, "not_applicable"}
    for control in report.controls:
        finding = findings.pop(f"{control.id}_obj", None)
        if control.status == "not_applicable":
            assert finding is None
            continue
        assert finding is not None
        status = finding["target"]["status"]
        assert (status["state"], status["reason"]) == expected[control.status]
        assert said(finding)["status"] == control.status
    assert findings == {}


def test_what_does_not_apply_is_listed_and_not_selected() -> None:
    reviewed = result(samples.rich())["reviewed-controls"]
    (selected,) = reviewed["control-selections"]
    chosen = {each["control-id"] for each in selected["include-controls"]}
    assert "XAI-07" not in chosen
    assert len(chosen) == 12
    assert "XAI-07" in reviewed["remarks"]


def test_an_observation_holds_the_number_its_interval_n_and_freshness() -> None:
    found = {said(each)["control"]: each for each in result(samples.rich())["observations"]}
    drop = found["ROB-04"]
    values = said(drop)
    assert [values[name] for name in ("metric", "value", "low", "high", "n", "threshold")] == [
        "corruption_drop", "0.062", "0.048", "0.077", "800", "0.12",
    ]  # fmt: skip
    assert (drop["methods"], drop["collected"]) == (["TEST"], "2026-10-26T00:00:00Z")
    assert drop["expires"] == "2027-01-26T00:00:00Z"  # 92 days later
    assert found["INT-01"]["methods"] == ["EXAMINE"]
    assert {"low", "high"}.isdisjoint(said(found["INT-01"]))


def test_a_waiver_is_an_approved_deviation_until_it_ends_and_the_finding_stays() -> None:
    whole = result(samples.rich())
    (risk,) = whole["risks"]
    assert (risk["status"], risk["deadline"]) == ("deviation-approved", "2026-12-19T00:00:00Z")
    (finding,) = [each for each in whole["findings"] if "related-risks" in each]
    assert finding["related-risks"] == [{"risk-uuid": risk["uuid"]}]
    assert finding["target"]["status"]["state"] == "not-satisfied"


def test_a_failure_without_a_waiver_is_an_open_risk() -> None:
    report = samples.rich()
    bare = tuple(each.model_copy(update={"exception": None}) for each in report.controls)
    (risk,) = result(report.model_copy(update={"controls": bare}))["risks"]
    assert (risk["status"], "deadline" in risk, "risk-log" in risk) == ("open", False, False)


def test_people_are_parties_of_what_they_stated() -> None:
    document = exported(samples.rich())
    parties = {each["uuid"]: each["name"] for each in document["metadata"]["parties"]}
    stated = document["results"][0]["attestations"]
    whom = [parties[each["responsible-parties"][0]["party-uuids"][0]] for each in stated]
    assert whom == ["Ines Okafor", "Piet de Vries"]
    assert [said(each["parts"][0])["state"] for each in stated] == ["current", "due again"]


def test_digests_lead_to_twin_model_plan_and_catalog() -> None:
    report = samples.rich()
    twin = write(report)
    resources = exported(report)["back-matter"]["resources"]
    hashes = {
        link["href"]: link["hashes"][0]["value"] for each in resources for link in each["rlinks"] if "hashes" in link
    }
    assert hashes["report.json"] == sha256(twin).hexdigest()
    assert hashes["oscal-plan.json"] == sha256(export("oscal-plan", twin)).hexdigest()
    assert hashes["oscal-catalog.json"] == sha256(export("oscal-catalog", twin)).hexdigest()
    assert report.identity.model.source_digest.removeprefix("sha256:") in hashes.values()


def test_findings_are_of_objectives_that_the_catalog_has() -> None:
    report = samples.rich()
    controls = exported(report, "oscal-catalog")["controls"]
    objectives = {part["id"] for control in controls for part in control["parts"]}
    assert {each["target"]["target-id"] for each in result(report)["findings"]} <= objectives
    assert [each["id"] for each in controls] == [each.id for each in report.controls]


def test_names_that_people_wrote_become_no_markup() -> None:
    for name, value in inside(exported(samples.hostile())):
        if name in {"title", "description", "remarks", "prose", "statement"}:
            assert not re.search(r"(?<!\\)[<>`*]", value), value
