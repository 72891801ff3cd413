"""How does a compliance report look in a browser? One file from the twin alone: no script, no address, charts inside.

As on the page of an audit, whatever the twin holds is written into an element that names its pointer; words of ours
hold no digit. A test reads every page back.
"""

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from service.contracts.base import digest_of
from service.report.compliance.blocks import Chart, Document, Line, Span
from service.report.compliance.charts import drawing
from service.report.compliance.layout import sections
from service.report.compliance.twin import SCHEMA
from service.report.html import FOLDER as AUDIT_FOLDER
from service.report.html import pointed

FOLDER = Path(__file__).parent
LARGEST = 5 * 10**6
"""Bytes of a page: past that browsers struggle, and a reader has long stopped."""


class WrongTwin(ValueError):
    """The bytes given are no twin of a compliance report that this version can draw."""


class PageTooLarge(ValueError):
    """A page past its limit: the twin and the document hold everything all the same."""


def render_html(twin: bytes) -> bytes:
    """The page of a twin (the bytes that `twin.write` wrote), as UTF-8.

    Raises WrongTwin where the bytes are something else, PageTooLarge past 5 MB.
    """
    document = opened(twin)
    page = Page(document)
    css = (AUDIT_FOLDER / "report.css").read_text() + (FOLDER / "compliance.css").read_text()
    made = (
        _environment()
        .get_template("compliance.html")
        .render(
            at=page.at,
            line=page.line,
            chart=page.chart,
            heading=page.heading,
            sections=sections(document),
            twin=document,
            digest=digest_of(twin),
            css=Markup(css),  # noqa: S704  # our file
        )
        .encode()
    )
    if len(made) > LARGEST:
        raise PageTooLarge(f"the page has {len(made)} bytes, past {LARGEST}: read the document or the twin instead")
    return made


def opened(twin: bytes) -> Document:
    """The twin as JSON values. Raises WrongTwin."""
    try:
        document = json.loads(twin)
    except ValueError as error:
        raise WrongTwin(f"the twin is not JSON: {error}") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise WrongTwin(f"the twin's schema is {found!r}, and this version draws {SCHEMA!r}")
    return document


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Page:
    """What the template may ask for."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def at(self, pointer: str, tag: str = "span", style: str = "") -> Markup:
        """An element that shows what stands at a pointer, and says which pointer that is."""
        return pointed(self._document, pointer, tag, style)

    def line(self, line: Line) -> Markup:
        """The spans of a line, one after the other."""
        return Markup("").join([self._span(span) for span in line])

    def heading(self, line: Line, level: int, anchor: str) -> Markup:
        """A heading of its level."""
        named = Markup(' id="{}"').format(anchor) if anchor else Markup("")
        return Markup("<h{0}{1}>{2}</h{0}>").format(level, named, self.line(line))

    def chart(self, chart: Chart) -> Markup:
        """The drawing of a chart."""
        return Markup(drawing(chart, self._document))  # noqa: S704  # every text in it is escaped by charts.py

    def _span(self, span: Span) -> Markup:
        if span.style in {"status", "severity"}:
            return Markup('<span class="badge {}">{}</span>').format(f"{span.style} {span.tone}", span.text)
        if not span.pointer:
            return (
                Markup('<span class="{}">{}</span>').format(span.style, span.text) if span.style else escape(span.text)
            )
        shown = pointed(self._document, span.pointer, "b" if span.style == "strong" else "span", _style(span))
        if span.anchor:
            return Markup('<span id="{}">{}</span>').format(span.anchor, shown)
        return Markup('<a href="#{}">{}</a>').format(span.href, shown) if span.href else shown


def _style(span: Span) -> str:
    return span.style if span.style in {"code", "faint", "small", "below"} else ""
