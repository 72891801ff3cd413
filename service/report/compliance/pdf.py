"""How does a compliance report become a document? PDF/A-3a and PDF/UA-1 from the twin alone, the twin attached.

Typesetting holds the interpreter's lock, so it happens in a process of its own that is ended at a deadline. Equal twins
and attachments give equal bytes: the date in the document is the time the report is of.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import service
from service.contracts.base import digest_of
from service.report.compliance.blocks import (
    Block,
    Chart,
    Document,
    Facts,
    Grid,
    Head,
    Heading,
    Items,
    Line,
    Paragraph,
    Section,
    Span,
    Tally,
    at,
    words,
)
from service.report.compliance.charts import drawing
from service.report.compliance.glyphs import MARK, legible
from service.report.compliance.html import opened
from service.report.compliance.layout import sections, unfolded
from service.report.html import resolve, text_of

COMMAND = (sys.executable, "-P", "-m", "service.report.compliance.typeset")
FONT = "Libertinus Serif"
TWIN_NAME = "report.json"
LARGEST = 128 * 2**20
WHOLE = 24
"""Letters that stay together; longer words (digests, layers) may break after their marks or every `PIECE` letters."""
PIECE = 12
BREAK = "\u200b"
MARKS = re.compile(r"(?<=[-_/:.;,])")
FITTING = re.compile(r"^(sha256:[0-9a-f]{64}|[0-9a-f-]{36})$")
"""What a dense table has room for in one piece."""
SHORT = 600
"""Letters of a cell whose row is not parted over two pages."""


class TypesettingFailed(RuntimeError):
    """No document: why, in a sentence. Trying again can help when it ran out of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file inside the document. Text in UTF-8 only: the statement, the manifest."""

    name: str
    media_type: str
    description: str
    content: bytes
    relationship: Literal["source", "data", "alternative", "supplement"] = "supplement"


def render_pdf(
    twin: bytes,
    attachments: Sequence[Attachment] = (),
    deadline_seconds: float = 30.0,
    *,
    command: Sequence[str] = COMMAND,
) -> bytes:
    """The document of a twin (the bytes that `twin.write` wrote), which is attached as `report.json`.

    Raises WrongTwin where the bytes are something else, ValueError where an attachment is no text, and
    TypesettingFailed when the process outlives `deadline_seconds`, dies, or answers with anything but a PDF.
    """
    document = opened(twin)
    request = {
        "data": json.dumps(content(document, digest_of(twin)), ensure_ascii=False),
        "at": int(datetime.fromisoformat(document["identity"]["as_of"]["at"]).timestamp()),
        "attached": [
            _attached(_own(twin)),
            *(_attached(each) for each in attachments),
        ],
    }
    return _typeset(json.dumps(request, ensure_ascii=False).encode(), deadline_seconds, command)


def _own(twin: bytes) -> Attachment:
    return Attachment(
        name=TWIN_NAME,
        media_type="application/json",
        description="The JSON twin: every value of this document, with its exact digits.",
        content=twin,
        relationship="source",
    )


def _attached(each: Attachment) -> dict[str, str]:
    try:
        text = each.content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the attachment {each.name!r} is no UTF-8 text: {error}") from error
    return {**asdict(each), "content": text}


# --- what is handed to the process -----------------------------------------------------------------------------------


def content(document: Document, digest: str) -> dict[str, Any]:
    """The document as plain values: texts resolved, charts drawn, every anchor that is led to there."""
    parts = unfolded(sections(document))
    anchors = {part.anchor for part in parts} | set(_anchors(parts))
    made = _Content(document, anchors)
    identity = document["identity"]
    return {
        "title": legible(identity["title"]),
        "author": legible(identity["organisation"]),
        "digest": digest,
        "front": [[label, made.line(line)] for label, line in FRONT],
        "scope": legible(identity["scope"]),
        "sections": [
            {"title": part.title, "anchor": part.anchor, "blocks": [made.block(block) for block in part.blocks]}
            for part in parts
        ],
        "mark": MARK,
    }


FRONT: tuple[tuple[str, Line], ...] = (
    ("Model", (at("/identity/model/name", "strong"), words(", version "), at("/identity/model/version"))),
    ("Organisation", (at("/identity/organisation"),)),
    ("Window", (at("/identity/period"),)),
    ("Assessed as of", (at("/identity/as_of"),)),
    ("Library, policy", (at("/identity/library"), words("; "), at("/identity/policy"))),
    ("State", (at("/identity/state"), words(", not yet signed; revision "), at("/identity/revision"))),
)


def _anchors(parts: Sequence[Section]) -> Iterator[str]:
    for part in parts:
        for block in part.blocks:
            if isinstance(block, Heading) and block.anchor:
                yield block.anchor
            if isinstance(block, Grid):
                yield from (span.anchor for row in block.rows for cell in row for span in cell if span.anchor)


class _Content:
    """Blocks as JSON values."""

    def __init__(self, document: Document, anchors: set[str]) -> None:
        self._document, self._anchors = document, anchors

    def text(self, words: str, *, fits: bool = False) -> str:
        """Text as it can be set; long words may break, unless the column is made for them (`fits`)."""
        shown = legible(words)
        if (fits and FITTING.match(shown)) or all(len(word) <= WHOLE for word in shown.split(" ")):
            return shown
        return " ".join(_broken(word) for word in shown.split(" "))

    def span(self, span: Span, *, dense: bool = False) -> list[str]:
        """Text, style, tone, where it leads, what leads here."""
        value = resolve(self._document, span.pointer) if span.pointer else span.text
        shown = text_of(value)
        if isinstance(value, dict) and value["type"] == "number":
            shown = shown.replace(", ", ",\u00a0")  # an interval is not torn apart at the end of a line
        href = span.href if span.href in self._anchors else ""
        return [self.text(shown, fits=dense), span.style, span.tone, href, span.anchor]

    def line(self, line: Line, *, dense: bool = False) -> list[list[str]]:
        """The spans of a line."""
        return [self.span(span, dense=dense) for span in line]

    def block(self, block: Block) -> dict[str, Any]:
        """A block by its kind."""
        kind = type(block).__name__.lower()
        match block:
            case Heading():
                return {"kind": kind, "line": self.line(block.line), "level": block.level - 1, "anchor": block.anchor}
            case Paragraph():
                return {"kind": kind, "line": self.line(block.line), "style": block.style, "stays": block.stays}
            case Items():
                return {"kind": kind, "lines": [self.line(one) for one in block.lines]}
            case Facts():
                rows = [[self.line(label), self.line(value)] for label, value in block.rows]
                return {"kind": kind, "caption": block.caption, "quiet": block.quiet, "rows": rows}
            case Tally():
                counts = [[self.span(Span(pointer=p))[0], label, tone] for p, label, tone in block.counts]
                return {"kind": kind, "counts": counts}
            case Chart():
                return self._chart(block)
            case Grid():
                return self._grid(block)

    def _chart(self, chart: Chart) -> dict[str, Any]:
        alternative = f"{legible(chart.title)}. {chart.description}"
        svg = legible(drawing(chart, self._document, font=FONT))
        return {"kind": "chart", "of": chart.kind, "svg": svg, "alternative": alternative}

    def _grid(self, grid: Grid) -> dict[str, Any]:
        return {
            "kind": "grid",
            "caption": self.line(grid.caption),
            "quiet": grid.quiet,
            "dense": grid.dense,
            "weights": [head.weight for head in grid.heads],
            "aligns": [head.align for head in grid.heads],
            "heads": [self.line(_titled(head)) for head in grid.heads],
            "rows": [_row([self.line(cell, dense=grid.dense) for cell in row]) for row in grid.rows],
        }


def _titled(head: Head) -> Line:
    if not head.pointer:
        return (words(head.title),)
    unit = (words(" "), at(head.unit, "below")) if head.unit else ()
    return (at(head.pointer), *unit)


def _row(cells: list[list[list[str]]]) -> dict[str, Any]:
    """A row, and whether it is short enough to stay on one page."""
    longest = max((sum(len(span[0]) for span in cell) for cell in cells), default=0)
    return {"cells": cells, "whole": longest < SHORT}


def _broken(word: str) -> str:
    """A long word with places to break: after its own marks first, then every few letters."""
    if len(word) <= WHOLE:
        return word
    parts = [part for part in MARKS.split(word) if part]
    return BREAK.join(
        part[start : start + PIECE] if len(part) > WHOLE else part
        for part in parts
        for start in range(0, len(part) if len(part) > WHOLE else 1, PIECE)
    )


# --- the process -----------------------------------------------------------------------------------------------------


def _typeset(request: bytes, deadline_seconds: float, command: Sequence[str]) -> bytes:
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=_environment(),
    )
    with process:
        try:
            made, complaint = process.communicate(request, timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            raise TypesettingFailed(
                f"the document was not set within {deadline_seconds:g} s; its process was ended"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0 or not made.startswith(b"%PDF-") or len(made) > LARGEST:
        said = complaint.decode("utf-8", "replace").strip().splitlines()
        raise TypesettingFailed(
            f"the typesetting process ended with {process.returncode}: {said[-1][:500] if said else 'it said nothing'}"
        )
    return made


def _environment() -> dict[str, str]:
    """Nothing of ours but where the package lies: no key, no address, no proxy."""
    return {"PYTHONPATH": str(Path(service.__file__).resolve().parent.parent), "LANG": "C.UTF-8", "TZ": "UTC"}
