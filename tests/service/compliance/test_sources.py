"""What does the service itself answer? By hand, one source after the other."""

from datetime import timedelta
from typing import Any

import pytest

from service.compliance.sources import Due, Granted, LedgerFacts, Own, Stated, newest_overlap, own_answer
from service.contracts.compliance import Status, Why
from service.contracts.provenance import Overlap
from tests.service.compliance.given import AS_OF, judged, need

DAY = timedelta(days=1)
FINE = LedgerFacts(chain_breaks=0, digest_mismatches=0, unaccounted_runs=0, retention_violations=0, checked=9)


def own(**changes: Any) -> Own:
    usual: dict[str, Any] = {"window_from": AS_OF - 30 * DAY, "as_of": AS_OF, "ledger": FINE, "controls": 35}
    return Own(**usual | changes)


def count(source: str, metric: str, **changes: Any) -> Any:
    usual: dict[str, Any] = {"op": "==", "threshold": 0, "rule": "exact", "n": 1, "fresh": 1, "basis": "D"}
    return need(source=source, metric=metric, **usual | changes)


def status_of(wanted: Any, given: Own, control: str = "GOV-01") -> tuple[Status, Why | None, str]:
    found = judged(wanted, own_answer(wanted, control, given))
    return found.status, found.why, found.said


@pytest.mark.parametrize("metric", ["chain_breaks", "digest_mismatches", "unaccounted_runs", "retention_violations"])
def test_the_log_is_whole_or_its_faults_are_named(metric: str) -> None:
    broken = LedgerFacts(**{**_plain(FINE), metric: 2, "said": "analysis 7: its outcome was changed"})

    assert status_of(count("ledger", metric), own())[0] is Status.MET
    assert status_of(count("ledger", metric), own(ledger=broken))[0] is Status.NOT_MET
    assert own_answer(count("ledger", metric), "INT-01", own(ledger=broken)).evidence is not None


def _plain(facts: LedgerFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.__slots__}


STATEMENT = count("attestation", "statement_current", threshold=1, fresh=366, basis="A")


def stated(**changes: Any) -> Stated:
    usual: dict[str, Any] = {
        "control": "GOV-01",
        "who": "ann",
        "role": "owner",
        "statement": "it is on record",
        "at": AS_OF - 10 * DAY,
        "expires_at": AS_OF + 10 * DAY,
        "withdrawn_at": None,
    }
    return Stated(**usual | changes)


@pytest.mark.parametrize(
    ("statements", "status", "why"),
    [
        ([], Status.INSUFFICIENT, Why.NONE),
        ([stated()], Status.MET, None),
        ([stated(control="GOV-02")], Status.INSUFFICIENT, Why.NONE),
        ([stated(at=AS_OF)], Status.INSUFFICIENT, Why.NONE),
        ([stated(expires_at=AS_OF)], Status.STALE, None),
        ([stated(withdrawn_at=AS_OF - DAY)], Status.INSUFFICIENT, Why.NONE),
        ([stated(withdrawn_at=AS_OF + DAY)], Status.MET, None),
        ([stated(at=AS_OF - 20 * DAY), stated(withdrawn_at=AS_OF - DAY)], Status.MET, None),
        ([stated(at=AS_OF - 20 * DAY), stated(expires_at=AS_OF - DAY)], Status.STALE, None),
    ],
)
def test_a_statement_counts_until_it_runs_out_or_is_taken_back(
    statements: list[Stated], status: Status, why: Why | None
) -> None:
    found = status_of(STATEMENT, own(statements=statements))

    assert found[:2] == (status, why)
    if status is Status.MET:
        assert "stated by ann (owner) on 2026-05-" in found[2]


def test_where_a_document_is_asked_for_a_statement_without_one_does_not_do() -> None:
    linked = STATEMENT.model_copy(update={"config": {"document": "linked"}})

    assert status_of(linked, own(statements=[stated()]))[1] is Why.CONFIG_MISMATCH
    assert status_of(linked, own(statements=[stated(document="Bias report 7")]))[0] is Status.MET


SIGNATURE = count("attestation", "independent_signature", threshold=1, fresh=92, basis="A")


def test_an_approval_counts_for_a_quarter() -> None:
    assert status_of(SIGNATURE, own())[1] is Why.NONE
    assert status_of(SIGNATURE, own(approved=(AS_OF - 92 * DAY, "bob")))[0] is Status.MET
    assert status_of(SIGNATURE, own(approved=(AS_OF - 93 * DAY, "bob")))[0] is Status.STALE


