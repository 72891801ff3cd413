"""Endpoints of legal holds: place one, lift somebody else's, see which are in force."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.holds import lift, place
from service.contracts.api import Page
from service.contracts.base import Name
from service.contracts.holds import HoldLift, HoldState, HoldSubmission, HoldView
from service.http.endpoint import ETAG, IDEMPOTENCY_KEY, IF_NONE_MATCH, LINK, LOCATION, Answer, Resource, by_id
from service.http.exceptions import names_of, refused_as_problems
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.store.questions import page_of
from service.store.tables import Audit
from service.store.tables_compliance import LegalHold

holds = Resource(
    tag="holds",
    about="Legal holds: while one is in force, no file of the analyses that it is on is given up, whatever its age. "
    "Placed by one person, lifted by another; both stay in the log.",
    parameter=by_id("legal hold"),
)


class HoldsQuery(PageQuery):
    """Which holds."""

    model_name: Name | None = Field(None, description="Holds on the model of this name only, not on its audits.")
    audit: UUID | None = Field(None, description="Holds on the audit of this id only.")
    state: HoldState | None = Field(None, description="in_force: those that forbid something now; lifted: the others.")


class HoldsPage(Page[HoldView]):
    """One page of legal holds."""


@holds.endpoint(
    "POST",
    "/v1/holds",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="In force.", model=HoldView, headers=(LOCATION,)),),
    problems=("idempotency-mismatch",),
)
def create_hold(call: Call[NoQuery, HoldSubmission]) -> Reply:
    """Place a legal hold.

    A person does, on a model (all its versions, also later ones) or on one audit. What was given up before stays so.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("legal hold"):
            row = place(session, call.body, tenant=call.caller.tenant, principal=call.caller.principal, now=call.now)
        return _reply(session, row, status=201)

    return once(call, HoldView, make)


@holds.endpoint(
    "GET",
    "/v1/holds",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=HoldsPage, headers=(LINK,)),),
)
def list_holds(call: Call[HoldsQuery, None]) -> Reply:
    """List legal holds."""
    statement = select(LegalHold)
    if call.query.model_name is not None:
        statement = statement.where(LegalHold.model_name == call.query.model_name)
    if call.query.audit is not None:
        statement = statement.where(LegalHold.audit_id == call.query.audit)
    if call.query.state is not None:
        in_force = LegalHold.lifted_at.is_(None)
        statement = statement.where(in_force if call.query.state == "in_force" else ~in_force)
    with call.reads() as session:
        page = page_of(session, statement, LegalHold, call.query.limit, start(call))
        items = _shown(session, page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=HoldsPage(items=items, next=cursor), headers=headers)


@holds.endpoint(
    "GET",
    "/v1/holds/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The legal hold.", model=HoldView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_hold(call: Call[NoQuery, None]) -> Reply:
    """Show a legal hold."""
    with call.reads() as session:
        row = session.get(LegalHold, call.id)
        if row is None:
            raise missing("legal hold")
        return _reply(session, row)


@holds.endpoint(
    "POST",
    "/v1/holds/{id}/lifting",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=200, description="It forbids nothing any more.", model=HoldView),),
    problems=("conflict", "idempotency-mismatch"),
)
def lift_hold(call: Call[NoQuery, HoldLift]) -> Reply:
    """Lift a legal hold.

    Another person than the one who placed it, once, with a reason.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("legal hold"):
            row = lift(session, call.id, call.body, principal=call.caller.principal, now=call.now)
        return _reply(session, row)

    return once(call, HoldView, make)


def _reply(session: Session, row: LegalHold, *, status: int = 200) -> Reply:
    headers = {"Location": f"/v1/holds/{row.id}"} if status == 201 else {}
    return Reply(value=_shown(session, [row])[0], status=status, headers=headers)


def _shown(session: Session, rows: Iterable[LegalHold]) -> tuple[HoldView, ...]:
    found = tuple(rows)
    names = names_of(session, {row.created_by for row in found} | {row.lifted_by for row in found if row.lifted_by})
    audits: Any = select(Audit.id, Audit.title).where(Audit.id.in_({row.audit_id for row in found if row.audit_id}))
    titles: dict[UUID | None, str] = {row.id: row.title for row in session.execute(audits)}
    return tuple(
        HoldView(
            id=row.id,
            model_name=row.model_name,
            audit=row.audit_id,
            audit_title=titles.get(row.audit_id),
            reason=row.reason,
            state="in_force" if row.lifted_at is None else "lifted",
            placed_by=row.created_by,
            placed_by_name=names[row.created_by],
            placed_at=row.created_at,
            lifted_by=row.lifted_by,
            lifted_by_name=None if row.lifted_by is None else names[row.lifted_by],
            lifted_at=row.lifted_at,
            lift_reason=row.lift_reason,
        )
        for row in found
    )
