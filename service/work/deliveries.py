"""How does a queued message get to its webhook or into the mail? As work: tried, tried again later, every try kept."""

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Protocol
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.alerts.mail import mail_of
from service.alerts.send import GONE, Sent, headers_of, post, secret_for
from service.alerts.smtp import MailServer, Security, send
from service.clock import Clock
from service.contracts.problem import Reason
from service.contracts.status import WorkState
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Work
from service.store.tables_compliance import Delivery, MailRecipient, Webhook
from service.work.claim import Claim, claim
from service.work.finish import LeaseLost, fail, leave_succeeded
from service.work.queue import DELIVERY_QUEUE

log = logging.getLogger("lamina.scheduler")
SECURITY: TypeAdapter[Security] = TypeAdapter(Security)


class Post(Protocol):
    """What sends a body; `service.alerts.send.post`, but in tests."""

    def __call__(self, url: str, body: bytes, headers: dict[str, str], *, allowed: frozenset[str]) -> Sent:
        """Try once."""


class Mail(Protocol):
    """What hands a mail over; `service.alerts.smtp.send`, but in tests."""

    def __call__(self, server: MailServer, mail: EmailMessage) -> Sent:
        """Try once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Sends the messages that are due, one after the other, one of each tenant in turn: a slow receiver costs its own
    tenant most."""

    database: Database
    clock: Clock
    settings: Settings
    secret: str
    owner: str
    post: Post = field(default=post)
    mail: Mail = field(default=send)

    def send_due(self, stop: threading.Event) -> int:
        """Try every message that is queued and due, until `stop` is set; returns how many were tried."""
        tried, served = 0, set[UUID]()
        while not stop.is_set():
            held = self._claim_next(served)
            if held is not None:
                tried += 1
                served.add(held.tenant)
                self._try(held)
            elif served:
                served.clear()
            else:
                break
        return tried

    def _claim_next(self, served: Collection[UUID]) -> Claim | None:
        now = self.clock.now()
        with system_session(self.database, writes=False) as session:
            due = session.scalars(
                select(Work.id)
                .where(
                    Work.queue == DELIVERY_QUEUE,
                    Work.state == WorkState.QUEUED.value,
                    Work.attempt < Work.max_attempts,
                    or_(Work.not_before.is_(None), Work.not_before <= now),
                    Work.tenant.not_in(served),
                )
                .order_by(Work.id)
                .limit(8)
            ).all()
        for work_id in due:
            with system_session(self.database) as session:
                lease = timedelta(seconds=self.settings.lease_seconds)
                held = claim(session, work_id, owner=self.owner, now=now, lease=lease)
            if held is not None:
                return held
        return None

    def _try(self, held: Claim) -> None:
        with system_session(self.database, writes=False) as session:
            row = session.get_one(Delivery, held.subject_id)
            to = receiver_of(session, row)
        if to.disabled_at is not None:
            what = "webhook" if isinstance(to, Webhook) else "recipient"
            sent = Sent(delivered=False, said=f"the {what} is disabled", again=False)
        else:
            try:
                sent = self._posted(row, to) if isinstance(to, Webhook) else self._mailed(row, to)
            except Exception as error:
                # A fault of ours, which one message brought out: the others are not to wait for it.
                log.exception("delivery %s could not be tried", held.subject_id)
                sent = Sent(delivered=False, said=f"it could not be tried: {type(error).__name__}")
        try:
            self._keep(held, sent)
        except LeaseLost:
            log.warning("delivery %s is no longer this scheduler's", held.subject_id)

    def _posted(self, row: Delivery, webhook: Webhook) -> Sent:
        body = row.body.encode()
        secret = secret_for(self.secret, webhook.id, webhook.generation)
        allowed = frozenset(filter(None, self.settings.webhook_private_hosts.replace(" ", "").split(",")))
        return self.post(webhook.url, body, headers_of(secret, str(row.id), self.clock.now(), body), allowed=allowed)

    def _mailed(self, row: Delivery, recipient: MailRecipient) -> Sent:
        server = mail_server(self.settings)
        if server is None:
            return Sent(delivered=False, said="no mail server is set")
        mail = mail_of(row.body, delivery=row.id, to=recipient.address, sender=server.sender, at=row.created_at)
        return self.mail(server, mail)

    def _keep(self, held: Claim, sent: Sent) -> None:
        now = self.clock.now()
        with system_session(self.database) as session:
            if sent.delivered:
                leave_succeeded(session, held, now=now)
            else:
                reason = Reason(code="not-delivered", detail=f"{sent.said}.", permanent=not sent.again)
                fail(session, held, reason, now)
            row = session.get_one(Delivery, held.subject_id)
            row.log = [*row.log, {"at": now.isoformat(), "said": sent.said, "status": sent.status}]
            to = receiver_of(session, row)
            if sent.delivered:
                to.failures, to.last_delivered_at = 0, now
            else:
                to.failures += 1
            if sent.status == GONE and isinstance(to, Webhook):
                to.disabled_at = now


def receiver_of(session: Session, row: Delivery) -> Webhook | MailRecipient:
    """Whom a message is for."""
    if row.recipient_id is not None:
        return session.get_one(MailRecipient, row.recipient_id)
    return session.get_one(Webhook, row.webhook_id)


def mail_server(settings: Settings) -> MailServer | None:
    """The operator's mail server, if one is set."""
    if not settings.smtp_host:
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=SECURITY.validate_python(settings.smtp_security),
        sender=settings.smtp_sender,
        user=settings.smtp_user,
        password=settings.smtp_password,
        ca=settings.smtp_ca,
    )
