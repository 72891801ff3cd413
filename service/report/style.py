"""What do all figures share? Size, type, colours that colour-blind readers can tell apart, and how a name is cut."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Spec = dict[str, Any]

WIDTH = 720
LABEL_LETTERS = 34
INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
POSITIVE, NEGATIVE, MIDDLE, ABSENT = "#2b6a99", "#c0562b", "#f7f7f5", "#d3d7dc"
# Okabe and Ito 2008, darkened where they would be faint on paper; told apart by dash and shape as well as by colour.
SERIES = ("#2b6a99", "#c0562b", "#1b7f64", "#8a5a9e", "#a87900", "#4c4c4c", "#4aa3c7", "#9c2f4f")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3], [10, 4], [6, 2, 1, 2])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")

CONFIG: Spec = {
    "aria": False,  # title and description are set on the whole figure, where a reader's software finds them
    "background": "white",
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": "#9aa5b1",
        "gridColor": GRID,
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 250,
        "tickColor": "#9aa5b1",
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "titleLimit": 520,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 220,
        "orient": "top",
        "symbolLimit": 12,
        "symbolSize": 90,
        "title": None,
    },
    "title": {"anchor": "start", "color": MUTED, "fontSize": 11, "fontWeight": "normal", "offset": 8},
}


def label(text: str, letters: int = LABEL_LETTERS) -> str:
    """A name short enough for an axis, its end kept: layer names differ at the end. The table has the whole name.

    Control, direction and surrogate characters, which no SVG may hold or which turn text around, become U+FFFD.
    """
    plain = "".join("\ufffd" if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Cn"} else one for one in text)
    if len(plain) <= letters:
        return plain
    head = letters // 3
    return plain[:head] + "\u2026" + plain[len(plain) - (letters - head - 1) :]


def chart(layers: Sequence[Spec], *, values: Sequence[Mapping[str, Any]], **more: Any) -> Spec:
    """A specification of `layers` over inline `values`, 720 px wide with its labels."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        "data": {"values": list(values)},
        "layer": list(layers),
        "padding": 4,
        "width": WIDTH,
        **more,
    }


def titled(title: str, unit: str = "") -> str:
    """The title of an axis, its unit once."""
    return label(f"{title} ({unit})" if unit and unit not in title else title, 120)


def numbered(names: Sequence[str], parameter: str) -> Spec:
    """Names handed over as a value; the axis looks them up by index, so that equal or cut names stay apart."""
    return {"name": parameter, "value": [label(name) for name in names]}


def by_series(names: Sequence[str], field: str) -> Spec:
    """A colour per name; `names` as `distinct` wrote them."""
    scale = {"domain": list(names), "range": cycled(SERIES, len(names))}
    return {"field": field, "type": "nominal", "scale": scale, "sort": None}


def distinct(names: Iterable[str]) -> dict[str, str]:
    """Each name with the label it goes by in a legend, in order; names that are cut to the same label are numbered."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        short, turn = label(name), 1
        shown = short
        while shown in taken:
            turn += 1
            shown = f"{short} ({turn})"
        taken.add(shown)
        labels[name] = shown
    return labels


def cycled(choices: Sequence[Any], count: int) -> list[Any]:
    """As many choices as asked for, from the start again when they run out."""
    return [choices[index % len(choices)] for index in range(count)]
