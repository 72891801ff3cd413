"""Does a year of audits and reports say what a person who knew the year would have written?"""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from service.clock import FixedClock
from service.evidence.ledger_check import check_tenant
from service.evidence.verify import verify
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Event
from service.store.tables_compliance import ComplianceReport, Slot, Verdict
from tests.service.work.office import an_office
from tests.service.work.year import (
    AUDITS,
    BEGIN,
    DARK_FROM,
    DARK_UNTIL,
    MISSED,
    REPORTS,
    Year,
)

# + met, - not met, ? insufficient evidence, ~ stale, / not applicable; w: waived, beside the status and never for it.
WORDS = {"+": "met", "-": "not_met", "?": "insufficient_evidence", "~": "stale", "/": "not_applicable"}
WRITTEN = {
    "credit": """
        month   ROB-02 ROB-03 XAI-01 COV-01 REP-02 GOV-04 GOV-08 INT-01 INT-02
        2026-04   +      ?      +      +      +      ?      +      +      +
        2026-05   +      ?      +      +      +      ?      +      +      +
        2026-06   -      ?      +      +      +      +      +      +      +
        2026-07   +      ?      -      +      +      +      +      +      +
        2026-08   +      ?      -w     +      +      +      +      +      +
        2026-09   +      ?      -w     -      +      ~      +      +      +
        2026-10   +      ?      -w     +      +      ~      +      +      +
        2026-11   +      ?      -      +      +      ~      -      +      +
        2026-12   +      ?      +      +      +      ~      +      +      +
        2027-01   ~      ?      +      +      +      ~      +      +      +
        2027-02   +      ?      +      +      +      ~      +      +      +
        2027-03   +      ?      +      +      +      ~      +      +      +
    """,
    "scanner": """
        month   ROB-01 ROB-02 ROB-03 XAI-01 COV-01 REP-02 GOV-01 GOV-08 INT-01
        2026-04   +      +      +      /      +      +      ?      +      +
        2026-05   +      +      +      /      +      +      ?      +      +
        2026-06   ?      +      -      /      +      +      +      +      +
        2026-07   +      +      +      /      +      +      +      +      +
        2026-08   +      +      +      /      +      +      +      +      +
        2026-09   +      +      +      /      -      +      +      +      +
        2026-10   ?      ?      ?      /      +      +      +      +      +
        2026-11   +      +      +      /      +      +      +      +      +
        2026-12   +      ?      +      /      +      +      ~      +      +
        2027-01   ?      +      ?      /      +      -      ~      +      +
        2027-02   +      +      +      /      +      +      ~      +      +
        2027-03   +      +      +      /      +      +      ~      +      +
    """,
}
# Why the evidence is insufficient, where it is not for want of any.
WHY = {
    ("scanner", "2026-06", "ROB-01"): "guard",
    ("scanner", "2026-10", "ROB-01"): "subject_changed",
    ("scanner", "2026-10", "ROB-02"): "subject_changed",
    ("scanner", "2026-10", "ROB-03"): "subject_changed",
    ("scanner", "2026-12", "ROB-02"): "inconclusive",
    ("scanner", "2027-01", "ROB-01"): "unverified",
    ("scanner", "2027-01", "ROB-03"): "unverified",
}


@pytest.fixture
def year(
    database: Database,
    clock: FixedClock,
    tenant: UUID,
    principal: UUID,
    make_principal: Callable[[UUID, str], UUID],
    tmp_path: Path,
) -> Iterator[Year]:
    beside = Database(database.url)
    yield Year(
        office=an_office(database, clock, tenant, principal, tmp_path),
        beside=beside,
        granter=make_principal(tenant, "ben"),
        reviewer=make_principal(tenant, "cleo"),
    )
    beside.close()


@pytest.mark.slow
def test_a_year_says_what_was_written_by_hand(year: Year) -> None:
    year.run()
    assert year.dead == 2
    every_time_is_one_slot(year)
    windows_join(year)
    every_audit_has_one_slot_and_every_analysis_one_end(year)
    statuses_are_those_written(year)
    earlier_verdicts_keep_their_threshold(year)
    what_was_done_to_the_bytes_is_told_and_nothing_else(year)
    every_zip_holds(year)
    made_again_at_the_end_a_report_says_the_same(year)


def every_time_is_one_slot(year: Year) -> None:
    for model in AUDITS:
        for purpose, times in (("audits", AUDITS[model]), ("report", REPORTS[model])):
            slots = slots_of(year, model, purpose)
            assert [slot.key for slot in slots] == [f"time:{due:%Y-%m-%dT%H:%M:%SZ}" for due in times]
            assert [slot.nominal_at for slot in slots] == times
            missed = MISSED if purpose == "audits" else []
            states = ["missed" if due.date() in missed else "started" for due in times]
            assert [slot.state for slot in slots] == states
            late = [slot.late_seconds for slot in slots]
            assert late == [
                (DARK_UNTIL - due).total_seconds() if DARK_FROM <= due < DARK_UNTIL else 0.0 for due in times
            ]


