"""How is a figure drawn? Closed values in, a Vega-Lite specification of our own out.

What a child wrote enters only as inline data and as labels, never as a field name, an expression or an address.
Vega-Lite 6.4 is what the drawing process carries. Equal figures give equal specifications.
"""

import math
from collections.abc import Mapping, Sequence

from service.contracts.section import Bar, Bars, Heat, Lines, Point, display
from service.report.style import (
    ABSENT,
    DASHES,
    INK,
    MIDDLE,
    MUTED,
    NEGATIVE,
    POSITIVE,
    SHAPES,
    Spec,
    by_series,
    chart,
    cycled,
    distinct,
    numbered,
    titled,
)

Figure = Bars | Lines | Heat
INTERVALS_AS_RULES = 200
"""Above this many points intervals are drawn as a band: rules would hide the line."""


def specification(figure: Figure) -> Spec:
    """The Vega-Lite specification of a figure."""
    if isinstance(figure, Bars):
        return _bars(figure)
    if isinstance(figure, Lines):
        return _lines(figure)
    return _heat(figure)


# --- bars ------------------------------------------------------------------------------------------------------------


def _bars(figure: Bars) -> Spec:
    groups = distinct(bar.group for bar in figure.bars)
    rows, names = _bar_rows(figure.bars, groups)
    side_by_side = len(names) < len(figure.bars)
    signed = any(bar.value < 0 for bar in figure.bars)
    long = len(names) > 24
    y: Spec = {
        "field": "row",
        "type": "ordinal",
        "axis": {"title": None, "labelExpr": "labels[datum.value]", "domain": False, "ticks": False, "labelPadding": 8},
        "scale": {"paddingInner": 0.28, "paddingOuter": 0.2},
    }
    x: Spec = {
        "field": "value",
        "type": "quantitative",
        "axis": {
            "title": titled(figure.value_title, figure.unit),
            "orient": "top" if long else "bottom",
            "tickCount": 7,
        },
    }
    placed: Spec = {"y": y}
    if side_by_side:
        placed["yOffset"] = {"field": "group", "type": "ordinal", "sort": None}
    coloured: Spec = {"value": POSITIVE}
    if set(groups) != {""}:
        coloured = by_series(list(groups.values()), "group")
    elif signed:
        coloured = {
            "field": "sign",
            "type": "nominal",
            "scale": {"domain": ["above zero", "below zero"], "range": [POSITIVE, NEGATIVE]},
            "legend": None,
        }
    interval = {**placed, "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    layers: list[Spec] = [
        {"mark": {"type": "bar"}, "encoding": {**placed, "x": x, "color": coloured}},
        {"mark": {"type": "rule", "color": INK, "strokeWidth": 1.2}, "encoding": interval},
        *(_ends(placed, end) for end in ("low", "high")),
        {"mark": {"type": "rule", "color": MUTED, "strokeWidth": 1}, "encoding": {"x": {"datum": 0}}},
    ]
    step = 13 if len(names) > 60 else 18 if long else 24
    if side_by_side:
        step = 12 * len(groups) + 8
    return chart(layers, values=rows, height={"step": step, "for": "position"}, params=[numbered(names, "labels")])


def _bar_rows(bars: Sequence[Bar], groups: Mapping[str, str]) -> tuple[list[Spec], list[str]]:
    """Each bar with the row it stands in. Bars of several groups share a row where their labels are equal."""
    rows: list[Spec] = []
    names: list[str] = []
    taken: dict[tuple[str, str], int] = {}
    at: dict[tuple[str, int], int] = {}
    for bar in bars:
        turn = taken.get((bar.label, bar.group), 0)  # an equal label in the same group is another bar, not this one
        taken[bar.label, bar.group] = turn + 1
        if (bar.label, turn) not in at:
            at[bar.label, turn] = len(names)
            names.append(bar.label)
        rows.append(
            {
                "row": at[bar.label, turn],
                "value": bar.value,
                "low": bar.low,
                "high": bar.high,
                "group": groups[bar.group],
                "sign": "below zero" if bar.value < 0 else "above zero",
            }
        )
    return rows, names


def _ends(placed: Spec, end: str) -> Spec:
    mark = {"type": "tick", "color": INK, "thickness": 1.2, "size": 7}
    return {"mark": mark, "encoding": {**placed, "x": {"field": end, "type": "quantitative"}}}


# --- lines -----------------------------------------------------------------------------------------------------------


