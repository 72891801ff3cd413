"""Endpoints of keys: made for a principal, shown once, revoked when no longer needed; and who a key speaks for."""

from uuid import UUID

from pydantic import Field

from service.auth import NotGranted, grant_key, revoke_key
from service.contracts.api import KeyMade, KeySubmission, KeyView, Page, Whoami
from service.contracts.problem import Fault
from service.http.endpoint import LINK, LOCATION, Answer, Resource, by_id
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, invalid, missing
from service.http.views import show_key
from service.store import questions
from service.store.tables import ApiKey, Principal

keys = Resource(
    tag="keys",
    about="Keys of principals. The service keeps only the SHA-256 of a secret: a lost key is replaced, not found.",
    parameter=by_id("key"),
)


class KeyQuery(PageQuery):
    """Which keys."""

    principal: UUID | None = Field(None, description="Keys of this principal only.")


class KeyPage(Page[KeyView]):
    """One page of keys."""


@keys.endpoint(
    "GET", "/v1/whoami", scope="any", answers=(Answer(status=200, description="The key's principal.", model=Whoami),)
)
def whoami(call: Call[NoQuery, None]) -> Reply:
    """Show whose key this is.

    `scopes` holds what the key's scopes imply as well.
    """
    caller = call.caller
    scopes = tuple(scope for scope in ("read", "submit", "admin") if scope in caller.scopes)
    return Reply(
        value=Whoami(
            principal=caller.principal,
            name=caller.name,
            tenant=caller.tenant,
            tenant_name=caller.tenant_name,
            trusted=caller.trusted,
            scopes=scopes,
        )
    )


@keys.endpoint(
    "GET",
    "/v1/keys",
    scope="admin",
    answers=(Answer(status=200, description="One page, newest first.", model=KeyPage, headers=(LINK,)),),
)
def list_keys(call: Call[KeyQuery, None]) -> Reply:
    """List keys.

    Without their secrets, which the service does not know.
    """
    with call.reads() as session:
        page = questions.keys_page(
            session, limit=call.query.limit, after=start(call), principal_id=call.query.principal
        )
        items = tuple(show_key(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=KeyPage(items=items, next=cursor), headers=headers)


@keys.endpoint(
    "GET", "/v1/keys/{id}", scope="admin", answers=(Answer(status=200, description="The key.", model=KeyView),)
)
def get_key(call: Call[NoQuery, None]) -> Reply:
    """Show a key.

    Without its secret, which the service does not know.
    """
    with call.reads() as session:
        row = session.get(ApiKey, call.id)
        if row is None:
            raise missing("key")
        return Reply(value=show_key(row))


@keys.endpoint(
    "POST",
    "/v1/keys",
    scope="admin",
    answers=(Answer(status=201, description="Made; `secret` is shown this once.", model=KeyMade, headers=(LOCATION,)),),
    problems=("conflict",),
)
def create_key(call: Call[NoQuery, KeySubmission]) -> Reply:
    """Make a key.

    It can hold no scope that the key at hand does not hold. Keys of trusted principals are made by trusted principals,
    or by the operator. To rotate a key, make the new one, move over to it, then revoke the old one.
    """
    with call.writes() as session:
        principal = session.get(Principal, call.body.principal)
        if principal is None:
            raise invalid([Fault(pointer="/principal", detail="there is no principal with this id")])
        if principal.disabled_at is not None:
            raise Refusal("conflict", "The principal is disabled; it can be given no keys.")
        try:
            made = grant_key(
                session,
                call.caller,
                principal=principal,
                label=call.body.label,
                scopes=call.body.scopes,
                days=call.body.days,
                now=call.now,
            )
        except NotGranted as error:
            raise Refusal("forbidden", str(error)) from error
        view = KeyMade(**show_key(made.row).model_dump(), secret=made.secret)
    return Reply(value=view, status=201, headers={"Location": f"/v1/keys/{view.id}"})


@keys.endpoint(
    "DELETE",
    "/v1/keys/{id}",
    scope="admin",
    answers=(Answer(status=200, description="Revoked, now or before.", model=KeyView),),
)
def delete_key(call: Call[NoQuery, None]) -> Reply:
    """Revoke a key.

    It stops at once and for good; its row stays, since events refer to it.
    """
    with call.writes() as session:
        row = session.get(ApiKey, call.id)
        if row is None:
            raise missing("key")
        revoke_key(session, row, actor=call.caller.principal, now=call.now)
        return Reply(value=show_key(row))
