"""Does a report say what was measured, and can a stranger check it? From rows to the zip, without a server."""

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.evidence.archive import NotABundle
from service.evidence.bundle import handed_out, zipped
from service.evidence.keys import SigningKeys
from service.evidence.rotation import hand_over
from service.evidence.succession import vouched
from service.evidence.verify import verify
from service.store.database import Database
from tests.service.work.office import Office, an_office

DAY = timedelta(days=1)


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


def point(metric: str, value: float, low: float | None = None, high: float | None = None, n: int = 1000) -> Measurement:
    return Measurement(metric=metric, value=value, low=low, high=high, n=n)


@pytest.fixture
def reported(office: Office, clock: FixedClock) -> UUID:
    """A month with one audit of each kind, reported."""
    begin = clock.now()
    model, dataset = office.ready_pair()
    clock.advance(DAY)
    office.measure(model, dataset, "accuracy", point("clean_accuracy", 0.95, 0.94, 0.96), point("smallest_class", 40))
    office.measure(model, dataset, "layer_conductance", point("completeness_error", 0.01, n=200))
    office.measure(model, dataset, "robustness", point("attack_checks_failed", 2))
    clock.advance(29 * DAY)
    report = office.ask("net", begin, clock.now())
    assert office.make_reports() == 1
    return report


def test_a_report_holds_what_was_measured_and_says_what_was_not(office: Office, reported: UUID) -> None:
    row = office.report(reported)
    assert row.state == "generated"
    statuses = office.statuses(reported)
    assert len(statuses) == 35
    assert {control: statuses[control] for control in ("XAI-01", "ROB-02", "ROB-03", "INT-01", "REP-02")} == {
        "XAI-01": "met",
        "ROB-02": "met",
        "ROB-03": "not_met",
        "INT-01": "met",
        "REP-02": "met",
    }
    assert {statuses[control] for control in ("DRF-01", "GOV-01", "LYR-01")} == {"insufficient_evidence"}
    assert row.counts is not None
    assert sum(row.counts.values()) == 35
    twin = json.loads(office.file(reported, "report.json"))
    assert twin["identity"]["model"]["name"] == "net"
    assert len(twin["evidence"]["analyses"]) == 3
    assert b"<html" in office.file(reported, "report.html")
    assert office.file(reported, "report.pdf").startswith(b"%PDF-1.7")


def test_the_same_evidence_gives_the_same_twin(office: Office, reported: UUID) -> None:
    again = office.reporter().make(office.tenant, reported)
    first = json.loads(office.file(reported, "report.json"))
    second = json.loads(again.files["report.json"])
    for each in (first, second):  # the head is signed anew: the log has grown by the report itself
        del each["evidence"]["head"]
    assert first == second


def test_a_stranger_can_check_the_zip_without_the_service(office: Office, reported: UUID) -> None:
    bundle = office.file(reported, "report.zip")
    found = verify(bundle, {office.keys.key_id: office.keys.public})
    assert [(check.name, check.said) for check in found.checks if check.passed is not True] == []
    assert found.holds
    unpinned = verify(bundle)
    assert unpinned.holds
    assert unpinned.checks[-1].passed is None
    assert "compare it with the one its service publishes" in unpinned.checks[-1].said
    other = SigningKeys.made()
    assert not verify(bundle, {other.key_id: other.public}).holds


def members(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "SHA256SUMS"}


def test_every_file_of_the_zip_that_is_changed_is_found_even_when_its_sum_is_too(
    office: Office, reported: UUID
) -> None:
    whole = members(office.file(reported, "report.zip"))
    assert zipped(whole) == office.file(reported, "report.zip")
    trusted = {office.keys.key_id: office.keys.public}
    for name in whole:
        changed = whole[name].replace(b"1", b"7", 1)
        assert changed != whole[name]
        found = verify(zipped({**whole, name: changed}), trusted)
        assert not found.holds, name
        without = {other: content for other, content in whole.items() if other != name}
        if name != "report.json":
            assert not verify(zipped(without), trusted).holds, name
    with pytest.raises(NotABundle, match=r"there is no report.json"):
        verify(zipped({"a": b"b"}))
    with pytest.raises(NotABundle, match="this is no zip"):
        verify(b"PK nothing")


def test_a_changed_page_is_told_by_its_sum_and_by_what_was_signed(office: Office, reported: UUID) -> None:
    bundle = office.file(reported, "report.zip")
    page = members(bundle)["report.html"]
    turned = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(turned, "w") as new:
        for name in old.namelist():
            new.writestr(name, page.replace(b"net", b"nut") if name == "report.html" else old.read(name))
    failed = [check.said for check in verify(turned.getvalue()).checks if check.passed is False]
    assert failed == [
        (
            "report.html was changed; "
            "the zip itself holds more than its files, or was packed again: ask for it as the service handed it out"
        ),
        "report.html is not the one that was signed: it was changed, added or taken away",
    ]


def test_a_zip_without_signatures_stays_as_it_is(office: Office, reported: UUID) -> None:
    bundle = office.file(reported, "report.zip")
    assert handed_out(bundle, []) is bundle


def test_whoever_knows_the_first_key_can_check_what_a_later_one_signed(
    office: Office, reported: UUID, clock: FixedClock
) -> None:
    first, old = office.keys, office.file(reported, "report.zip")
    office.keys = SigningKeys.made()
    word = hand_over(office.database, first, office.keys, clock)
    later = office.ask("net", clock.now() - 30 * DAY, clock.now())
    assert office.make_reports() == 1
    new = handed_out(office.file(later, "report.zip"), [], [word])
    known = {first.key_id: first.public}

    found = verify(new, known)
    assert found.holds, [check for check in found.checks if check.passed is False]
    assert f"vouched for {office.keys.key_id}" in found.checks[-1].said
    assert not verify(office.file(later, "report.zip"), known).holds, "without the word nothing leads to the new key"
    assert verify(handed_out(old, [], [word])).holds, "an old report stays what it was"
    assert not verify(handed_out(old, [], [word]), {office.keys.key_id: office.keys.public}).holds, "trust goes one way"
    stranger = SigningKeys.made()
    forged = vouched(stranger, SigningKeys.made().public, 0)
    failed = [check.said for check in verify(handed_out(old, [], [forged])).checks if check.passed is False]
    assert failed == ["successions.json: a key is said to follow one that did not vouch for it"]
