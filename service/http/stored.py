"""How do stored bytes leave? Streamed, named by their digest, never sniffed, and cached by their reader for good."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote
from uuid import UUID

from flask import Response
from werkzeug.http import http_date

from service.http.parts import Call
from service.store.blobs import CHUNK

IMMUTABLE = "private, max-age=31536000, immutable"


class StoredFile(Protocol):
    """A row that names bytes: an artifact, a file of a report."""

    name: Any
    media_type: Any
    digest: Any
    size: Any
    created_at: Any


def send(call: Call[Any, Any], file: StoredFile, *, inline: bool, tenant: UUID | None = None) -> Response:
    """A file's bytes; 304 without them when the asker holds them already. `tenant`: whose, where there is no caller.

    What a child wrote is never shown by a browser under our origin: it is an attachment, sandboxed all the same.
    """
    response = Response(status=200)
    response.set_etag(file.digest)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["Last-Modified"] = http_date(file.created_at)
    response.headers["Content-Type"] = file.media_type
    disposition = "inline" if inline else "attachment"
    response.headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(file.name, safe='')}"
    if not inline:
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(call.request)
    if response.status_code == 200:
        response.response = _chunks(call.parts.blobs.open(tenant or call.caller.tenant, file.digest))
        response.content_length = file.size
    return response


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with closing(source):
        while chunk := source.read(CHUNK):
            yield chunk