SCHEDULED = need(source="schedule", metric="scheduled_completed_share", threshold=0.95, rule="point", n=1)


def ran(days_ago: float, **changes: Any) -> Due:
    nominal = AS_OF - days_ago * DAY
    return Due(**{"nominal_at": nominal, "started": True, "closed_at": nominal + DAY / 24, "gave": True, **changes})


MISSED = Due(nominal_at=AS_OF - 9 * DAY)


@pytest.mark.parametrize(
    ("slots", "share", "n"),
    [
        ([ran(7), ran(14), ran(21), ran(28)], 1.0, 4),
        ([ran(7), MISSED, ran(21), ran(28)], 0.75, 4),
        ([ran(7), ran(14, gave=False)], 0.5, 2),
        ([ran(7), ran(14, closed_at=None)], 0.5, 2),
        ([ran(7), ran(0.1, closed_at=None)], 1.0, 1),
        ([ran(7), ran(0.1, closed_at=AS_OF + DAY / 24)], 1.0, 1),
        ([ran(7), Due(nominal_at=AS_OF - DAY / 24)], 0.5, 2),
    ],
)
def test_an_audit_took_place_once_it_closed_with_an_outcome(slots: list[Due], share: float, n: int) -> None:
    found = own_answer(SCHEDULED, "COV-01", own(slots=slots)).evidence

    assert found is not None
    assert (found.value, found.n) == (share, n)


def test_no_schedule_is_no_evidence() -> None:
    assert status_of(SCHEDULED, own())[:2] == (Status.INSUFFICIENT, Why.NONE)


WAIVERS = count("waiver", "invalid_waivers")


def granted(**changes: Any) -> Granted:
    usual: dict[str, Any] = {
        "control": "ROB-04",
        "starts_at": AS_OF - 20 * DAY,
        "expires_at": AS_OF + 60 * DAY,
        "withdrawn_at": None,
        "renewed": False,
        "independent": True,
    }
    return Granted(**usual | changes)


@pytest.mark.parametrize(
    ("exceptions", "fault"),
    [
        ([], ""),
        ([granted()], ""),
        ([granted(expires_at=AS_OF + 160 * DAY)], ""),  # 180 days
        ([granted(expires_at=AS_OF + 161 * DAY)], "longer than 180 days"),
        ([granted(independent=False)], "not granted by another person"),
        ([granted(expires_at=AS_OF - DAY)], "neither renewed nor withdrawn"),
        ([granted(expires_at=AS_OF)], "neither renewed nor withdrawn"),
        ([granted(expires_at=AS_OF - DAY, renewed=True)], ""),
        ([granted(expires_at=AS_OF - DAY, withdrawn_at=AS_OF - 2 * DAY)], ""),
        ([granted(starts_at=AS_OF - 90 * DAY, expires_at=AS_OF - 31 * DAY)], ""),  # told in the report before
        ([granted(starts_at=AS_OF + DAY, independent=False)], ""),  # not in force yet
    ],
)
def test_an_exception_is_short_granted_by_another_and_ended_by_somebody(exceptions: list[Granted], fault: str) -> None:
    status, _, said = status_of(WAIVERS, own(exceptions=exceptions))
    found = own_answer(WAIVERS, "GOV-08", own(exceptions=exceptions)).evidence

    assert found is not None
    assert status is (Status.NOT_MET if fault else Status.MET), said
    assert fault in found.said
    assert found.n == 35


def test_thresholds_of_the_organisation_are_looked_through() -> None:
    wanted = count("ledger", "thresholds_without_rationale")

    assert status_of(wanted, own())[0] is Status.MET
    assert status_of(wanted, own(unfounded_thresholds=1))[0] is Status.NOT_MET


SHARED = count("dataset", "shared_examples", fresh=183)


def test_shared_examples_are_those_of_the_newest_analysis_that_saw_both() -> None:
    with_training = Overlap(role="evaluation", other="training", shared=3, examples=100)
    clean = Overlap(role="evaluation", other="training", shared=0, examples=100)
    background = Overlap(role="evaluation", other="background", shared=9, examples=100)

    newest = newest_overlap(
        [(AS_OF - DAY, [background]), (AS_OF - 5 * DAY, [with_training]), (AS_OF - 9 * DAY, [clean])]
    )

    assert newest == (AS_OF - 5 * DAY, with_training)
    assert status_of(SHARED, own(shared=newest))[0] is Status.NOT_MET
    assert status_of(SHARED, own(shared=(AS_OF - DAY, clean)))[0] is Status.MET
    assert status_of(SHARED, own())[1] is Why.NONE
