"""How are the three charts drawn? Counts as a parted bar, history as a line with its threshold, accuracy over budgets.

Values of the twin in, SVG out, the same for page and document: shapes and few labels, each element with a class so that
a page can recolour it. Colour never stands alone: statuses differ by shape, curves by dash.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from service.contracts.section import exact
from service.report.compliance.blocks import Chart, Document
from service.report.html import resolve
from service.report.style import DASHES, MUTED, SERIES, cycled, distinct

PAGE_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
TONES: Mapping[str, str] = {
    "met": "#2b6a99",
    "not_met": "#9b2c1f",
    "stale": "#b07a12",
    "insufficient_evidence": "#7d8a97",
    "not_applicable": "#d3d7dc",
}
RULE = "#9aa5b1"
Height = Callable[[float], float]
FAR_APART = 20
"""Budgets whose largest is so many times the smallest are drawn on a logarithmic axis."""


def drawing(chart: Chart, document: Document, *, font: str = PAGE_FONT) -> str:
    """The SVG of a chart, with its title and description inside."""
    values = [resolve(document, pointer) for pointer in chart.pointers]
    if chart.kind == "statuses":
        width, height, body = 720, 22, list(_statuses(values[0]))
    elif chart.kind == "history":
        width, height, body = 300, 62, list(_history(values[0]["history"]))
    else:
        width, height, body = 720, 290, list(_curves(values))
    stretched = ' preserveAspectRatio="none"' if chart.kind == "statuses" else ""
    name, told = f"{chart.anchor}-title", f"{chart.anchor}-told"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f'{stretched} role="img" aria-labelledby="{name} {told}" font-family={quoteattr(font)} font-size="11">'
        f'<title id="{name}">{_text(chart.title)}</title><desc id="{told}">{_text(chart.description)}</desc>'
        f"{''.join(body)}</svg>"
    )


def _text(text: str) -> str:
    return escape("".join("\ufffd" if ord(one) < 32 else one for one in text))


def _element(name: str, style: str, **attributes: str | float) -> str:
    written = "".join(
        f" {key.replace('_', '-')}={quoteattr(value if isinstance(value, str) else _plain(value))}"
        for key, value in attributes.items()
    )
    return f'<{name} class="{style}"{written}/>'


def _plain(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _label(x: float, y: float, text: str, anchor: str = "start", style: str = "c-muted") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{MUTED}">{_text(text)}</text>'


def _segment(
    style: str, ends: tuple[float, float, float, float], colour: str, *, width: float = 1.0, dash: str = ""
) -> str:
    x1, y1, x2, y2 = ends
    more = {"stroke_dasharray": dash} if dash else {}
    return _element("line", style, x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=width, **more)


# --- statuses --------------------------------------------------------------------------------------------------------


def _statuses(counts: Document) -> Iterator[str]:
    """A bar of 720 units, parted by the counts; a count of zero has no part."""
    total = counts["total"]["value"] or 1
    x = 0.0
    for tone, colour in TONES.items():
        width = 720 * counts[tone]["value"] / total
        if width:
            yield _element("rect", f"t-{tone}", x=x, y=1.0, width=max(width - 1.5, 0.5), height=20.0, fill=colour)
        x += width


# --- history ---------------------------------------------------------------------------------------------------------


def _history(points: Sequence[Document]) -> Iterator[str]:
    """Evenly spaced periods; a period without a value is a cross at the foot, the threshold a dashed line."""
    low, high = _range(points)
    left, right, top, bottom = 8.0, 292.0, 8.0, 48.0
    step = (right - left) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    at = [left + step * place for place in range(len(points))]
    yield _segment("c-rule", (left, 56.0, right, 56.0), RULE, width=0.6)
    yield from _thresholds(points, at, y, step)
    known = [(x, point) for x, point in zip(at, points, strict=True) if point["number"]["type"] == "number"]
    for x, point in known:
        number = point["number"]
        if number["low"] is not None and number["high"] is not None:
            yield _segment("c-band", (x, y(number["low"]), x, y(number["high"])), RULE, width=1.4)
    for (x, point), (after, following) in pairwise(known):
        if after - x < 1.5 * step:
            ends = (x, y(point["number"]["value"]), after, y(following["number"]["value"]))
            yield _segment("c-line", ends, MUTED, width=1.1)
    for x, point in zip(at, points, strict=True):
        place = y(point["number"]["value"]) if point["number"]["type"] == "number" else 56.0
        yield _mark(x, place, point["status"] if point["number"]["type"] == "number" else "insufficient_evidence")


def _range(points: Sequence[Document]) -> tuple[float, float]:
    """The lowest and highest of values, interval ends and thresholds, with some air."""
    seen = [
        value
        for point in points
        for value in (
            *(point["number"].get(name) for name in ("value", "low", "high")),
            point["threshold"].get("value"),
        )
        if value is not None
    ]
    if not seen:
        return 0.0, 1.0
    low, high = min(seen), max(seen)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - air, high + air


def _thresholds(points: Sequence[Document], at: Sequence[float], y: Height, step: float) -> Iterator[str]:
    for x, point in zip(at, points, strict=True):
        value = point["threshold"].get("value")
        if value is not None:
            ends = (max(x - step / 2, 2.0), y(value), min(x + step / 2, 298.0), y(value))
            yield _segment("c-threshold", ends, "#9b2c1f", width=1.0, dash="3 2")


def _mark(x: float, y: float, tone: str) -> str:
    """A status as a shape: circle met, square not met, diamond stale, cross insufficient, ring not applicable."""
    colour, style = TONES[tone], f"t-{tone}"
    if tone == "not_met":
        return _element("rect", style, x=x - 3.2, y=y - 3.2, width=6.4, height=6.4, fill=colour)
    if tone == "stale":
        return _element("path", style, d=f"M{x:.1f} {y - 4.4:.1f}l4.4 4.4l-4.4 4.4l-4.4 -4.4z", fill=colour)
    if tone == "insufficient_evidence":
        path = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6"
        return _element("path", "s-insufficient", d=path, stroke=colour, stroke_width=1.8, fill="none")
    if tone == "not_applicable":
        return _element("circle", "s-none", cx=x, cy=y, r=2.8, stroke=RULE, stroke_width=1.2, fill="none")
    return _element("circle", style, cx=x, cy=y, r=3.2, fill=colour)


# --- curves ----------------------------------------------------------------------------------------------------------


def _curves(curves: Sequence[Document]) -> Iterator[str]:
    """Accuracy from 0 to 1 over the budgets measured, with bands for intervals."""
    left, right, top, bottom = 46.0, 706.0, 34.0, 246.0
    budgets = sorted({point["epsilon"]["value"] for curve in curves for point in curve["points"]})
    log = budgets[0] > 0 and budgets[-1] / budgets[0] > FAR_APART
    first, last = (math.log(budgets[0]), math.log(budgets[-1])) if log else (min(0.0, budgets[0]), budgets[-1])

    def x(budget: float) -> float:
        placed = math.log(budget) if log else budget
        return left + (placed - first) / ((last - first) or 1.0) * (right - left)

    def y(share: float) -> float:
        return bottom - min(max(share, 0.0), 1.0) * (bottom - top)

    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield _segment("c-grid", (left, y(tick), right, y(tick)), "#e4e7eb")
        yield _label(left - 6, y(tick) + 4, exact(tick), "end")
    yield from _budget_ticks(budgets, x, bottom)
    title = f"budget \u03b5, {curves[0]['unit']}{', logarithmic' if log else ''}"
    yield _label((left + right) / 2, 284, title, "middle")
    names = distinct(curve["label"] for curve in curves)
    dashes = cycled([" ".join(str(one) for one in dash) if dash[1] else "" for dash in DASHES], len(curves))
    for turn, curve in enumerate(curves):
        colour, style = SERIES[turn % len(SERIES)], f"k-{turn % len(SERIES)}"
        dash = dashes[turn]
        yield from _band(curve["points"], x, y, colour, style)
        yield from _line(curve["points"], x, y, (colour, style, dash))
        across = left + turn * (right - left) / max(len(curves), 1)
        yield _segment(style, (across, 14.0, across + 22.0, 14.0), colour, width=1.8, dash=dash)
        yield _label(across + 28, 18, names[curve["label"]], style="c-ink")


def _budget_ticks(budgets: Sequence[float], x: Height, bottom: float) -> Iterator[str]:
    """A label at each budget that has room for it."""
    taken = -math.inf
    for budget in budgets:
        if x(budget) - taken > 34:
            taken = x(budget)
            yield _segment("c-rule", (taken, bottom, taken, bottom + 4), RULE)
            yield _label(taken, bottom + 18, exact(budget), "middle")


def _band(points: Sequence[Document], x: Height, y: Height, colour: str, style: str) -> Iterator[str]:
    whole = [p for p in points if p["accuracy"]["low"] is not None and p["accuracy"]["high"] is not None]
    if len(whole) < 2:
        return
    edge = [(x(p["epsilon"]["value"]), y(p["accuracy"]["high"])) for p in whole]
    edge += [(x(p["epsilon"]["value"]), y(p["accuracy"]["low"])) for p in reversed(whole)]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in edge) + "z"
    yield _element("path", f"{style} band", d=path, fill=colour, fill_opacity=0.14)


def _line(points: Sequence[Document], x: Height, y: Height, look: tuple[str, str, str]) -> Iterator[str]:
    colour, style, dash = look
    placed = [(x(p["epsilon"]["value"]), y(p["accuracy"]["value"])) for p in points]
    more = {"stroke_dasharray": dash} if dash else {}
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in placed)
    yield _element("path", f"{style} stroke", d=path, fill="none", stroke=colour, stroke_width=1.8, **more)
    for a, b in placed:
        yield _element("circle", style, cx=a, cy=b, r=3.0, fill=colour)
