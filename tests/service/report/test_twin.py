"""Does a twin survive being written down, and does it tell the truth about its audit?"""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.contracts.section import Column, Number, Section, Table
from service.contracts.status import AnalysisState, AuditState
from service.report import twin
from service.report.build import Answered, Audited, Submitted, build
from service.report.html import render
from service.report.twin import AuditReport, moment
from service.report.untested import DECLARED
from service.report.wording import cell, settings
from tests.service.report.samples import KINDS, SUBMITTED, hostile, model_facts, rich

FROZEN = Path(__file__).parent / "frozen"


@pytest.mark.parametrize("report", [rich(), hostile()], ids=["rich", "hostile"])
def test_a_twin_read_back_is_the_same_report_and_the_same_bytes(report: AuditReport) -> None:
    content = twin.write(report)
    assert twin.read(content) == report
    assert twin.write(twin.read(content)) == content


@pytest.mark.parametrize("value", [12345.0, 12345, 3.0, 3, 0.0, -0.0, 1e7, 10_000_000, 1e20, -4096.0, 1e-9, 5e-324])
def test_a_number_reads_as_it_did_though_rfc_8785_drops_the_point(value: float) -> None:
    number = Number(value=value, n=4)
    table = Table(title="t", columns=(Column(title="c"),), rows=((number,),))
    report = rich(body=Section(title="t", question="", answer="", blocks=(table,), source=""))
    back = twin.read(twin.write(report)).sections[0].section
    assert back is not None
    assert isinstance(back.blocks[0], Table)
    assert back.blocks[0].rows[0][0].display == number.display


def test_a_twin_whose_display_string_was_changed_is_refused() -> None:
    content = twin.write(rich()).replace(b'"display":"0.981 [0.955, 0.992]"', b'"display":"0.999 [0.995, 1]"')
    with pytest.raises(ValidationError, match="is not how"):
        twin.read(content)


@pytest.mark.parametrize("path", sorted(FROZEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_twin_of_an_earlier_version_still_reads_and_renders(path: Path) -> None:
    content = path.read_bytes().strip()
    report = twin.read(content)
    html = render(report, {}, {})
    assert twin.write(report) == content
    for text in (report.title, "Not requested: \u201cRobust accuracy under PGD\u201d (pgd_linf).", "head.linear"):
        assert text in html


def test_there_is_a_frozen_twin_of_every_schema_version() -> None:
    frozen = {json.loads(path.read_bytes())["schema_version"] for path in FROZEN.glob("*.json")}
    assert frozen == set(range(1, twin.SCHEMA_VERSION + 1))


def test_a_moment_is_told_in_utc_with_its_month_in_words() -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    assert moment(datetime(2027, 1, 2, 3, 4, 5, tzinfo=kathmandu)).display == "1 January 2027, 21:19:05 UTC"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        moment(datetime(2027, 1, 2, 3, 4, 5))  # noqa: DTZ001  # what is refused


def test_the_summary_counts_each_state_finding_and_control() -> None:
    summary = rich().summary
    counted = {name: getattr(summary, name).value for name in type(summary).model_fields}
    assert counted == {
        "analyses": 4,
        "succeeded": 2,
        "failed": 1,
        "cancelled": 1,
        "open": 0,
        "findings": 3,
        "controls_passed": 2,
        "controls_failed": 1,
    }


def test_findings_stand_gravest_first() -> None:
    assert [one.severity for one in rich().raised] == ["failure", "warning", "note"]


def test_what_was_not_tested_names_every_gap() -> None:
    first, fourth = (f"\u201cConductance of every layer\u201d (analysis {place})" for place in (1, 4))
    third = "\u201cLIME on images\u201d (analysis 3)"
    assert rich().not_tested == (
        f"{third} failed and answered nothing: The analysis was ended after 600 s, at 71 % of its samples.",
        f"{fourth} was cancelled and answered nothing: Cancelled by J. Okafor.",
        f"{first}: the control \u201cDoubled steps\u201d failed; read the numbers there as unconfirmed.",
        f"{first}: the control \u201cAgainst captum\u201d was not run: captum cannot do the reused module",
        f"{first} left out 2 subjects; each is listed there with its reason.",
        "Layers that did not run on an example input: 1 of 15. No analysis by layer covers them.",
        "Not requested: \u201cRobust accuracy under PGD\u201d (pgd_linf).",
        "Everything was measured on one dataset, \u201ccheques-2026-q3\u201d; other data may behave otherwise.",
        DECLARED,
    )


def test_an_audit_of_a_refused_model_that_has_not_ended_says_so() -> None:
    report = build(
        title="t",
        audit=Submitted(
            id="1", state=AuditState.RUNNING, submitted_at=SUBMITTED, closed_at=None, submitted_by="p", tenant="t"
        ),
        model=Audited(name="m", version="1", source_digest="sha256:" + "0" * 64, facts=model_facts(), manifest=None),
        inputs=(),
        analyses=(Answered(id="a", kind="gone", kind_version=1, state=AnalysisState.WAITING, parameters={}),),
        kinds=KINDS,
        made_at=SUBMITTED,
        lamina_version="0",
    )
    assert report.summary.open.value == 1
    assert report.sections[0].title == "gone"
    assert (
        "\u201cgone\u201d (analysis 1) had not ended when this report was made (state: waiting)." in report.not_tested
    )
    assert "The model was not read: nothing is said of its layers." in report.not_tested
    assert "No dataset was used." in report.not_tested
    html = render(report, {}, {})
    assert "never run: inspection did not accept it" in html
    assert "This analysis has given no reason." in html


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (8 / 255, "0.0313725490196"),
        (64, "64"),
        (True, "yes"),
        (None, "\u2013"),
        ("captum", "captum"),
        ([1, "a"], '[1, "a"]'),
        ({"k": 0.5}, '{"k": 0.5}'),
        ("x" * 700, "x" * 599 + "\u2026"),
    ],
)
def test_a_parameter_is_shown_as_it_was_chosen(value: object, shown: str) -> None:
    assert cell(value).display == shown  # type: ignore[arg-type]  # one table for every JSON type


def test_parameters_stand_by_name_whatever_order_a_database_gave_them() -> None:
    assert settings({"b": 1, "a": 2}) == settings({"a": 2, "b": 1})
