"""Endpoints of audits: ask for analyses of a model, follow them, call them off."""

from collections.abc import Sequence
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.contracts.api import AuditSubmission, AuditView, Page
from service.contracts.status import AuditState, WorkState
from service.http.endpoint import (
    ETAG,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    LINK,
    LOCATION,
    RETRY_AFTER,
    Answer,
    Resource,
    by_id,
)
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.http.views import show_audit
from service.store import questions
from service.store.tables import Audit, Work
from service.work.audits import cancel, submit

audits = Resource(
    tag="audits",
    about="Requests for analyses of one model on inputs by role. Every accepted audit ends, with one outcome or one "
    "reason per analysis.",
    parameter=by_id("audit"),
)


class AuditQuery(PageQuery):
    """Which audits."""

    state: AuditState | None = Field(None, description="Audits in this state only.")
    model: UUID | None = Field(None, description="Audits of the model of this id only.")


class AuditPage(Page[AuditView]):
    """One page of audits."""


@audits.endpoint(
    "POST",
    "/v1/audits",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(
            status=202,
            description="Accepted; follow it at Location.",
            model=AuditView,
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    problems=("idempotency-mismatch", "too-much-open-work"),
)
def create_audit(call: Call[NoQuery, AuditSubmission]) -> Reply:
    """Ask for analyses.

    Everything is checked before anything is written: the model, the inputs and the roles that the kinds need, and every
    parameter against its kind's schema. A model or dataset that is still being inspected is no fault: the analyses wait
    for it. Nothing here waits for the broker.
    """

    def make(session: Session) -> Reply:
        made = submit(
            session,
            call.body,
            tenant=call.caller.tenant,
            principal=call.caller.principal,
            catalog=call.parts.catalog,
            settings=call.parts.settings,
            now=call.now,
        )
        return accepted(session, made.id)

    reply = once(call, AuditView, make)
    call.parts.ring()
    return reply


@audits.endpoint(
    "GET",
    "/v1/audits",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=AuditPage, headers=(LINK,)),),
)
def list_audits(call: Call[AuditQuery, None]) -> Reply:
    """List audits."""
    with call.reads() as session:
        page = questions.audits_page(
            session,
            limit=call.query.limit,
            after=start(call),
            model_id=call.query.model,
            state=call.query.state and call.query.state.value,
        )
        drawn = _drawn(session, page.rows)
        items = tuple(show_audit(row, report_ready=row.id in drawn) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=AuditPage(items=items, next=cursor), headers=headers)


@audits.endpoint(
    "GET",
    "/v1/audits/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The audit and its analyses.", model=AuditView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_audit(call: Call[NoQuery, None]) -> Reply:
    """Show an audit.

    Its counts, and how far each analysis is. What the analyses gave is at `/v1/analyses/{id}`, and in the report.
    """
    with call.reads() as session:
        return Reply(value=_shown(session, call.id))


@audits.endpoint(
    "DELETE",
    "/v1/audits/{id}",
    scope="submit",
    answers=(
        Answer(
            status=202,
            description="What had not begun is cancelled; what runs has been told to stop.",
            model=AuditView,
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
)
def cancel_audit(call: Call[NoQuery, None]) -> Reply:
    """Call an audit off.

    Outcomes that are there stay. Cancelling again, or cancelling what has ended, changes nothing.
    """
    with call.writes() as session:
        try:
            cancel(session, call.id, actor=call.caller.principal, now=call.now)
        except LookupError as error:
            raise missing("audit") from error
        reply = accepted(session, call.id)
    call.parts.ring()
    return reply


def accepted(session: Session, audit_id: UUID) -> Reply:
    """The answer to who asked for an audit, or called it off."""
    session.flush()
    session.expire_all()  # the rows were written around, not through, the objects at hand
    headers = {"Location": f"/v1/audits/{audit_id}", "Retry-After": "1"}
    return Reply(value=_shown(session, audit_id), status=202, headers=headers)


def _shown(session: Session, audit_id: UUID) -> AuditView:
    row = questions.audit(session, audit_id)
    if row is None:
        raise missing("audit")
    return show_audit(row, report_ready=row.id in _drawn(session, [row]))


def _drawn(session: Session, rows: Sequence[Audit]) -> set[UUID]:
    """Which of these audits have their report."""
    closed = {row.report_work_id: row.id for row in rows if row.report_work_id is not None}
    if not closed:
        return set()
    done = select(Work.id).where(Work.id.in_(closed), Work.state == WorkState.SUCCEEDED.value)
    return {closed[work] for work in session.scalars(done)}
