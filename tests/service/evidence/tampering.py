"""A world worth tampering with, and every way in which somebody who owns its database could."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    Table,
    Uuid,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from service.alerts.wanted import Wanted
from service.clock import FixedClock
from service.compliance.holds import place
from service.compliance.keep import keep_policy
from service.compliance.library import Measurable
from service.compliance.people import ask_for_waiver, attest, decide_waiver
from service.contracts.api import AnalysisSubmission
from service.contracts.exceptions import AttestationSubmission, WaiverDecision, WaiverSubmission
from service.contracts.history import BaselineSubmission
from service.contracts.holds import HoldSubmission
from service.contracts.outcome import Measurement
from service.contracts.policies import PolicyContent, PolicySubmission
from service.contracts.schedules import AuditTask, DatasetByName, ScheduleSubmission
from service.history.baselines import approve
from service.schedule.tick import run_now
from service.store.base import UtcTime
from service.store.database import Database
from service.store.ledger import EVIDENCE
from service.store.system import SystemSession
from service.store.tables import Analysis, Blob, Event
from service.store.tables import Measurement as Point
from service.store.tables_compliance import Chain, ComplianceReport, SigningKey
from service.work.alerting import open_alert
from service.work.scheduled import Starter
from service.work.schedules import make_schedule
from service.work.sign_off import Signing, sign_off
from tests.service.work.office import Office

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Done:
    """One tampering: what was done, and the rows of which at least one must be named."""

    what: str
    table: str
    names: frozenset[str]


class Refused(Exception):
    """The database takes no such row; another tampering is to be drawn."""


def populate(office: Office, clock: FixedClock, colleague: UUID) -> list[UUID]:
    """Two reports over audits, with a row of every kind of evidence, a signature and signed heads."""
    who = {"tenant": office.tenant, "principal": office.principal}
    begin = clock.now()
    model, dataset = office.ready_pair()
    accurate = Measurement(metric="clean_accuracy", value=0.95, low=0.94, high=0.96, n=2000)
    points = [Measurement(metric="layer_total", layer=f"fc{place}", value=0.1 * place, n=9) for place in range(12)]
    office.measure(model, dataset, "accuracy", accurate)
    measured = office.measure(model, dataset, "layer_conductance", *points, file="maps.json")
    with office.database.session(office.tenant) as session:
        wanted = PolicySubmission(name="ours", content=PolicyContent(tier="high"))
        keep_policy(session, wanted, measurable=Measurable.of(office.catalog), **who, now=clock.now())
        asked = WaiverSubmission(control="ROB-04", reason="It is replaced in January.", compensating="A person reads.")
        waiver = ask_for_waiver(session, asked, **who, now=clock.now())
        decide_waiver(session, waiver.id, WaiverDecision(decision="granted"), principal=colleague, now=clock.now())
        said = AttestationSubmission(
            control="GOV-01", role="owner", statement="It is written down.", expires_at=clock.now() + 90 * DAY
        )
        attest(session, said, **who, now=clock.now())
        approved = BaselineSubmission(
            model_name="net", audit=audit_of(session, measured), reason="It is in production."
        )
        approve(session, approved, tenant=office.tenant, principal=colleague, now=clock.now())
        told = Wanted(key="waiver", severity="high", text="An exception ends soon.", model_name="net")
        open_alert(session, told, tenant=office.tenant, now=clock.now())
        place(session, HoldSubmission(model_name="net", reason="A claim is open."), **who, now=clock.now())
        task = AuditTask(
            inputs={"evaluation": DatasetByName(name="table")}, analyses=(AnalysisSubmission(kind="accuracy"),)
        )
        due = ScheduleSubmission(name="weekly", model_name="net", cron="30 6 * * 1", zone="Europe/Berlin", task=task)
        schedule = make_schedule(session, due, catalog=office.catalog, **who, now=clock.now())
        session.flush()
        starter = Starter(clock=clock, settings=office.settings, catalog=office.catalog)
        slot = run_now(session, schedule, starter, key="a", actor=office.principal, now=clock.now())
        started = slot.audit_id
    assert started is not None
    office.cancel(started)
    reports = []
    for _ in range(2):
        clock.advance(DAY)
        reports.append(office.ask("net", begin, clock.now(), policy="ours"))
        assert office.make_reports() == 1
    with office.database.session(office.tenant) as session:
        report = session.get_one(ComplianceReport, reports[0])
        step = Signing(
            step="submitted", principal=colleague, digest=report.twin_digest or "", role="auditor", comment=""
        )
        sign_off(session, report.id, step, signer=office.keys, now=clock.now())
    office.appender.head(office.tenant)
    return reports


def audit_of(session: Session, analysis: UUID) -> UUID:
    """The audit that an analysis is of."""
    return session.get_one(Analysis, analysis).audit_id


@contextmanager
def owned(database: Database) -> Iterator[Connection]:
    """A connection of somebody who owns the database: nothing is refused but by the tables; undone at the end."""
    connection = database.engine.connect()
    if not database.is_postgres:
        connection.connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[attr-defined]  # the driver's own
    outer = connection.begin()
    try:
        if database.is_postgres:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
    finally:
        outer.rollback()
        if not database.is_postgres:
            connection.connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[attr-defined]  # the driver's own
        connection.close()


@contextmanager
def looking(connection: Connection) -> Iterator[Session]:
    """A session of its own on what somebody does to the database, undone at the end."""
    with SystemSession(bind=connection, join_transaction_mode="create_savepoint") as session:
        yield session
        session.rollback()


@dataclass
class Tamperer:
    """Draws tamperings from a seed, and does them."""

    connection: Connection
    tenant: UUID
    draw: random.Random
    folder: Path

    def __post_init__(self) -> None:
        self.tables = {inspect(table).local_table: columns for table, columns in EVIDENCE.items()}
        self.rows = {
            table: [
                row._asdict() for row in self.connection.execute(select(table).where(table.c.tenant == self.tenant))
            ]
            for table in (*self.tables, _table(Event), _table(Chain), _table(Blob))
        }
        for table, rows in self.rows.items():
            assert rows, f"the world has no {table.name}"

    def column(self) -> Done:
        """Set a column of evidence to another value."""
        table = self.draw.choice(list(self.tables))
        row, column = self.draw.choice(self.rows[table]), table.c[self.draw.choice(self.tables[table])]
        value = self._other(row[column.name], column)
        self._do(update(table).where(table.c.id == row["id"]).values({column.name: value}))
        names = {str(row["id"])} | ({str(value)} if column.name == "id" else set())
        if table is _table(Point):
            names |= {f"of analysis {row['analysis_id']}"}
        return Done(f"{table.name}.{column.name} of {row['id']} = {value!r}", table.name, frozenset(names))

    def deletion(self) -> Done:
        """Delete a row of evidence."""
        table = self.draw.choice(list(self.tables))
        row = self.draw.choice(self.rows[table])
        self._do(delete(table).where(table.c.id == row["id"]))
        names = {str(row["id"])}
        if table is _table(Point):
            names |= {f"of analysis {row['analysis_id']}"}
        return Done(f"{table.name} {row['id']} deleted", table.name, frozenset(names))

    def insertion(self) -> Done:
        """Put in a row that looks like another."""
        table = self.draw.choice(list(self.tables))
        row = dict(self.draw.choice(self.rows[table]))
        row["id"] = UUID(int=self.draw.getrandbits(128))
        for name in ("name", "version", "key", "position", "revision", "role", "control", "supersedes_id"):
            if name in row and row[name] is not None:
                row[name] = self._other(row[name], table.c[name])
        self._do(insert(table).values(row))
        return Done(f"{table.name} {row['id']} inserted", table.name, frozenset({str(row["id"])}))

    def event(self) -> Done:
        """Change, move or delete an event."""
        table, rows = _table(Event), self.rows[_table(Event)]
        row = self.draw.choice(rows)
        column = self.draw.choice([*table.c, None])
        if column is None:
            self._do(delete(table).where(table.c.id == row["id"]))
            value = "deleted"
        else:
            value = self._other(row[column.name], column)
            if column.name == "chain_number":
                value = self.draw.choice([None, value + 1000])
            self._do(update(table).where(table.c.id == row["id"]).values({column.name: value}))
        where = column.name if column is not None else "row"
        last = row["chain_number"] == max(each["chain_number"] for each in rows)
        gone = last and where in ("row", "tenant", "chain_number")
        # Of the last event nothing comes after: only the row that says how far the log goes can tell.
        names = {str(row["chain_number"])} | ({str(self.tenant)} if gone else set())
        return Done(f"event {row['id']}.{where} = {value!r}", "chain" if gone else "event", frozenset(names))

    def insertion_of_event(self) -> Done:
        """Put an event behind the last one."""
        table, rows = _table(Event), self.rows[_table(Event)]
        row = dict(self.draw.choice(rows))
        row["id"], number = max(each["id"] for each in rows) + 1, max(each["chain_number"] for each in rows) + 1
        row["chain_number"] = number
        self._do(insert(table).values(row))
        return Done(f"event {number} inserted", "event", frozenset({str(number)}))

    def lock(self) -> Done:
        """Change or delete the row that says how far the log is sealed."""
        table = _table(Chain)
        (row,) = self.rows[table]
        name = self.draw.choice(["size", "chain_hash", "frontier", "created_by", "tenant", ""])
        if name:
            self._do(update(table).values({name: self._other(row[name], table.c[name])}))
        else:
            self._do(delete(table))
        return Done(f"chain.{name}", "chain", frozenset({str(self.tenant)}))

    def key(self) -> Done:
        """Change or delete the public key."""
        table = _table(SigningKey)
        name = self.connection.scalar(select(table.c.id))
        what = self.draw.choice(["id", "public_key", ""])
        if what == "public_key":
            self._do(update(table).values(public_key=self.draw.randbytes(32)))
        elif what == "id":
            self._do(update(table).values(id="sha256:" + self.draw.randbytes(32).hex()))
        else:
            self._do(delete(table))
        return Done(f"signing_key.{what}", "signing_key", frozenset({str(name)}))

    @contextmanager
    def bytes(self) -> Iterator[Done]:
        """Flip a bit of a kept file, cut it short, or take it away; put back at the end."""
        digest = self.draw.choice(self.rows[_table(Blob)])["digest"]
        (path,) = (each for each in self.folder.rglob(f"*{digest.removeprefix('sha256:')[4:]}*") if each.is_file())
        whole = path.read_bytes()
        what = self.draw.choice(["flipped", "cut", "gone"])
        path.chmod(0o600)
        path.unlink()
        if what == "flipped":
            at = self.draw.randrange(len(whole))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << self.draw.randrange(8)]) + whole[at + 1 :])
        elif what == "cut":
            path.write_bytes(whole[:-1])
        try:
            yield Done(f"bytes of {digest} {what}", "blob", frozenset({digest}))
        finally:
            path.write_bytes(whole)

    def tombstone(self) -> Done:
        """Say of bytes that a row names that they were given up."""
        named = {
            row["digest"]
            for table in self.rows
            if table.name in ("artifact", "report_file")
            for row in self.rows[table]
        }
        digest = self.draw.choice(sorted(named))
        table = _table(Blob)
        self._do(update(table).where(table.c.digest == digest).values(deleted_at=table.c.created_at))
        return Done(f"blob {digest} marked as given up", "blob", frozenset({digest}))

    def _do(self, statement: Any) -> None:
        if not self.connection.execute(statement).rowcount:
            raise Refused

    def _other(self, value: Any, column: Column[Any]) -> Any:  # noqa: PLR0911  # one for each kind of column
        """Another value that the column can hold."""
        kind = column.type
        if isinstance(kind, UtcTime):
            shift = timedelta(microseconds=self.draw.choice([1, 1000, 86_400_000_000]))
            return datetime.fromisoformat("2026-03-01T12:00:00+00:00") if value is None else value + shift
        if isinstance(kind, Uuid):
            return UUID(int=self.draw.getrandbits(128))
        if isinstance(kind, Boolean):
            return not value
        if isinstance(kind, Float):
            return 0.5 if value is None else value + self.draw.choice([1e-9, 0.01, -1.0])
        if isinstance(kind, Integer):
            return 7 if value is None else value + self.draw.choice([1, 2, 1000])
        if isinstance(kind, LargeBinary):
            return self.draw.randbytes(32)
        if isinstance(value, list):
            return [*value, "x"]
        if isinstance(kind, JSON) or isinstance(value, dict):
            return {**(value or {}), "tampered": self.draw.random()}
        return "x" if not value else value[:-1] + ("0" if value[-1] != "0" else "1")


def _table(mapped: Any) -> Table:
    return inspect(mapped).local_table  # type: ignore[no-any-return]
