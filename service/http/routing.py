"""How does a request reach its handler, and how does every answer leave? The one path that all of them take.

Order: who asks (401), may they (403), what came (400, 413, 415, 422), the handler, then headers that all answers carry.
"""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from service.auth import Caller, Unauthenticated, authenticate
from service.contracts.base import Value
from service.contracts.problem import Fault
from service.http.endpoint import ETAG, Endpoint
from service.http.parts import Call, Octets, Parts, Reply
from service.http.problems import Refusal, invalid, missing, respond
from service.http.reading import read_json, read_query
from service.http.translate import refusal_of

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOCKED_DOWN = "default-src 'none'; frame-ancestors 'none'"
log = logging.getLogger("lamina.http")


def install(app: Flask, parts: Parts, endpoints: Iterable[Endpoint]) -> None:
    """Give a Flask application these endpoints, and every answer of it our shape."""
    app.url_map.merge_slashes = False  # a redirect is an answer that no problem document describes
    app.before_request(_begin)
    app.after_request(_end)
    app.register_error_handler(Exception, _fail)
    for endpoint in endpoints:
        app.add_url_rule(
            endpoint.rule,
            f"{endpoint.tag}.{endpoint.name}",
            partial(_serve, parts, endpoint),
            methods=[endpoint.method],
            provide_automatic_options=False,
        )


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.started = time.perf_counter()


def _end(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Content-Security-Policy", LOCKED_DOWN)
    headers.setdefault("Cache-Control", "no-store")
    elapsed = 1000 * (time.perf_counter() - g.started)
    log.info("%s %s %d %.1f ms %s", request.method, request.path, response.status_code, elapsed, g.request_id)
    return response


def _fail(error: Exception) -> Response:
    """Every exception ends here: what we know becomes its problem, what we do not is logged and told nothing of."""
    if isinstance(error, Refusal):
        return respond(error, g.request_id)
    if isinstance(error, HTTPException):
        return respond(_of_werkzeug(error), g.request_id)
    known = refusal_of(error)
    if known is not None:
        return respond(known, g.request_id)
    log.error("request %s failed: %s %s", g.request_id, request.method, request.path, exc_info=error)
    return respond(Refusal("internal", f"The request failed here; it is logged as {g.request_id}."), g.request_id)


def _of_werkzeug(error: HTTPException) -> Refusal:
    if isinstance(error, NotFound):
        return Refusal("not-found", f"Nothing is served at {request.path[:200]}.", remedy="See /docs for what is.")
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or ()))
        return Refusal("method-not-allowed", f"{request.path[:200]} serves {methods}.", headers={"Allow": methods})
    if isinstance(error, RequestEntityTooLarge):
        return Refusal("too-large", f"The body is over the limit of {request.max_content_length} bytes.")
    if error.code is not None and error.code < 500:
        return Refusal("malformed", error.description or "The request cannot be read.")
    return Refusal("internal", f"The request failed here; it is logged as {g.request_id}.")


def _serve(parts: Parts, endpoint: Endpoint, **path: str) -> Response:
    now = parts.clock.now()
    asker = _admit(parts, endpoint)
    for parameter in endpoint.parameters:
        if not re.fullmatch(parameter.pattern, path[parameter.name]):
            raise missing(parameter.what)
    query, body, raw = _read(parts, endpoint)
    call: Call[Any, Any] = Call(
        parts=parts, request=request, now=now, path=path, query=query, body=body, asker=asker, raw=raw
    )
    return _write(endpoint, endpoint.handle(call))


def _admit(parts: Parts, endpoint: Endpoint) -> Caller | None:
    if endpoint.scope is None:
        return None
    try:
        caller = authenticate(parts.database, request.headers.get("Authorization"), parts.clock.now())
    except Unauthenticated as error:
        challenge = {"WWW-Authenticate": 'Bearer realm="lamina"'}
        raise Refusal("unauthenticated", str(error), headers=challenge) from error
    if endpoint.scope != "any" and endpoint.scope not in caller.scopes:
        raise Refusal("forbidden", f"This needs a key with the scope {endpoint.scope}; this key has not.")
    return caller


def _read(parts: Parts, endpoint: Endpoint) -> tuple[Value, Any, bytes]:
    """Query, headers and body, checked together: a caller learns of every fault in one answer."""
    request.max_content_length = parts.settings.body_bytes
    query, faults = read_query(endpoint.query, request.args)
    faults = (*faults, *_header_faults(endpoint))
    body: Any = None
    raw = b""
    if endpoint.body is Octets:
        request.max_content_length = parts.settings.blob_bytes
        _only("application/octet-stream")
        body = request.stream
    elif endpoint.body is not None:
        _only("application/json")
        raw = request.get_data(cache=False)
        body, found = read_json(endpoint.body, raw)
        faults = (*faults, *found)
    if faults or query is None:
        raise invalid(faults)
    return query, body, raw


def _header_faults(endpoint: Endpoint) -> tuple[Fault, ...]:
    return tuple(
        Fault(pointer=header.name, detail=f"should match the pattern {header.pattern}")
        for header in endpoint.headers
        if header.pattern and header.name in request.headers
        if not re.search(header.pattern, request.headers[header.name])
    )


def _only(media_type: str) -> None:
    if request.mimetype != media_type:
        given = request.mimetype[:100] or "none"
        raise Refusal("unsupported-media-type", f"The Content-Type here is {media_type}; given was {given}.")


def _write(endpoint: Endpoint, reply: Reply | Response) -> Response:
    if isinstance(reply, Response):
        return reply
    content = reply.content if reply.value is None else reply.value.model_dump_json()
    response = Response(content, reply.status, content_type="application/json")
    response.headers.update(reply.headers)
    if ETAG in endpoint.answers[0].headers:
        response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
        response.headers["Cache-Control"] = "private, no-cache"
        response.make_conditional(request)
    return response
