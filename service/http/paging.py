"""How is a list read page by page? By keyset: a page starts after the last row of the one before, never by count."""

from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field

from service.contracts.base import Value
from service.contracts.problem import Fault
from service.http.cursor import BadCursor, Place
from service.http.parts import Call
from service.http.problems import invalid

Limit = Annotated[int, Field(ge=1, le=500, description="Most items on the page.")]
Cursor = Annotated[str, Field(min_length=1, max_length=256, description="`next` of the page before.")]


class PageQuery(Value):
    """Which page of a list."""

    limit: Limit = 50
    cursor: Cursor | None = None


def start(call: Call[Any, Any]) -> Place | None:
    """Where the page that was asked for starts; None for the first."""
    if call.query.cursor is None:
        return None
    try:
        return call.parts.cursors.read(call.query.cursor, tenant=call.caller.tenant, filters=_filters(call))
    except BadCursor as error:
        raise invalid([Fault(pointer="?cursor", detail=str(error))]) from error


def following(call: Call[Any, Any], place: Place | None) -> tuple[str | None, dict[str, str]]:
    """The cursor of the page after `place`, and the Link header that names it; nothing at the end."""
    if place is None:
        return None, {}
    cursor = call.parts.cursors.write(place, tenant=call.caller.tenant, filters=_filters(call))
    query = urlencode({**call.request.args.to_dict(), "cursor": cursor})
    return cursor, {"Link": f'<{call.request.path}?{query}>; rel="next"'}


def _filters(call: Call[Any, Any]) -> str:
    chosen: str = call.query.model_dump_json(exclude={"cursor", "limit"})
    return f"{call.request.path}?{chosen}"
