"""Endpoints of waivers: ask for an exception, decide on somebody else's, take one back."""

from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.compliance.people import ask_for_waiver, decide_waiver, withdraw_waiver
from service.contracts.api import Page
from service.contracts.base import Name
from service.contracts.compliance import ControlId
from service.contracts.exceptions import WaiverDecision, WaiverSubmission, WaiverView
from service.http.endpoint import ETAG, IDEMPOTENCY_KEY, IF_NONE_MATCH, LINK, LOCATION, Answer, Resource, by_id
from service.http.exceptions import refused_as_problems, show_waivers
from service.http.idempotency import once
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing
from service.store.questions import page_of
from service.store.tables_compliance import Waiver

waivers = Resource(
    tag="waivers",
    about="Exceptions to controls: asked for by one person, decided by another, and over by themselves. What is waived "
    "is still shown as what it is.",
    parameter=by_id("waiver"),
)


class WaiversQuery(PageQuery):
    """Which waivers."""

    control: ControlId | None = Field(None, description="Waivers of this control only.")
    model_name: Name | None = Field(None, description="Waivers for the model of this name only.")


class WaiversPage(Page[WaiverView]):
    """One page of waivers."""


@waivers.endpoint(
    "POST",
    "/v1/waivers",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=201, description="Asked for.", model=WaiverView, headers=(LOCATION,)),),
    problems=("idempotency-mismatch",),
)
def create_waiver(call: Call[NoQuery, WaiverSubmission]) -> Reply:
    """Ask for a waiver.

    A person does, with a key of their own. Nothing is excepted until another person grants it.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("waiver"):
            row = ask_for_waiver(
                session, call.body, tenant=call.caller.tenant, principal=call.caller.principal, now=call.now
            )
        return _shown(session, row, call, status=201)

    return once(call, WaiverView, make)


@waivers.endpoint(
    "GET",
    "/v1/waivers",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=WaiversPage, headers=(LINK,)),),
)
def list_waivers(call: Call[WaiversQuery, None]) -> Reply:
    """List waivers."""
    asked = {"control": call.query.control, "model_name": call.query.model_name}
    where = [getattr(Waiver, name) == value for name, value in asked.items() if value is not None]
    with call.reads() as session:
        page = page_of(session, select(Waiver).where(*where), Waiver, call.query.limit, start(call))
        items = show_waivers(session, page.rows, call.now)
    cursor, headers = following(call, page.next)
    return Reply(value=WaiversPage(items=items, next=cursor), headers=headers)


@waivers.endpoint(
    "GET",
    "/v1/waivers/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The waiver.", model=WaiverView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_waiver(call: Call[NoQuery, None]) -> Reply:
    """Show a waiver."""
    with call.reads() as session:
        row = session.get(Waiver, call.id)
        if row is None:
            raise missing("waiver")
        return Reply(value=show_waivers(session, [row], call.now)[0])


@waivers.endpoint(
    "POST",
    "/v1/waivers/{id}/decision",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(Answer(status=200, description="Decided.", model=WaiverView),),
    problems=("conflict", "idempotency-mismatch"),
)
def decide_on_waiver(call: Call[NoQuery, WaiverDecision]) -> Reply:
    """Decide on a waiver.

    Another person than the one who asked, once. A refusal says why.
    """

    def make(session: Session) -> Reply:
        with refused_as_problems("waiver"):
            row = decide_waiver(session, call.id, call.body, principal=call.caller.principal, now=call.now)
        return _shown(session, row, call)

    return once(call, WaiverView, make)


@waivers.endpoint(
    "POST",
    "/v1/waivers/{id}/withdrawal",
    scope="submit",
    answers=(Answer(status=200, description="It excepts nothing any more.", model=WaiverView),),
    problems=("conflict",),
)
def withdraw_a_waiver(call: Call[NoQuery, None]) -> Reply:
    """Withdraw a waiver.

    Any person may: the control counts again. Withdrawing twice changes nothing.
    """
    with call.writes() as session:
        with refused_as_problems("waiver"):
            row = withdraw_waiver(session, call.id, principal=call.caller.principal, now=call.now)
        return _shown(session, row, call)


def _shown(session: Session, row: Waiver, call: Call[NoQuery, Any], *, status: int = 200) -> Reply:
    headers = {"Location": f"/v1/waivers/{row.id}"} if status == 201 else {}
    return Reply(value=show_waivers(session, [row], call.now)[0], status=status, headers=headers)
