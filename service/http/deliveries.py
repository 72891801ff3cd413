"""Endpoints of messages, to webhooks and by mail: every message, every try, and the ones sent to try it out."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, TypeAdapter
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.contracts.alerts import DeliveryState, DeliveryView, TryView
from service.contracts.api import Page
from service.contracts.status import WorkState
from service.http.endpoint import LINK, Answer, Resource, by_id
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, missing
from service.store.base import new_id
from service.store.questions import page_of
from service.store.tables import Work
from service.store.tables_compliance import Alert, Delivery, MailRecipient, Webhook
from service.work.alerting import send_to
from service.work.deliveries import receiver_of

deliveries = Resource(
    tag="deliveries", about="Messages to webhooks and recipients of mail, with every try.", parameter=by_id("delivery")
)
MOST_TRIALS = 10
"""Messages that try one receiver out and wait to be sent."""
STATE: TypeAdapter[DeliveryState] = TypeAdapter(DeliveryState)


class DeliveriesQuery(PageQuery):
    """Which messages."""

    webhook: UUID | None = Field(None, description="Messages to the webhook of this id only.")
    recipient: UUID | None = Field(None, description="Mails to the recipient of this id only.")


class DeliveriesPage(Page[DeliveryView]):
    """One page of messages."""


@deliveries.endpoint(
    "GET",
    "/v1/deliveries",
    scope="admin",
    answers=(Answer(status=200, description="One page, newest first.", model=DeliveriesPage, headers=(LINK,)),),
)
def list_deliveries(call: Call[DeliveriesQuery, None]) -> Reply:
    """List messages, with every try."""
    statement = select(Delivery)
    if call.query.webhook is not None:
        statement = statement.where(Delivery.webhook_id == call.query.webhook)
    if call.query.recipient is not None:
        statement = statement.where(Delivery.recipient_id == call.query.recipient)
    with call.reads() as session:
        page = page_of(session, statement, Delivery, call.query.limit, start(call))
        items = tuple(_message(session, row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=DeliveriesPage(items=items, next=cursor), headers=headers)


@deliveries.endpoint(
    "GET",
    "/v1/deliveries/{id}",
    scope="admin",
    answers=(Answer(status=200, description="The message.", model=DeliveryView),),
)
def get_delivery(call: Call[NoQuery, None]) -> Reply:
    """Show a message, with every try."""
    with call.reads() as session:
        return Reply(value=_message(session, _delivery(session, call.id)))


@deliveries.endpoint(
    "POST",
    "/v1/deliveries/{id}/replay",
    scope="admin",
    answers=(Answer(status=202, description="A new message with the same words, queued.", model=DeliveryView),),
    problems=("conflict",),
)
def replay_delivery(call: Call[NoQuery, None]) -> Reply:
    """Send a message that did not get there again.

    As a message of its own, with an id of its own.
    """
    with call.writes() as session:
        row = _delivery(session, call.id)
        work = None if row.work_id is None else session.get(Work, row.work_id)
        if work is None or work.state != WorkState.FAILED.value:
            raise Refusal("conflict", "Only a message that failed for good is sent again.")
        to = receiver_of(session, row)
        if to.disabled_at is not None:
            raise Refusal("conflict", "Who it is for is disabled; make another.")
        _refuse_more(session, to, Delivery.alert_id == row.alert_id, most=1)
        again = sum(1 for _ in session.scalars(select(Delivery.id).where(Delivery.alert_id == row.alert_id)))
        event = f"{row.event.partition(' ')[0]} {again}"
        made = send_to(session, to, session.get_one(Alert, row.alert_id), event, now=call.now)
        made.body = row.body
        reply = Reply(value=_message(session, made), status=202)
    call.parts.ring()
    return reply


def trial(session: Session, to: Webhook | MailRecipient, *, created_by: UUID, now: datetime) -> DeliveryView:
    """Queue a message that means nothing; few at a time, since others' messages are sent after them."""
    _refuse_more(session, to, Delivery.event == "test", most=MOST_TRIALS)
    alert = Alert(
        id=new_id(),
        tenant=to.tenant,
        created_by=created_by,
        created_at=now,
        key=f"test:{new_id()}",
        severity="low",
        text="This is a test; nothing happened.",
        detail={},
        model_name=None,
        closed_at=now,
    )
    session.add(alert)
    session.flush()
    return _message(session, send_to(session, to, alert, "test", now=now))


def _refuse_more(session: Session, to: Webhook | MailRecipient, like: ColumnElement[bool], *, most: int) -> None:
    theirs = Delivery.webhook_id == to.id if isinstance(to, Webhook) else Delivery.recipient_id == to.id
    open_work = Work.state.in_([WorkState.QUEUED.value, WorkState.RUNNING.value])
    waiting = select(func.count(Delivery.id)).join(Work, Work.id == Delivery.work_id).where(theirs, like, open_work)
    if session.scalars(waiting).one() >= most:
        raise Refusal("conflict", "Such messages are on their way already.", remedy="Follow them under /v1/deliveries.")


def _delivery(session: Session, delivery_id: UUID) -> Delivery:
    row = session.get(Delivery, delivery_id)
    if row is None:
        raise missing("delivery")
    return row


def _message(session: Session, row: Delivery) -> DeliveryView:
    work = None if row.work_id is None else session.get(Work, row.work_id)
    return DeliveryView(
        id=row.id,
        webhook=row.webhook_id,
        recipient=row.recipient_id,
        alert=row.alert_id,
        event=row.event,
        state=STATE.validate_python("queued" if work is None else work.state),
        tries=tuple(TryView.model_validate(each, strict=False) for each in row.log),
        created_at=row.created_at,
    )
