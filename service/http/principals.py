"""Endpoints of principals: the people and services of a tenant."""

from sqlalchemy import select

from service.auth import make_principal
from service.contracts.api import Page, PrincipalSubmission, PrincipalView
from service.http.endpoint import LINK, LOCATION, Answer, Resource, by_id
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, missing
from service.http.views import show_principal
from service.store import questions
from service.store.tables import Principal

principals = Resource(
    tag="principals",
    about="People and services that act for a tenant. Whether one is trusted is the operator's to say, on the command "
    "line alone.",
    parameter=by_id("principal"),
)


class PrincipalPage(Page[PrincipalView]):
    """One page of principals."""


@principals.endpoint(
    "GET",
    "/v1/principals",
    scope="admin",
    answers=(Answer(status=200, description="One page, newest first.", model=PrincipalPage, headers=(LINK,)),),
)
def list_principals(call: Call[PageQuery, None]) -> Reply:
    """List principals."""
    with call.reads() as session:
        page = questions.principals_page(session, limit=call.query.limit, after=start(call))
        items = tuple(show_principal(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=PrincipalPage(items=items, next=cursor), headers=headers)


@principals.endpoint(
    "GET",
    "/v1/principals/{id}",
    scope="admin",
    answers=(Answer(status=200, description="The principal.", model=PrincipalView),),
)
def get_principal(call: Call[NoQuery, None]) -> Reply:
    """Show a principal."""
    with call.reads() as session:
        row = session.get(Principal, call.id)
        if row is None:
            raise missing("principal")
        return Reply(value=show_principal(row))


@principals.endpoint(
    "POST",
    "/v1/principals",
    scope="admin",
    answers=(Answer(status=201, description="Made.", model=PrincipalView, headers=(LOCATION,)),),
    problems=("conflict",),
)
def create_principal(call: Call[NoQuery, PrincipalSubmission]) -> Reply:
    """Make a principal.

    It starts untrusted and without keys.
    """
    with call.writes() as session:
        if session.scalar(select(Principal.id).where(Principal.name == call.body.name)) is not None:
            raise Refusal("conflict", "A principal of this name exists already.")
        row = make_principal(
            session,
            tenant=call.caller.tenant,
            name=call.body.name,
            kind=call.body.kind,
            created_by=call.caller.principal,
            now=call.now,
        )
        view = show_principal(row)
    return Reply(value=view, status=201, headers={"Location": f"/v1/principals/{view.id}"})
