"""Endpoint of artifacts: the files of analyses and reports, as they were stored."""

from flask import Response

from service.http.endpoint import ETAG, IF_NONE_MATCH, Answer, HeaderField, Resource, by_id
from service.http.parts import Call, NoQuery
from service.http.problems import Refusal, missing
from service.http.stored import send
from service.store import questions

MEDIA_TYPES = (
    "image/png",
    "application/vnd.safetensors",
    "application/json",
    "application/zip",
    "text/html",
)
DISPOSITION = HeaderField(name="Content-Disposition", description="Always an attachment, with the file's name.")

artifacts = Resource(
    tag="artifacts",
    about="Stored files: per-example arrays (safetensors), pictures (PNG), reports. They never change.",
    parameter=by_id("artifact"),
)


@artifacts.endpoint(
    "GET",
    "/v1/artifacts/{id}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="The bytes.", media_types=MEDIA_TYPES, headers=(ETAG, DISPOSITION)),
        Answer(status=304, description="As it was; stored files never change."),
    ),
    problems=("gone",),
)
def get_artifact(call: Call[NoQuery, None]) -> Response:
    """Download an artifact.

    Its ETag is its digest, so what was downloaded can be checked.
    """
    with call.reads() as session:
        row = questions.artifact(session, call.id)
        gone = None if row is None else questions.given_up_at(session, row.tenant, row.digest)
    if row is None:
        raise missing("artifact")
    if gone is not None:
        raise Refusal("gone", f"Its bytes were given up on {gone:%Y-%m-%d}, when their time was over: {row.digest}.")
    return send(call, row, inline=False)
