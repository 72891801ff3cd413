"""Are figures drawn from values alone, by a process that can be ended, into drawings that are safe to show?"""

import json
import os
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from service.contracts.section import Bar, Bars, Column, Heat, Lines, Point, Table
from service.report.charts import specification
from service.report.compose import PictureMismatch, compose
from service.report.draw import DrawingFailed, draw
from service.report.style import distinct, label
from service.report.svg import SVG, UnsafeDrawing, cleaned
from tests.service.report.samples import PICTURES, blocks, hostile, png, rich

TABLE = Table(title="t", columns=(Column(title="c"),), rows=())


def bars(*given: Bar) -> Bars:
    return Bars(title="b", value_title="v", bars=given, table=TABLE)


def lines(*points: Point, x_log: bool = False, y_log: bool = False) -> Lines:
    return Lines(title="l", x_title="x", y_title="y", x_log=x_log, y_log=y_log, points=points, table=TABLE)


def heat(values: tuple[tuple[float | None, ...], ...]) -> Heat:
    rows, columns = tuple(map(str, range(len(values)))), tuple(map(str, range(len(values[0]))))
    return Heat(
        title="h",
        row_title="r",
        column_title="c",
        value_title="v",
        rows=rows,
        columns=columns,
        values=values,
        table=TABLE,
    )


def texts(drawing: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawing).iter() if element.tag.endswith("text")]


# --- specifications ----------------------------------------------------------


