"""What was measured layer by layer? A row per layer, a column per metric; what was not measured is said."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from service.contracts.section import Blank, Cell, Column, Table, Word, exact
from service.contracts.vocabulary import METRICS
from service.report.compliance import measured, wording
from service.report.compliance.back import LayerDiagnostics, LayerTable
from service.report.compliance.given import Given, Measured
from service.report.wording import clipped

COLUMNS = 6
"""Metrics beside each other in one table: more than that no page holds."""
HEALTH = {
    "dead_unit_share": "Dead units: no analysis in this window measured their share.",
    "nonfinite_count": "Values that are no numbers: no analysis in this window looked for them layer by layer.",
    "gradient_norm": "Gradient flow: no analysis in this window measured it layer by layer.",
}
NOTHING = "No analysis in this window measured layers: their health is unknown, which is not the same as good."
SAID = "The latest measurement of each layer; a dash where a layer has no such number."


def layers(given: Given) -> LayerDiagnostics:
    """One table for each analysis that measured layers."""
    found = sorted(
        (each for each in given.measurements if each.layer is not None),
        key=lambda each: (each.kind, each.analysis),
    )
    tables = [
        table
        for analysis, run in groupby(found, key=lambda each: each.analysis)
        for table in _tables(analysis, list(run), given)
    ]
    seen = {each.metric for each in found}
    return LayerDiagnostics(
        said=SAID if tables else NOTHING,
        tables=tuple(tables),
        not_measured=tuple(said for metric, said in HEALTH.items() if metric not in seen),
    )


class Place(NamedTuple):
    """A column: a metric, what else tells its points apart, and whether it is the approved baseline's value."""

    metric: str
    beside: str
    baseline: bool = False


def _tables(analysis: str, found: Sequence[Measured], given: Given) -> list[LayerTable]:
    title = measured.title_of(found[0], measured.titles(given))
    measures = sorted({Place(each.metric, _beside(each)) for each in found})
    against = {Place(each.metric, _beside(each), baseline=True) for each in found if each.baseline is not None}
    columns = sorted({*measures, *against})
    return [
        LayerTable(analysis=analysis, table=_table(title, found, columns[start : start + COLUMNS]))
        for start in range(0, len(columns), COLUMNS)
    ]


def _table(title: str, found: Sequence[Measured], columns: Sequence[Place]) -> Table:
    points = {(each.layer, each.metric, _beside(each)): each for each in found}
    names = list(dict.fromkeys(each.layer or "" for each in found))
    rows = tuple(
        (Word(value=clipped(name)), *(_cell(points.get((name, at.metric, at.beside)), at) for at in columns))
        for name in names[: measured.MOST_ROWS]
    )
    heads = tuple(Column(title=_head(at), unit=_unit(at.metric), align="right") for at in columns)
    note = measured.left_out(len(names), "layer").strip()
    return Table(title=title, columns=(Column(title="Layer"), *heads), rows=rows, note=note)


def _beside(each: Measured) -> str:
    """What tells two points of one layer and one metric apart."""
    about = measured.where(each).split("; ")
    budget = [f"\u03b5 {exact(each.epsilon)}"] if each.epsilon is not None else []
    return "; ".join([one for one in about if not one.startswith(("layer ", "on "))] + budget)


def _head(at: Place) -> str:
    title = wording.title_of(at.metric) + (f" ({at.beside})" if at.beside else "")
    return wording.name(f"{title}, approved baseline" if at.baseline else title)


def _unit(metric: str) -> str:
    return clipped(METRICS[metric].unit, 64) if metric in METRICS else ""


def _cell(each: Measured | None, at: Place) -> Cell:
    if each is None:
        return Blank(because="not measured for this layer")
    return measured.baseline(each) if at.baseline else measured.number(each)
