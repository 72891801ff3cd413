"""What happens in a year at an office that audits two models in two zones? Who does what, when, on an injected clock.

Every moment and every number stands here by hand; nothing is asked of the code that is tested.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.keep import keep_policy
from service.compliance.library import Measurable
from service.compliance.people import ask_for_waiver, attest, decide_waiver
from service.contracts.exceptions import AttestationSubmission, WaiverDecision, WaiverSubmission
from service.contracts.outcome import Measurement
from service.contracts.policies import Declared, Override, PolicyContent, PolicySubmission
from service.contracts.problem import Reason
from service.contracts.schedules import ScheduleSubmission
from service.contracts.status import WorkState, WorkType
from service.schedule.tick import Ticker
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Artifact, Audit, Model, Work
from service.store.tables_compliance import ComplianceReport, Schedule, Slot
from service.work import finish
from service.work.claim import Claim
from service.work.compliance_making import ComplianceReporter
from service.work.finish import LeaseLost
from service.work.reaper import reap
from service.work.scheduled import Starter
from service.work.schedules import make_schedule
from service.work.sign_off import Signing, sign_off
from tests.service.work import world as plain
from tests.service.work.office import Office
from tests.service.work.world import LEASE

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


def utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def weekly(first: str, count: int) -> list[datetime]:
    return [utc(first) + 7 * DAY * number for number in range(count)]


BEGIN, END = utc("2026-03-01 12:00"), utc("2027-03-01 12:00")
ZONES = {"credit": "Europe/Berlin", "scanner": "America/New_York"}
# Sundays at times that the change of clocks touches. Berlin's 02:30 does not exist on 29 March, when 02:00 becomes
# 03:00, and exists twice on 25 October; New York's 01:30 exists twice on 1 November.
CRONS = {"credit": "30 2 * * 0", "scanner": "30 1 * * 0"}
AUDITS = {
    "credit": [
        *weekly("2026-03-08 01:30", 3),
        *weekly("2026-03-29 01:00", 1),
        *weekly("2026-04-05 00:30", 30),
        *weekly("2026-11-01 01:30", 18),
    ],
    "scanner": [
        *weekly("2026-03-08 06:30", 1),
        *weekly("2026-03-15 05:30", 34),
        *weekly("2026-11-08 06:30", 17),
    ],
}
MONTHS = [*(f"2026-{month:02d}-01" for month in range(4, 13)), *(f"2027-{month:02d}-01" for month in range(1, 4))]
SUMMER = MONTHS[:7]  # April to October; both zones are back on winter time by six o'clock of 1 November
REPORTS = {
    "credit": [utc(f"{day} {'04:00' if day in SUMMER else '05:00'}") for day in MONTHS],
    "scanner": [utc(f"{day} {'10:00' if day in SUMMER else '11:00'}") for day in MONTHS],
}
# Local times that come a second time, or would have come, had clocks not been changed.
NEVER = ("2026-03-29 01:30", "2026-04-05 01:30", "2026-10-25 01:30", "2026-11-01 06:30", "2026-11-08 05:30")
MISSED = [date(2026, 8, day) for day in (2, 9, 16)]
DARK_FROM, DARK_UNTIL = utc("2026-07-27 00:00"), utc("2026-08-23 12:00")
SCHEDULER_KILLED, WORKER_KILLED = utc("2026-06-07 00:30"), utc("2026-04-12 00:40")
KINDS = {"credit": ("accuracy", "layer_conductance"), "scanner": ("accuracy", "robustness")}
FELL_OVER = Reason(code="kind-failed", detail="The kind raised an error.", permanent=True)


class Killed(BaseException):
    """What a kill looks like to the code that is running."""


def point(metric: str, value: float, around: float | None = None, n: int = 1000, **more: Any) -> Measurement:
    low, high = (None, None) if around is None else (value - around, value + around)
    return Measurement(metric=metric, value=value, low=low, high=high, n=n, **more)


def measured(model: str, kind: str, day: date) -> list[Measurement] | None:
    """What an analysis of that day finds; None: it fails."""
    month = (day.year, day.month)
    if kind == "layer_conductance":
        return [point("completeness_error", 0.03 if day < date(2026, 11, 29) else 0.01, n=200)]
    if kind == "robustness":
        failed = 2 if month == (2026, 5) else 0
        return [
            point("attack_checks_failed", failed, n=1),
            point("robust_accuracy", 0.70, 0.04, epsilon=0.1),
        ]
    if model == "credit" and date(2026, 11, 29) <= day <= date(2026, 12, 27):
        return None
    if model == "credit" and month == (2026, 5):
        return [point("clean_accuracy", 0.86, 0.01)]
    if model == "scanner" and date(2026, 11, 8) <= day <= date(2026, 11, 29):
        return [point("clean_accuracy", 0.905, 0.015)]
    return [point("clean_accuracy", 0.95, 0.01)]


class WithoutPages(ComplianceReporter):
    """Makes everything of a report but its PDF, which holds no number of its own."""

    __slots__ = ()

    def _document(self, content: bytes, envelope: bytes) -> dict[str, bytes]:
        return {}


@dataclass
class Year:
    """The office, a second scheduler beside it on the same database, and three people."""

    office: Office
    beside: Database
    granter: UUID
    reviewer: UUID
    schedules: dict[tuple[str, str], UUID] = field(default_factory=dict)
    dead: int = 0
    ticks: int = 0
    flipped: UUID | None = None
    digest: str = ""

    def run(self) -> None:
        """From beginning to end, each thing at its time."""
        self.set_up()
        for moment, act in sorted(self.timeline(), key=lambda each: each[0]):
            self.office.clock.set(moment)
            act()
        self.office.clock.set(END)

    def timeline(self) -> Iterator[tuple[datetime, Callable[[], None]]]:
        for model in ZONES:
            for due in (*AUDITS[model], *REPORTS[model]):
                if not DARK_FROM <= due < DARK_UNTIL:
                    yield due - SECOND, self.quiet
                    yield due, self.due
        yield from ((utc(moment), self.quiet) for moment in NEVER)
        yield utc("2026-05-04 09:00"), self.approve
        yield utc("2026-05-20 09:00"), self.state
        yield utc("2026-06-10 09:00"), lambda: self.policy(stricter=True)
        yield utc("2026-07-06 09:00"), self.ask
        yield utc("2026-07-08 09:00"), self.grant
        yield DARK_UNTIL, self.wake
        yield utc("2026-09-29 09:00"), lambda: self.register("scanner", "2")
        yield utc("2026-12-28 09:00"), self.tamper
        yield utc("2027-01-02 09:00"), self.put_back

    def set_up(self) -> None:
        office = self.office
        office.clock.set(BEGIN)
        office.inspect(office.dataset("table"))
        self.policy(stricter=False)
        for model, zone in ZONES.items():
            self.register(model, "1")
            analyses = [{"kind": kind} for kind in KINDS[model]]
            audits = {"purpose": "audits", "inputs": {"evaluation": {"name": "table"}}, "analyses": analyses}
            self.schedules[model, "audits"] = self.schedule(model, zone, CRONS[model], audits)
            self.schedules[model, "report"] = self.schedule(
                model, zone, "0 6 1 * *", {"purpose": "report", "policy": "house"}
            )

    def schedule(self, model: str, zone: str, cron: str, task: dict[str, Any]) -> UUID:
        wanted = {"name": f"{task['purpose']} of {model}", "model_name": model, "cron": cron, "zone": zone}
        with self.session() as session:
            submission = ScheduleSubmission.model_validate({**wanted, "task": task})
            return make_schedule(session, submission, catalog=self.office.catalog, **self.who()).id

    def register(self, model: str, version: str) -> None:
        self.office.inspect(self.office.model(model, version))

    # What schedulers and workers do.

    def quiet(self) -> None:
        """Nothing is due."""
        assert self.tick() == 0, f"something fired at {self.office.clock.now()}"

    def due(self) -> None:
        """One thing is due; it is begun, worked on and reported."""
        if self.office.clock.now() == SCHEDULER_KILLED:
            self.kill_scheduler()
        assert self.tick() == 1, f"not one thing fired at {self.office.clock.now()}"
        self.carry_on()

    def wake(self) -> None:
        """After weeks without a scheduler: of each model four audits and a report are due."""
        assert self.tick() == 10
        self.carry_on()

    def carry_on(self) -> None:
        clock = self.office.clock
        clock.advance(10 * MINUTE)
        if clock.now() == WORKER_KILLED:
            self.kill_worker()
        for number, analysis in enumerate(self.queued()):
            self.end(self.claim(analysis, f"worker {number}"), analysis)
        for reporter in self.reporters(pages=clock.now() > REPORTS["credit"][-1]):
            reporter.make_due(threading.Event())

    def tick(self) -> int:
        """Both schedulers look: by turns one after the other, and at once."""
        tickers = [self.ticker(self.office.database), self.ticker(self.beside)]
        self.ticks += 1
        if self.ticks % 2:
            return sum(ticker.tick() for ticker in tickers)
        gate, counted, fallen = threading.Barrier(2), [], []

        def look(ticker: Ticker) -> None:
            try:
                gate.wait(60)
                counted.append(ticker.tick())
            except BaseException as error:  # a thread's error is the test's
                fallen.append(error)

        threads = [threading.Thread(target=look, args=(ticker,)) for ticker in tickers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert fallen == []
        return sum(counted)

    def ticker(self, database: Database, starts: Any = None) -> Ticker:
        office = self.office
        starter = Starter(clock=office.clock, settings=office.settings, catalog=office.catalog)
        return Ticker(database=database, clock=office.clock, starts=starts or starter)

    def kill_scheduler(self) -> None:
        """Between the slot and the audit, both of which are written by whoever ticks next."""
        starter = Starter(clock=self.office.clock, settings=self.office.settings, catalog=self.office.catalog)

        class Falls:
            def start(self, session: Session, schedule: Schedule, slot: Slot) -> None:
                starter.start(session, schedule, slot)
                raise Killed

        self.dead += 1
        with pytest.raises(Killed):
            self.ticker(self.office.database, Falls()).tick()
        assert self.queued() == []

    def kill_worker(self) -> None:
        """It claims work and is never heard of again; what it brings after its lease is refused."""
        self.dead += 1
        analysis = self.queued()[0]
        dead = self.claim(analysis, "the dead")
        assert self.office.claim_subject(analysis, "too early") is None
        self.office.clock.advance(LEASE + SECOND)
        with system_session(self.office.database) as session:
            assert reap(session, now=self.office.clock.now()).requeued == 1
        self.end(self.claim(analysis, "the next"), analysis)
        with pytest.raises(LeaseLost):
            self.end(dead, analysis)

    def queued(self) -> list[UUID]:
        with system_session(self.office.database, writes=False) as session:
            return list(
                session.scalars(
                    select(Work.subject_id)
                    .where(Work.type == WorkType.ANALYSIS.value, Work.state == WorkState.QUEUED.value)
                    .order_by(Work.id)
                )
            )

    def claim(self, analysis: UUID, owner: str) -> Claim:
        held = self.office.claim_subject(analysis, owner)
        assert held is not None
        return held

    def end(self, held: Claim, analysis: UUID) -> None:
        office = self.office
        with system_session(office.database, writes=False) as session:
            kind, model = session.execute(
                select(Analysis.kind, Model.name)
                .join(Audit, Audit.id == Analysis.audit_id)
                .join(Model, Model.id == Audit.model_id)
                .where(Analysis.id == analysis)
            ).one()
        points = measured(model, kind, office.clock.now().date())
        kept = {"arrays.json": office.keep(f"arrays of {analysis}")} if kind == "robustness" else {}
        with system_session(office.database) as session:
            if points is None:
                finish.fail(session, held, FELL_OVER, office.clock.now())
                return
            finish.succeed_analysis(
                session,
                held,
                result=plain.result(*points, files=tuple(kept), kind=kind),
                stored=kept,
                provenance=plain.provenance(),
                now=office.clock.now(),
                settings=office.settings,
            )

    def reporters(self, *, pages: bool) -> list[ComplianceReporter]:
        """One on each database."""
        made = self.office.reporter()
        whole = {each.name: getattr(made, each.name) for each in dataclasses.fields(made)}
        kind = ComplianceReporter if pages else WithoutPages
        return [kind(**whole), kind(**{**whole, "database": self.beside, "owner": "the other scheduler"})]

    # What people do.

    def policy(self, *, stricter: bool) -> None:
        tighter = Override(
            control="XAI-01", threshold=0.02, owner="ada", reason="decisions on credit are explained to customers"
        )
        content = PolicyContent(
            declared=Declared(robust_accuracy=0.6), overrides=(tighter,) if stricter else (), statement="house rules"
        )
        with self.session() as session:
            keep_policy(
                session,
                PolicySubmission(name="house", content=content),
                measurable=Measurable.of(self.office.catalog),
                **self.who(),
            )

    def approve(self) -> None:
        """The credit report of May: its author sends it to review, another person approves."""
        with self.session() as session:
            report = session.scalars(
                select(ComplianceReport).where(
                    ComplianceReport.model_name == "credit", ComplianceReport.as_of == REPORTS["credit"][1]
                )
            ).one()
            assert report.twin_digest is not None
            for step, who in (("submitted", self.office.principal), ("approved", self.reviewer)):
                wanted = Signing(
                    step=step,  # type: ignore[arg-type]  # both are steps
                    principal=who,
                    digest=report.twin_digest,
                    role="risk",
                    comment="",
                )
                sign_off(session, report.id, wanted, signer=self.office.keys, now=self.office.clock.now())

    def state(self) -> None:
        """A person states the scanner's purpose, until the middle of November."""
        wanted = AttestationSubmission(
            control="GOV-01",
            model_name="scanner",
            role="product owner",
            statement="It sorts scans for a person to read.",
            expires_at=utc("2026-11-15 00:00"),
        )
        with self.session() as session:
            attest(session, wanted, **self.who())

    def ask(self) -> None:
        wanted = WaiverSubmission(
            control="XAI-01",
            model_name="credit",
            reason="more steps are being tried",
            compensating="each letter is read by a person",
            expires_at=utc("2026-10-05 00:00"),
        )
        with self.session() as session:
            self.waiver = ask_for_waiver(session, wanted, **self.who()).id

    def grant(self) -> None:
        with self.session() as session:
            decide_waiver(
                session,
                self.waiver,
                WaiverDecision(decision="granted"),
                principal=self.granter,
                now=self.office.clock.now(),
            )

    def tamper(self) -> None:
        """One byte of the newest arrays of the scanner is flipped on the disk."""
        with system_session(self.office.database, writes=False) as session:
            newest = session.scalars(
                select(Artifact).where(Artifact.name == "arrays.json").order_by(Artifact.created_at.desc()).limit(1)
            ).one()
        self.flipped, self.digest = newest.analysis_id, newest.digest
        path = self.kept()
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)

    def put_back(self) -> None:
        self.kept().write_bytes(f"arrays of {self.flipped}".encode())

    def kept(self) -> Path:
        """Where the bytes that are tampered with lie."""
        name = self.digest.removeprefix("sha256:")
        (found,) = [path for path in self.office.folder.rglob("*") if path.is_file() and name in path.as_posix()]
        return found

    def session(self) -> Any:
        return self.office.database.session(self.office.tenant)

    def who(self) -> dict[str, Any]:
        return {"tenant": self.office.tenant, "principal": self.office.principal, "now": self.office.clock.now()}
