"""Does the twin say what the evidence says, in the same bytes every time?"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from pydantic import ValidationError

from service.contracts.compliance import Status
from service.report.compliance import twin
from service.report.compliance.build import build
from service.report.compliance.explained import EXAMPLES
from service.report.compliance.given import Explained, Verdict
from service.report.compliance.people import waiver_state
from service.report.compliance.twin import ComplianceReport
from tests.service.report.compliance.samples import AS_OF, DAY, first, hostile, rich, rich_given

SCHEMA = Path(twin.__file__).with_name("twin.schema.json")
SECTIONS = [
    *("schema", "identity", "summary", "changes", "controls", "explanations", "robustness", "layers", "exceptions"),
    *("attestations", "frameworks", "limitations", "sign_off", "evidence"),
]


@pytest.mark.parametrize("report", [rich, first, hostile])
def test_a_twin_is_what_its_schema_says_and_reads_back_to_the_same_bytes(
    report: Callable[[], ComplianceReport],
) -> None:
    content = twin.write(report())
    jsonschema.Draft202012Validator(twin.schema()).validate(json.loads(content))
    assert twin.write(twin.read(content)) == content


def test_the_schema_on_file_is_the_one_the_code_writes() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(twin.schema())), (
        "run `python -m service.report.compliance.twin > service/report/compliance/twin.schema.json`"
    )


def test_the_schema_refuses_a_member_that_nobody_knows_and_a_status_that_is_none() -> None:
    validator = jsonschema.Draft202012Validator(twin.schema())
    for change in ({"score": 97}, {"schema": "nn-audit-report/2"}):
        assert not validator.is_valid({**json.loads(twin.write(rich())), **change})
    document = json.loads(twin.write(rich()))
    document["controls"][0]["status"] = "compliant"
    assert not validator.is_valid(document)


def test_equal_evidence_gives_equal_bytes_and_other_evidence_others() -> None:
    given = rich_given()
    assert twin.write(build(given)) == twin.write(build(rich_given.__wrapped__()))
    later = replace(given, asked=replace(given.asked, as_of=AS_OF + timedelta(seconds=1)))
    assert twin.write(build(later)) != twin.write(build(given))


def test_a_display_that_is_not_its_values_is_refused() -> None:
    document = json.loads(twin.write(rich()))
    document["summary"]["counts"]["met"]["display"] = "12"
    with pytest.raises(ValidationError, match="display '12'"):
        twin.read(json.dumps(document).encode())


def test_the_sections_stand_in_their_order() -> None:
    assert list(ComplianceReport.model_json_schema(by_alias=True)["properties"]) == SECTIONS


# --- summary ---------------------------------------------------------------------------------------------------------


def test_the_first_page_counts_what_is_not_assessed_beside_what_is_met() -> None:
    summary = rich().summary
    assert summary.sentence == "6 met of 12 applicable (5 not assessed)"
    counts = {name: number["value"] for name, number in summary.counts.model_dump().items()}
    assert counts == {
        "met": 6,
        "not_met": 1,
        "stale": 1,
        "insufficient_evidence": 4,
        "not_applicable": 1,
        "applicable": 12,
        "not_assessed": 5,
        "total": 13,
        "waived": 1,
        "attested": 1,
    }


def test_failures_stand_before_what_is_stale_and_a_waived_one_is_among_them() -> None:
    summary = rich().summary
    assert [(one.control, one.status.value) for one in summary.failed] == [("ROB-01", "not_met"), ("ROB-02", "stale")]
    assert summary.failed[0].waived_until.display == "19 December 2026, 00:00:00 UTC"
    assert [one.control for one in summary.not_assessed] == ["XAI-04", "XAI-06", "LYR-01", "GOV-02"]
    assert summary.failed[0].owner.display == "Tomasz Wr\u00f3bel"
    assert summary.not_assessed[0].owner.display == "\u2013"


def test_what_no_control_could_show_is_on_the_first_page() -> None:
    assert rich().summary.never_assessed == (
        "1 requirement asks for what nothing in this service measures yet.",
        "Bias and fairness are not measured by this service; a report made elsewhere can only be linked.",
        "Reg. (EU) 2024/1689 as amended by 2026/1744: 3 of 7 items not covered by this service.",
        "AI RMF 1.0: 1 of 4 items not covered by this service.",
    )


# --- changes ---------------------------------------------------------------------------------------------------------


def test_changes_are_told_each_sort_apart() -> None:
    changed = rich().changes
    assert [(one.control, one.before, one.after.value) for one in changed.transitions] == [
        ("XAI-06", "met", "insufficient_evidence"),
        ("ROB-01", "met", "not_met"),
        ("ROB-02", "met", "stale"),
    ]
    assert [(one.control, one.before.display, one.after.display) for one in changed.thresholds] == [
        ("ROB-04", "0.1", "0.12")
    ]
    assert [one.what for one in changed.versions][:3] == ["Model version", "Model digest", "Library"]
    assert changed.versions[-1].after == "not demanded any more"
    assert [(one.control, one.what, one.by) for one in changed.waivers] == [
        ("ROB-01", "granted", "Ines Okafor"),
        ("XAI-06", "expired", "by itself"),
    ]
    assert [(one.state, one.said) for one in changed.missed] == [
        ("missed", "No worker was running for three days."),
        ("late", "begun 8.9 hours after it was due; attempt 2"),
    ]


def test_the_interval_of_a_change_is_squared_and_added_by_hand() -> None:
    delta = next(one for one in rich().changes.measured if one.control == "ROB-01")
    assert delta.change.type == "number"
    assert delta.change.value == pytest.approx(-0.071 - 0.021, abs=1e-15)
    assert delta.change.low == pytest.approx(-0.092 - math.hypot(0.104 - 0.071, 0.043 - 0.021), abs=1e-12)
    assert delta.change.high == pytest.approx(-0.092 + math.hypot(0.071 - 0.042, 0.021 + 0.001), abs=1e-12)
    assert delta.reading == "Worse, beyond chance."


def test_a_change_whose_interval_holds_zero_is_called_chance() -> None:
    readings = {one.control: one.reading for one in rich().changes.measured}
    assert readings["XAI-03"] == "Within chance: the interval holds zero."
    assert readings["XAI-01"] == "Worse; without intervals nothing says whether by chance."


def test_a_value_that_did_not_move_is_no_change() -> None:
    given = rich_given()
    assert given.prior is not None
    same = Verdict(
        control="XAI-03", position=0, status=Status.MET, metric="deletion_gain", value=0.184, low=0.1, high=0.2, n=9
    )
    report = build(replace(given, prior=replace(given.prior, verdicts=(same,))))
    assert report.changes.measured == ()


def test_a_first_report_says_that_there_is_nothing_to_compare_with() -> None:
    changed = first().changes
    assert changed.since is None
    assert changed.said.startswith("This is the first report")
    assert (changed.transitions, changed.measured, changed.versions) == ((), (), ())


def test_an_unsigned_predecessor_is_called_unsigned() -> None:
    given = rich_given()
    assert given.prior is not None
    report = build(replace(given, prior=replace(given.prior, approved_at=None, approved_by=None)))
    assert report.changes.since is not None
    assert report.changes.since.approved == "It was never approved."
    assert "nobody has approved" in report.changes.said


# --- controls --------------------------------------------------------------------------------------------------------


def _control(name: str) -> Any:
    return next(one for one in rich().controls if one.id == name)


def test_a_requirement_shows_value_interval_n_threshold_basis_owner_age_and_attempts() -> None:
    part = _control("ROB-01").requirements[0]
    assert part.value.display == "\u22120.0710 [\u22120.104, \u22120.0420]"
    assert (part.n.display, part.enough_n.display) == ("1\u202f000", "500")
    assert part.threshold_shown == "\u2265 0"
    assert (part.basis, part.set_by) == ("O", "Ines Okafor")
    assert (part.age.value, part.fresh.value) == (6.0, 92)
    assert (part.attempts.display, part.failed_attempts.display) == ("2", "0")
    assert (part.evidence.measured.display, part.evidence.reference.display) == ("0.549", "0.620")


def test_history_is_twelve_periods_with_a_gap_where_there_was_no_value() -> None:
    history = _control("ROB-01").requirements[0].history
    assert len(history) == 12
    assert [point.number.type for point in history].count("blank") == 1
    assert history[6].number.display == "\u2013"
    assert history[-1].report is None
    assert history[-1].number.display == "\u22120.0710 [\u22120.104, \u22120.0420]"
    thresholds = [point.threshold.display for point in _control("ROB-04").requirements[0].history]
    assert thresholds == ["0.1"] * 11 + ["0.12"]


def test_what_people_state_is_called_attested() -> None:
    kinds = {one.id: one.kind_of_evidence for one in rich().controls}
    assert (kinds["GOV-01"], kinds["INT-01"], kinds["ROB-01"]) == ("attested", "recorded", "measured")


# --- further sections ------------------------------------------------------------------------------------------------


def test_examples_are_chosen_by_their_hashes_whatever_order_they_come_in() -> None:
    given = rich_given()
    turned = build(replace(given, examples=tuple(reversed(given.examples))))
    assert turned.explanations.examples == rich().explanations.examples
    assert len(turned.explanations.examples) == EXAMPLES
    fewer = build(replace(given, examples=(Explained(analysis=given.analyses[0].id, example=3, said="one"),)))
    assert [one.example.value for one in fewer.explanations.examples] == [3]


def test_curves_rise_in_the_budget_and_each_attack_has_its_own() -> None:
    curves = rich().robustness.curves
    assert [curve.label for curve in curves] == ["attack all, norm linf", "attack pgd, norm linf"]
    assert [point.epsilon.value for point in curves[0].points] == [0.5, 1.0, 2.0, 4.0]


def test_a_budget_that_was_left_to_the_kind_is_not_called_none() -> None:
    given = rich_given()
    named = {each.kind: each for each in given.analyses}["robustness_layers"]
    left = replace(named, parameters={**named.parameters, "epsilon": 0.0})
    threats = build(replace(given, analyses=(named, replace(left, id=str(UUID(int=1)))))).robustness.threats
    assert {each.said.split("; ")[1] for each in threats} == {"budget 1", "budget as the kind chooses"}


def test_layers_that_were_not_measured_are_said() -> None:
    layers = rich().layers
    assert [len(one.table.rows) for one in layers.tables] == [1, 12]
    assert [one.title for one in layers.tables[1].table.columns][-1].endswith("approved baseline")
    assert layers.not_measured[0].startswith("Dead units")
    assert first().layers.said.startswith("No analysis in this window measured layers")


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (-13 * DAY, "not begun"),
        (-12 * DAY, "in force"),
        (48 * DAY - timedelta(seconds=1), "in force"),
        (48 * DAY, "expired"),
    ],
)
def test_a_waiver_begins_with_its_start_and_ends_before_its_end(moment: timedelta, state: str) -> None:
    assert waiver_state(rich_given().waivers[0], AS_OF + moment) == state


def test_an_item_without_a_control_is_not_covered() -> None:
    rows = {row.item: row for row in rich().frameworks.views[0].rows}
    assert (rows["10"].status, rows["10"].shown) == (None, "not covered by this service")
    assert rows["15"].status is Status.NOT_MET
    assert rows["15"].shown == "ROB-01 not met, ROB-02 stale, ROB-03 met, ROB-04 met"


def test_limits_follow_from_the_reasons_met() -> None:
    notes = rich().limitations.notes
    assert "XAI-06: the interval holds the threshold, so the evidence decides neither way." in notes
    assert "LYR-01: nothing in this service measures it yet." in notes
    assert "Made, not collected: claims-background. Real examples may behave otherwise." in notes
    assert any(note.startswith("2 events were not sealed") for note in notes)
    assert any("no signed head" in note for note in first().limitations.notes)


def test_who_ran_the_audits_is_named_as_barred_from_approving() -> None:
    assert rich().sign_off.excluded == ("Tomasz Wr\u00f3bel", "nightly-audits")
    assert [step.step for step in rich().sign_off.steps] == ["prepared", "reviewed", "approved"]


def test_every_analysis_of_the_annex_can_be_run_again_by_its_command() -> None:
    rows = rich().evidence.analyses
    assert len(rows) == 7
    assert all(row.replay == f"lamina reproduce {row.analysis}" for row in rows)
    failed = next(row for row in rows if row.state == "failed")
    assert failed.leaf_hash.display == "\u2013"
    assert failed.said == "The child ran out of its memory budget of 2 GiB."


def test_no_status_is_called_a_conformity() -> None:
    text = twin.write(rich()).decode().lower()
    assert "compliant" not in text
    assert "certified" not in text
