"""How does a report look on a page? The twin in, one self-contained HTML file out: no script, no network.

A template cannot write a value: it names a JSON Pointer into the twin, and `at` writes what stands there inside an
element that carries the pointer. So a page shows the twin's display strings and texts and nothing else; a test reads
every page back and checks it.
"""

import base64
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic import JsonValue

from service.contracts.base import digest_of
from service.report import twin
from service.report.twin import AuditReport

FOLDER = Path(__file__).parent
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FIGURES = frozenset({"bars", "lines", "heat"})


class FigureKey(NamedTuple):
    """Where a figure stands: the index of its section and of its block."""

    section: int
    block: int

    @property
    def prefix(self) -> str:
        """What every identifier of its drawing starts with, so that no two drawings of a page clash."""
        return f"figure-{self.section}-{self.block}"


PictureKey = tuple[str, str]
"""Identifier of the analysis, name of the artifact."""


def render(report: AuditReport, figures: Mapping[FigureKey, str], pictures: Mapping[PictureKey, bytes]) -> str:
    """The page. `figures`: cleaned SVG by place (`service.report.svg.cleaned`); `pictures`: PNG bytes by artifact.

    A figure or picture that is not given is named as missing, and a figure's table stands open in its place.
    Raises ValueError where the bytes of a picture are no PNG.
    """
    content = twin.write(report)
    page = _Page(report.model_dump(mode="json"), digest_of(content), figures, pictures)
    return (
        environment()
        .get_template("report.html")
        .render(
            page=page,
            at=page.at,
            twin=page.twin,
            css=Markup((FOLDER / "report.css").read_text()),  # noqa: S704  # our file
        )
    )


def environment() -> Environment:
    """Templates of this folder; every value is escaped, and a name that is not there is an error."""
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_WHOLE = 20
"""Letters of a word that a column makes room for: `randomisation` stays in one piece."""


class _Page:
    """What the templates may ask for."""

    def __init__(
        self,
        twin: dict[str, Any],
        twin_digest: str,
        figures: Mapping[FigureKey, str],
        pictures: Mapping[PictureKey, bytes],
    ) -> None:
        self.twin, self.twin_digest = twin, twin_digest
        self._figures, self._pictures = figures, pictures

    def at(self, pointer: str, tag: str = "span", style: str = "") -> Markup:
        """An element that shows what stands at a pointer, and says which pointer that is."""
        return pointed(self.twin, pointer, tag, style)

    def rows(self, pointer: str) -> Iterator[Markup]:
        """The rows of a table: cells that are numbers stand to the right."""
        table = resolve(self.twin, pointer)
        aligned = [column["align"] for column in table["columns"]]
        for row, cells in enumerate(table["rows"]):
            written = [
                self.at(f"{pointer}/rows/{row}/{place}", "td", _cell_style(cell, aligned[place]))
                for place, cell in enumerate(cells)
            ]
            yield Markup("<tr>{}</tr>").format(Markup("").join(written))

    def runs(self, section: int) -> list[tuple[str, list[tuple[int, dict[str, Any]]]]]:
        """The blocks of a section with their indexes; measures that follow each other are one run."""
        blocks = enumerate(self.twin["sections"][section]["section"]["blocks"])
        grouped = groupby(blocks, key=lambda item: "measures" if item[1]["block"] == "measure" else item[0])
        return [(("measures" if key == "measures" else "block"), list(run)) for key, run in grouped]

    def figure(self, section: int, block: int) -> Markup | None:
        """The drawing at a place, or nothing where none was made."""
        drawing = self._figures.get(FigureKey(section, block))
        return None if drawing is None else Markup(drawing)  # noqa: S704  # rewritten from an allow-list by svg.py

    def picture(self, section: int, artifact: str) -> str | None:
        """A picture's address: its own bytes."""
        content = self._pictures.get((self.twin["sections"][section]["analysis"], artifact))
        if content is None:
            return None
        if not content.startswith(PNG_SIGNATURE):
            raise ValueError(f"the picture {artifact!r} is no PNG")
        return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def pointed(document: JsonValue, pointer: str, tag: str = "span", style: str = "") -> Markup:
    """An element that shows what stands at a pointer into `document`, and says which pointer that is."""
    value = resolve(document, pointer)
    because = f' title="{escape(value["because"])}"' if isinstance(value, dict) and "because" in value else ""
    classes = f' class="{escape(style)}"' if style else ""
    name, shown = escape(pointer), escape(text_of(value))
    return Markup(f'<{tag}{classes}{because} data-pointer="{name}">{shown}</{tag}>')  # noqa: S704  # all escaped


def resolve(document: JsonValue, pointer: str) -> Any:
    """What stands at a JSON Pointer (RFC 6901). Raises KeyError, IndexError or ValueError where nothing does."""
    found: Any = document
    for step in pointer.split("/")[1:]:
        found = found[int(step)] if isinstance(found, list) else found[step.replace("~1", "/").replace("~0", "~")]
    return found


def text_of(value: JsonValue) -> str:
    """What a page shows for a value of the twin: its display string, its text, or a whole number's digits."""
    if isinstance(value, dict):
        return str(value["display"])
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise TypeError(f"nothing says how {value!r} is shown: give it a display string")


def _cell_style(cell: dict[str, Any], align: str) -> str:
    """A word that fits into a column is never broken; a digest or the long name of a layer has to be."""
    if align == "right" or cell["type"] == "number":
        return "number"
    return "long" if any(len(word) > _WHOLE for word in text_of(cell).split()) else ""
