"""How does an inspection look on a page? One self-contained HTML file: no script, no network, prints well.

As in reports, a template writes no value of its own: what it shows stands in the value at the pointer that the element
names. Rows of the tree carry one pointer for all their cells, so that thousands of layers stay a small page.
"""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from service.report.html import FOLDER, environment, pointed
from service.report.inspection import Inspection
from service.report.tree import FAMILIES, FAMILY_TITLES, LayerRow

OPEN_ROWS = 120
"""Networks of more layers come with the containers of lower levels closed."""
HOVER_ROWS = 2000
"""In larger networks names and reasons are not also shown on hover: the page would double."""
DEEPEST = 12


def render(inspection: Inspection) -> str:
    """The page."""
    document = inspection.model_dump(mode="json", exclude={"layers"})
    css = (FOLDER / "report.css").read_text() + (FOLDER / "inspection.css").read_text()
    return (
        environment()
        .get_template("inspection.html")
        .render(
            shown=inspection,
            at=lambda pointer, tag="span", style="": pointed(document, pointer, tag, style),
            rows=list(_rows(inspection)),
            hover=len(inspection.layers) <= HOVER_ROWS,
            families=[(family, FAMILY_TITLES[family]) for family in FAMILIES],
            css=Markup(css),  # noqa: S704  # our files
        )
    )


def _rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Each layer with how many containers end after it, and whether it stands open."""
    layers = inspection.layers
    few = len(layers) <= OPEN_ROWS
    for index, row in enumerate(layers):
        following = layers[index + 1].depth if index + 1 < len(layers) else 0
        yield {
            "index": index,
            "row": row,
            "level": min(row.depth, DEEPEST),
            "open": few or row.depth == 0,
            "closes": max(0, row.depth - following) if not row.children else 0,
            "cells": [(family, row.verdicts[family]) for family in FAMILIES],
            "bars": _bars(row),
        }


def _bars(row: LayerRow) -> tuple[int, int]:
    """Widths of the bars in percent; whatever is there at all is seen."""
    shares = (row.parameters, row.flops)
    return tuple(0 if each is None or not each.value else max(1, round(100 * each.share)) for each in shares)  # type: ignore[return-value]  # two of them
