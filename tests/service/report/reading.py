"""Reads a page back: every text with the pointer of the element it stands in."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "img", "link", "input", "hr", "source", "area", "base", "col", "embed", "track", "wbr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """`shown`: pointer and whole text of each marked element; `loose`: text that stands in none, outside figures."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shown: list[tuple[str, str]] = []
        self.loose: list[str] = []
        self.digests: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.drawn: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {[element.tag for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(Element(tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        element = self._open.pop()
        assert element.tag == tag, f"</{tag}> closes <{element.tag}>"
        pointer = element.attributes.get("data-pointer")
        if pointer is not None:
            self.shown.append((pointer, "".join(element.text)))
        if "data-digest" in element.attributes:
            self.digests.append("".join(element.text))

    def handle_data(self, data: str) -> None:
        marked = False
        for element in reversed(self._open):
            if element.tag in {"svg", "style", "title"}:
                self.drawn.append(data)
                return
            element.text.append(data)
            if "data-pointer" in element.attributes or "data-digest" in element.attributes:
                marked = True
                break
        if not marked:
            self.loose.append(data)


def shown_at(document: Any, pointer: str) -> str:
    """What a page must show for a pointer: the display string where there is one, else a text or a whole number."""
    for step in pointer.split("/")[1:]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    if isinstance(document, dict):
        document = document["display"]
        assert isinstance(document, str)
    assert type(document) in {str, int}, pointer
    return str(document)
