"""Endpoints of datasets: the examples an audit runs on, in raw units, with the facts their owner declares."""

from pydantic import Field
from sqlalchemy.orm import Session

from service.contracts.api import DatasetSubmission, DatasetView, Page
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
from service.http.views import show_dataset
from service.store import questions
from service.work.intake import register_dataset

datasets = Resource(
    tag="datasets",
    about="Versions of datasets. A worker inspects each in a sandbox and counts what is in it; only then it can be "
    "used. States: received, inspecting, then ready or refused with a reason.",
    parameter=by_id("dataset"),
)


class DatasetQuery(PageQuery):
    """Which datasets."""

    name: Name | None = Field(None, description="Versions of the dataset of this name only.")


class DatasetPage(Page[DatasetView]):
    """One page of datasets."""


@datasets.endpoint(
    "POST",
    "/v1/datasets",
    scope="submit",
    headers=(IDEMPOTENCY_KEY,),
    answers=(
        Answer(
            status=202,
            description="Registered; its inspection is queued.",
            model=DatasetView,
            headers=(LOCATION, RETRY_AFTER),
        ),
    ),
    problems=("conflict", "idempotency-mismatch"),
)
def create_dataset(call: Call[NoQuery, DatasetSubmission]) -> Reply:
    """Register a dataset.

    The blob must have been uploaded. The declared facts say which array is what, and in which unit. History marks where
    the bytes behind a name change.
    """

    def make(session: Session) -> Reply:
        row = register_dataset(
            session,
            call.body,
            tenant=call.caller.tenant,
            principal=call.caller.principal,
            settings=call.parts.settings,
            now=call.now,
        )
        return Reply(
            value=show_dataset(row), status=202, headers={"Location": f"/v1/datasets/{row.id}", "Retry-After": "1"}
        )

    reply = once(call, DatasetView, make)
    call.parts.ring()
    return reply


@datasets.endpoint(
    "GET",
    "/v1/datasets",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=DatasetPage, headers=(LINK,)),),
)
def list_datasets(call: Call[DatasetQuery, None]) -> Reply:
    """List datasets."""
    with call.reads() as session:
        page = questions.datasets_page(session, limit=call.query.limit, after=start(call), name=call.query.name)
        items = tuple(show_dataset(row) for row in page.rows)
    cursor, headers = following(call, page.next)
    return Reply(value=DatasetPage(items=items, next=cursor), headers=headers)


@datasets.endpoint(
    "GET",
    "/v1/datasets/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The dataset.", model=DatasetView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_dataset(call: Call[NoQuery, None]) -> Reply:
    """Show a dataset.

    Once it is inspected, `manifest` says how many examples it holds, and of which labels.
    """
    with call.reads() as session:
        row = questions.dataset(session, call.id)
        if row is None:
            raise missing("dataset")
        return Reply(value=show_dataset(row))
