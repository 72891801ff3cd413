"""Endpoints of webhooks: made, turned, tried, disabled."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.alerts.address import Refused, place_of
from service.contracts.alerts import DeliveryView, Severity, WebhookMade, WebhookSubmission, WebhookView
from service.contracts.api import Page
from service.contracts.problem import Fault
from service.http.deliveries import trial
from service.http.endpoint import IDEMPOTENCY_KEY, LINK, LOCATION, Answer, Resource, by_id
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, invalid, missing
from service.store.base import new_id
from service.store.ledger import record
from service.store.questions import page_of
from service.store.tables_compliance import Webhook

webhooks = Resource(
    tag="webhooks",
    about="Where alerts are sent: https, signed as Standard Webhooks has it (HMAC-SHA256), to addresses out in the "
    "open. The service derives a webhook's secret and stores it nowhere.",
    parameter=by_id("webhook"),
)


class WebhooksPage(Page[WebhookView]):
    """One page of webhooks."""


MOST_ENABLED = 50
"""Webhooks a tenant may have: each gets every message, and messages are sent one after the other."""
FIRST = 1
"""The generation of a webhook's first secret."""
SHOWN = (Answer(status=200, description="The webhook.", model=WebhookView),)


@webhooks.endpoint(
    "POST",
    "/v1/webhooks",
    scope="admin",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(status=201, description="Made; `secret` is shown this once.", model=WebhookMade, headers=(LOCATION,)),
    ),
    problems=("conflict", "idempotency-mismatch"),
)
def create_webhook(call: Call[NoQuery, WebhookSubmission]) -> Reply:
    """Make a webhook.

    An https URL whose host is reachable by everybody; the operator may allow others by name.
    """
    allowed = {host.strip() for host in call.parts.settings.webhook_private_hosts.split(",") if host.strip()}
    try:
        place_of(call.body.url, allowed)
    except Refused as error:
        raise invalid([Fault(pointer="/url", detail=str(error))]) from error

    def make(session: Session) -> Reply:
        enabled = session.scalars(select(func.count(Webhook.id)).where(Webhook.disabled_at.is_(None))).one()
        if enabled >= MOST_ENABLED:
            raise Refusal("conflict", f"{MOST_ENABLED} webhooks are enabled; disable one before you make another.")
        row = Webhook(
            id=new_id(),
            tenant=call.caller.tenant,
            created_by=call.caller.principal,
            created_at=call.now,
            url=call.body.url,
            least=call.body.least,
            generation=FIRST,
            failures=0,
        )
        session.add(row)
        _note(session, row, call, "made")
        return Reply(value=_shown(row), status=201, headers={"Location": f"/v1/webhooks/{row.id}"})

    reply = once(call, WebhookView, make)  # what is kept for a repeated request holds no secret
    view = WebhookView.model_validate(reply.value)
    return Reply(value=_with_secret(call, view, FIRST), status=reply.status, headers=reply.headers)


@webhooks.endpoint(
    "GET",
    "/v1/webhooks",
    scope="admin",
    answers=(Answer(status=200, description="One page, newest first.", model=WebhooksPage, headers=(LINK,)),),
)
def list_webhooks(call: Call[PageQuery, None]) -> Reply:
    """List webhooks.

    Without their secrets, which the service does not store.
    """
    with call.reads() as session:
        page = page_of(session, select(Webhook), Webhook, call.query.limit, start(call))
        items = tuple(_shown(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=WebhooksPage(items=items, next=cursor), headers=headers)


@webhooks.endpoint("GET", "/v1/webhooks/{id}", scope="admin", answers=SHOWN)
def get_webhook(call: Call[NoQuery, None]) -> Reply:
    """Show a webhook."""
    with call.reads() as session:
        return Reply(value=_shown(_row(session, call.id)))


@webhooks.endpoint("DELETE", "/v1/webhooks/{id}", scope="admin", answers=SHOWN)
def disable_webhook(call: Call[NoQuery, None]) -> Reply:
    """Disable a webhook.

    Nothing more is sent to it; what was sent stays on record.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        if row.disabled_at is None:
            row.disabled_at = call.now
            _note(session, row, call, "disabled")
        return Reply(value=_shown(row))


@webhooks.endpoint(
    "POST",
    "/v1/webhooks/{id}/rotation",
    scope="admin",
    answers=(Answer(status=200, description="The new secret, shown this once.", model=WebhookMade),),
)
def rotate_webhook(call: Call[NoQuery, None]) -> Reply:
    """Change a webhook's secret.

    Messages are signed with the new one from now on.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        row.generation += 1
        _note(session, row, call, "secret changed")
        return Reply(value=_with_secret(call, _shown(row), row.generation))


@webhooks.endpoint(
    "POST",
    "/v1/webhooks/{id}/test",
    scope="admin",
    answers=(Answer(status=202, description="The message, queued.", model=DeliveryView),),
    problems=("conflict",),
)
def test_webhook(call: Call[NoQuery, None]) -> Reply:
    """Send a webhook a message that means nothing.

    Follow it under `/v1/deliveries`.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        if row.disabled_at is not None:
            raise Refusal("conflict", "The webhook is disabled; make another.")
        reply = Reply(value=trial(session, row, created_by=call.caller.principal, now=call.now), status=202)
    call.parts.ring()
    return reply


def _row(session: Session, webhook_id: UUID) -> Webhook:
    row = session.get(Webhook, webhook_id)
    if row is None:
        raise missing("webhook")
    return row


def _with_secret(call: Call[NoQuery, Any], view: WebhookView, generation: int) -> WebhookMade:
    return WebhookMade(**view.model_dump(), secret=call.parts.webhook_secret(view.id, generation))


def _shown(row: Webhook) -> WebhookView:
    least: Severity = row.least  # type: ignore[assignment]  # the table holds no other words
    return WebhookView(
        id=row.id,
        url=row.url,
        least=least,
        failures=row.failures,
        last_delivered_at=row.last_delivered_at,
        disabled_at=row.disabled_at,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _note(session: Session, row: Webhook, call: Call[NoQuery, Any], action: str) -> None:
    """In the log with its URL's host at most: what follows may be a secret of the receiver's."""
    session.flush()
    record(
        session,
        [],
        tenant=row.tenant,
        actor=call.caller.principal,
        now=call.now,
        subject_type="webhook",
        subject_id=row.id,
        action=action,
        detail={"host": urlsplit(row.url).hostname or ""},
    )
