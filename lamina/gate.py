"""May this version go out? Rules over what was measured, each judged three ways; pure, so that it can be replayed.

A rule names a metric and a threshold, the number of examples and the age that count, and how much worse than the
approved baseline it may be. What is not surely good is inconclusive, and inconclusive does not pass unless the policy
says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, tostring

from pydantic import Field

from service.contracts.api import MeasurementView, Version
from service.contracts.base import WHOLE, LayerName, Name, Value
from service.contracts.vocabulary import METRICS

Comparator = Literal["<=", ">=", "==", "<", ">"]
Status = Literal["pass", "fail", "inconclusive", "missing"]


class GateRule(Value):
    """One thing that must hold."""

    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = Field(description="A word of the vocabulary.")
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = Field(None, description="Kind of analysis.")
    layer: LayerName | None = Field(None, description="This layer only.")
    class_name: Name | None = Field(None, description="This class only.")
    facets: dict[Name, Name] = Field(default_factory=dict, description="Facets that a point must have.")
    op: Comparator | None = Field(None, description="How the value compares with `threshold`.")
    threshold: float | None = None
    rule: Literal["ci", "point"] = Field("ci", description="Whether the whole interval must be on the good side.")
    most_regression: Annotated[float, Field(ge=0)] | None = Field(
        None, description="How much worse than the approved baseline, by the metric's direction, in its unit."
    )
    min_n: Annotated[int, Field(ge=1), WHOLE] = Field(1, description="Examples that are enough.")
    max_age_days: Annotated[float, Field(gt=0)] | None = Field(None, description="Older points do not count.")


class GatePolicy(Value):
    """What a version must show."""

    model: Name = Field(description="Name of the model.")
    version: Version | None = Field(None, description="Its version; null: that of the newest points.")
    on_inconclusive: Literal["fail", "pass"] = "fail"
    rules: Annotated[tuple[GateRule, ...], Field(min_length=1, max_length=200, strict=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One rule, what answered it, and what that shows."""

    rule: GateRule
    status: Status
    said: str
    point: MeasurementView | None = None

    @property
    def title(self) -> str:
        """The rule in a line."""
        rule = self.rule
        where = [rule.kind, rule.layer, rule.class_name, *(f"{name}={value}" for name, value in rule.facets.items())]
        beside = f" ({', '.join(each for each in where if each)})" if any(where) else ""
        asked = [] if rule.op is None else [f"{rule.op} {rule.threshold:g}"]
        asked += [] if rule.most_regression is None else [f"at most {rule.most_regression:g} worse than the baseline"]
        return f"{rule.metric}{beside} {' and '.join(asked)}"


def faults(policy: GatePolicy) -> list[str]:
    """What is wrong with a policy that reads well, each with its rule's number."""
    found = []
    for number, rule in enumerate(policy.rules, start=1):
        if rule.metric not in METRICS:
            found.append(f"rule {number}: {rule.metric!r} is no word of the measurement vocabulary")
        elif rule.most_regression is not None and METRICS[rule.metric].direction == "no direction":
            found.append(f"rule {number}: {rule.metric} has no direction, so nothing is worse than another")
        if (rule.op is None) != (rule.threshold is None):
            found.append(f"rule {number}: give both op and threshold, or neither")
        if rule.op is None and rule.most_regression is None:
            found.append(f"rule {number}: give a threshold or most_regression: it demands nothing")
        if rule.op == "==" and rule.rule == "ci":
            found.append(f"rule {number}: == goes with rule: point")
    return found


def judged(
    policy: GatePolicy,
    points: Sequence[MeasurementView],
    baseline: Mapping[str, MeasurementView],
    now: datetime,
) -> tuple[Verdict, ...]:
    """Every rule. `points`: of the version, any order; `baseline`: series key -> the approved baseline's point."""
    return tuple(_judged(rule, points, baseline, now) for rule in policy.rules)


def passes(policy: GatePolicy, verdicts: Sequence[Verdict]) -> bool:
    """Whether the version may go out."""
    fine = {"pass", "inconclusive"} if policy.on_inconclusive == "pass" else {"pass"}
    return all(each.status in fine for each in verdicts)


def junit(title: str, verdicts: Sequence[Verdict]) -> bytes:
    """The verdicts as JUnit XML: a failure for what failed, an error for what nothing was measured of."""
    suite = Element("testsuite", name=_text(title), tests=str(len(verdicts)))
    suite.set("failures", str(sum(each.status in {"fail", "inconclusive"} for each in verdicts)))
    suite.set("errors", str(sum(each.status == "missing" for each in verdicts)))
    for each in verdicts:
        case = SubElement(suite, "testcase", classname=_text(title), name=_text(each.title))
        if each.status != "pass":
            SubElement(case, "error" if each.status == "missing" else "failure", message=_text(each.said))
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suite)


