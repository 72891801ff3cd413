"""Endpoints of models: bytes with a name, a version and the facts their owner declares."""

import hashlib

from flask import Response
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
from service.http.reports import FORMATS, POLICY, ReportQuery, form_asked_for
from service.http.views import show_model
from service.report import inspection
from service.report.inspection_html import render
from service.store import questions
from service.store.tables import Model, Principal
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


@models.endpoint(
    "GET",
    "/v1/models/{id}/inspection",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The inspection.", media_types=tuple(FORMATS), headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
    problems=("not-acceptable",),
)
def get_inspection(call: Call[ReportQuery, None]) -> Response:
    """Read what inspection says of a model.

    A page for people: warnings with advice, what was declared beside what was found, what was changed on the way in,
    and the tree of layers with what can be asked of each. As JSON the same values. It is there in every state: a
    refused model shows why and what to do.
    """
    form = form_asked_for(call)
    with call.reads() as session:
        row = questions.model(session, call.id)
        if row is None:
            raise missing("model")
        shown = inspection.build(_registered(session, row))
    content = render(shown) if form == "html" else shown.model_dump_json()
    media_type = "text/html; charset=utf-8" if form == "html" else "application/json"
    response = Response(content, content_type=media_type)
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    if form == "html":
        response.headers["Content-Security-Policy"] = POLICY
    response.vary.add("Accept")
    response.make_conditional(call.request)
    return response


def _registered(session: Session, row: Model) -> inspection.Registered:
    view = show_model(row)
    by = session.get(Principal, row.created_by)
    return inspection.Registered(
        name=view.name,
        version=view.version,
        state=view.state,
        source_digest=view.source_digest,
        by=str(row.created_by) if by is None else by.name,
        at=view.created_at,
        facts=view.facts,
        manifest=view.manifest,
        refusal=view.refusal,
    )
