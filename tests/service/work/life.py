"""Whatever workers, askers, the clock and the broker do, in any order: what must hold after every step?"""

import contextlib
import itertools
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select, text

from service.clock import FixedClock
from service.contracts.outcome import Measurement as Point
from service.contracts.problem import Reason
from service.contracts.status import ENDED, WorkState, WorkType, allowed
from service.settings import Settings
from service.store.base import Base, new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Analysis, Audit, Dataset, Event, Measurement, Model, Outbox, Principal, Tenant, Work
from service.work import dispatcher, finish, lease
from service.work.claim import Claim, claim, claim_group
from service.work.finish import LeaseLost, NotAllowed
from service.work.reaper import reap
from tests.conftest import START
from tests.service.work.world import LEASE, World, stored

WORKERS = ("w0", "w1", "w2")
SETTINGS = Settings(max_attempts=2, tenant_in_flight=3, tenant_open_work=1000)
HELD = (WorkState.RUNNING.value, WorkState.CANCELLING.value)
WAYS = ("succeed", "fail", "fail for good", "refuse", "cancelled", "give back")
WHICH = st.integers(min_value=0, max_value=10**6)


class Life(RuleBasedStateMachine):
    """A tenant, three workers, one broker that doubles and forgets, and a clock that jumps."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock(START)
        self.broker: list[str] = []
        self.claims: list[Claim] = []
        self.pairs: list[tuple[Any, Any]] = []
        self.audits: list[Any] = []

    @initialize(begun=st.booleans())
    def a_house(self, begun: bool) -> None:
        self._empty_it()
        if begun:
            self.pairs.append(self.world.ready_pair())
            self.submit(0, 2)
            self.dispatch()
            self.deliver(0, "w0", doubled=False, most=1)

    def _empty_it(self) -> None:
        with system_session(self.database) as session:
            # A new house, not a changed one: the log that forbids it is the old house's.
            if self.database.is_postgres:
                session.execute(text("ALTER TABLE event DISABLE TRIGGER USER"))
            else:
                session.execute(text("DROP TRIGGER IF EXISTS event_is_not_deleted"))
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
            tenant, principal = new_id(), new_id()
            session.add(Tenant(id=tenant, name="acme", stored_bytes=0, created_at=self.clock.now()))
            session.add(
                Principal(
                    id=principal,
                    tenant=tenant,
                    created_by=principal,
                    created_at=self.clock.now(),
                    kind="person",
                    name="ada",
                )
            )
        self.world = World(self.database, self.clock, tenant, principal, SETTINGS)

    @precondition(lambda self: len(self.pairs) < 2)
    @rule()
    def register(self) -> None:
        number = f"{len(self.pairs)}-of-the-machine"
        self.pairs.append((self.world.model(version=number), self.world.dataset(version=number)))

    @precondition(lambda self: self.pairs and len(self.audits) < 4)
    @rule(which=WHICH, analyses=st.integers(min_value=1, max_value=3))
    def submit(self, which: int, analyses: int) -> None:
        model, dataset = self.pairs[which % len(self.pairs)]
        with system_session(self.database) as session:
            refused = [session.get_one(kind, key).refusal for kind, key in ((Model, model), (Dataset, dataset))]
        if refused == [None, None]:
            self.audits.append(self.world.audit(model, dataset, analyses))

    @rule()
    def dispatch(self) -> None:
        def send(work_id: str, _queue: str) -> None:
            self.broker.append(work_id)

        dispatcher.dispatch(self.database, send, settings=SETTINGS, clock=self.clock)

    @precondition(lambda self: self.pairs)
    @rule(take=st.integers(min_value=0, max_value=2))
    def dispatch_over_a_broker_that_dies(self, take: int) -> None:
        left = [take]

        def send(work_id: str, _queue: str) -> None:
            if left[0] == 0:
                raise ConnectionError("the broker is gone")
            left[0] -= 1
            self.broker.append(work_id)

        with contextlib.suppress(ConnectionError):
            dispatcher.dispatch(self.database, send, settings=SETTINGS, clock=self.clock)

    @precondition(lambda self: self.broker)
    @rule(which=WHICH, worker=st.sampled_from(WORKERS), doubled=st.booleans(), most=st.integers(0, 2))
    def deliver(self, which: int, worker: str, doubled: bool, most: int) -> None:
        index = which % len(self.broker)
        work_id = self.broker[index] if doubled else self.broker.pop(index)
        now = self.clock.now()
        with system_session(self.database) as session:
            first = claim(session, UUID(work_id), owner=worker, now=now, lease=LEASE)
            if first is not None:
                self.claims.append(first)
                self.claims += claim_group(session, first, owner=worker, now=now, lease=LEASE, most=most)

    @precondition(lambda self: self.audits)
    @rule(worker=st.sampled_from(WORKERS))
    def take_a_report(self, worker: str) -> None:
        with system_session(self.database) as session:
            due = session.scalars(select(Work.id).where(Work.queue == "report", Work.state == "queued")).first()
            held = due and claim(session, due, owner=worker, now=self.clock.now(), lease=LEASE)
            self.claims += [held] if held else []

    @precondition(lambda self: self.broker)
    @rule()
    def the_broker_forgets(self) -> None:
        self.broker.clear()

    @rule(seconds=st.sampled_from((1, 5, 31, 61, 300)))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, worker=st.sampled_from(WORKERS), way=st.sampled_from(WAYS))
    def a_worker_falls_silent_and_comes_back_when_its_work_is_anothers(self, which: int, worker: str, way: str) -> None:
        silent = self.claims[which % len(self.claims)]
        self.clock.advance(2 * LEASE)
        self.reap()
        self.dispatch()
        for index in reversed(range(len(self.broker))):
            if self.broker[index] == str(silent.work_id):
                self.deliver(index, worker, doubled=False, most=0)
        self._end(silent, way)

    @rule()
    def reap(self) -> None:
        with system_session(self.database) as session:
            reap(session, now=self.clock.now())

    @precondition(lambda self: self.audits)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        self.world.cancel(self.audits[which % len(self.audits)])

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, progress=st.floats(0, 1))
    def heartbeat(self, which: int, progress: float) -> None:
        held = self.claims[which % len(self.claims)]
        expected = self._state_if_held(held)
        with system_session(self.database) as session:
            now = self.clock.now()
            assert expected == lease.heartbeat(session, held, now=now, lease=LEASE, progress=progress, stage="sweep")

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, way=st.sampled_from(WAYS))
    def end(self, which: int, way: str) -> None:
        self._end(self.claims[which % len(self.claims)], way)

    def _end(self, held: Claim, way: str) -> None:
        state = self._state_if_held(held)
        before = self._everything()
        try:
            self._try_to_end(held, way)
        except LeaseLost:
            assert state is None, "who holds the lease must not be told that it is lost"
            assert self._everything() == before, "who has lost the lease must change nothing"
        except NotAllowed:
            assert (way, state) == ("cancelled", WorkState.RUNNING)
            assert self._everything() == before
        else:
            assert state is not None, "a lease that is lost must be noticed"

    def _try_to_end(self, held: Claim, way: str) -> None:
        now = self.clock.now()
        if way == "succeed" and held.type is WorkType.INSPECTION:
            self.world.inspected(held, content=held.owner)
            return
        if way == "succeed" and held.type is WorkType.ANALYSIS:
            self.world.succeed(held, Point(metric="layer_total", value=1.0, n=1))
            return
        with system_session(self.database) as session:
            if way == "succeed":
                finish.succeed_report(session, held, stored("html"), stored("json"), now)
            elif way == "cancelled":
                finish.cancelled(session, held, now)
            elif way == "give back":
                finish.give_back(session, held, solo=held.owner == "w0", now=now)
            elif way == "refuse" and held.type is WorkType.INSPECTION:
                finish.refuse(session, held, Reason(code="corrupt", detail="It is corrupt."), now)
            else:
                reason = Reason(code="broken", detail="It broke.", permanent=way == "fail for good")
                finish.fail(session, held, reason, now)

    def _state_if_held(self, held: Claim) -> WorkState | None:
        with system_session(self.database) as session:
            row = session.get_one(Work, held.work_id)
            mine = (row.owner, row.attempt) == (held.owner, held.attempt) and row.state in HELD
            return WorkState(row.state) if mine else None

    def _everything(self) -> dict[str, Any]:
        with self.database.engine.connect() as connection:
            tables = [table for table in Base.metadata.sorted_tables if table.name != "worker"]
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in tables}

    def _anything_open(self) -> bool:
        with system_session(self.database) as session:
            return bool(session.scalars(select(Work.id).where(Work.ended_at.is_(None)).limit(1)).all())

    @invariant()
    def every_log_is_a_walk_of_allowed_steps_that_ends_once(self) -> None:
        with system_session(self.database) as session:
            works = {str(work.id): work for work in session.scalars(select(Work))}
            logs: dict[str, list[tuple[str | None, str]]] = {work: [] for work in works}
            for event in session.scalars(select(Event).where(Event.after.is_not(None)).order_by(Event.id)):
                logs[event.detail["work"]].append((event.before, str(event.after)))
        for work_id, log in logs.items():
            assert log[0] == (None, "queued")
            for (_, here), (before, after) in itertools.pairwise(log):
                assert before == here, log
                assert allowed(WorkState(before), WorkState(after)), log
            assert log[-1][1] == works[work_id].state
            assert sum(WorkState(after) in ENDED for _, after in log) == (not works[work_id].open)

    @invariant()
    def an_audit_counts_its_open_analyses_and_closes_once(self) -> None:
        with system_session(self.database) as session:
            closings = Counter(session.scalars(select(Event.subject_id).where(Event.action == "closed")))
            reports = Counter(session.scalars(select(Work.subject_id).where(Work.type == "report")))
            for audit in session.scalars(select(Audit)).unique():
                open_ = sum(analysis.ended_at is None for analysis in audit.analyses)
                assert audit.remaining == open_
                closed = int(open_ == 0)
                assert (audit.closed_at is not None) == bool(closed)
                assert (closings[audit.id], reports[audit.id]) == (closed, closed)

    @invariant()
    def an_analysis_ends_with_its_work_and_has_one_outcome_at_most(self) -> None:
        with system_session(self.database) as session:
            points = dict(
                session.execute(select(Measurement.analysis_id, func.count()).group_by(Measurement.analysis_id)).all()
            )  # type: ignore[arg-type]
            for row in session.scalars(select(Analysis)):
                state = row.work.state if row.work else None
                assert (row.outcome is not None) == (state == WorkState.SUCCEEDED.value)
                assert points.get(row.id, 0) == int(row.outcome is not None)
                if row.work:
                    assert (row.ended_at is None) == row.work.open
                if row.ended_at is not None:
                    assert (row.outcome is None) != (row.reason is None)

    @invariant()
    def nothing_is_tried_more_often_than_allowed(self) -> None:
        with system_session(self.database) as session:
            given_back = Counter(
                event.detail["work"] for event in session.scalars(select(Event).where(Event.action == "given back"))
            )
            for work in session.scalars(select(Work)):
                assert work.attempt <= work.max_attempts
                cap = 3 if work.type == "report" else SETTINGS.max_attempts
                assert work.attempt - given_back[str(work.id)] <= cap

    @invariant()
    def queued_work_is_announced_or_will_be(self) -> None:
        with system_session(self.database) as session:
            listed = set(session.scalars(select(Outbox.work_id)))
            for work in session.scalars(select(Work).where(Work.state == "queued", Work.queue != "report")):
                assert work.id in listed or work.announced_at is not None

    def teardown(self) -> None:
        """From wherever it stands: good workers and a good broker bring every audit to its end."""
        if not hasattr(self, "world"):
            return
        for _ in range(40):
            if not self._anything_open():
                break
            self.clock.advance(timedelta(seconds=301))
            self.reap()
            self.dispatch()
            while self.broker:
                self.deliver(0, "w0", doubled=False, most=2)
            self.take_a_report("w1")
            for held in self.claims:
                if self._state_if_held(held) is not None:
                    self._end(held, "succeed")
            self.claims.clear()
        with system_session(self.database) as session:
            assert session.scalars(select(Audit.id).where(Audit.closed_at.is_(None))).all() == []
            assert session.scalars(select(Work.id).where(Work.ended_at.is_(None))).all() == []
        self.every_log_is_a_walk_of_allowed_steps_that_ends_once()
        self.an_audit_counts_its_open_analyses_and_closes_once()
        self.an_analysis_ends_with_its_work_and_has_one_outcome_at_most()
