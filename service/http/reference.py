"""Endpoints of the reference: the OpenAPI document for machines, and the same as a page for people.

The page is drawn here, from the document, without a script: it needs no network, and runs under a policy that
forbids everything but its own style sheet.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.http import openapi
from service.http.endpoint import ETAG, IF_NONE_MATCH, Answer, Resource
from service.http.pagemaking import chapters, inline, values
from service.http.parts import Call, NoQuery
from service.http.problems import PROBLEMS

TEMPLATES = Path(__file__).with_name("templates")
reference = Resource(tag="reference", about="This documentation.")


@reference.endpoint(
    "GET",
    "/openapi.json",
    scope=None,
    headers=(IF_NONE_MATCH,),
    answers=(Answer(status=200, description="OpenAPI 3.1.", media_types=("application/json",), headers=(ETAG,)),),
    documented=False,
)
def get_openapi(call: Call[NoQuery, None]) -> Response:
    """Read the API's description as OpenAPI 3.1."""
    return _cached(call, _text(), "application/json")


@reference.endpoint(
    "GET",
    "/docs",
    scope=None,
    headers=(IF_NONE_MATCH,),
    answers=(Answer(status=200, description="A page.", media_types=("text/html",), headers=(ETAG,)),),
    documented=False,
)
def get_docs(call: Call[NoQuery, None]) -> Response:
    """Read the API's description as a page."""
    page, policy = _page()
    response = _cached(call, page, "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    return response


def _cached(call: Call[Any, Any], text: str, media_type: str) -> Response:
    response = Response(text, content_type=media_type)
    response.set_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    return response.make_conditional(call.request)  # type: ignore[return-value]  # werkzeug answers with its self


@cache
def _document() -> dict[str, Any]:
    from service.http.resources import RESOURCES

    return openapi.document(RESOURCES)


@cache
def _text() -> str:
    return openapi.text(_document())


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets its style sheet in by its hash and nothing else."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "reference.css").read_text()
    document = _document()
    page = environment.get_template("reference.html").render(
        info=document["info"],
        about=inline(document["info"]["description"]),
        chapters=chapters(document),
        values=values(document),
        problems=list(PROBLEMS.values()),
        style=style,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    nothing_else = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return page, f"default-src 'none'; style-src 'sha256-{digest}'; {nothing_else}"
