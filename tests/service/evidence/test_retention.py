"""Do files go when their time is over and no sooner, and does the log tell what is gone from what was taken?"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from service.clock import FixedClock
from service.compliance.holds import lift, place
from service.contracts.holds import HoldLift, HoldSubmission
from service.contracts.outcome import Measurement
from service.evidence import giving_up
from service.evidence.giving_up import ACTION, Retention
from service.evidence.ledger_check import check_tenant
from service.evidence.log_check import Finding
from service.evidence.retention import DOC, LOG_FLOOR, KeptFile, due, too_early
from service.settings import Settings
from service.store.base import new_id
from service.store.blobs import BlobMissing, BlobStore
from service.store.database import Database
from service.store.holdings import refer, tombstone
from service.store.ledger import record, subject_of
from service.store.system import system_session
from service.store.tables import Analysis, Artifact, Blob, Event, Input, Tenant
from service.store.tables_compliance import Baseline, LegalHold
from tests.conftest import MakePrincipal, MakeTenant
from tests.service.work.office import Office, an_office

DAY = timedelta(days=1)
LOG = timedelta(days=400)
ENDED = datetime(2026, 3, 1, tzinfo=UTC)
POINT = Measurement(metric="clean_accuracy", value=0.95, low=0.94, high=0.96, n=2000)


def kept(documented: datetime | None = None, *, in_use: bool = False, held: bool = False) -> KeptFile:
    return KeptFile(
        digest="sha256:" + "ab" * 32,
        size=9,
        artifacts=(new_id(),),
        ended_at=ENDED,
        documented_at=documented,
        in_use=in_use,
        held=held,
    )


@pytest.mark.parametrize(
    ("file", "goes"),
    [
        (kept(), ENDED + LOG),
        (kept(ENDED + 3 * DAY), ENDED + 3 * DAY + DOC),
        (kept(ENDED - 20 * DOC), ENDED + LOG),
        (kept(in_use=True), None),
        (kept(ENDED, in_use=True), None),
        (kept(held=True), None),
        (kept(ENDED, held=True), None),
    ],
)
def test_a_file_is_kept_as_long_as_its_class_says_and_not_a_moment_less(file: KeptFile, goes: datetime | None) -> None:
    assert file.until(LOG) == goes
    if goes is None:
        assert due([file], ENDED + 100 * DOC, LOG) == []
    else:
        assert due([file], goes - timedelta(microseconds=1), LOG) == []
        assert due([file], goes, LOG) == [file]


def test_ten_years_are_ten_years_wherever_they_begin() -> None:
    begins = [datetime(year, month, 28, tzinfo=UTC) for year in range(2024, 2029) for month in (2, 6)]
    assert all(begin + DOC >= begin.replace(year=begin.year + 10) for begin in begins)


def test_nothing_is_kept_for_less_than_the_floor() -> None:
    assert due([kept()], ENDED + LOG_FLOOR, LOG_FLOOR) != []
    with pytest.raises(ValueError, match="logs are kept for 183 days at least; 182 were asked for"):
        due([kept()], ENDED + LOG, LOG_FLOOR - DAY)
    with pytest.raises(ValidationError, match="greater than or equal to 183"):
        Settings(retention_log_days=182)
    assert too_early(ENDED + LOG_FLOOR - DAY, ENDED)
    assert not too_early(ENDED + LOG_FLOOR, ENDED)


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


def sweep(office: Office, log: timedelta = LOG) -> int:
    return Retention(database=office.database, blobs=office.blobs, clock=office.clock, log=log).sweep()


def findings(office: Office) -> list[Finding]:
    with system_session(office.database, writes=False) as session:
        return check_tenant(session, office.blobs, office.tenant)


def digest_of(office: Office, analysis: UUID) -> str:
    with system_session(office.database) as session:
        return session.scalars(select(Artifact.digest).where(Artifact.analysis_id == analysis)).one()


def here(office: Office, digest: str) -> bool:
    try:
        office.blobs.open(office.tenant, digest).close()
    except BlobMissing:
        return False
    return True


def tombstones(office: Office) -> Sequence[Event]:
    with system_session(office.database) as session:
        return session.scalars(select(Event).where(Event.action == ACTION).order_by(Event.id)).all()


def measured(office: Office, clock: FixedClock, file: str = "arrays.json") -> str:
    """The digest of what an analysis left behind, 400 days ago."""
    found = digest_of(office, office.measure(*office.ready_pair(), "accuracy", POINT, file=file))
    office.appender.head(office.tenant)
    clock.advance(LOG)
    return found


def test_bytes_go_with_an_event_and_are_not_missed(office: Office, clock: FixedClock) -> None:
    digest = measured(office, clock)
    with system_session(office.database) as session:
        size = session.scalars(select(Blob.size).where(Blob.digest == digest)).one()
        stored = session.get_one(Tenant, office.tenant).stored_bytes
    clock.advance(-DAY)
    assert sweep(office) == 0
    assert here(office, digest)
    clock.advance(DAY)
    assert sweep(office) == 1
    assert sweep(office) == 0
    assert not here(office, digest)
    (event,) = tombstones(office)
    assert event.subject_id == subject_of(digest)
    assert {name: event.detail[name] for name in ("digest", "size", "class", "log_days", "count")} == {
        "digest": digest,
        "size": size,
        "class": "log",
        "log_days": 400,
        "count": 1,
    }
    with system_session(office.database) as session:
        assert session.get_one(Tenant, office.tenant).stored_bytes == stored - size
    office.appender.seal()
    assert findings(office) == []


def test_a_tombstone_without_an_event_is_found(office: Office, clock: FixedClock) -> None:
    digest = measured(office, clock)
    office.blobs.delete(office.tenant, digest)
    assert findings(office) == [Finding("blob", digest, "its bytes are gone, and there is no tombstone")]
    with system_session(office.database) as session:
        session.execute(update(Blob).where(Blob.digest == digest).values(deleted_at=clock.now()))
    forged = Finding("blob", digest, "its bytes are marked as given up, and no event tells of that")
    assert findings(office) == [forged]


def test_a_tombstone_that_was_moved_in_time_is_found(office: Office, clock: FixedClock) -> None:
    digest = measured(office, clock)
    sweep(office)
    office.appender.seal()
    with system_session(office.database) as session:
        session.execute(update(Blob).where(Blob.digest == digest).values(deleted_at=clock.now() + DAY))
    assert [each.row for each in findings(office)] == [digest]


def give_up(office: Office, digest: str, at: datetime) -> None:
    """As a service with no floor would do it."""
    with system_session(office.database) as session:
        assert tombstone(session, office.tenant, digest, uses=1, now=at)
        record(
            session,
            [],
            tenant=office.tenant,
            actor=office.tenant,
            now=at,
            subject_type="blob",
            subject_id=subject_of(digest),
            action=ACTION,
            detail={"digest": digest},
        )


def test_bytes_given_up_before_the_floor_are_told(office: Office, clock: FixedClock) -> None:
    digest = measured(office, clock)
    give_up(office, digest, clock.now() - LOG + 90 * DAY)
    office.appender.seal()
    said = "its bytes were given up on 2026-05-30, 90 days after the analysis ended: 183 is the least"
    assert findings(office) == [Finding("blob", digest, said)]


@pytest.mark.slow
def test_what_a_report_rests_on_is_kept_ten_years_from_the_last_use_of_its_model(
    office: Office, clock: FixedClock
) -> None:
    begin = clock.now()
    model, dataset = office.ready_pair()
    digest = digest_of(office, office.measure(model, dataset, "accuracy", POINT))
    clock.advance(DAY)
    later = digest_of(office, office.measure(model, dataset, "accuracy", POINT, file="other.json"))
    office.ask("net", begin, clock.now())
    clock.advance(DAY)
    assert office.make_reports() == 1
    clock.advance(LOG)
    assert sweep(office) == 1
    assert (here(office, digest), here(office, later)) == (True, False)  # it ended after the report's window
    clock.advance(100 * DAY)
    office.audit(model, dataset)
    clock.advance(DOC - DAY)
    assert sweep(office) == 0
    clock.advance(DAY)
    assert sweep(office) == 1
    assert tombstones(office)[-1].detail["class"] == "doc"
    assert not here(office, digest)
    office.appender.seal()
    assert findings(office) == []


def test_what_is_compared_with_is_kept_until_something_else_is(office: Office, clock: FixedClock) -> None:
    analysis = office.measure(*office.ready_pair(), "accuracy", POINT)
    digest = digest_of(office, analysis)
    with system_session(office.database) as session:
        audit = session.scalars(select(Analysis.audit_id).where(Analysis.id == analysis)).one()
        row = Baseline(
            id=new_id(),
            tenant=office.tenant,
            created_by=office.principal,
            created_at=clock.now(),
            model_name="net",
            audit_id=audit,
            reason="It was approved.",
            replaced_at=None,
        )
        session.add(row)
    clock.advance(LOG)
    assert sweep(office) == 0
    with system_session(office.database) as session:
        session.execute(update(Baseline).values(replaced_at=clock.now()))
    assert sweep(office) == 1
    assert not here(office, digest)


def test_what_an_open_analysis_reads_is_kept_until_it_ends(office: Office, clock: FixedClock) -> None:
    model, dataset = office.ready_pair()
    analysis = office.measure(model, dataset, "accuracy", POINT)
    reader = office.audit(model, dataset)
    with system_session(office.database) as session:
        session.add(
            Input(
                id=new_id(),
                tenant=office.tenant,
                created_by=office.principal,
                created_at=clock.now(),
                audit_id=reader,
                role="earlier",
                analysis_id=analysis,
            )
        )
    clock.advance(LOG)
    assert sweep(office) == 0
    office.cancel(reader)
    assert sweep(office) == 1


def test_equal_bytes_stay_until_nobody_needs_them(office: Office, clock: FixedClock) -> None:
    model, dataset = office.ready_pair()
    digest = digest_of(office, office.measure(model, dataset, "accuracy", POINT))
    clock.advance(100 * DAY)
    assert digest_of(office, office.measure(model, dataset, "accuracy", POINT)) == digest
    clock.advance(300 * DAY)
    assert sweep(office) == 0
    clock.advance(100 * DAY)
    assert sweep(office) == 1
    assert tombstones(office)[0].detail["count"] == 2


def test_equal_bytes_of_something_else_keep_them(office: Office, clock: FixedClock) -> None:
    digest = measured(office, clock)
    with system_session(office.database) as session:
        refer(session, office.tenant, digest)
    assert sweep(office) == 0
    assert here(office, digest)


def test_bytes_that_come_in_again_are_held_again(office: Office, clock: FixedClock) -> None:
    model, dataset = office.ready_pair()
    digest = digest_of(office, office.measure(model, dataset, "accuracy", POINT))
    clock.advance(LOG)
    assert sweep(office) == 1
    clock.advance(DAY)
    assert digest_of(office, office.measure(model, dataset, "accuracy", POINT)) == digest
    assert sweep(office) == 0
    assert here(office, digest)
    office.appender.seal()
    assert findings(office) == []
    clock.advance(LOG)
    assert sweep(office) == 1
    assert not here(office, digest)


def test_a_sweep_that_was_cut_off_is_finished_by_the_next(
    office: Office, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = measured(office, clock)
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "delete", _cut_off)
        with pytest.raises(OSError, match="the disk is away"):
            sweep(office)
    assert here(office, digest)
    assert len(tombstones(office)) == 1
    clock.advance(DAY)
    assert sweep(office) == 0
    assert not here(office, digest)
    assert len(tombstones(office)) == 1


def _cut_off(*_given: object) -> None:
    raise OSError("the disk is away")


@pytest.mark.slow
def test_many_sweeps_at_once_give_up_each_file_once(office: Office, clock: FixedClock) -> None:
    model, dataset = office.ready_pair()
    for number in range(12):
        office.measure(model, dataset, "accuracy", POINT, file=f"{number}.json")
    clock.advance(LOG)
    with ThreadPoolExecutor(3) as pool:
        gone = sum(pool.map(lambda _: sweep(office), range(3)))
    assert gone == len(tombstones(office)) == 12


@pytest.mark.slow
@pytest.mark.parametrize(("days", "status"), [(400, "met"), (90, "not_met")])
def test_a_report_says_whether_the_floor_was_held(office: Office, clock: FixedClock, days: int, status: str) -> None:
    digest = measured(office, clock)
    give_up(office, digest, clock.now() - LOG + days * DAY)
    report = office.ask("net", clock.now() - 30 * DAY, clock.now())
    assert office.make_reports() == 1
    assert office.statuses(report)["INT-03"] == status


def held(office: Office, colleague: UUID, wanted: HoldSubmission) -> UUID:
    with office.database.session(office.tenant) as session:
        return place(session, wanted, tenant=office.tenant, principal=colleague, now=office.clock.now()).id


def lifted(office: Office, hold: UUID) -> None:
    with office.database.session(office.tenant) as session:
        lift(session, hold, HoldLift(reason="settled"), principal=office.principal, now=office.clock.now())


@pytest.fixture
def colleague(make_principal: MakePrincipal, tenant: UUID) -> UUID:
    return make_principal(tenant, "carol")


def test_a_hold_on_the_model_keeps_files_whatever_their_age(office: Office, clock: FixedClock, colleague: UUID) -> None:
    digest = measured(office, clock)
    first, second = (
        held(office, colleague, HoldSubmission(model_name="net", reason=reason)) for reason in ("a claim", "an inquiry")
    )
    clock.advance(DOC)
    assert sweep(office) == 0
    lifted(office, first)
    assert sweep(office) == 0
    assert here(office, digest)
    lifted(office, second)
    assert sweep(office) == 1
    assert not here(office, digest)
    office.appender.seal()
    assert findings(office) == []


def test_a_hold_on_an_audit_keeps_the_files_of_that_audit(office: Office, clock: FixedClock, colleague: UUID) -> None:
    model, dataset = office.ready_pair()
    mine, other = (office.measure(model, dataset, "accuracy", POINT, file=f"{name}.json") for name in "ab")
    with system_session(office.database) as session:
        audit = session.get_one(Analysis, mine).audit_id
    held(office, colleague, HoldSubmission(audit=audit, reason="a claim"))
    kept_digest, gone_digest = digest_of(office, mine), digest_of(office, other)
    clock.advance(LOG)
    assert sweep(office) == 1
    assert (here(office, kept_digest), here(office, gone_digest)) == (True, False)


def test_a_hold_of_another_tenant_keeps_nothing_here(
    office: Office, clock: FixedClock, make_tenant: MakeTenant, make_principal: MakePrincipal
) -> None:
    measured(office, clock)
    other = make_tenant("umbrella")
    with system_session(office.database) as session:
        hold = LegalHold(id=new_id(), tenant=other, created_by=make_principal(other, "eve"), created_at=clock.now())
        hold.model_name, hold.reason, hold.lift_reason = "net", "a claim", ""
        session.add(hold)
    assert sweep(office) == 1


def test_a_hold_placed_between_the_two_looks_of_a_sweep_keeps_the_bytes(
    office: Office, clock: FixedClock, colleague: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = measured(office, clock)
    first_look = giving_up._due

    def then_hold(*given: Any) -> list[KeptFile]:
        found = first_look(*given)
        monkeypatch.setattr(giving_up, "_due", first_look)
        held(office, colleague, HoldSubmission(model_name="net", reason="a claim"))
        assert [file.digest for file in found] == [digest]
        return found

    monkeypatch.setattr(giving_up, "_due", then_hold)
    assert sweep(office) == 0
    assert here(office, digest)
    assert tombstones(office) == []


def test_a_hold_placed_while_bytes_go_waits_and_comes_after(
    office: Office, clock: FixedClock, colleague: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = measured(office, clock)
    look, looks, placing = giving_up._due, [0], list[Future[UUID]]()
    with ThreadPoolExecutor(1) as pool:

        def while_written(*given: Any) -> list[KeptFile]:
            found = look(*given)
            looks[0] += 1
            if looks[0] == 2:
                wanted = HoldSubmission(model_name="net", reason="a claim")
                placing.append(pool.submit(held, office, colleague, wanted))
                with pytest.raises(TimeoutError):  # it has to wait for this transaction
                    placing[0].result(timeout=0.3)
            return found

        monkeypatch.setattr(giving_up, "_due", while_written)
        assert sweep(office) == 1
        hold = placing[0].result(timeout=60)
    assert not here(office, digest)
    with system_session(office.database) as session:
        placed = session.scalars(select(Event.id).where(Event.subject_id == hold)).one()
    assert tombstones(office)[0].id < placed
    office.appender.seal()
    assert findings(office) == []


def test_bytes_given_up_under_a_hold_are_told(office: Office, clock: FixedClock, colleague: UUID) -> None:
    digest = measured(office, clock)
    hold = held(office, colleague, HoldSubmission(model_name="net", reason="a claim"))
    give_up(office, digest, clock.now())
    lifted(office, hold)
    office.appender.seal()
    said = "its bytes were given up on 2027-04-05 while a legal hold forbade it"
    assert findings(office) == [Finding("blob", digest, said)]


@pytest.mark.slow
def test_a_report_names_the_holds_in_force(office: Office, clock: FixedClock, colleague: UUID) -> None:
    measured(office, clock)
    lifted(office, held(office, colleague, HoldSubmission(model_name="net", reason="an inquiry")))
    clock.advance(DAY)
    held(office, colleague, HoldSubmission(model_name="net", reason="a claim"))
    clock.advance(DAY)
    report = office.ask("net", clock.now() - 30 * DAY, clock.now())
    assert office.make_reports() == 1
    assert office.statuses(report)["INT-03"] == "met"
    assert "under legal hold: the model, since 2027-04-06 by carol" in office.file(report, "report.json").decode()
    assert office.file(report, "report.json").decode().count("under legal hold: ") == 1
