"""How do stored bytes leave? Streamed, named by their digest, never sniffed, and cached by their reader for good."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO
from urllib.parse import quote

from flask import Response
from werkzeug.http import http_date

from service.http.parts import Call
from service.store.blobs import CHUNK
from service.store.tables import Artifact

IMMUTABLE = "private, max-age=31536000, immutable"


def send(call: Call[Any, Any], artifact: Artifact, *, inline: bool) -> Response:
    """An artifact's bytes; 304 without them when the asker holds them already.

    What a child wrote is never shown by a browser under our origin: it is an attachment, sandboxed all the same.
    """
    response = Response(status=200)
    response.set_etag(artifact.digest)
    response.headers["Cache-Control"] = IMMUTABLE
    response.headers["Last-Modified"] = http_date(artifact.created_at)
    response.headers["Content-Type"] = artifact.media_type
    disposition = "inline" if inline else "attachment"
    response.headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(artifact.name, safe='')}"
    if not inline:
        response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.make_conditional(call.request)
    if response.status_code == 200:
        response.response = _chunks(call.parts.blobs.open(call.caller.tenant, artifact.digest))
        response.content_length = artifact.size
    return response


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with closing(source):
        while chunk := source.read(CHUNK):
            yield chunk
