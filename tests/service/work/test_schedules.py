"""Is every slot carried out once, or its failure told, whoever ticks and whenever they are killed?"""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.clock import FixedClock
from service.compliance.keep import keep_policy
from service.compliance.library import Measurable
from service.compliance.load import shipped
from service.compliance.people import ask_for_waiver, decide_waiver
from service.contracts.exceptions import WaiverDecision, WaiverSubmission
from service.contracts.policies import PolicyContent, PolicySubmission
from service.contracts.schedules import ScheduleSubmission
from service.schedule.tick import Ticker
from service.schedule.times import BadTime
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Audit, Event, Principal
from service.store.tables_compliance import ComplianceReport, Schedule, Slot
from service.work.scheduled import Starter
from service.work.schedules import end, make_schedule, pause, resume
from tests.conftest import MakePrincipal
from tests.service.work.office import Office, an_office

AUDITS: dict[str, Any] = {
    "purpose": "audits",
    "inputs": {"evaluation": {"name": "table"}},
    "analyses": [{"kind": "layer_conductance"}],
}
REPORT = {"purpose": "report", "title": "monthly"}
WEEK = timedelta(days=7)


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


def scheduled(office: Office, task: dict[str, Any] = AUDITS, **changes: Any) -> UUID:
    wanted = {"name": "weekly", "model_name": "net", "cron": "0 6 * * 1", "zone": "Europe/Berlin", "task": task}
    with office.database.session(office.tenant) as session:
        return make_schedule(
            session,
            ScheduleSubmission.model_validate({**wanted, **changes}),
            catalog=office.catalog,
            tenant=office.tenant,
            principal=office.principal,
            now=office.clock.now(),
        ).id


def ticker(office: Office, starts: Any = None) -> Ticker:
    starter = Starter(clock=office.clock, settings=office.settings, catalog=office.catalog)
    return Ticker(database=office.database, clock=office.clock, starts=starts or starter)


def slots(office: Office, schedule: UUID) -> list[Slot]:
    with system_session(office.database) as session:
        return list(
            session.scalars(select(Slot).where(Slot.schedule_id == schedule).order_by(Slot.nominal_at, Slot.key))
        )


def due(office: Office, schedule: UUID) -> datetime:
    with system_session(office.database) as session:
        found = session.get_one(Schedule, schedule).next_at
    assert found is not None
    return found


def test_each_time_asks_for_an_audit_in_its_window(office: Office, clock: FixedClock) -> None:
    model, _ = office.ready_pair()
    made = clock.now()
    schedule = scheduled(office)
    assert ticker(office).tick() == 0
    clock.set(due(office, schedule))
    assert ticker(office).tick() == 1
    assert ticker(office).tick() == 0
    (slot,) = slots(office, schedule)
    assert (slot.state, slot.window_from, slot.window_to) == ("started", made, clock.now())
    with system_session(office.database) as session:
        audit = session.scalars(select(Audit)).one()
        event = session.scalars(select(Event).where(Event.action == "fired")).one()
    assert (audit.id, audit.model_id) == (slot.audit_id, model)
    assert event.detail["slots"] == [{"key": slot.key, "state": "started"}]
    assert f"slot:{slot.id}" in event.detail["evidence"]