def markdown(title: str, verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a summary for a pipeline's page."""
    rows = "".join(f"| {each.status} | {_cell(each.title)} | {_cell(each.said)} |\n" for each in verdicts)
    return f"### {_cell(title)}\n\n| | rule | found |\n| --- | --- | --- |\n{rows}"


def _judged(
    rule: GateRule, points: Sequence[MeasurementView], baseline: Mapping[str, MeasurementView], now: datetime
) -> Verdict:
    oldest = None if rule.max_age_days is None else now - timedelta(days=rule.max_age_days)
    fitting = [point for point in points if _fits(rule, point)]
    if not fitting:
        return Verdict(rule=rule, status="missing", said="nothing of this was measured")
    newest = _newest(fitting)
    fresh = [point for point in newest if oldest is None or point.created_at >= oldest]
    if not fresh:
        last = max(point.created_at for point in newest)
        return Verdict(rule=rule, status="missing", said=f"the newest is of {last:%Y-%m-%d}, and too old")
    verdicts = [_point(rule, point, baseline) for point in fresh]
    order: Sequence[Status] = ("pass", "inconclusive", "missing", "fail")
    return max(verdicts, key=lambda each: order.index(each.status))


def _fits(rule: GateRule, point: MeasurementView) -> bool:
    return (
        point.metric == rule.metric
        and rule.kind in (None, point.kind)
        and rule.layer in (None, point.layer)
        and rule.class_name == point.class_name
        and all(point.facets.get(name) == value for name, value in rule.facets.items())
    )


def _newest(points: Sequence[MeasurementView]) -> list[MeasurementView]:
    """Of each line its newest point, of the newest analysis of each kind."""
    last: dict[str, UUID] = {}
    for point in sorted(points, key=lambda each: (each.created_at, str(each.id))):
        last[point.kind] = point.analysis
    return [point for point in points if point.analysis == last[point.kind]]


def _point(rule: GateRule, point: MeasurementView, baseline: Mapping[str, MeasurementView]) -> Verdict:
    shown = _shown(point)
    if point.n < rule.min_n:
        return Verdict(rule=rule, status="inconclusive", said=f"{shown}; {rule.min_n} are asked for", point=point)
    found: list[tuple[Status, str]] = []
    if rule.op is not None and rule.threshold is not None:
        found.append(_compared(rule.op, rule.threshold, rule.rule, point))
    if rule.most_regression is not None:
        found.append(_regressed(rule, rule.most_regression, point, baseline.get(point.series_key)))
    order: Sequence[Status] = ("pass", "inconclusive", "missing", "fail")
    status, said = max(found, key=lambda each: order.index(each[0]))
    return Verdict(rule=rule, status=status, said=f"{shown}{said}", point=point)


def _compared(op: Comparator, threshold: float, rule: str, point: MeasurementView) -> tuple[Status, str]:
    ends = (point.value, point.value)
    if rule == "ci":
        if point.low is None or point.high is None:
            return "inconclusive", "; it has no interval"
        ends = (point.low, point.high)
    good = [_holds(op, end, threshold) for end in ends]
    if all(good):
        return "pass", ""
    return ("inconclusive", f"; the interval lies on both sides of {threshold:g}") if any(good) else ("fail", "")


def _regressed(
    rule: GateRule, most: float, point: MeasurementView, before: MeasurementView | None
) -> tuple[Status, str]:
    if before is None:
        return "missing", "; the approved baseline has no such line"
    worse = (
        before.value - point.value
        if METRICS[rule.metric].direction == "higher is better"
        else point.value - before.value
    )
    if METRICS[rule.metric].direction == "closer to zero is better":
        worse = abs(point.value) - abs(before.value)
    said = f"; the baseline has {before.value:.4g}"
    if worse > most:
        return "fail", f"{said}, which is {worse:.4g} better"
    return "pass", said


def _holds(op: Comparator, value: float, threshold: float) -> bool:
    return {
        "<=": value <= threshold,
        ">=": value >= threshold,
        "==": value == threshold,
        "<": value < threshold,
        ">": value > threshold,
    }[op]


def _shown(point: MeasurementView) -> str:
    interval = "" if point.low is None or point.high is None else f" [{point.low:.4g}, {point.high:.4g}]"
    where = f" at {point.layer}" if point.layer else ""
    return f"{point.value:.4g}{interval}{where}, n = {point.n}"


def _text(words: str) -> str:
    """What XML can hold."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


def _cell(words: str) -> str:
    """Words in a cell of a Markdown table: no markup, no line ends."""
    plain = _text(words)
    for mark in "\\`*_{}[]<>#|":
        plain = plain.replace(mark, "\\" + mark)
    return plain
