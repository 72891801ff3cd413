"""What can stand on a page or in a document? Headings, sentences, lists, tables, charts: values that both draw.

A value of the twin enters by its pointer, never as text, so that page and document show the same; whatever is written
here itself is words without a digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from service.contracts.compliance import Status
from service.report.compliance.wording import STATUS

Document = Any
"""The twin as JSON values."""


class Span(NamedTuple):
    """A piece of a line: words of ours, or (`pointer`) what the twin holds there. `href` leads to an anchor."""

    text: str = ""
    pointer: str = ""
    style: Literal["", "code", "faint", "strong", "small", "below", "status", "severity"] = ""
    tone: str = ""
    href: str = ""
    anchor: str = ""


Style = Literal["", "code", "faint", "strong", "small", "below"]
Line = tuple[Span, ...]


def words(text: str, style: Style = "") -> Span:
    """Words of ours."""
    return Span(text=text, style=style)


def at(pointer: str, style: Style = "", href: str = "") -> Span:
    """What the twin holds at a pointer."""
    return Span(pointer=pointer, style=style, href=href)


def status(value: str) -> Span:
    """A status as a coloured word."""
    return Span(text=STATUS[Status(value)], style="status", tone=value)


class Head(NamedTuple):
    """The head of a column; `weight` is its share of the width."""

    title: str
    weight: float = 1.0
    align: Literal["left", "right"] = "left"
    pointer: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading below a section's own; `anchor` is unique in the document."""

    line: Line
    anchor: str = ""
    level: Literal[3, 4] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A sentence or several. One that `stays` is not parted from what follows it by the end of a page."""

    line: Line
    style: Literal["", "lead", "aside", "box"] = ""
    stays: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list."""

    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Labels with their values; the caption of a `quiet` list is read out and not seen."""

    caption: str
    rows: Sequence[tuple[Line, Line]]
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table. A `folded` one holds the data of a chart: closed on the page, in the history of the document.

    The caption of a `quiet` one is read out and not seen: a heading above says the same.
    """

    caption: Line
    heads: Sequence[Head]
    rows: Sequence[Sequence[Line]]
    folded: bool = False
    dense: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts side by side: pointer, label, tone."""

    counts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing of values of the twin, described in words; a table beside it holds its numbers."""

    kind: Literal["statuses", "history", "curves"]
    pointers: Sequence[str]
    anchor: str
    title: str
    description: str


Block = Heading | Paragraph | Items | Facts | Grid | Tally | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section with a letter of its own."""

    anchor: str
    title: str
    blocks: Sequence[Block]


def said(pointer: str) -> Paragraph:
    """The sentence that a section of the twin begins with."""
    return Paragraph(line=(at(f"{pointer}/said"),))
