"""Which tables and figures hold the numbers of LIME over layers?"""

from __future__ import annotations

from service.contracts.section import Blank, Cell, Column, Heat, Lines, Number, Point, Table, Word
from workers.lime.layers.outcome import AtLayer, Depth, LayersOutcome
from workers.lime.outcome import Average, Coefficient, Example, Explanation
from workers.lime.tables import MOST_ROWS, cell, number, right

_NAMED, _MOST_COLUMNS, _MOST_HEAT_ROWS, _MOST_POINTS = 3, 16, 200, 400
_UNTOLD = Blank(because="neither may be read, or neither has an order")


def unit_of(outcome: LayersOutcome, reading: str) -> str:
    """Of a reading's coefficients."""
    if reading == "direction":
        return outcome.unit
    return "share of the norm" if reading == "norm" else "activation"


def layers(outcome: LayersOutcome, example: Example) -> Table:
    """What each layer rests on, early to deep, and last the output."""
    rows = [_row(outcome, each) for each in outcome.read_at(example.index)]
    return Table(
        title=f"Example {example.index}: what each layer rests on",
        columns=(
            Column(title="Layer"), Column(title="Reading"), Column(title=f"Strongest {outcome.noun}s"),
            right("R2"), right("R2 held out"), right("Shared with the output", "share"), right("By chance", "share"),
            right("Rank correlation"), Column(title="Agrees"), Column(title="Verdict"), Column(title="Because"),
        ),
        rows=(*rows[: MOST_ROWS - 1], _output_row(outcome, example.explanations[0])),
        note=f"Coefficients of the kept {outcome.noun}s with 95 % intervals: what other samples would give. Held out:"
        f" on samples not fitted to. Shared: of the {_top(outcome, example)} strongest on all features. Rank"
        " correlation: Spearman's over all features, with bounds of what other samples would give; of directions with"
        " their sign, else of magnitudes. The artifact holds all coefficients.",
    )  # fmt: skip


