"""Is an alert opened once, sent once, tried again where it must be, and closed when its cause is over?"""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from service.alerts.send import Sent
from service.alerts.smtp import MailServer
from service.alerts.wanted import Wanted
from service.clock import FixedClock
from service.contracts.outcome import Measurement
from service.store.base import new_id
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Dataset, Event, Model, Work
from service.store.tables_compliance import Alert, Delivery, MailRecipient, Webhook
from service.work.alerting import Watcher, open_alert
from service.work.deliveries import Deliverer
from tests.conftest import MakeTenant
from tests.service.alerts.mailserver import Taker, running
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


def test_a_message_that_brings_out_a_fault_does_not_hold_up_the_others(office: Office, webhook: UUID) -> None:
    for name in ("first", "second"):
        tell(office, office.tenant, name)
    tried: list[str] = []

    def broken(url: str, body: bytes, headers: dict[str, str], *, allowed: frozenset[str]) -> Sent:
        tried.append(json.loads(body)["data"]["key"])
        if len(tried) == 1:
            raise ZeroDivisionError
        return Sent(delivered=True, said="delivered", status=204)

    assert replace(deliverer(office, Posted()), post=broken).send_due(threading.Event()) == 2
    assert tried == ["first", "second"]
    with system_session(office.database) as session:
        said = [row.log[0]["said"] for row in session.scalars(select(Delivery).order_by(Delivery.id))]
    assert said == ["it could not be tried: ZeroDivisionError", "delivered"]


def test_tenants_take_turns_so_that_many_messages_of_one_do_not_hold_up_the_others(
    office: Office, webhook: UUID, make_tenant: MakeTenant
) -> None:
    other = make_tenant("umbrella")
    with system_session(office.database) as session:
        mine = session.get_one(Webhook, webhook)
        theirs = {"id": new_id(), "tenant": other, "created_by": other, "url": "https://other.example.org/"}
        shared = {"created_at": mine.created_at, "least": mine.least, "generation": 1, "failures": 0}
        session.add(Webhook(**theirs, **shared))
    for name in ("a", "b", "c"):
        tell(office, office.tenant, name)
    tell(office, other, "d")
    posted = Posted(Sent(delivered=True, said="delivered", status=204))
    assert deliverer(office, posted).send_due(threading.Event()) == 4
    assert [json.loads(body)["data"]["key"] for _, body, _ in posted.sent] == ["a", "d", "b", "c"]


def tell(office: Office, tenant: UUID, key: str) -> None:
    due = Wanted(key=key, severity="high", text="x", detail={}, model_name=None)
    with office.database.session(tenant) as session:
        open_alert(session, due, tenant=tenant, now=office.clock.now())


def test_no_secret_is_in_any_row(office: Office, webhook: UUID) -> None:
    month(office, 2)
    watcher(office).look()
    posted = Posted(Sent(delivered=True, said="delivered", status=200))
    deliverer(office, posted).send_due(threading.Event())
    with system_session(office.database) as session:
        tables = (Webhook, Delivery, Alert, Event)
        stored = [repr(vars(row)) for table in tables for row in session.scalars(select(table))]
    assert not any("whsec_" in each or "v1," in each for each in stored)


# --- mail -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def taker() -> Iterator[Taker]:
    with running(Taker()) as made:
        yield made


@pytest.fixture
def recipient(office: Office) -> UUID:
    return named(office, "high")


def named(office: Office, least: str, address: str = "ada@example.org") -> UUID:
    who = {"tenant": office.tenant, "created_by": office.principal, "created_at": office.clock.now()}
    row = MailRecipient(id=new_id(), address=address, least=least, failures=0, **who)
    with system_session(office.database) as session:
        session.add(row)
    return row.id


def mailer(office: Office, taker: Taker | None) -> Deliverer:
    if taker is not None:
        server: MailServer = taker.server()
        office.settings = office.settings.model_copy(
            update={
                "smtp_host": server.host,
                "smtp_port": server.port,
                "smtp_security": "none",
                "smtp_sender": server.sender,
            }
        )
    return deliverer(office, Posted(Sent(delivered=True, said="delivered", status=200)))


