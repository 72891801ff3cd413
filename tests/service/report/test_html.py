"""Does a page show what its twin says, and nothing else?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from service.contracts.base import digest_of
from service.contracts.section import Column, Number, Section, Table, Word
from service.report import html, twin
from service.report.compose import compose
from service.report.html import FigureKey, _Page, render, resolve, text_of
from service.report.twin import AuditReport
from tests.growth import LINEAR, processor_seconds
from tests.service.report.reading import Page, shown_at
from tests.service.report.samples import HOSTILE, PICTURES, hostile, png, rich

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><text>12.5</text></svg>'


def fake_drawing(specs: Sequence[dict[str, Any]], deadline_seconds: float) -> list[str]:
    return [DRAWING for _ in specs]


def page_of(report: AuditReport) -> str:
    """A page whose drawings are stand-ins: the drawing process has tests of its own."""
    return compose(report, PICTURES, 10, drawing=fake_drawing).html.decode()


@pytest.mark.parametrize("report", [rich(), hostile()], ids=["rich", "hostile"])
def test_every_marked_element_shows_exactly_what_the_twin_shows_at_its_pointer(report: AuditReport) -> None:
    document = json.loads(twin.write(report))
    shown = Page(page_of(report)).shown
    assert len(shown) > 150
    for pointer, text in shown:
        assert text == shown_at(document, pointer), pointer


@pytest.mark.parametrize("report", [rich(), hostile()], ids=["rich", "hostile"])
def test_no_digit_stands_outside_an_element_that_names_its_place_in_the_twin(report: AuditReport) -> None:
    loose = [text for text in Page(page_of(report)).loose if any(letter.isdigit() for letter in text)]
    assert loose == []


def test_a_number_is_never_shown_but_as_its_display_string() -> None:
    """The pointers of cells end at the whole number, so that not even a sibling member could be shown instead."""
    document = json.loads(twin.write(rich()))
    for pointer, _ in Page(page_of(rich())).shown:
        value = resolve(document, pointer)
        assert isinstance(value, str | dict) or pointer.endswith(("/n", "/kind_version"))
        assert not pointer.endswith(("/value", "/low", "/high"))


def test_every_table_cell_of_the_twin_is_on_the_page() -> None:
    report = rich()
    seen = {pointer for pointer, _ in Page(page_of(report)).shown}
    body = report.sections[0].section
    assert body is not None
    for index, block in enumerate(body.blocks):
        at = f"/sections/0/section/blocks/{index}"
        table, pointer = (block, at) if isinstance(block, Table) else (getattr(block, "table", None), at + "/table")
        for row, cells in enumerate(table.rows if table else ()):
            assert {f"{pointer}/rows/{row}/{place}" for place in range(len(cells))} <= seen


def test_what_was_not_tested_is_shown_before_any_section_and_is_never_folded_away() -> None:
    report = rich()
    html = page_of(report)
    first_section = html.index('id="section-0"')
    for index in range(len(report.not_tested)):
        assert html.index(f'data-pointer="/not_tested/{index}"') < first_section
    assert html.index("<details") > html.index('data-pointer="/not_tested/0"')


def test_hostile_names_stay_text() -> None:
    html = page_of(hostile())
    page = Page(html)
    assert "<script" not in html
    assert {tag for tag, _ in page.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "section", "article", "p"),
        *("h1", "h2", "h3", "dl", "dt", "dd", "div", "span", "b", "br", "ul", "li", "table", "thead", "tbody", "tr"),
        *("th", "td", "figure", "figcaption", "img", "details", "summary", "svg", "text"),
        *("path", "g", "line", "rect", "circle", "desc"),
    }
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
    assert sum(text == HOSTILE for _, text in page.shown) > 20


def test_a_page_reaches_for_nothing_outside_itself() -> None:
    page = Page(page_of(rich()))
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name in ("href", "src", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,"))
    policy = next(given["content"] for _, given in page.elements if given.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "@import" not in page_of(rich())
    assert "url(" not in page_of(rich())


def test_links_within_the_page_lead_somewhere() -> None:
    page = Page(page_of(rich()))
    places = {given["id"] for _, given in page.elements if "id" in given}
    for tag, given in page.elements:
        if tag == "a":
            assert str(given["href"])[1:] in places


def test_the_page_names_the_digest_of_its_twin() -> None:
    composed = compose(rich(), PICTURES, 10, drawing=fake_drawing)
    assert Page(composed.html.decode()).digests == [digest_of(composed.twin)]


def test_a_figure_without_a_drawing_leaves_its_table_open() -> None:
    html = render(rich(), {}, PICTURES)
    assert html.count("This figure was not drawn.") == 3
    assert html.count("<details open>") == 3
    partly = render(rich(), {FigureKey(0, 3): DRAWING}, PICTURES)
    assert partly.count("<details open>") == 2


def test_a_picture_that_is_missing_is_said_in_words() -> None:
    html = render(rich(), {}, {})
    assert "<img" not in html
    assert "is not in this copy of the report" in html


def test_a_picture_that_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlay\.png' is no PNG"):
        render(rich(), {}, {("a-1", "overlay.png"): b"<svg onload=alert(1)>"})


def test_a_picture_is_carried_in_the_page_with_its_words() -> None:
    images = [given for tag, given in Page(render(rich(), {}, PICTURES)).elements if tag == "img"]
    assert len(images) == 1
    assert images[0]["alt"] == "Attribution laid over the input, strongest left of the centre."
    assert len(str(images[0]["src"])) > len(png())


def test_a_failed_analysis_says_why_and_what_to_do() -> None:
    html = page_of(rich())
    assert "The analysis was ended after 600 s, at 71 % of its samples." in html
    assert "Ask for fewer samples, or raise the deadline of this tenant." in html
    assert "Trying again may help." in html


def test_a_failed_control_stands_above_the_numbers_it_doubts() -> None:
    html = page_of(rich())
    assert html.index("A control of this analysis failed.") < html.index('data-pointer="/sections/0/section/blocks/0')
    assert html.count("A control of this analysis failed.") == 1


@pytest.mark.slow
def test_a_table_of_5000_rows_is_shown_whole_and_each_is_drawn_once() -> None:
    rows: tuple[tuple[Word | Number, ...], ...] = tuple(
        (Word(value=f"layer {index}"), *(Number(value=index + share / 7, low=0.5, high=9e5) for share in range(4)))
        for index in range(5000)
    )
    columns = tuple(Column(title=title) for title in ("Layer", "a", "b", "c", "d"))

    def of_rows(number: int) -> AuditReport:
        table = Table(title="t", columns=columns, rows=rows[:number])
        return rich(body=Section(title="Large", question="q", answer="a", blocks=(table,), source="s"))

    html = render(of_rows(5000), {}, {})
    assert sum(pointer.startswith("/sections/0/section/blocks/0/rows/") for pointer, _ in Page(html).shown) == 25_000
    longer, shorter = (processor_seconds(lambda few=few: render(few, {}, {})) for few in (of_rows(2000), of_rows(200)))
    assert longer < LINEAR * shorter


def test_a_word_of_a_table_is_broken_only_where_no_column_could_hold_it() -> None:
    cells = [[{"type": "word", "display": "flatten randomisation"}, {"type": "word", "display": "a" * 64}]]
    columns = [{"align": "left"}, {"align": "left"}]
    page = _Page({"columns": columns, "rows": cells}, digest_of(b""), {}, {})
    (row,) = page.rows("")
    assert '<td data-pointer="/rows/0/0">' in row
    assert '<td class="long" data-pointer="/rows/0/1">' in row
    style = (Path(html.__file__).parent / "report.css").read_text(encoding="utf-8")
    assert ".data td { overflow-wrap: break-word; }" in style
    assert ".data td.long { overflow-wrap: anywhere;" in style


def test_a_value_without_a_display_string_cannot_be_shown() -> None:
    with pytest.raises(TypeError, match="give it a display string"):
        text_of(0.1)


def test_a_pointer_is_read_as_rfc_6901_says() -> None:
    document: dict[str, Any] = {"a/b": [{"m~n": 8}], "": 1}
    assert resolve(document, "/a~1b/0/m~0n") == 8
    assert resolve(document, "/") == 1
    assert resolve(document, "") is document
