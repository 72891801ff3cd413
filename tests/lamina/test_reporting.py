"""Compliance reports by the command: asked for, read, signed by two people, linked, made again."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lamina.client import Client
from service.contracts.base import digest_of
from service.evidence.archive import unpacked
from service.report.exchange.forms import FORMS
from tests.lamina.bureau import Bureau, bureau
from tests.lamina.typed import lamina

__all__ = ["bureau"]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def test_a_report_is_asked_for_and_waited_for(bureau: Bureau) -> None:
    begin, end = bureau.audited()
    made = lamina("report", "ask", "net@1", "--from", begin, "--to", end, "--title", "March")
    assert made.exit_code == 0, made.output
    for text in (
        "March  generated, revision 1",
        "model net@1",
        "insufficient evidence",
        "report.zip"[-3:],
        "twin sha256:",
    ):
        assert text in made.stdout
    listed = json.loads(lamina("report", "list", "--model", "net", "--json").stdout)
    assert [(each["title"], each["state"]) for each in listed] == [("March", "generated")]
    table = lamina("report", "list", "--state", "generated").stdout
    assert listed[0]["id"] in table
    assert lamina("report", "show", listed[0]["id"]).stdout.count("sha256:") == 6  # the twin, and five files


def test_each_form_is_fetched_and_the_zip_proves_itself(bureau: Bureau, tmp_path: Path) -> None:
    report = bureau.reported()
    for form in ("html", "pdf", "json", "dsse", "zip"):
        target = tmp_path / f"r.{form}"
        got = lamina("report", "get", str(report), "--form", form, "--out", target)
        assert got.exit_code == 0, got.output
        assert target.read_bytes() == bureau.office.file(report, f"report.{'dsse.json' if form == 'dsse' else form}")
    assert lamina("verify", tmp_path / "r.zip").exit_code == 0
    refused = lamina("report", "get", str(report), "--form", "doc")
    assert (refused.exit_code, "html, pdf, json, dsse, zip" in refused.stderr) == (2, True)


def test_what_is_signed_is_what_was_read_and_by_two_people(bureau: Bureau, tmp_path: Path) -> None:
    report = str(bureau.reported())
    whole = tmp_path / "r.zip"
    assert lamina("report", "get", report, "--form", "zip", "--out", whole).exit_code == 0
    twin = unpacked(whole.read_bytes())["report.json"]
    neither = lamina("report", "sign", report, "submitted", "--role", "owner")
    assert (neither.exit_code, "say what you have read" in neither.stderr) == (2, True)
    done = lamina("report", "sign", report, "submitted", "--role", "owner", "--read", whole)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("submitted by ada (owner)")
    assert digest_of(twin) in done.stdout
    own = lamina("report", "sign", report, "approved", "--role", "owner", "--read", whole)
    assert own.exit_code == 3
    bureau.who = "carol"
    other = tmp_path / "other.json"
    other.write_bytes(twin + b" ")
    assert lamina("report", "sign", report, "approved", "--role", "auditor", "--read", other).exit_code == 3
    assert lamina("report", "sign", report, "approved", "--role", "auditor", "--digest", digest_of(twin)).exit_code == 0
    shown = lamina("report", "show", report).stdout
    assert "approved, revision 1" in shown
    assert shown.index("submitted") < shown.index("carol")


def test_a_link_and_a_revision_are_made(bureau: Bureau) -> None:
    report = str(bureau.reported())
    link = lamina("report", "link", report, "--form", "pdf", "--hours", "2")
    assert link.exit_code == 0, link.output
    assert link.stdout.startswith("http://lamina.test/report-views?token=")
    again = lamina("report", "revise", report)
    assert again.exit_code == 0, again.output
    assert "generated, revision 2" in again.stdout
    assert "superseded" in lamina("report", "show", report).stdout
    assert lamina("report", "revise", report).exit_code == 3


def test_a_day_without_a_meaning_is_refused_before_anything_is_sent(bureau: Bureau) -> None:
    wrong = lamina("report", "ask", "net", "--from", "yesterday")
    assert (wrong.exit_code, "2026-12-31" in wrong.stderr) == (2, True)
    assert list(json.loads(lamina("report", "list", "--json").stdout)) == []


def test_an_export_is_the_same_from_the_service_and_offline_from_the_zip(bureau: Bureau, tmp_path: Path) -> None:
    report = str(bureau.reported())
    whole = tmp_path / "r.zip"
    assert lamina("report", "get", report, "--form", "zip", "--out", whole).exit_code == 0
    for form in FORMS:
        online, offline = tmp_path / "a", tmp_path / "b"
        for source, target in ((report, online), (whole, offline)):
            done = lamina("report", "export", source, "--as", form, "--out", target)
            assert done.exit_code == 0, done.output
        assert online.read_bytes() == offline.read_bytes()
        assert digest_of(unpacked(whole.read_bytes())["report.json"]).encode() in online.read_bytes()
    unknown = lamina("report", "export", whole, "--as", "spdx")
    assert (unknown.exit_code, "oscal, oscal-plan" in unknown.stderr) == (2, True)
    (tmp_path / "other.json").write_text("{}")
    for source in (tmp_path / "gone.zip", tmp_path / "other.json"):
        assert lamina("report", "export", source, "--as", "oscal").exit_code == 2


def test_a_gate_writes_what_pipelines_read(bureau: Bureau, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a server dates its answers, this in-process application does not
    monkeypatch.setattr(Client, "service_time", lambda _self: datetime(2026, 6, 1, tzinfo=UTC))
    bureau.audited()
    rules = tmp_path / "gate.json"
    rules.write_text(
        json.dumps({"model": "net", "rules": [{"metric": "robust_accuracy", "op": ">=", "threshold": 0.5}]})
    )
    log = tmp_path / "gate.sarif"
    done = lamina("gate", rules, "--sarif", log, "--github")
    assert (done.exit_code, "1 of 1 rules do not pass" in done.stderr) == (1, True), repr(done.exception)
    (result,) = json.loads(log.read_text())["runs"][0]["results"]
    assert (result["level"], result["properties"]["status"]) == ("error", "missing")
    assert done.stdout.startswith("::error file=")
    both = lamina("gate", rules, "--github", "--json")
    assert (both.exit_code, "give one of them" in both.stderr) == (2, True)