def _lines(figure: Lines) -> Spec:
    x_log, y_log, drawn = _placeable(figure)
    floor = min(point.y for point in drawn) / 10 if y_log else None
    names = distinct(point.series for point in figure.points)
    shown = list(names.values())
    rows = [_line_row(point, floor, names) for point in drawn]
    x = _axis("x", figure.x_title, log=x_log, values=[point.x for point in drawn])
    y = _axis("y", figure.y_title, log=y_log, values=[point.y for point in drawn])
    rules = len(rows) <= INTERVALS_AS_RULES
    told: Spec = {"color": {"value": POSITIVE}}
    dashed: Spec = {}
    shaped: Spec = {}
    if len(names) > 1:
        legend = {"symbolStrokeWidth": 0 if rules else 1.8}  # a dash around a point in the legend is no shape
        told = {"color": {**by_series(shown, "series"), "legend": legend}}
        domain = {"field": "series", "type": "nominal", "sort": None}
        dashes = {"domain": shown, "range": cycled(DASHES, len(names))}
        dashed = {"strokeDash": {**domain, "scale": dashes}}
        shaped = {"shape": {**domain, "scale": {"domain": shown, "range": cycled(SHAPES, len(names))}}}
    spread: Spec = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, **told}
    uncertain = [row for row in rows if row["low"] is not None]
    layers: list[Spec] = []
    if uncertain and not rules:
        layers.append({"mark": {"type": "area", "opacity": 0.15}, "encoding": spread, "data": {"values": uncertain}})
    layers.append({"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {"x": x, "y": y, **told, **dashed}})
    if uncertain and rules:
        layers.append({"mark": {"type": "rule", "strokeWidth": 1.2}, "encoding": spread, "data": {"values": uncertain}})
    if rules:
        mark = {"type": "point", "filled": True, "size": 42, "opacity": 1}
        layers.append({"mark": mark, "encoding": {"x": x, "y": y, **told, **shaped}})
    more: Spec = {"height": 300}
    if len(drawn) < len(figure.points):
        more["title"] = "Points at or below zero have no place on a logarithmic axis; they are in the table."
    return chart(layers, values=rows, **more)


def _placeable(figure: Lines) -> tuple[bool, bool, list[Point]]:
    """Whether x and y are logarithmic, and the points that then have a place; linear both where none would have one."""
    x_log = figure.x_log and any(point.x > 0 for point in figure.points)
    y_log = figure.y_log and any(point.y > 0 for point in figure.points)
    drawn = [point for point in figure.points if (point.x > 0 or not x_log) and (point.y > 0 or not y_log)]
    return (x_log, y_log, drawn) if drawn else (False, False, list(figure.points))


def _line_row(point: Point, floor: float | None, names: Mapping[str, str]) -> Spec:
    low = point.low if floor is None or point.low is None else max(point.low, floor)
    whole = low is not None and point.high is not None and low <= point.high
    return {
        "x": point.x,
        "y": point.y,
        "low": low if whole else None,
        "high": point.high if whole else None,
        "series": names[point.series],
    }


def _axis(field: str, title: str, *, log: bool, values: Sequence[float]) -> Spec:
    axis: Spec = {"title": titled(title) + (" \u2013 logarithmic" if log else ""), "tickCount": 7}
    if log and (ticks := _log_ticks(values, own=field == "x")):
        axis |= {"values": ticks, "labelOverlap": True}
    scale: Spec = {"type": "log", "nice": field == "y"} if log else {"zero": False, "nice": True}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _log_ticks(values: Sequence[float], *, own: bool) -> list[float]:
    """Where a logarithmic axis is marked: at its own few values (steps, budgets) or else at powers of ten."""
    distinct = sorted(set(values))
    if own and len(distinct) <= 10:
        return distinct
    low, high = math.log10(distinct[0]), math.log10(distinct[-1])
    return [10.0**power for power in range(math.floor(low), math.ceil(high) + 1)] if high - low >= 2 else []


# --- heat ------------------------------------------------------------------------------------------------------------


def _heat(figure: Heat) -> Spec:
    known = [value for row in figure.values for value in row if value is not None]
    largest = max((abs(value) for value in known), default=0.0) or 1.0
    signed = any(value < 0 for value in known)
    written = len(figure.columns) <= 10 and len(figure.rows) <= 40
    x: Spec = {
        "field": "column",
        "type": "ordinal",
        "axis": {
            "title": titled(figure.column_title),
            "labelExpr": "columns[datum.value]",
            "labelAngle": 0 if len(figure.columns) <= 10 and all(len(name) <= 8 for name in figure.columns) else -45,
            "orient": "top",
            "domain": False,
            "ticks": False,
            "labelPadding": 4,
        },
    }
    y: Spec = {
        "field": "row",
        "type": "ordinal",
        "axis": {
            "title": titled(figure.row_title),
            "labelExpr": "rows[datum.value]",
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
        },
    }
    colour = {
        "field": "value",
        "type": "quantitative",
        "scale": {
            "domain": [-largest, 0, largest] if signed else [0, largest],
            "range": [NEGATIVE, MIDDLE, POSITIVE] if signed else [MIDDLE, POSITIVE],
            "interpolate": "lab",
        },
        "legend": {
            "title": titled(figure.value_title),
            "gradientLength": 260,
            "gradientThickness": 9,
            "orient": "bottom",
            "titleFontWeight": "normal",
            "titleColor": MUTED,
            "titleLimit": 520,
        },
    }
    rows = _heat_rows(figure, largest)
    absent = [row for row in rows if row["value"] is None]
    place = {"x": x, "y": y}
    layers: list[Spec] = [
        {"mark": {"type": "rect", "stroke": "white", "strokeWidth": 1}, "encoding": {**place, "color": colour}},
    ]
    if absent:
        mark = {"type": "rect", "stroke": "white", "strokeWidth": 1, "color": ABSENT}
        layers.append({"mark": mark, "encoding": place, "data": {"values": absent}})
    if written:
        layers.extend(_written(rows, ink, place) for ink in ("white", INK))
    step = 24 if len(figure.rows) <= 24 else 14
    return chart(
        layers,
        values=rows,
        height={"step": step},
        params=[numbered(figure.rows, "rows"), numbered(figure.columns, "columns")],
    )


def _written(rows: Sequence[Spec], ink: str, place: Spec) -> Spec:
    """The values of the cells on which this ink can be read."""
    mark = {"type": "text", "fontSize": 10, "color": ink}
    chosen = [row for row in rows if row["ink"] == ink]
    return {"mark": mark, "encoding": {**place, "text": {"field": "text"}}, "data": {"values": chosen}}


def _heat_rows(figure: Heat, largest: float) -> list[Spec]:
    return [
        {
            "row": row,
            "column": column,
            "value": value,
            "text": "\u2013" if value is None else display(value, 3),
            "ink": "white" if value is not None and abs(value) > 0.75 * largest else INK,
        }
        for row, values in enumerate(figure.values)
        for column, value in enumerate(values)
    ]
