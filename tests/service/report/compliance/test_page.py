"""Does the page show what the twin says, and nothing else, in a form that browsers and readers can use?"""

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from service.contracts.base import digest_of
from service.report.compliance import html, twin
from service.report.compliance.html import LARGEST, PageTooLarge, WrongTwin, render_html
from service.report.compliance.twin import ComplianceReport
from tests.service.report.compliance.samples import HOSTILE, first, hostile, rich
from tests.service.report.reading import Page, shown_at

REPORTS = pytest.mark.parametrize("report", [rich, first, hostile])
Made = Callable[[], ComplianceReport]


def page_of(report: ComplianceReport) -> str:
    return render_html(twin.write(report)).decode()


@REPORTS
def test_every_marked_element_shows_what_the_twin_holds_at_its_pointer(report: Made) -> None:
    document = json.loads(twin.write(report()))
    shown = Page(page_of(report())).shown
    assert len(shown) > 100
    for pointer, text in shown:
        assert text == shown_at(document, pointer), pointer


@REPORTS
def test_no_digit_stands_outside_an_element_that_names_its_place_in_the_twin(report: Made) -> None:
    assert [text for text in Page(page_of(report())).loose if any(letter.isdigit() for letter in text)] == []


def test_the_page_names_the_digest_of_its_twin() -> None:
    content = twin.write(rich())
    assert Page(render_html(content).decode()).digests == [digest_of(content)]


@REPORTS
def test_the_structure_is_sound_for_those_who_hear_it(report: Made) -> None:
    page = Page(page_of(report()))
    tags = Counter(tag for tag, _ in page.elements)
    assert (tags["h1"], tags["main"], tags["header"]) == (1, 1, 1)
    assert tags["table"] == tags["caption"]
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in page.elements:
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in identifiers
        if tag == "svg":
            assert attributes["role"] == "img"
            assert set((attributes["aria-labelledby"] or "").split()) <= set(identifiers)
        if tag == "section":
            assert attributes["aria-labelledby"] in identifiers
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


@REPORTS
def test_the_page_runs_nothing_and_fetches_nothing(report: Made) -> None:
    made = page_of(report())
    page = Page(made)
    assert not {"script", "iframe", "object", "embed", "link", "img", "form"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert not {"src", "srcset", "action"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in made
    assert "@import" not in made


def test_hostile_names_come_out_as_text() -> None:
    made = page_of(hostile())
    assert "<script" not in made
    texts = [text for _, text in Page(made).shown]
    assert HOSTILE in texts
    assert any(len(text) > 3900 for text in texts)


def test_counts_failures_and_gaps_stand_first_and_are_never_folded_away() -> None:
    made = page_of(rich())
    fold = made.index("<details")
    for pointer in ("/summary/sentence", "/summary/failed/1/said", "/summary/not_assessed/3/said"):
        assert made.index(f'data-pointer="{pointer}"') < fold
    assert made.index("data-digest") < made.index('data-pointer="/summary/sentence"')


def test_every_line_of_history_has_its_numbers_in_a_table() -> None:
    pointers = {pointer for pointer, _ in Page(page_of(rich())).shown}
    for place, control in enumerate(rich().controls):
        for index, part in enumerate(control.requirements):
            if len(part.history) > 1:
                p = f"/controls/{place}/requirements/{index}/history"
                assert {f"{p}/{point}/number" for point in range(len(part.history))} <= pointers


def test_a_page_past_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST == 5_000_000
    monkeypatch.setattr(html, "LARGEST", 1000)
    with pytest.raises(PageTooLarge, match="past 1000"):
        page_of(first())


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": "nn-audit-report/2"}', b"\xff"])
def test_what_is_no_twin_is_refused(content: bytes) -> None:
    with pytest.raises(WrongTwin):
        render_html(content)
