"""Do the charts draw what their tables hold, and nothing that a name smuggles in?"""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from service.report.compliance import twin
from service.report.compliance.blocks import Chart
from service.report.compliance.charts import drawing
from service.report.compliance.layout import charts, sections
from tests.service.report.compliance.samples import HOSTILE, hostile, rich

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = {"met": 2, "not_met": 1, "stale": 0, "insufficient_evidence": 1, "not_applicable": 0, "total": 4}


def chart(kind: str, pointer: str, title: str = "t") -> Chart:
    return Chart(kind=kind, pointers=(pointer,), anchor="c", title=title, description="d")  # type: ignore[arg-type]  # one of the three


def point(value: float | None, threshold: float | None = 0.5, status: str = "met") -> dict[str, object]:
    number = {"type": "blank"} if value is None else {"type": "number", "value": value, "low": None, "high": None}
    return {"number": number, "threshold": {"value": threshold}, "status": status}


def budget(epsilon: float, share: float, low: float | None = None, high: float | None = None) -> dict[str, object]:
    return {"epsilon": {"value": epsilon}, "accuracy": {"value": share, "low": low, "high": high}}


def drawn(document: object, of: Chart) -> ET.Element:
    return ET.fromstring(drawing(of, document))


def test_the_bar_is_parted_by_the_counts() -> None:
    document = {"counts": {name: {"value": value} for name, value in COUNTS.items()}}
    parts = drawn(document, chart("statuses", "/counts")).findall(f"{SVG}rect")
    assert [part.get("class") for part in parts] == ["t-met", "t-not_met", "t-insufficient_evidence"]
    assert [float(part.get("x", "")) for part in parts] == [0.0, 360.0, 540.0]


def test_a_period_without_a_value_breaks_the_line_and_is_a_cross() -> None:
    document = {"r": {"history": [point(0.1), point(0.2), point(None), point(0.4, status="not_met")]}}
    root = drawn(document, chart("history", "/r"))
    assert len(root.findall(f"{SVG}line[@class='c-line']")) == 1
    assert len(root.findall(f"{SVG}path[@class='s-insufficient']")) == 1
    assert len(root.findall(f"{SVG}rect[@class='t-not_met']")) == 1
    assert len(root.findall(f"{SVG}line[@class='c-threshold']")) == 4


def test_a_line_that_rises_is_drawn_upwards() -> None:
    root = drawn({"r": {"history": [point(0.1), point(0.9)]}}, chart("history", "/r"))
    line = root.find(f"{SVG}line[@class='c-line']")
    assert line is not None
    assert float(line.get("y1", "")) > float(line.get("y2", ""))


def test_constant_history_is_drawn_all_the_same() -> None:
    assert drawn({"r": {"history": [point(0.0, 0.0), point(0.0, 0.0)]}}, chart("history", "/r")) is not None
    assert drawn({"r": {"history": [point(None, None), point(None, None)]}}, chart("history", "/r")) is not None


def test_a_curve_stands_at_its_budgets_and_shares() -> None:
    points = [budget(0.0, 1.0), budget(2.0, 0.5), budget(4.0, 0.0)]
    root = drawn({"c": {"label": "l", "unit": "u", "points": points}}, chart("curves", "/c"))
    marks = [(float(m.get("cx", "")), float(m.get("cy", ""))) for m in root.findall(f"{SVG}circle")]
    assert marks == [(46.0, 34.0), (376.0, 140.0), (706.0, 246.0)]


def test_budgets_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    points = [budget(epsilon, 0.5, 0.4, 0.6) for epsilon in (0.01, 0.1, 1.0)]
    root = drawn({"c": {"label": "l", "unit": "u", "points": points}}, chart("curves", "/c"))
    assert [float(m.get("cx", "")) for m in root.findall(f"{SVG}circle")] == [46.0, 376.0, 706.0]
    assert "logarithmic" in "".join(root.itertext())


@pytest.mark.parametrize("report", [rich, hostile])
def test_charts_hold_shapes_and_words_only(report: object) -> None:
    document = json.loads(twin.write(report()))  # type: ignore[operator]  # a sample
    found = charts(sections(document))
    assert len(found) == 6
    for one in found:
        svg = drawing(one, document)
        tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "desc", "rect", "line", "path", "circle", "text"}
        assert not re.search(r"href|url\(|<style|on\w+=", svg)


def test_a_hostile_title_is_text() -> None:
    document = {"counts": {name: {"value": value} for name, value in COUNTS.items()}}
    root = drawn(document, chart("statuses", "/counts", HOSTILE))
    assert root.findtext(f"{SVG}title") == HOSTILE