def windows_join(year: Year) -> None:
    for schedule in year.schedules:
        slots = slots_of(year, *schedule)
        assert slots[0].window_from == BEGIN
        assert all(slot.window_to == slot.nominal_at for slot in slots)
        assert all(earlier.window_to == later.window_from for earlier, later in pairwise(slots))


def every_audit_has_one_slot_and_every_analysis_one_end(year: Year) -> None:
    with system_session(year.office.database, writes=False) as session:
        audits = list(session.scalars(select(Audit.id)))
        reports = list(session.scalars(select(ComplianceReport.id)))
        slots = session.execute(select(Slot.audit_id, Slot.report_id)).all()
        open_ = session.scalars(select(func.count(Analysis.id)).where(Analysis.ended_at.is_(None))).one()
        analyses = set(session.scalars(select(Analysis.id)))
        ends = list(
            session.scalars(
                select(Event.subject_id).where(
                    Event.subject_type == "analysis", Event.action.in_(["kept", "ended without outcome"])
                )
            )
        )
    assert sorted(audits) == sorted(audit for audit, _ in slots if audit)
    assert sorted(reports) == sorted(report for _, report in slots if report)
    assert (len(audits), len(reports), open_) == (2 * (52 - 3), 2 * 12, 0)
    assert len(analyses) == 2 * len(audits)
    assert sorted(ends) == sorted(analyses)


def statuses_are_those_written(year: Year) -> None:
    for model, table in WRITTEN.items():
        controls, *lines = (line.split() for line in table.strip().splitlines())
        found = [["month", *controls[1:]]]
        for report in reports_of(year, model):
            said = year.office.statuses(report.id)
            waived = {row.control for row in verdicts(year, report.id, -1) if row.waived}
            signs = {word: sign for sign, word in WORDS.items()}
            row = [signs[said[control]] + ("w" if control in waived else "") for control in controls[1:]]
            found.append([f"{report.as_of:%Y-%m}", *row])
        assert found == [controls, *lines]
    for (model, month, control), why in WHY.items():
        (report,) = [each for each in reports_of(year, model) if f"{each.as_of:%Y-%m}" == month]
        (verdict,) = [each for each in verdicts(year, report.id, 0) if each.control == control]
        assert (month, control, verdict.reason) == (month, control, why)


def earlier_verdicts_keep_their_threshold(year: Year) -> None:
    for report in reports_of(year, "credit"):
        revised = f"{report.as_of:%Y-%m}" >= "2026-07"
        (verdict,) = [each for each in verdicts(year, report.id, 0) if each.control == "XAI-01"]
        assert verdict.threshold == (0.02 if revised else 0.05)
        assert report.about is not None
        assert report.about["policy"] == ("house, revision 2" if revised else "house, revision 1")


def what_was_done_to_the_bytes_is_told_and_nothing_else(year: Year) -> None:
    office = year.office
    office.appender.seal()
    with office.database.session(office.tenant, writes=False) as session:
        assert check_tenant(session, office.blobs, office.tenant) == []
        year.tamper()
        (found,) = check_tenant(session, office.blobs, office.tenant)
        assert (found.table, found.row) == ("blob", year.digest)
        year.put_back()
        assert check_tenant(session, office.blobs, office.tenant) == []


def every_zip_holds(year: Year) -> None:
    trusted = {year.office.keys.key_id: year.office.keys.public}
    for model in AUDITS:
        for report in reports_of(year, model):
            checked = verify(year.office.file(report.id, "report.zip"), trusted)
            failed = [(check.name, check.said) for check in checked.checks if check.passed is not True]
            assert failed == [], f"{model} {report.as_of:%Y-%m}"


def made_again_at_the_end_a_report_says_the_same(year: Year) -> None:
    reporter, _ = year.reporters(pages=False)
    for model in AUDITS:
        for report in reports_of(year, model)[::4] + reports_of(year, model)[9:10]:
            again = json.loads(reporter.make(year.office.tenant, report.id).files["report.json"])
            first = json.loads(year.office.file(report.id, "report.json"))
            for twin in (first, again):
                del twin["evidence"]["head"]  # of the log as it was at each time
            mended = (model, f"{report.as_of:%Y-%m}") == ("scanner", "2027-01")  # its bytes are put back by then
            assert (first == again) is not mended, f"{model} {report.as_of:%Y-%m}"


def slots_of(year: Year, model: str, purpose: str) -> list[Slot]:
    with system_session(year.office.database, writes=False) as session:
        return list(
            session.scalars(
                select(Slot).where(Slot.schedule_id == year.schedules[model, purpose]).order_by(Slot.nominal_at)
            )
        )


def reports_of(year: Year, model: str) -> list[ComplianceReport]:
    with system_session(year.office.database, writes=False) as session:
        return list(
            session.scalars(
                select(ComplianceReport)
                .where(ComplianceReport.model_name == model)
                .order_by(ComplianceReport.as_of, ComplianceReport.id)
            )
        )


def verdicts(year: Year, report: UUID, position: int) -> list[Verdict]:
    with system_session(year.office.database, writes=False) as session:
        return list(session.scalars(select(Verdict).where(Verdict.report_id == report, Verdict.position == position)))
