"""Which figures and tables hold the numbers of attacks on a table?"""

from __future__ import annotations

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Lines, Number, Point, Table, Word
from workers.robustness.tabular.outcome import Average, TabularOutcome

_MOST_BARS, _MOST_ROWS, _WIDE = 30, 2000, 600
_KEPT = {
    "accuracy": "Robust accuracy (an upper bound)",
    "agreement": "Decisions kept (an upper bound)",
    "shift": "Outputs kept (an upper bound)",
}


def right(title: str, unit: str = "") -> Column:
    """A column of numbers."""
    return Column(title=title[:128], unit=unit, align="right")


def number(of: Average | None, unit: str = "", because: str = "No row was broken.") -> Cell:
    """An average with its interval, or why there is none."""
    if of is None:
        return Blank(because=because)
    return Number(value=of.value, unit=unit, low=of.low, high=of.high, n=of.n)


def curve(outcome: TabularOutcome) -> Lines:
    """The share of rows that hold over the budget, from no attack on."""
    title, clean = _KEPT[outcome.reading], outcome.clean
    points = [Point(x=0.0, y=clean.value, low=clean.low, high=clean.high, series="all attacks")]
    points += [
        Point(x=each.epsilon, y=each.kept.value, low=each.kept.low, high=each.kept.high, series="all attacks")
        for each in outcome.budgets
    ]
    return Lines(
        title=f"{title} by budget",
        x_title=f"Budget of each number ({outcome.unit_name})",
        y_title=f"{title} (share of rows)",
        points=tuple(points),
        table=Table(
            title="By budget",
            columns=(right("Budget", outcome.unit_name), right(title[:100]), right("Attack success")),
            rows=(
                (Number(value=0.0), number(clean), Blank(because="Without an attack.")),
                *(
                    (
                        Number(value=each.epsilon), number(each.kept),
                        number(each.success, because="No row was decided rightly without an attack."),
                    )
                    for each in outcome.budgets
                ),
            ),
            note="95 %: Wilson. Success is of the rows that hold without an attack.",
        ),
        caption="Worst case over all attacks, row by row. Whiskers: 95 % over rows.",
    )  # fmt: skip


def rules(outcome: TabularOutcome) -> Table:
    """A row for each column: its type, what was allowed, and budgets in raw units."""
    last = outcome.budgets[-1].epsilon
    return Table(
        title="What was allowed, in raw units",
        columns=(
            Column(title="Column"), Column(title="Type"), Column(title="An attack may"),
            right("One unit, raw"), right(f"Most at {last:g}, raw"), right("Changed in broken rows"),
            right("Median change, raw"),
        ),
        rows=tuple(
            (
                Word(value=each.column), Word(value=each.type), Word(value=each.rule),
                _raw(each.unit), _raw(None if each.unit is None else each.unit * last), number(each.changed),
                Number(value=each.median_change) if each.median_change is not None
                else Blank(because="It is no number, or changed in no broken row."),
            )
            for each in outcome.columns
        )[:_MOST_ROWS],
        note=f"Sorted by how often attacks changed a column; n = {outcome.broken} broken rows, each with as few changed"
        " columns as were found. 95 %: Wilson.",
    )  # fmt: skip


def _raw(value: float | None) -> Cell:
    return Blank(because="It is a category, or stays as it is.") if value is None else Number(value=value)


def most_changed(outcome: TabularOutcome) -> Bars:
    """The columns that broken rows need most often."""
    found = [(each.column, each.changed) for each in outcome.columns if each.changed and each.changed.value > 0]
    shown = found[:_MOST_BARS] or [(each.column, each.changed) for each in outcome.columns[:1] if each.changed]
    return Bars(
        title="Columns that attacks change most",
        value_title="Share of broken rows",
        unit="share of broken rows",
        bars=tuple(Bar(label=name, value=of.value, low=of.low, high=of.high) for name, of in shown),
        table=Table(
            title="Columns by how often they changed",
            columns=(Column(title="Column"), right("Share of broken rows")),
            rows=tuple((Word(value=name), number(of)) for name, of in shown),
        ),
        caption=f"Of {outcome.broken} broken rows, after every column that need not change was put back. 95 %: Wilson.",
    )


def rows(outcome: TabularOutcome) -> Table:
    """Before and after, a line for each column that changed."""
    made = []
    for row in outcome.shown:
        for at, cell in enumerate(row.cells):
            first = at == 0
            made.append(
                (
                    Word(value=f"row {row.index}" if first else ""),
                    Word(value=f"{row.decided} \u2192 {row.became}"[:_WIDE] if first else ""),
                    Number(value=row.epsilon) if first else Word(value=""), Word(value=cell.column),
                    Word(value=cell.before), Word(value=cell.after),
                )
            )  # fmt: skip
    return Table(
        title="Rows that little breaks, before and after",
        columns=(
            Column(title="Row"), Column(title="Decided"), right("Budget", outcome.unit_name[:64]),
            Column(title="Column"), Column(title="Before"), Column(title="After"),
        ),
        rows=tuple(made[:_MOST_ROWS]),
        note="Those that the smallest budget breaks, the cheapest first; the budget is that of the grid. Raw units.",
    )  # fmt: skip


def protected(outcome: TabularOutcome) -> Table:
    """A row for each protected column."""
    return Table(
        title="Protected columns, changed alone",
        columns=(Column(title="Column"), right("Decided otherwise"), right("Rows"), right("Values tried")),
        rows=tuple(
            (
                Word(value=each.column), number(each.flips, because="No other value keeps to the relations."),
                Number(value=each.rows, count=True), Number(value=each.values, count=True),
            )
            for each in outcome.protected
        ),
        note="Every other category, or five quantiles of a number; rows decided otherwise than by the model itself."
        " 95 %: Wilson.",
    )  # fmt: skip


def attacks(outcome: TabularOutcome) -> Table:
    """What each attack asked, and what it was the first to break."""
    return Table(
        title="What each attack contributed",
        columns=(
            Column(title="Attack"), right("Forwards"), right("Gradients"),
            *(right(f"First to break at {each.epsilon:g}") for each in outcome.budgets),
        ),
        rows=tuple(
            (
                Word(value=each.name), Number(value=each.forwards, count=True),
                Number(value=each.gradients, count=True), *(Number(value=k, count=True) for k in each.broke),
            )
            for each in outcome.attacks
        ),
        note="In the order in which they ran: a later attack meets only rows that are left.",
    )  # fmt: skip
