"""What should somebody be told now, and has it been told? What is known is compared with what is open.

Each tenant in one short transaction. An open alert is unique by its key and closing is a guarded UPDATE, so however
many schedulers look, each alert opens once, closes once, and is sent once to each webhook that asks for it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from service.alerts.wanted import Concluded, Ending, Known, Missed, Unsigned, Wanted, reaches, wanted
from service.clock import Clock
from service.contracts.status import WorkType
from service.store.base import new_id
from service.store.database import Database
from service.store.ledger import record
from service.store.system import system_session
from service.store.tables import Tenant
from service.store.tables_compliance import (
    Alert,
    ComplianceReport,
    Delivery,
    MailRecipient,
    Schedule,
    Slot,
    Verdict,
    Waiver,
    Webhook,
)
from service.work.queue import DELIVERY_QUEUE, enqueue

ATTEMPTS = 8
NOT_MADE = ("waiting", "superseded")
RENEWAL = aliased(Waiver)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Opens and closes alerts."""

    database: Database
    clock: Clock

    def look(self) -> int:
        """Look at every tenant; returns how many alerts were opened or closed."""
        with system_session(self.database, writes=False) as session:
            tenants = session.scalars(select(Tenant.id)).all()
        return sum(self._tenant(tenant) for tenant in tenants)

    def _tenant(self, tenant: UUID) -> int:
        now = self.clock.now()
        with self.database.session(tenant, writes=False) as session:
            due = wanted(known(session), now)
            open_now = {row.key for row in session.scalars(select(Alert).where(Alert.closed_at.is_(None)))}
        if due.keys() == open_now:
            return 0
        changed = 0
        with self.database.session(tenant) as session:
            for key in sorted(due.keys() - open_now):
                changed += open_alert(session, due[key], tenant=tenant, now=now)
            for key in sorted(open_now - due.keys()):
                changed += _close(session, key, now=now)
        return changed


def known(session: Session) -> Known:
    """Everything alerts are decided from, of the session's tenant."""
    return Known(
        concluded=_concluded(session),
        endings=_endings(session),
        unsigned=[
            Unsigned(id=str(row.id), model_name=row.model_name, generated_at=row.generated_at)
            for row in session.scalars(
                select(ComplianceReport).where(ComplianceReport.state.in_(["generated", "in_review"]))
            )
            if row.generated_at is not None
        ],
        schedules=_schedules(session),
    )


def open_alert(session: Session, due: Wanted, *, tenant: UUID, now: datetime) -> int:
    """Open an alert, unless another scheduler has; it is sent to everybody who asks for as much."""
    row = Alert(
        id=new_id(),
        tenant=tenant,
        created_by=tenant,
        created_at=now,
        key=due.key,
        severity=due.severity,
        text=due.text,
        detail=dict(due.detail),
        model_name=due.model_name,
        closed_at=None,
    )
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        return 0
    _told(session, row, "opened", now=now)
    return 1


def send_to(session: Session, to: Webhook | MailRecipient, alert: Alert, event: str, *, now: datetime) -> Delivery:
    """Queue a message about an alert for one webhook, or one recipient of mail."""
    body = {
        "type": f"alert.{event}",
        "timestamp": now.isoformat(),
        "data": {
            "id": str(alert.id),
            "key": alert.key,
            "severity": alert.severity,
            "text": alert.text,
            "model_name": alert.model_name,
            "detail": alert.detail,
        },
    }
    row = Delivery(
        id=new_id(),
        tenant=to.tenant,
        created_by=to.created_by,
        created_at=now,
        webhook_id=to.id if isinstance(to, Webhook) else None,
        recipient_id=to.id if isinstance(to, MailRecipient) else None,
        alert_id=alert.id,
        event=event,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        log=[],
    )
    session.add(row)
    session.flush()
    row.work_id = enqueue(
        session,
        type=WorkType.DELIVERY,
        subject_id=row.id,
        tenant=to.tenant,
        created_by=to.created_by,
        queue=DELIVERY_QUEUE,
        max_attempts=ATTEMPTS,
        now=now,
    ).id
    return row


def _close(session: Session, key: str, *, now: datetime) -> int:
    found = session.scalar(
        update(Alert)
        .where(Alert.key == key, Alert.closed_at.is_(None))
        .values(closed_at=now)
        .returning(Alert.id)
        .execution_options(synchronize_session=False)
    )
    if found is None:
        return 0
    _told(session, session.get_one(Alert, found, populate_existing=True), "closed", now=now)
    return 1


def _told(session: Session, row: Alert, event: str, *, now: datetime) -> None:
    record(
        session,
        [row],
        tenant=row.tenant,
        actor=row.created_by,
        now=now,
        subject_type="alert",
        subject_id=row.id,
        action=event,
        detail={"key": row.key, "severity": row.severity},
    )
    receivers = [
        *session.scalars(select(Webhook).where(Webhook.disabled_at.is_(None)).order_by(Webhook.id)),
        *session.scalars(select(MailRecipient).where(MailRecipient.disabled_at.is_(None)).order_by(MailRecipient.id)),
    ]
    for each in receivers:
        if reaches(row.severity, each.least):
            send_to(session, each, row, event, now=now)


def _concluded(session: Session) -> list[Concluded]:
    place = (
        func.row_number()
        .over(
            partition_by=ComplianceReport.model_name,
            order_by=(ComplianceReport.as_of.desc(), ComplianceReport.id.desc()),
        )
        .label("place")
    )
    ranked = (
        select(ComplianceReport.id, ComplianceReport.model_name, place)
        .where(ComplianceReport.state.not_in(NOT_MADE))
        .subquery()
    )
    rows = session.execute(
        select(Verdict.report_id, Verdict.model_name, Verdict.control, Verdict.status, ranked.c.place)
        .join(ranked, ranked.c.id == Verdict.report_id)
        .where(ranked.c.place <= 2, Verdict.position == -1)
    ).all()
    before: Mapping[tuple[str, str], str] = {
        (row.model_name, row.control): row.status for row in rows if row.place == 2
    }
    return [
        Concluded(
            model_name=row.model_name,
            report=str(row.report_id),
            control=row.control,
            status=row.status,
            before=before.get((row.model_name, row.control)),
        )
        for row in rows
        if row.place == 1
    ]


def _endings(session: Session) -> list[Ending]:
    renewals = set(
        session.scalars(select(Waiver.renews_id).where(Waiver.renews_id.is_not(None), Waiver.decision == "granted"))
    )
    return [
        Ending(
            id=str(row.id),
            control=row.control,
            model_name=row.model_name,
            expires_at=row.expires_at,
            renewed=row.id in renewals,
        )
        for row in session.scalars(select(Waiver).where(Waiver.decision == "granted", Waiver.withdrawn_at.is_(None)))
    ]


def _schedules(session: Session) -> list[Missed]:
    found = []
    for row in session.scalars(select(Schedule).where(Schedule.ended_at.is_(None))):
        states = session.scalars(
            select(Slot.state)
            .where(Slot.schedule_id == row.id)
            .order_by(Slot.nominal_at.desc(), Slot.id.desc())
            .limit(2)
        ).all()
        found.append(Missed(id=str(row.id), name=row.name, model_name=row.model_name, states=states))
    return found
