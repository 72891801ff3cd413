"""Is the document what it claims to be: PDF/A-3a and PDF/UA-1, with the twin inside and no number of its own?"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pikepdf
import pypdf
import pytest

from service.contracts.base import digest_of
from service.report.compliance import pdf, twin
from service.report.compliance.charts import drawing
from service.report.compliance.glyphs import MARK, every, legible
from service.report.compliance.html import WrongTwin
from service.report.compliance.layout import charts, sections
from service.report.compliance.pdf import Attachment, TypesettingFailed, render_pdf
from service.report.compliance.twin import ComplianceReport
from tests.service.report.compliance.samples import HOSTILE, first, hostile, rich

DSSE = Attachment(
    name="report.dsse.json",
    media_type="application/json",
    description="The signed statement.",
    content=b'{"payloadType":"application/vnd.in-toto+json","signatures":[]}',
)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
PAGES = re.compile(r"page \d+ of \d+|(?:\. ?){3,}\d+")
Made = Callable[[], ComplianceReport]
REPORTS = pytest.mark.parametrize("report", [rich, first, hostile])


@cache
def document_of(report: Made) -> bytes:
    return render_pdf(twin.write(report()), [DSSE], 60)


@cache
def opened(report: Made) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(document_of(report)))


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def plain(text: str) -> str:
    """Text with one minus, one space, and no thousands separators."""
    return text.replace("\u202f", "").replace("\u2212", "-").replace("\u00a0", " ")


def numbers(text: str) -> set[str]:
    return set(NUMBER.findall(plain(text)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield legible(value)


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@REPORTS
def test_every_number_of_the_document_is_in_the_twin(report: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "WHOLE", 10**6)  # nothing is broken at line ends, so that a digest is read as one word
    content = twin.write(report())
    document = json.loads(content)
    made = render_pdf(content, [], 60)
    shown = numbers(PAGES.sub(" ", plain(text_of(made)).replace("\n", " ")))
    held = set().union(*(numbers(text) for text in strings(document)), numbers(digest_of(content)))
    figures = [ET.fromstring(drawing(each, document)) for each in charts(sections(document))]
    drawn = set().union(*(numbers(" ".join(figure.itertext())) for figure in figures))
    assert len(shown) > 20
    assert shown - held - drawn == set()


@pytest.mark.slow
def test_every_value_on_the_page_is_in_the_document_too() -> None:
    text = re.sub(r"\s", "", plain(text_of(document_of(rich))))
    report = rich()
    for row in (*report.robustness.corruptions, *report.explanations.quality, *report.robustness.others):
        assert re.sub(r"\s", "", plain(row.number.display)) in text
    for control in report.controls:
        for part in control.requirements:
            for point in part.history:
                assert re.sub(r"\s", "", plain(point.number.display)) in text


def test_the_first_page_carries_counts_failures_gaps_and_the_digest() -> None:
    page = plain(pypdf.PdfReader(io.BytesIO(document_of(rich))).pages[0].extract_text())
    for text in ("6 met of 12 applicable (5 not assessed)", "ROB-01", "ROB-02", "XAI-04", "GOV-02", "not met", "stale"):
        assert text in page
    assert digest_of(twin.write(rich())) in page


# --- structure -------------------------------------------------------------------------------------------------------


@REPORTS
def test_the_document_is_tagged_titled_and_says_its_language(report: Made) -> None:
    root = opened(report).Root
    assert root.MarkInfo.Marked is True or bool(root.MarkInfo.Marked)
    assert root.StructTreeRoot.Type == "/StructTreeRoot"
    assert str(root.Lang) == "en"
    assert bool(root.ViewerPreferences.DisplayDocTitle)
    assert "/Outlines" in root
    assert str(opened(report).docinfo["/Title"]) == legible(report().identity.title)


@REPORTS
def test_the_metadata_claim_archiving_and_accessibility(report: Made) -> None:
    with opened(report).open_metadata() as metadata:
        assert metadata["pdfaid:part"] == "3"
        assert metadata["pdfaid:conformance"] == "A"
        assert metadata["pdfuaid:part"] == "1"
        assert metadata["dc:title"] == legible(report().identity.title)


@REPORTS
def test_the_twin_and_the_statement_are_inside_byte_for_byte(report: Made) -> None:
    root = opened(report).Root
    names = root.Names.EmbeddedFiles.Names
    files = {str(names[place]): names[place + 1] for place in range(0, len(names), 2)}
    assert bytes(files["report.json"].EF.F.read_bytes()) == twin.write(report())
    assert bytes(files["report.dsse.json"].EF.F.read_bytes()) == DSSE.content
    associated = {str(each.UF): str(each.AFRelationship) for each in root.AF}
    assert associated == {"report.json": "/Source", "report.dsse.json": "/Supplement"}
    assert str(files["report.json"].EF.F.Subtype) == "/application/json"


@REPORTS
def test_every_font_is_inside(report: Made) -> None:
    fonts = 0
    for each in opened(report).objects:
        if isinstance(each, pikepdf.Dictionary) and each.get("/Type") == "/FontDescriptor":
            fonts += 1
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(each.keys()), each.get("/FontName")
    assert fonts >= 2


def test_every_figure_says_in_words_what_it_shows_and_tables_have_heads() -> None:
    kinds: dict[str, int] = {}
    for each in opened(rich).objects:
        if isinstance(each, pikepdf.Dictionary) and "/S" in each and "/P" in each and "/K" in each:
            kind = str(each.S)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "/Figure":
                assert len(str(each.Alt)) > 40
    assert kinds["/Figure"] == len(charts(sections(json.loads(twin.write(rich())))))
    assert kinds["/Table"] > 30
    assert kinds["/TH"] > 150
    assert {"/H1", "/H2", "/L", "/Link"} <= kinds.keys()


def test_equal_twins_give_equal_bytes() -> None:
    assert render_pdf(twin.write(first()), [DSSE], 60) == document_of(first)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_hostile_names_come_out_as_text_and_what_has_no_sign_is_marked() -> None:
    text = re.sub(r"\s", "", text_of(document_of(hostile)))
    assert re.sub(r"\s", "", legible(HOSTILE)) in text
    assert "#panic()*bold*_it_$x$@ref" in text
    assert MARK in text
    assert "\u202e" not in text
    assert "quarterly_" * 380 in text


def test_every_character_of_the_table_can_be_set() -> None:
    given = json.loads(twin.write(first()))
    given["identity"]["scope"] = " ".join(every())
    assert document_is_whole(given)


def test_a_sequence_that_the_table_did_not_foresee_still_gives_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "legible", lambda text: text)
    given = json.loads(twin.write(first()))
    given["identity"]["scope"] = "named \U0001f600 by somebody"
    assert document_is_whole(given)


def document_is_whole(document: dict[str, Any]) -> bool:
    return render_pdf(json.dumps(document).encode(), [], 60).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\u03b5 \u2264 0.1 \u2212 \u00e9 \u0416", "\u03b5 \u2264 0.1 \u2212 \u00e9 \u0416"),
        ("e\u0301", "\u00e9"),
        ("a\nb\tc", "a b c"),
        ("\u202ax\U0001f600\x00", f"{MARK}x{MARK}{MARK}"),
    ],
)
def test_text_is_composed_and_what_has_no_sign_becomes_a_mark(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_a_process_that_hangs_is_ended_at_the_deadline() -> None:
    command = (sys.executable, "-c", "import sys, time; sys.stdin.read(); time.sleep(60)")
    with pytest.raises(TypesettingFailed, match=r"within 0\.3 s"):
        render_pdf(twin.write(first()), [], 0.3, command=command)


def test_a_process_that_fails_says_why() -> None:
    command = (sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit('typst: out of ink')")
    with pytest.raises(TypesettingFailed, match="out of ink"):
        render_pdf(twin.write(first()), [], 10, command=command)


def test_a_process_that_answers_with_something_else_is_refused() -> None:
    command = (sys.executable, "-c", "import sys; sys.stdin.read(); print('hello')")
    with pytest.raises(TypesettingFailed):
        render_pdf(twin.write(first()), [], 10, command=command)


def test_an_attachment_that_is_no_text_is_refused_and_so_is_what_is_no_twin() -> None:
    picture = Attachment(name="picture.png", media_type="image/png", description="x", content=b"\x89PNG\xff")
    with pytest.raises(ValueError, match=r"picture\.png"):
        render_pdf(twin.write(first()), [picture])
    with pytest.raises(WrongTwin):
        render_pdf(b"{}")


def test_the_template_holds_no_text_of_a_report() -> None:
    source = Path(pdf.__file__).with_name("report.typ").read_text()
    assert "eval" not in source
    assert "@preview" not in source
