"""Which measurement is which? Order, place and number of the latest point of each line, as sections show them."""

from collections.abc import Collection

from service.contracts.section import Blank, Number, exact
from service.report.compliance import wording
from service.report.compliance.given import Analysed, Given, Measured
from service.report.wording import clipped

MOST_ROWS = 400
"""Rows of one table: past that a report is no report; the rest is told, and stands in the analyses' own reports."""


def analyses_of(given: Given, families: Collection[str]) -> tuple[Analysed, ...]:
    """The analyses of some families that ended well, by title."""
    found = [each for each in given.analyses if each.family in families and each.state == "succeeded"]
    return tuple(sorted(found, key=lambda each: (each.title, each.id)))


def titles(given: Given) -> dict[str, str]:
    """Analysis -> the title of its kind."""
    return {each.id: wording.name(each.title) for each in given.analyses}


def title_of(each: Measured, known: dict[str, str]) -> str:
    """What the kind of a measurement is called."""
    return known.get(each.analysis, wording.name(each.kind.replace("_", " ")))


def ordered(given: Given, metrics: Collection[str]) -> list[Measured]:
    """The measurements of some metrics, in the order of `metrics`, then by kind, place and budget."""
    place = {metric: index for index, metric in enumerate(metrics)}
    found = [each for each in given.measurements if each.metric in place]
    return sorted(
        found,
        key=lambda each: (place[each.metric], each.kind, where(each), each.epsilon or 0.0, each.id),
    )


def where(each: Measured) -> str:
    """What a measurement is about, beside its metric: layer, class, target, facets, data."""
    parts = [
        *([f"layer {each.layer}"] if each.layer else []),
        *([f"class {each.class_name}"] if each.class_name else []),
        *([f"target {each.target}"] if each.target else []),
        *(f"{name} {value}" for name, value in sorted(each.facets.items())),
        *([f"on {each.dataset}"] if each.dataset else []),
    ]
    return clipped("; ".join(parts), 1000)


def number(each: Measured) -> Number:
    """The value with its interval."""
    return wording.estimate(each.value, each.low, each.high, each.n, metric=each.metric)


def baseline(each: Measured) -> Number | Blank:
    """What the approved baseline holds for the same line."""
    return wording.estimate_or(each.baseline, "no approved baseline for this line", metric=each.metric)


def left_out(count: int, what: str) -> str:
    """A sentence where a table is cut: nothing is dropped silently."""
    if count <= MOST_ROWS:
        return ""
    return (
        f" Of {wording.plural(count, what)} the first {exact(MOST_ROWS)} are shown; all are in the reports of"
        " the analyses."
    )
