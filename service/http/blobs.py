"""Endpoints of blobs: bytes in, digest out. Nothing here looks into the bytes; a sandboxed worker does."""

import base64
import hashlib
import hmac
from collections.abc import Iterator

from service.contracts.api import BlobView
from service.contracts.problem import Fault
from service.http.endpoint import ETAG, IF_NONE_MATCH, LOCATION, Answer, HeaderField, PathParameter, Resource
from service.http.parts import Call, NoQuery, Octets, Reply
from service.http.problems import Refusal, missing
from service.http.views import show_blob
from service.store import questions
from service.store.blobs import CHUNK, Stored, TooLarge
from service.store.holdings import hold
from service.store.tables import Tenant

REPR_DIGEST = HeaderField(
    name="Repr-Digest",
    description="SHA-256 of the bytes (RFC 9530); checked when given, and nothing is kept if it differs.",
    pattern=r"^sha-256=:[A-Za-z0-9+/]{43}=:$",
    example="sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
)
blobs = Resource(
    tag="blobs",
    about="Bytes by digest: the files of models and datasets, uploaded once and registered by digest.",
    parameter=PathParameter(
        name="digest",
        pattern=r"sha256:[0-9a-f]{64}",
        description="`sha256:` and 64 hexadecimal digits.",
        what="blob",
    ),
)


@blobs.endpoint(
    "POST",
    "/v1/blobs",
    scope="submit",
    headers=(REPR_DIGEST,),
    answers=(Answer(status=201, description="Stored.", model=BlobView, headers=(LOCATION,)),),
    problems=("storage-full", "digest-mismatch"),
)
def upload_blob(call: Call[NoQuery, Octets]) -> Reply:
    """Upload bytes.

    The body is streamed to disk as it comes, with Content-Length or chunked, and never parsed here. Uploading bytes
    that are already held costs nothing and answers alike.
    """
    tenant, settings = call.caller.tenant, call.parts.settings
    with call.reads() as session:
        room = settings.tenant_bytes - session.get_one(Tenant, tenant).stored_bytes
    stored = _store(call, most=min(settings.blob_bytes, max(room, 0)), room=room)
    # Two uploads at once may both have found room. The loser's bytes stay: to delete them here could take them from a
    # third upload of the same bytes that has just come to hold them.
    with call.writes() as session:
        held = hold(
            session,
            tenant=tenant,
            principal=call.caller.principal,
            stored=stored,
            most_bytes=settings.tenant_bytes,
            now=call.now,
        )
        view = show_blob(held)
    return Reply(value=view, status=201, headers={"Location": f"/v1/blobs/{view.digest}"})


@blobs.endpoint(
    "GET",
    "/v1/blobs/{digest}",
    scope="read",
    headers=(IF_NONE_MATCH,),
    answers=(
        Answer(status=200, description="What is known of the bytes.", model=BlobView, headers=(ETAG,)),
        Answer(status=304, description="As it was."),
    ),
)
def get_blob(call: Call[NoQuery, None]) -> Reply:
    """Show a blob.

    Its size and its age; its bytes are not handed out.
    """
    with call.reads() as session:
        held = questions.blob(session, call.caller.tenant, call.path["digest"])
        if held is None:
            raise missing("blob")
        return Reply(value=show_blob(held))


def _store(call: Call[NoQuery, Octets], *, most: int, room: int) -> Stored:
    try:
        return call.parts.blobs.put(call.caller.tenant, _checked(call), most=most)
    except TooLarge as error:
        if room < call.parts.settings.blob_bytes:
            raise Refusal("storage-full", f"The tenant may store {max(room, 0)} more bytes; these are more.") from error
        raise Refusal("too-large", f"The blob is over the limit of {most} bytes.") from error


def _checked(call: Call[NoQuery, Octets]) -> Iterator[bytes]:
    """The chunks of the body; a wrong digest raises at the end of them, before the store gives them a name."""
    announced = call.request.headers.get("Repr-Digest")
    found = hashlib.sha256()
    while chunk := call.body.read(CHUNK):
        if announced is not None:
            found.update(chunk)
        yield chunk
    if announced is None:
        return
    expected = base64.b64decode(announced.removeprefix("sha-256=:").removesuffix(":"))
    if not hmac.compare_digest(found.digest(), expected):
        given = base64.b64encode(found.digest()).decode()
        detail = f"Repr-Digest announced other bytes than came; what came has sha-256=:{given}:"
        raise Refusal("digest-mismatch", detail, faults=[Fault(pointer="Repr-Digest", detail=detail)])
