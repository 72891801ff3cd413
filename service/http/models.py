"""Endpoints of models: bytes with a name, a version and the facts their owner declares."""

from pydantic import Field
from sqlalchemy.orm import Session

from service.contracts.api import ModelSubmission, ModelView, Page
from service.contracts.base import Name
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
from service.http.views import show_model
from service.store import questions
from service.work.intake import register_model

models = Resource(
    tag="models",
    about="Versions of models. A worker inspects each in a sandbox and lists its layers; only then it can be audited. "
    "States: received, inspecting, then ready or refused with a reason.",
    parameter=by_id("model"),
)


class ModelQuery(PageQuery):
    """Which models."""

    name: Name | None = Field(None, description="Versions of the model of this name only.")


class ModelPage(Page[ModelView]):
    """One page of models."""


@models.endpoint(
    "POST",
    "/v1/models",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(
            status=202,
            description="Registered; its inspection is queued.",
            model=ModelView,
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    problems=("conflict", "idempotency-mismatch"),
)
def create_model(call: Call[NoQuery, ModelSubmission]) -> Reply:
    """Register a model.

    The blob must have been uploaded. The declared facts are what no file says: without them nothing can be audited in
    raw units. Versions of one name share a history.
    """

    def make(session: Session) -> Reply:
        row = register_model(
            session,
            call.body,
            tenant=call.caller.tenant,
            principal=call.caller.principal,
            settings=call.parts.settings,
            now=call.now,
        )
        return Reply(
            value=show_model(row), status=202, headers={"Location": f"/v1/models/{row.id}", "Retry-After": "1"}
        )

    reply = once(call, ModelView, make)
    call.parts.ring()
    return reply


@models.endpoint(
    "GET",
    "/v1/models",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=ModelPage, headers=(LINK,)),),
)
def list_models(call: Call[ModelQuery, None]) -> Reply:
    """List models."""
    with call.reads() as session:
        page = questions.models_page(session, limit=call.query.limit, after=start(call), name=call.query.name)
        items = tuple(show_model(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=ModelPage(items=items, next=cursor), headers=headers)


@models.endpoint(
    "GET",
    "/v1/models/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The model.", model=ModelView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_model(call: Call[NoQuery, None]) -> Reply:
    """Show a model.

    Once it is inspected, `manifest` lists its layers and what can be asked of each.
    """
    with call.reads() as session:
        row = questions.model(session, call.id)
        if row is None:
            raise missing("model")
        return Reply(value=show_model(row))
