"""Is a drawing safe to put into a page? It is taken apart and written anew from what a chart needs, or refused.

The drawing process read hostile labels; nothing it wrote is passed through. Elements and attributes are an allow-list,
addresses may only point into the drawing itself, and identifiers are made unique to the page.
"""

import re
from xml.etree import ElementTree as ET  # safe here: a drawing with a declaration is refused before it is parsed

SVG = "http://www.w3.org/2000/svg"
ELEMENTS = frozenset(
    {"svg", "g", "path", "rect", "line", "circle", "text", "tspan", "defs", "clipPath", "linearGradient", "stop"}
)
ATTRIBUTES = frozenset(
    {
        *("clip-path", "cx", "cy", "d", "dx", "dy", "fill", "fill-opacity", "font-family", "font-size", "font-style"),
        *("font-weight", "gradientUnits", "height", "id", "offset", "opacity", "r", "rx", "ry", "stop-color"),
        *("stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit"),
        *("stroke-opacity", "stroke-width", "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2", "y"),
        *("y1", "y2", "visibility"),
    }
)
DECORATION = frozenset({"class", "role", "version", "pointer-events", "display", "cursor", "aria-hidden", "aria-label"})
LOCAL = re.compile(r"^url\(#([A-Za-z][A-Za-z0-9_-]*)\)$")
IDENTIFIER = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")


class UnsafeDrawing(ValueError):
    """A drawing that holds what no chart of ours holds."""


def cleaned(drawing: str, *, prefix: str, title: str, description: str) -> str:
    """The drawing rewritten for a page: only shapes and text, ids under `prefix`, a title and description to read out.

    Raises UnsafeDrawing, naming what was found, rather than dropping it: our templates never make such a thing.
    """
    if "<!" in drawing or "<?" in drawing:
        raise UnsafeDrawing("the drawing holds a declaration or a processing instruction")
    try:
        root = ET.fromstring(drawing)  # noqa: S314  # no declaration, so no entity can be defined
    except ET.ParseError as error:
        raise UnsafeDrawing(f"the drawing is not well-formed XML: {error}") from error
    if root.tag != f"{{{SVG}}}svg":
        raise UnsafeDrawing(f"the drawing's root is {root.tag!r}, not svg")
    made = _rewritten(root, prefix)
    assert made is not None
    made.set("xmlns", SVG)
    made.set("role", "img")
    made.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(tag, {"id": f"{prefix}-{tag}"})
        element.text = _xml_text(text)
        made.insert(place, element)
    return ET.tostring(made, encoding="unicode")


def _rewritten(element: ET.Element, prefix: str) -> ET.Element | None:
    tag = element.tag.removeprefix(f"{{{SVG}}}")
    if tag not in ELEMENTS:
        raise UnsafeDrawing(f"the drawing holds a <{tag}> element")
    if element.get("display") == "none":
        return None
    attributes = {}
    for name, value in element.attrib.items():
        if name in DECORATION or name.startswith("aria-"):
            continue
        if name not in ATTRIBUTES:
            raise UnsafeDrawing(f"<{tag}> has the attribute {name!r}")
        attributes[name] = _attribute(tag, name, value, prefix)
    made = ET.Element(tag, attributes)
    if tag in {"text", "tspan"}:
        made.text, made.tail = element.text, element.tail
    made.extend([child for child in (_rewritten(child, prefix) for child in element) if child is not None])
    return made


def _attribute(tag: str, name: str, value: str, prefix: str) -> str:
    if name == "id":
        if not IDENTIFIER.match(value):
            raise UnsafeDrawing(f"<{tag}> has the id {value!r}")
        return f"{prefix}-{value}"
    if local := LOCAL.match(value):
        return f"url(#{prefix}-{local[1]})"
    lowered = value.lower()
    if "url(" in lowered or "javascript:" in lowered or "data:" in lowered or "\\" in value:
        raise UnsafeDrawing(f"<{tag}> points outside the drawing: {name}={value!r}")
    return value


def _xml_text(text: str) -> str:
    """Characters that XML 1.0 cannot hold become U+FFFD."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