def _top(outcome: LayersOutcome, example: Example) -> int:
    return max(1, min(outcome.top, example.features // 2))


def _row(outcome: LayersOutcome, at: AtLayer) -> tuple[Cell, ...]:
    one = outcome.of(at)
    ranks: Cell = _UNTOLD
    if at.ranks is not None:
        ranks = Number(value=at.ranks, low=at.low, high=at.high)
    return (
        Word(value=at.key), Word(value=at.reading), _strongest(one, unit_of(outcome, at.reading)),
        cell(one.r2), cell(one.held_out), Number(value=at.shared, unit="share"), Number(value=at.chance, unit="share"),
        ranks, Word(value="yes" if at.agrees else "no"), Word(value=one.verdict), Word(value=one.reason[:600]),
    )  # fmt: skip


def _output_row(outcome: LayersOutcome, one: Explanation) -> tuple[Cell, ...]:
    own = Blank(because="it is the output that layers are compared with")
    return (
        Word(value="output"), Word(value=outcome.target), _strongest(one, outcome.unit), cell(one.r2),
        cell(one.held_out), own, own, own, own, Word(value=one.verdict), Word(value=one.reason[:600]),
    )  # fmt: skip


def _strongest(one: Explanation, unit: str) -> Cell:
    if not one.legible:
        return Blank(because=f"{one.verdict}: its coefficients must not be read")
    found = [each for each in one.features if each.chosen][:_NAMED]
    if not found:
        return Blank(because="it keeps none")
    return Word(value=f"{', '.join(map(said, found))} {unit}"[:600])


def said(each: Coefficient) -> str:
    """A feature with its coefficient."""
    bounds = "" if each.low is None or each.high is None else f" [{each.low:.3g}, {each.high:.3g}]"
    return f"{each.name[:100]} ({each.value:+.3g}{bounds})"


def heat(outcome: LayersOutcome, example: Example, reading: str) -> Heat | None:
    """The strongest features by layer, as shares of each layer's largest; None where nothing may be read."""
    found = [each for each in outcome.read_at(example.index, reading) if outcome.of(each).legible]
    rows = [(each.key, outcome.of(each)) for each in found][-_MOST_HEAT_ROWS + 1 :]
    if example.explanations[0].legible:
        rows.append((f"output: {outcome.target}"[:600], example.explanations[0]))
    columns = _columns([one for _, one in rows])
    if not columns:
        return None
    values = tuple(tuple(_shares(one).get(feature) for feature in columns) for _, one in rows)
    names = _told_apart(columns)
    title = f"Example {example.index}, {reading}: {outcome.noun}s by layer"
    return Heat(
        title=title[:128],
        row_title="Layer",
        column_title=outcome.noun.capitalize(),
        value_title="Share of the layer's largest coefficient",
        rows=tuple(key for key, _ in rows),
        columns=names,
        values=values,
        table=Table(
            title=f"{title[:110]}, numbers",
            columns=(Column(title="Layer"), *(right(name[:128]) for name in names)),
            rows=tuple(
                (Word(value=key), *(_share(value) for value in line))
                for (key, _), line in zip(rows, values, strict=True)
            ),
            note=f"The {len(columns)} {outcome.noun}s that are strongest in any layer. Shares of each layer's largest"
            " coefficient; a dash: not kept by its surrogate.",
        ),
        caption="Early to deep, the output last; surrogates that may not be read are left out.",
    )


def _share(value: float | None) -> Cell:
    return cell(value, "share", "not kept by the layer's surrogate")


def _shares(one: Explanation) -> dict[int, float]:
    chosen = [each for each in one.features if each.chosen]
    largest = max((abs(each.value) for each in chosen), default=0.0)
    return {each.feature: each.value / largest for each in chosen} if largest > 0 else {}


def _columns(found: list[Explanation]) -> dict[int, str]:
    """The features that are strongest in any surrogate, in their own order, with their names."""
    most: dict[int, float] = {}
    names: dict[int, str] = {}
    for one in found:
        names |= {each.feature: each.name for each in one.features}
        for feature, share in _shares(one).items():
            most[feature] = max(most.get(feature, 0.0), abs(share))
    kept = sorted(most, key=lambda feature: (-most[feature], feature))[:_MOST_COLUMNS]
    return {feature: names[feature] for feature in sorted(kept)}


def _told_apart(columns: dict[int, str]) -> tuple[str, ...]:
    names = list(columns.values())
    return tuple(
        name if names.count(name) == 1 else f"{name[:560]} (no. {feature})" for feature, name in columns.items()
    )


def by_depth(outcome: LayersOutcome) -> list[Lines]:
    """Fit and agreement by layer; empty where fewer than two layers are read."""
    made = []
    for reading in dict.fromkeys(each.reading for each in outcome.depths):
        found = [each for each in outcome.depths if each.reading == reading]
        points = [
            Point(x=float(at + 1), y=mean.value, low=mean.low, high=mean.high, series=series)
            for series, pick in (("R2 held out", "held_out"), ("Shared with the output", "shared"))
            for at, each in enumerate(found)
            if (mean := getattr(each, pick)) is not None
        ][:_MOST_POINTS]
        if len(found) > 1 and points:
            made.append(_lines(outcome, reading, found, points))
    return made


def _lines(outcome: LayersOutcome, reading: str, found: list[Depth], points: list[Point]) -> Lines:
    return Lines(
        title=f"Fit and agreement from layer to layer: {reading}"[:128],
        x_title="Layer, in the order in which they run",
        y_title="Share",
        points=tuple(points),
        table=Table(
            title=f"Layers over all examples: {reading}"[:128],
            columns=(
                right("No."), Column(title="Layer"), Column(title="All paths"), right("May be read", "examples"),
                right("R2 held out"), right("Shared with the output", "share"), right("Rank correlation"),
            ),
            rows=tuple(
                (
                    Number(value=at + 1, count=True), Word(value=each.key), Word(value="yes" if each.cut else "no"),
                    Number(value=each.legible, count=True), _average(each.held_out), _average(each.shared),
                    _average(each.ranks),
                )
                for at, each in enumerate(found)
            )[:MOST_ROWS],
            note="All paths: everything from input to target passes through it; only such layers tell where the"
            " decision is visible.",
        ),
        caption=f"Means over {len(outcome.explained)} examples; bounds: 95 % Student's t over examples.",
    )  # fmt: skip


def _average(mean: Average | None) -> Cell:
    return Blank(because="no surrogate of it may be read") if mean is None else number(mean)


def visible(outcome: LayersOutcome) -> Table:
    """Where the decision becomes visible, example by example."""
    return Table(
        title="From which layer on the decision is visible",
        columns=(
            right("Example"), Column(title="From"), right("Depth", "share"),
        ),
        rows=tuple(
            (
                Number(value=each.index, count=True),
                Blank(because=each.because[:600]) if each.key is None else Word(value=each.key),
                cell(each.depth, "share", each.because[:600] or "unknown"),
            )
            for each in outcome.visible
        )[:MOST_ROWS],
        note="The first of the layers through which everything passes, from which on the direction of all of them"
        " agrees with the output: their surrogates may be read, half of what is not chance is shared, and the bounds of"
        " the rank correlation lie above 0. Depth: such layers up to it, over all of them.",
    )  # fmt: skip