def told(office: Office) -> None:
    """One alert, told to everybody."""
    due = Wanted(key="k", severity="high", text="ROB-03 of net is not met.", model_name="net")
    with office.database.session(office.tenant) as session:
        assert open_alert(session, due, tenant=office.tenant, now=office.clock.now()) == 1


def sent_states(office: Office) -> tuple[list[str], list[list[str]]]:
    with system_session(office.database) as session:
        states = session.scalars(select(Work.state).where(Work.queue == "delivery").order_by(Work.id)).all()
        tries = [[each["said"] for each in row.log] for row in session.scalars(select(Delivery).order_by(Delivery.id))]
    return list(states), tries


def test_both_channels_tell_and_only_who_asked_for_as_much(office: Office, webhook: UUID, taker: Taker) -> None:
    named(office, "high")
    named(office, "critical", "eve@example.org")
    told(office)
    sender = mailer(office, taker)
    assert sender.send_due(threading.Event()) == 2
    assert sender.send_due(threading.Event()) == 0
    assert isinstance(sender.post, Posted)
    assert len(sender.post.sent) == 1
    (took,) = taker.took
    assert message_from_bytes(took)["To"] == "ada@example.org"
    assert sent_states(office) == (["succeeded"] * 2, [["delivered"], ["delivered"]])


def test_a_mail_that_is_not_taken_over_now_is_tried_again_as_the_same_mail(
    office: Office, recipient: UUID, taker: Taker
) -> None:
    taker.answers["END"] = ["451 later", "250 taken"]
    told(office)
    sender = mailer(office, taker)
    assert sender.send_due(threading.Event()) == 1
    assert sender.send_due(threading.Event()) == 0
    with system_session(office.database) as session:
        assert session.get_one(MailRecipient, recipient).failures == 1
    office.clock.advance(timedelta(minutes=5))
    assert sender.send_due(threading.Event()) == 1
    assert sent_states(office) == (["succeeded"], [["the mail server answered 451 to DATA", "delivered"]])
    assert taker.took[0] == taker.took[1]
    with system_session(office.database) as session:
        row = session.get_one(MailRecipient, recipient)
        (message,) = session.scalars(select(Delivery)).all()
    assert (row.failures, row.last_delivered_at) == (0, office.clock.now())
    assert message_from_bytes(taker.took[0])["Message-ID"] == f"<{message.id}@example.org>"


def test_a_mail_that_is_refused_for_good_is_not_tried_again_and_the_next_one_is(
    office: Office, recipient: UUID, taker: Taker
) -> None:
    taker.answers["RCPT"] = ["550 nobody", "250 fine"]
    told(office)
    sender = mailer(office, taker)
    sender.send_due(threading.Event())
    office.clock.advance(DAY)
    assert sender.send_due(threading.Event()) == 0
    assert sent_states(office) == (["failed"], [["the mail server answered 550 to RCPT"]])
    with system_session(office.database) as session:
        assert session.get_one(MailRecipient, recipient).disabled_at is None


def test_mail_without_a_server_says_so_and_waits(office: Office, recipient: UUID, taker: Taker) -> None:
    told(office)
    mailer(office, None).send_due(threading.Event())
    office.clock.advance(timedelta(minutes=5))
    mailer(office, taker).send_due(threading.Event())
    assert sent_states(office) == (["succeeded"], [["no mail server is set", "delivered"]])


def test_nothing_is_mailed_to_who_was_disabled_meanwhile(office: Office, recipient: UUID, taker: Taker) -> None:
    told(office)
    with system_session(office.database) as session:
        session.get_one(MailRecipient, recipient).disabled_at = office.clock.now()
    mailer(office, taker).send_due(threading.Event())
    assert taker.said == []
    assert sent_states(office) == (["failed"], [["the recipient is disabled"]])
