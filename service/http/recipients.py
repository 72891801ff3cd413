"""Endpoints of recipients of mail: named, tried, disabled. The mail server is the operator's."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.alerts import DeliveryView, RecipientSubmission, RecipientView, Severity
from service.contracts.api import Page
from service.http.deliveries import trial
from service.http.endpoint import IDEMPOTENCY_KEY, LINK, LOCATION, Answer, Resource, by_id
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, missing
from service.store.base import new_id
from service.store.ledger import record
from service.store.questions import page_of
from service.store.tables_compliance import MailRecipient
from service.work.deliveries import mail_server

recipients = Resource(
    tag="mail-recipients",
    about="Whom alerts are mailed to, as plain text, through the mail server that the operator has set. An address is "
    "not asked whether it wants them.",
    parameter=by_id("mail recipient"),
)
SHOWN = (Answer(status=200, description="The recipient.", model=RecipientView),)


class RecipientsPage(Page[RecipientView]):
    """One page of recipients."""


@recipients.endpoint(
    "POST",
    "/v1/mail-recipients",
    scope="admin",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="Alerts are mailed there.", model=RecipientView, headers=(LOCATION,)),),
    problems=("conflict", "idempotency-mismatch"),
)
def create_recipient(call: Call[NoQuery, RecipientSubmission]) -> Reply:
    """Name whom alerts are mailed to.

    Refused while the operator has set no mail server.
    """
    if mail_server(call.parts.settings) is None:
        raise Refusal(
            "conflict",
            "No mail server is set, so no alert could be mailed.",
            remedy="Ask the operator to set LAMINA_SMTP_HOST and LAMINA_SMTP_SENDER, or make a webhook.",
        )

    def make(session: Session) -> Reply:
        row = MailRecipient(
            id=new_id(),
            tenant=call.caller.tenant,
            created_by=call.caller.principal,
            created_at=call.now,
            address=call.body.address,
            least=call.body.least,
            failures=0,
        )
        session.add(row)
        _note(session, row, "named", call)
        return Reply(value=_shown(row), status=201, headers={"Location": f"/v1/mail-recipients/{row.id}"})

    return once(call, RecipientView, make)


@recipients.endpoint(
    "GET",
    "/v1/mail-recipients",
    scope="admin",
    answers=(Answer(status=200, description="One page, newest first.", model=RecipientsPage, headers=(LINK,)),),
)
def list_recipients(call: Call[PageQuery, None]) -> Reply:
    """List recipients of mail."""
    with call.reads() as session:
        page = page_of(session, select(MailRecipient), MailRecipient, call.query.limit, start(call))
        items = tuple(_shown(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=RecipientsPage(items=items, next=cursor), headers=headers)


@recipients.endpoint("GET", "/v1/mail-recipients/{id}", scope="admin", answers=SHOWN)
def get_recipient(call: Call[NoQuery, None]) -> Reply:
    """Show a recipient of mail."""
    with call.reads() as session:
        return Reply(value=_shown(_row(session, call.id)))


@recipients.endpoint("DELETE", "/v1/mail-recipients/{id}", scope="admin", answers=SHOWN)
def disable_recipient(call: Call[NoQuery, None]) -> Reply:
    """Disable a recipient of mail.

    Nothing more is mailed there; what was stays on record.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        if row.disabled_at is None:
            row.disabled_at = call.now
            _note(session, row, "disabled", call)
        return Reply(value=_shown(row))


@recipients.endpoint(
    "POST",
    "/v1/mail-recipients/{id}/test",
    scope="admin",
    answers=(Answer(status=202, description="The message, queued.", model=DeliveryView),),
    problems=("conflict",),
)
def test_recipient(call: Call[NoQuery, None]) -> Reply:
    """Mail a recipient a message that means nothing.

    Follow it under `/v1/deliveries`.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        if row.disabled_at is not None:
            raise Refusal("conflict", "The recipient is disabled; name it again.")
        reply = Reply(value=trial(session, row, created_by=call.caller.principal, now=call.now), status=202)
    call.parts.ring()
    return reply


def _row(session: Session, recipient_id: UUID) -> MailRecipient:
    row = session.get(MailRecipient, recipient_id)
    if row is None:
        raise missing("mail recipient")
    return row


def _shown(row: MailRecipient) -> RecipientView:
    least: Severity = row.least  # type: ignore[assignment]  # the table holds no other words
    return RecipientView(
        id=row.id,
        address=row.address,
        least=least,
        failures=row.failures,
        last_delivered_at=row.last_delivered_at,
        disabled_at=row.disabled_at,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _note(
    session: Session, row: MailRecipient, action: str, call: Call[NoQuery, RecipientSubmission] | Call[NoQuery, None]
) -> None:
    """In the log with its domain at most: the log is kept for good, and an address is somebody's."""
    session.flush()
    record(
        session,
        [],
        tenant=row.tenant,
        actor=call.caller.principal,
        now=call.now,
        subject_type="mail_recipient",
        subject_id=row.id,
        action=action,
        detail={"domain": row.address.rpartition("@")[2]},
    )
