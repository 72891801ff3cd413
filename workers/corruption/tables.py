"""Which figures and tables hold the numbers of corruptions?"""

from __future__ import annotations

from service.contracts.section import Cell as TableCell
from service.contracts.section import Column, Heat, Lines, Number, Point, Table, Word
from workers.corruption.outcome import Average, CorruptionOutcome

_MOST_ROWS = 2000
WORDS = {
    "accuracy": ("Accuracy", "Accuracy lost"),
    "agreement": ("Agreement with the clean answer", "Agreement lost"),
    "shift": ("Mean absolute shift of the output", "Shift of the output"),
    "error": ("Reconstruction error", "Error added"),
}
"""What a value and a drop are called, by reading."""

_INTERVALS = (
    "Wilson for shares of examples, Agresti and Coull for means of shares, Agresti and Min for paired drops, the"
    " bootstrap for numbers without bounds"
)


def right(title: str, unit: str = "") -> Column:
    """A column of numbers."""
    return Column(title=title[:128], unit=unit, align="right")


def number(of: Average, unit: str) -> Number:
    """A mean with its interval."""
    return Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n)


def grid(outcome: CorruptionOutcome) -> Heat:
    """A row for each corruption, a column for each severity: how much worse than clean."""
    value, drop = WORDS[outcome.reading]
    by = {(each.corruption, each.severity): each.drop.value for each in outcome.cells}
    sign = -1.0 if outcome.higher_is_better else 1.0
    return Heat(
        title=f"{drop}, by corruption and severity",
        row_title="Corruption",
        column_title="Severity",
        value_title=f"{value} against clean ({outcome.unit})",
        rows=tuple(each.title for each in outcome.kinds),
        columns=tuple(str(each) for each in outcome.severities),
        values=tuple(
            tuple(sign * by[each.corruption, severity] for severity in outcome.severities) for each in outcome.kinds
        ),
        table=_cells(outcome),
        caption="The corrupted less the clean value: below zero is "
        + ("worse" if outcome.higher_is_better else "better")
        + ". Strengths are in the table; severities of different corruptions cannot be compared.",
    )


def _cells(outcome: CorruptionOutcome) -> Table:
    value, drop = WORDS[outcome.reading]
    return Table(
        title="Every corruption and severity",
        columns=(
            Column(title="Corruption"), right("Severity"), right("Strength"), right(value, outcome.unit),
            right(drop, outcome.unit), right("Distance"), right("Unchanged"), right("Not finite"),
        ),
        rows=tuple(
            (
                Word(value=each.corruption), Number(value=each.severity, count=True), Number(value=each.strength),
                number(each.value, outcome.unit), number(each.drop, outcome.unit), Number(value=each.distance),
                Number(value=each.unchanged, count=True), Number(value=each.not_finite, count=True),
            )
            for each in outcome.cells
        )[:_MOST_ROWS],
        note=f"95 %: {_INTERVALS}."
        f" Distance: {outcome.distance_unit}. Unchanged: examples that the corruption left as they are.",
    )  # fmt: skip


def curves(outcome: CorruptionOutcome) -> Lines:
    """A line for each group of corruptions over severity, beginning at the clean value."""
    value = WORDS[outcome.reading][0]
    groups = list(dict.fromkeys(each.group for each in outcome.groups))
    clean = [
        Point(x=0, y=outcome.clean.value, low=outcome.clean.low, high=outcome.clean.high, series=group)
        for group in groups
    ]
    own = [
        Point(x=each.severity, y=each.value.value, low=each.value.low, high=each.value.high, series=each.group)
        for each in outcome.groups
    ]
    return Lines(
        title=f"{value} by severity and group of corruptions",
        x_title="Severity (0 is clean)",
        y_title=f"{value} ({outcome.unit})",
        points=(*clean, *own),
        table=Table(
            title="By group and severity",
            columns=(Column(title="Group"), right("Severity"), right(value, outcome.unit)),
            rows=tuple(
                (Word(value=each.group), Number(value=each.severity, count=True), number(each.value, outcome.unit))
                for each in outcome.groups
            ),
            note=f"Mean over the corruptions of a group; 95 % over examples: {_INTERVALS}.",
        ),
        caption="Each line is the mean over the corruptions of a group; whiskers: 95 % over examples.",
    )


def kinds(outcome: CorruptionOutcome) -> Table:
    """A row for each corruption over its severities, the worst first."""
    value, drop = WORDS[outcome.reading]
    return Table(
        title="Every corruption over its severities",
        columns=(
            Column(title="Corruption"), Column(title="Group"), right(value, outcome.unit), right(drop, outcome.unit),
            Column(title="Strength counts"),
        ),
        rows=tuple(
            (
                Word(value=each.title), Word(value=each.group), number(each.value, outcome.unit),
                number(each.drop, outcome.unit), Word(value=each.strength),
            )
            for each in sorted(outcome.kinds, key=lambda each: -each.drop.value)
        ),
        note=f"Means over severities {', '.join(map(str, outcome.severities))}; 95 % over examples:"
        f" {_INTERVALS}. The first rows are the worst of many and look worse than they would again.",
    )  # fmt: skip


def classes(outcome: CorruptionOutcome) -> Table:
    """Each class, clean and under the worst corruption."""
    worst = outcome.worst
    return Table(
        title=f"By class, under {worst.corruption} at severity {worst.severity}"[:128],
        columns=(
            Column(title="Class"), right("Examples"), right("Clean accuracy", outcome.unit),
            right("Accuracy", outcome.unit),
        ),
        rows=tuple(
            (
                Word(value=each.class_name), Number(value=each.clean.n, count=True),
                number(each.clean, outcome.unit), number(each.corrupted, outcome.unit),
            )
            for each in outcome.classes
        ),
        note="Wilson's 95 % intervals. The corruption was chosen for being the worst over all classes.",
    )  # fmt: skip


def texts(outcome: CorruptionOutcome) -> Table:
    """The first text under each corruption."""
    rows: tuple[tuple[TableCell, ...], ...] = tuple(
        (Word(value=each.corruption), Word(value=each.text[:600])) for each in outcome.texts
    )
    return Table(
        title="The first text under each corruption",
        columns=(Column(title="Corruption"), Column(title="Text")),
        rows=rows,
        note="At severity 3 or the nearest asked for; the first 600 letters.",
    )
