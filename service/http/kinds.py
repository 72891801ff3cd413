"""Endpoints of kinds: which analyses can be asked for, and with which parameters."""

from service.contracts.api import KindView, Page
from service.http.endpoint import ETAG, IF_NONE_MATCH, Answer, PathParameter, Resource
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import missing

kinds = Resource(
    tag="kinds",
    about="Analysis kinds: the questions that can be asked of a model, with the JSON Schema of their parameters.",
    parameter=PathParameter(
        name="name", pattern=r"[a-z][a-z0-9_]{0,63}", description="Name of a kind.", what="analysis kind"
    ),
)


class KindPage(Page[KindView]):
    """Every kind; there is one page."""


@kinds.endpoint(
    "GET",
    "/v1/kinds",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="Every kind of the catalogue.", model=KindPage, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def list_kinds(call: Call[NoQuery, None]) -> Reply:
    """List kinds."""
    return Reply(value=KindPage(items=tuple(call.parts.catalog.kinds().values()), next=None))


@kinds.endpoint(
    "GET",
    "/v1/kinds/{name}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The kind.", model=KindView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_kind(call: Call[NoQuery, None]) -> Reply:
    """Show a kind."""
    known = call.parts.catalog.kinds()
    if call.path["name"] not in known:
        raise missing("analysis kind")
    return Reply(value=known[call.path["name"]])
