"""Is an alert opened once, sent once, tried again where it must be, and closed when its cause is over?"""

import json
import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from service.alerts.send import Sent
from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.store.base import new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Dataset, Event, Model, Work
from service.store.tables_compliance import Alert, Delivery, Webhook
from service.work.alerting import Watcher
from service.work.deliveries import Deliverer
from tests.service.work.office import Office, an_office

DAY = timedelta(days=1)


@pytest.fixture
def office(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> Office:
    return an_office(database, clock, tenant, principal, tmp_path)


@pytest.fixture
def webhook(office: Office) -> UUID:
    row = Webhook(
        id=new_id(),
        tenant=office.tenant,
        created_by=office.principal,
        created_at=office.clock.now(),
        url="https://hooks.example.org/",
        least="high",
        generation=1,
        failures=0,
    )
    with system_session(office.database) as session:
        session.add(row)
    return row.id


class Posted:
    """What would have been sent, answered in turn; the last answer stays."""

    def __init__(self, *answers: Sent) -> None:
        self.answers, self.sent = list(answers), list[tuple[str, bytes, dict[str, str]]]()

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, allowed: frozenset[str]) -> Sent:
        self.sent.append((url, body, headers))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def deliverer(office: Office, posted: Posted) -> Deliverer:
    return Deliverer(
        database=office.database,
        clock=office.clock,
        settings=office.settings,
        secret="secret",
        owner="scheduler",
        post=posted,
    )


def watcher(office: Office) -> Watcher:
    return Watcher(database=office.database, clock=office.clock)


def month(office: Office, failed_checks: float) -> None:
    """A month in which this many checks of the attack failed, reported."""
    begin = office.clock.now()
    with system_session(office.database) as session:
        model, dataset = session.scalar(select(Model.id)), session.scalar(select(Dataset.id))
    if model is None or dataset is None:
        model, dataset = office.ready_pair()
    office.clock.advance(DAY)
    failed = Measurement(metric="attack_checks_failed", facets={}, value=failed_checks, n=200)
    office.measure(model, dataset, "robustness", failed)
    office.clock.advance(29 * DAY)
    office.ask("net", begin, office.clock.now())
    assert office.make_reports() == 1


def alerts(office: Office) -> list[Alert]:
    with system_session(office.database) as session:
        return list(session.scalars(select(Alert).order_by(Alert.created_at, Alert.key)))


def test_a_control_that_is_not_met_is_told_once_and_its_recovery_too(office: Office, webhook: UUID) -> None:
    month(office, 2)
    assert watcher(office).look() >= 1
    assert watcher(office).look() == 0
    opened = next(row for row in alerts(office) if row.key == "control:net:ROB-03:not_met")
    assert (opened.severity, opened.closed_at) == ("high", None)
    posted = Posted(Sent(delivered=True, said="delivered", status=204))
    sent = deliverer(office, posted).send_due(threading.Event())
    assert sent == len([row for row in alerts(office) if row.severity in ("high", "critical")])
    body = next(json.loads(each[1]) for each in posted.sent if b"ROB-03" in each[1])
    assert (body["type"], body["data"]["severity"]) == ("alert.opened", "high")
    assert body["data"]["text"] == "ROB-03 of net is not met in the newest report."

    month(office, 0)
    watcher(office).look()
    closed = next(row for row in alerts(office) if row.key == "control:net:ROB-03:not_met")
    assert closed.closed_at is not None
    posted = Posted(Sent(delivered=True, said="delivered", status=204))
    deliverer(office, posted).send_due(threading.Event())
    assert [json.loads(each[1])["type"] for each in posted.sent if b"ROB-03" in each[1]] == ["alert.closed"]
    with system_session(office.database) as session:
        actions = session.scalars(select(Event.action).where(Event.subject_id == opened.id).order_by(Event.id)).all()
    assert actions == ["opened", "closed"]


def test_many_schedulers_tell_it_once(office: Office, webhook: UUID) -> None:
    month(office, 2)
    failures: list[BaseException] = []

    def look() -> None:
        try:
            watcher(office).look()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    keys = [row.key for row in alerts(office)]
    assert len(keys) == len(set(keys)) > 0


def test_what_does_not_get_there_is_tried_again_and_every_try_is_kept(office: Office, webhook: UUID) -> None:
    month(office, 2)
    watcher(office).look()
    posted = Posted(
        Sent(delivered=False, said="it answered 500", status=500), Sent(delivered=True, said="delivered", status=200)
    )
    sender = deliverer(office, posted)
    first = sender.send_due(threading.Event())
    assert sender.send_due(threading.Event()) == 0
    office.clock.advance(timedelta(minutes=5))
    assert sender.send_due(threading.Event()) == 1
    with system_session(office.database) as session:
        rows = session.scalars(select(Delivery)).all()
        hook = session.get_one(Webhook, webhook)
    assert len(rows) == first
    tried = next(row for row in rows if len(row.log) == 2)
    assert [each["said"] for each in tried.log] == ["it answered 500", "delivered"]
    assert hook.failures == 0
    identities = [headers["webhook-id"] for _, _, headers in posted.sent if headers["webhook-id"] == str(tried.id)]
    assert len(identities) == 2


def test_a_receiver_that_is_gone_is_not_asked_again(office: Office, webhook: UUID) -> None:
    month(office, 2)
    watcher(office).look()
    posted = Posted(Sent(delivered=False, said="it answered 410", status=410, again=False))
    deliverer(office, posted).send_due(threading.Event())
    assert len(posted.sent) == 1
    with system_session(office.database) as session:
        assert session.get_one(Webhook, webhook).disabled_at is not None
        states = set(session.scalars(select(Work.state).where(Work.queue == "delivery")))
    assert states == {"failed"}


def test_no_secret_is_in_any_row(office: Office, webhook: UUID) -> None:
    month(office, 2)
    watcher(office).look()
    posted = Posted(Sent(delivered=True, said="delivered", status=200))
    deliverer(office, posted).send_due(threading.Event())
    with system_session(office.database) as session:
        tables = (Webhook, Delivery, Alert, Event)
        stored = [repr(vars(row)) for table in tables for row in session.scalars(select(table))]
    assert not any("whsec_" in each or "v1," in each for each in stored)
