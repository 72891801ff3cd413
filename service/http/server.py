"""How is the API put on a socket? By waitress, taught to say no in our shape and to say nothing about itself."""

import gc
import json
import secrets

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask

from service.http.problems import MEDIA_TYPE, Refusal, document
from service.settings import Settings

SLOWEST_BODY = 300  # seconds without a byte from a client that is sending


class ProblemTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """Answers what waitress itself refuses: a broken request line, headers or bodies over its limits."""

    def execute(self) -> None:
        """Write the answer and close the connection: what follows on it cannot be trusted to be a request."""
        error = self.request.error
        slug = {413: "too-large", 500: "internal"}.get(error.code, "malformed")
        request_id = secrets.token_hex(8)
        problem = document(Refusal(slug, str(error.body)), request_id).model_dump()
        body = json.dumps({**problem, "status": error.code}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", MEDIA_TYPE),
            ("X-Request-Id", request_id),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection whose refusals are problem documents."""

    error_task_class = ProblemTask


def _collect_seldom() -> None:
    """What start-up made stays for good, and a page of history is some thousand small objects: by default the cyclic
    collector walks everything every few requests, which doubles the slowest ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def make_server(app: Flask, settings: Settings) -> BaseWSGIServer:
    """A server of `app`, listening already; `run()` serves until `close()`, `effective_port` says where."""
    _collect_seldom()
    server = create_server(
        app,
        host=settings.host,
        port=settings.port,
        threads=settings.http_threads,
        max_request_body_size=settings.blob_bytes + settings.body_bytes,  # the application's own limits answer first
        channel_timeout=SLOWEST_BODY,
        ident=None,
    )
    server.channel_class = Channel
    return server