def test_what_a_child_wrote_enters_a_specification_only_as_data_labels_and_titles() -> None:
    """No member that Vega-Lite evaluates or fetches holds it, and expressions are our own constants."""
    bad = "'+alert(1)+'"
    spec = specification(Bars(title=bad, value_title=bad, bars=(Bar(label=bad, value=1, group=bad),), table=TABLE))
    places: list[tuple[str, ...]] = []

    def walk(value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                assert "alert" not in name
                assert name not in {"url", "expr", "calculate", "filter", "signal", "transform", "format"}
                walk(item, (*path, name))
        elif isinstance(value, list):
            for item in value:
                walk(item, path)
        elif isinstance(value, str) and "alert" in value:
            places.append(path)
        elif path[-1:] == ("labelExpr",):
            assert value == "labels[datum.value]"

    walk(spec, ())
    assert {path[-2:] for path in places} == {
        ("values", "group"),
        ("params", "value"),
        ("scale", "domain"),
        ("axis", "title"),
    }


def test_bars_stand_in_the_order_given_even_when_their_names_are_equal() -> None:
    spec = specification(bars(Bar(label="b", value=1), Bar(label="a", value=2), Bar(label="b", value=3)))
    assert [row["row"] for row in spec["data"]["values"]] == [0, 1, 2]
    assert spec["params"][0]["value"] == ["b", "a", "b"]


def test_bars_of_several_groups_share_the_row_of_their_name() -> None:
    given = (Bar(label="a", value=1, group="x"), Bar(label="a", value=2, group="y"), Bar(label="b", value=3, group="x"))
    assert [row["row"] for row in specification(bars(*given))["data"]["values"]] == [0, 0, 1]


def test_a_long_name_keeps_its_end_where_layer_names_differ() -> None:
    short = label("features.denseblock3.denselayer12.bottleneck.conv2")
    assert short == "features.de\u2026yer12.bottleneck.conv2"
    assert len(short) == 34


def test_characters_no_drawing_may_hold_are_replaced() -> None:
    assert label("a\x00b\u202ec\u200bd\nE") == "a\ufffdb\ufffdc\ufffdd\ufffdE"


def test_series_that_are_cut_to_the_same_label_stay_apart() -> None:
    one, other = "a" * 40 + "x" * 30, "a" * 50 + "x" * 30
    assert list(distinct([one, other, one]).values()) == [label(one), label(one) + " (2)"]


def test_a_point_at_zero_is_left_out_of_a_logarithmic_axis_and_the_figure_says_so() -> None:
    spec = specification(lines(Point(x=1, y=0), Point(x=2, y=4), y_log=True))
    assert [row["x"] for row in spec["data"]["values"]] == [2]
    assert "they are in the table" in spec["title"]


def test_points_that_would_all_be_left_out_are_drawn_on_plain_axes() -> None:
    spec = specification(lines(Point(x=0, y=3), Point(x=2, y=0), x_log=True, y_log=True))
    assert len(spec["data"]["values"]) == 2
    assert "title" not in spec


def test_an_interval_that_reaches_zero_ends_within_a_logarithmic_axis() -> None:
    row = specification(lines(Point(x=1, y=4, low=-1, high=5), y_log=True))["data"]["values"][0]
    assert (row["low"], row["high"]) == (0.4, 5)


def test_a_grid_diverges_around_zero_only_where_it_has_negative_values() -> None:
    def domain(values: tuple[tuple[float | None, ...], ...]) -> list[float]:
        scale = specification(heat(values))["layer"][0]["encoding"]["color"]["scale"]
        found: list[float] = scale["domain"]
        return found

    assert domain(((1.0, -3.0),)) == [-3.0, 0, 3.0]
    assert domain(((1.0, 2.0),)) == [0, 2.0]
    assert domain(((None, 0.0),)) == [0, 1.0]


# --- the drawing process -----------------------------------------------------


@pytest.mark.slow
def test_every_figure_is_drawn_the_same_twice_and_shows_its_names() -> None:
    figures = [block for block in blocks() if isinstance(block, Bars | Lines | Heat)]
    specs = [specification(figure) for figure in figures]
    first = draw(specs, 60)
    assert draw(specs, 60) == first
    assert "head.linear" in texts(first[0])
    assert {"captum rule", "trapezoid"} <= set(texts(first[1]))
    assert "\u22125.68" in texts(first[2])


@pytest.mark.slow
def test_the_smallest_and_largest_figures_can_be_drawn() -> None:
    many = tuple(
        Bar(label=f"layer {index}", value=index - 200.5, low=index - 201.0, high=index * 1.0) for index in range(400)
    )
    crowd = tuple(Point(x=index, y=index % 7, low=0, high=8, series=f"s{index % 11}") for index in range(5000))
    figures = (
        bars(Bar(label="", value=0)),
        bars(*many),
        lines(Point(x=0, y=0)),
        lines(*crowd),
        lines(Point(x=1e-300, y=1e300, low=0, high=1e301), Point(x=1, y=1), x_log=True, y_log=True),
        heat(((None,),)),
        heat(tuple(tuple(float(row - column) for column in range(64)) for row in range(200))),
    )
    drawings = draw([specification(figure) for figure in figures], 120)
    for index, drawing in enumerate(drawings):
        cleaned(drawing, prefix=f"f{index}", title="t", description="d")
    assert "layer 399" in texts(drawings[1])


@pytest.mark.slow
def test_a_drawing_that_hangs_is_ended_at_the_deadline(tmp_path: Path) -> None:
    named = tmp_path / "pid"
    hang = f"import os, pathlib, time; pathlib.Path({str(named)!r}).write_text(str(os.getpid())); time.sleep(600)"
    began = time.monotonic()
    with pytest.raises(DrawingFailed, match=r"figures \(1\) were not drawn within 2 s"):
        draw([{}], 2, command=(sys.executable, "-c", hang))
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(named.read_text()), 0)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('out of paper')", "ended with 1: out of paper"),
        ("import os; os.abort()", "ended with -6: it said nothing"),
        ("print('<svg/>')", "not a JSON object"),
        ("print('[]')", "not a JSON object"),
        ("print('{\"drawings\": []}')", "something else than 1 drawings"),
        ("print('{\"drawings\": [3]}')", "something else than 1 drawings"),
        ('print(\'{"error": "too wide"}\')', "could not be drawn: too wide"),
    ],
)
def test_a_drawing_process_that_fails_is_reported(program: str, said: str) -> None:
    with pytest.raises(DrawingFailed, match=said.replace("[", r"\[")):
        draw([{}], 30, command=(sys.executable, "-c", program))


def test_a_specification_that_is_none_is_reported_with_its_place() -> None:
    with pytest.raises(DrawingFailed, match=r"figure 2 of 2"):
        draw([specification(bars(Bar(label="a", value=1))), {"mark": 7}], 60)


@pytest.mark.slow
def test_a_specification_cannot_fetch(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps([{"a": "found-it"}]))
    for url in ("http://127.0.0.1:9/x.json", secret.as_uri(), str(secret)):
        spec = {"data": {"url": url}, "mark": "text", "encoding": {"text": {"field": "a"}}}
        try:
            drawings = draw([spec], 60)
        except DrawingFailed:
            continue
        assert "found-it" not in drawings[0]