def test_reports_cover_the_window_between_two_times(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    schedule = scheduled(office, REPORT)
    first = due(office, schedule)
    clock.set(first + timedelta(hours=7))
    ticker(office).tick()
    (slot,) = slots(office, schedule)
    with system_session(office.database) as session:
        report = session.scalars(select(ComplianceReport)).one()
    assert slot.report_id == report.id
    assert (report.window_to, report.as_of, report.late_seconds) == (first, first, 7 * 3600.0)
    assert (report.schedule_id, report.trigger, report.title) == (schedule, "time", "monthly")


@pytest.mark.slow
def test_of_many_schedulers_one_starts_each_slot(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    schedule = scheduled(office, REPORT, catch_up="each_period")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(6):
                ticker(office).tick()
        except BaseException as error:
            failures.append(error)

    clock.set(due(office, schedule) + 5 * WEEK + timedelta(hours=1))
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = slots(office, schedule)
    assert len(found) == len({slot.key for slot in found}) == 6
    with system_session(office.database) as session:
        assert len(session.scalars(select(ComplianceReport.id)).all()) == 6


class Killed(BaseException):
    """What a kill looks like to the code that is running."""


def test_who_is_killed_between_slot_and_audit_has_written_neither(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    schedule = scheduled(office)
    starter = Starter(clock=office.clock, settings=office.settings, catalog=office.catalog)

    class Falls:
        def start(self, session: Session, row: Schedule, slot: Slot) -> None:
            starter.start(session, row, slot)
            raise Killed

    clock.set(due(office, schedule))
    with pytest.raises(Killed):
        ticker(office, Falls()).tick()
    assert slots(office, schedule) == []
    with system_session(office.database) as session:
        assert session.scalars(select(Audit.id)).all() == []
    assert ticker(office).tick() == 1
    assert [slot.state for slot in slots(office, schedule)] == ["started"]


def test_what_cannot_be_started_is_told_in_the_slot_and_the_schedule_goes_on(office: Office, clock: FixedClock) -> None:
    schedule = scheduled(office)
    clock.set(due(office, schedule))
    ticker(office).tick()
    (slot,) = slots(office, schedule)
    assert slot.state == "failed"
    assert slot.reason is not None
    assert slot.reason["code"] == "schedule-model-gone"
    assert slot.reason["detail"] == "No version of the model 'net' is ready."
    office.ready_pair()
    clock.set(due(office, schedule))
    ticker(office).tick()
    assert [each.state for each in slots(office, schedule)] == ["failed", "started"]
    with system_session(office.database) as session:
        session.get_one(Principal, office.principal).disabled_at = clock.now()
    clock.set(due(office, schedule))
    ticker(office).tick()
    last = slots(office, schedule)[-1]
    assert last.reason is not None
    assert last.reason["code"] == "schedule-maker-disabled"


def test_a_fault_in_starting_one_is_told_in_its_slot_and_the_others_start(
    office: Office, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    office.ready_pair()
    first, second = scheduled(office), scheduled(office)
    starter = Starter(clock=office.clock, settings=office.settings, catalog=office.catalog)

    class Breaks:
        def start(self, session: Session, row: Schedule, slot: Slot) -> None:
            starter.start(session, row, slot)
            if row.id == first:
                raise KeyError("what the customer wrote")

    clock.set(due(office, first))
    assert ticker(office, Breaks()).tick() == 2
    (slot,), (other,) = slots(office, first), slots(office, second)
    assert (slot.state, slot.audit_id, other.state) == ("failed", None, "started")
    assert slot.reason is not None
    assert (slot.reason["code"], "customer" in slot.reason["detail"]) == ("schedule-start-failed", False)
    assert "what the customer wrote" in caplog.text
    with system_session(office.database) as session:
        assert session.scalars(select(Audit.id)).all() == [other.audit_id]


def test_a_schedule_whose_step_fails_keeps_no_other_from_its_own(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    lost, sound = scheduled(office), scheduled(office)
    clock.set(due(office, lost))
    with system_session(office.database) as session:
        session.get_one(Schedule, lost).zone = "Europe/Atlantis"
    with pytest.raises(BadTime, match="Europe/Atlantis"):
        ticker(office).tick()
    assert (len(slots(office, lost)), len(slots(office, sound))) == (0, 1)
    with system_session(office.database) as session:
        session.get_one(Schedule, lost).zone = "Europe/Berlin"
    assert ticker(office).tick() == 1
    assert [slot.state for slot in slots(office, lost)] == ["started"]


def test_a_full_queue_is_waited_for_and_then_the_slot_is_missed(office: Office, clock: FixedClock) -> None:
    office.settings = office.settings.model_copy(update={"tenant_open_work": 1})
    model, dataset = office.ready_pair()
    office.audit(model, dataset)
    schedule = scheduled(office)
    clock.set(due(office, schedule))
    ticker(office).tick()
    assert [slot.state for slot in slots(office, schedule)] == ["waiting"]
    states = []
    for _ in range(4):
        clock.advance(timedelta(minutes=20))
        ticker(office).tick()
        states.append(slots(office, schedule)[0].state)
    assert states == ["waiting", "missed", "missed", "missed"]
    assert slots(office, schedule)[0].attempt == 3


def test_events_fire_once_each_and_not_for_what_was_before(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    clock.advance(timedelta(hours=1))
    schedule = scheduled(office, cron=None, triggers=["new_version"])
    assert ticker(office).tick() == 0
    clock.advance(timedelta(hours=1))
    second = office.model(version="2")
    assert ticker(office).tick() == 0
    office.inspect(second)
    assert ticker(office).tick() == 1
    assert ticker(office).tick() == 0
    (slot,) = slots(office, schedule)
    assert (slot.key, slot.cause, slot.state) == (f"new_version:{second}", "new version", "started")


def fires_once(office: Office, key: str, cause: str) -> None:
    """Of two schedulers, one of which is killed before it commits, one starts what an event asks for."""
    starter = Starter(clock=office.clock, settings=office.settings, catalog=office.catalog)

    class Falls:
        def start(self, session: Session, schedule: Schedule, slot: Slot) -> None:
            starter.start(session, schedule, slot)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ticker(office, Falls()).tick()
    assert [ticker(office).tick() for _ in range(3)] == [1, 0, 0]
    with system_session(office.database) as session:
        slot = session.scalars(select(Slot).order_by(Slot.created_at.desc(), Slot.id.desc())).first()
        assert slot is not None
        assert (slot.key, slot.cause, slot.state) == (key, cause, "started")
        assert session.get_one(ComplianceReport, slot.report_id).trigger == cause


def keep(office: Office, **content: Any) -> UUID:
    """A revision of the policy `house`."""
    with office.database.session(office.tenant) as session:
        return keep_policy(
            session,
            PolicySubmission(name="house", content=PolicyContent(**content)),
            measurable=Measurable.of(office.catalog),
            tenant=office.tenant,
            principal=office.principal,
            now=office.clock.now(),
        ).id


def test_a_change_of_the_policy_fires(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    keep(office)
    clock.advance(timedelta(hours=1))
    scheduled(office, {**REPORT, "policy": "house"}, cron=None, triggers=["library_change"])
    assert ticker(office).tick() == 0
    clock.advance(timedelta(hours=1))
    fires_once(office, f"library_change:{keep(office, statement='house rules')}", "policy change")


@pytest.mark.parametrize("pinned", [False, True])
def test_a_release_with_another_library_fires_once_unless_a_policy_pins_one(
    office: Office, clock: FixedClock, pinned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ready_pair()
    keep(office)
    clock.advance(timedelta(hours=1))
    task = {**REPORT, "policy": "house"} if pinned else REPORT
    schedule = scheduled(office, task, triggers=["library_change"])
    clock.set(due(office, schedule))
    assert ticker(office).tick() == 1
    assert office.make_reports() == 1
    assert ticker(office).tick() == 0
    clock.advance(timedelta(hours=1))
    later = shipped().model_copy(update={"version": "2027.1.0"})
    monkeypatch.setattr("service.schedule.triggers.shipped", lambda: later)
    if pinned:
        assert ticker(office).tick() == 0
    else:
        fires_once(office, f"library_change:{later.name}", "library change")


def test_a_waiver_that_ends_fires(office: Office, clock: FixedClock, make_principal: MakePrincipal) -> None:
    office.ready_pair()
    scheduled(office, REPORT, cron=None, triggers=["waiver_expiry"])
    clock.advance(timedelta(hours=1))
    wanted = WaiverSubmission(
        control="XAI-01",
        model_name="net",
        reason="a new method is on its way",
        compensating="a person reads every explanation",
        starts_at=clock.now(),
        expires_at=clock.now() + timedelta(days=30),
    )
    ben = make_principal(office.tenant, "ben")
    with office.database.session(office.tenant) as session:
        waiver = ask_for_waiver(session, wanted, tenant=office.tenant, principal=office.principal, now=clock.now()).id
        granted = WaiverDecision(decision="granted")
        decide_waiver(session, waiver, granted, principal=ben, now=clock.now())
    assert ticker(office).tick() == 0
    clock.advance(timedelta(days=30))
    fires_once(office, f"waiver_expiry:{waiver}", "waiver expiry")


def test_a_schedule_is_paused_goes_on_and_ends(office: Office, clock: FixedClock) -> None:
    office.ready_pair()
    schedule = scheduled(office)
    with office.database.session(office.tenant) as session:
        pause(session, session.get_one(Schedule, schedule), actor=office.principal, now=clock.now())
    clock.set(due(office, schedule) + 2 * WEEK + timedelta(hours=1))
    assert ticker(office).tick() == 0
    with office.database.session(office.tenant) as session:
        resume(session, session.get_one(Schedule, schedule), actor=office.principal, now=clock.now())
    ticker(office).tick()
    assert [slot.state for slot in slots(office, schedule)] == ["missed", "missed", "started"]
    with office.database.session(office.tenant) as session:
        end(session, session.get_one(Schedule, schedule), actor=office.principal, now=clock.now())
    clock.advance(10 * WEEK)
    assert ticker(office).tick() == 0
