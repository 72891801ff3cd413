"""Endpoints of alerts: what is open, what was, and that somebody has seen it."""

from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.alerts import AlertView, Severity
from service.contracts.api import Page
from service.http.endpoint import LINK, Answer, Resource, by_id
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.store.ledger import record
from service.store.questions import page_of
from service.store.tables_compliance import Alert

alerts = Resource(
    tag="alerts",
    about="What somebody should know of: opened when it begins, closed by itself when it is over, never open twice. "
    "They state what was measured or missed.",
    parameter=by_id("alert"),
)


class AlertsQuery(PageQuery):
    """Which alerts."""

    open: bool | None = Field(None, description="Those that are open, or those that are not.")


class AlertsPage(Page[AlertView]):
    """One page of alerts."""


SHOWN = (Answer(status=200, description="The alert.", model=AlertView),)


@alerts.endpoint(
    "GET",
    "/v1/alerts",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=AlertsPage, headers=(LINK,)),),
)
def list_alerts(call: Call[AlertsQuery, None]) -> Reply:
    """List alerts."""
    statement = select(Alert)
    if call.query.open is not None:
        statement = statement.where(Alert.closed_at.is_(None) if call.query.open else Alert.closed_at.is_not(None))
    with call.reads() as session:
        page = page_of(session, statement, Alert, call.query.limit, start(call))
        items = tuple(_shown(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=AlertsPage(items=items, next=cursor), headers=headers)


@alerts.endpoint("GET", "/v1/alerts/{id}", scope="read", answers=SHOWN)
def get_alert(call: Call[NoQuery, None]) -> Reply:
    """Show an alert."""
    with call.reads() as session:
        return Reply(value=_shown(_row(session, call.id)))


@alerts.endpoint("POST", "/v1/alerts/{id}/acknowledgement", scope="submit", answers=SHOWN)
def acknowledge_alert(call: Call[NoQuery, None]) -> Reply:
    """Say that somebody has seen an alert.

    It stays open until its cause is over; the first who says so is kept.
    """
    with call.writes() as session:
        row = _row(session, call.id)
        if row.acknowledged_by is None:
            row.acknowledged_by = call.caller.principal
            record(
                session,
                [row],
                tenant=row.tenant,
                actor=call.caller.principal,
                now=call.now,
                subject_type="alert",
                subject_id=row.id,
                action="acknowledged",
            )
        return Reply(value=_shown(row))


def _row(session: Session, alert_id: UUID) -> Alert:
    row = session.get(Alert, alert_id)
    if row is None:
        raise missing("alert")
    return row


def _shown(row: Alert) -> AlertView:
    severity: Severity = row.severity  # type: ignore[assignment]  # the table holds no other words
    return AlertView(
        id=row.id,
        key=row.key,
        severity=severity,
        text=row.text,
        model_name=row.model_name,
        detail=row.detail,
        created_at=row.created_at,
        closed_at=row.closed_at,
        acknowledged_by=row.acknowledged_by,
    )