def test_nothing_of_the_environment_but_the_package_reaches_the_drawing_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMINA_API_KEY", "secret")
    program = "import json, os; print(json.dumps({'drawings': [' '.join(sorted(os.environ))]}))"
    (names,) = draw([{}], 30, command=(sys.executable, "-c", program))
    assert set(names.split()) <= {"LANG", "LC_CTYPE", "PYTHONPATH", "TZ"}


def test_no_figures_need_no_process() -> None:
    assert draw([], 1, command=("/nonexistent",)) == []


# --- safe drawings -----------------------------------------------------------


def svg(inside: str) -> str:
    return f'<svg xmlns="{SVG}" xmlns:xlink="http://www.w3.org/1999/xlink">{inside}</svg>'


@pytest.mark.parametrize(
    "drawing",
    [
        svg("<script>alert(1)</script>"),
        svg('<g onclick="alert(1)"/>'),
        svg('<a href="https://example.org"><text>x</text></a>'),
        svg('<image xlink:href="https://example.org/a.png"/>'),
        svg('<use xlink:href="#a"/>'),
        svg('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>'),
        svg('<rect fill="url(https://example.org/#a)"/>'),
        svg('<rect fill="URL(//example.org/a)"/>'),
        svg('<rect fill="u\\72l(//example.org)"/>'),
        svg('<rect style="fill:red"/>'),
        svg("<style>*{}</style>"),
        svg('<g id="a b"/>'),
        svg('<g xlink:href="#a"/>'),
        f'<!DOCTYPE svg [<!ENTITY a "b">]>{svg("&a;")}',
        svg("<!-- a -->"),
        svg("<![CDATA[x]]>"),
        "<?xml-stylesheet href='a'?>" + svg(""),
        "<svg><g></svg>",
        "<html/>",
        "<svg/>",
        svg('<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>'),
    ],
)
def test_a_drawing_that_holds_more_than_a_chart_is_refused(drawing: str) -> None:
    with pytest.raises(UnsafeDrawing):
        cleaned(drawing, prefix="f", title="t", description="d")


def test_a_cleaned_drawing_has_its_own_ids_and_words_to_read_out() -> None:
    drawing = svg('<defs><clipPath id="c"><rect/></clipPath></defs><g clip-path="url(#c)"><text>1 &lt; 2</text></g>')
    root = ET.fromstring(cleaned(drawing, prefix="figure-2-1", title="A <b>", description="\x00"))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "figure-2-1-title figure-2-1-desc"
    assert [(element.get("id"), element.text) for element in root[:2]] == [
        ("figure-2-1-title", "A <b>"),
        ("figure-2-1-desc", "\ufffd"),
    ]
    assert root.find(f".//{{{SVG}}}clipPath").get("id") == "figure-2-1-c"  # type: ignore[union-attr]  # it is there
    assert root.find(f".//{{{SVG}}}g").get("clip-path") == "url(#figure-2-1-c)"  # type: ignore[union-attr]  # as above
    assert texts(ET.tostring(root, encoding="unicode")) == ["1 < 2"]


# --- a whole report ----------------------------------------------------------


@pytest.mark.slow
def test_the_same_report_composes_to_the_same_bytes_with_ids_that_do_not_clash() -> None:
    first = compose(rich(), PICTURES, 60)
    assert compose(rich(), PICTURES, 60) == first
    html = first.html.decode()
    assert html.count('role="img"') == 3
    ids = [part.split('"', 1)[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_a_hostile_report_composes() -> None:
    html = compose(hostile(), PICTURES, 60).html.decode()
    assert "<script" not in html
    assert html.count('role="img"') == 3


def test_a_picture_other_than_the_one_the_twin_names_is_refused() -> None:
    with pytest.raises(PictureMismatch, match=r"overlay\.png"):
        compose(rich(), {("a-1", "overlay.png"): png(2, 2)}, 60)


def test_a_drawing_that_is_not_safe_fails_the_report() -> None:
    def evil(specs: object, deadline_seconds: float) -> list[str]:
        return [svg("<script/>")] * 3

    with pytest.raises(DrawingFailed, match="holds a <script> element"):
        compose(rich(), PICTURES, 60, drawing=evil)
