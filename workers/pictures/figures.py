"""Which closed values does the report draw of attributions: maps by token and by time, shares by layer, units?

Each figure carries a table of its numbers. A map adds up: where a sequence is longer than a figure is wide, neighbours
are summed into one column, never left out or averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import torch

from service.contracts.section import Bar, Bars, Blank, Cell, Column, Heat, Number, Table, Word
from workers.numerics.intervals import Interval
from workers.pictures.layers import LayerLine, spread
from workers.sweep.depth import AtDepth, Depth

_MOST_COLUMNS, _MOST_ROWS, _MOST_BARS = 48, 40, 60
_MOST_TICKS = 16
_MOST_LETTERS, _TOKEN_LETTERS = 128, 24


@dataclass(frozen=True, slots=True)
class UnitMean:
    """One unit of a layer by its index, its mean attribution over examples, and its share of the layer's magnitude."""

    index: tuple[int, ...]
    mean: Interval
    share: float


def token_map(tokens: Sequence[str], layers: Sequence[LayerLine], unit: str, of: str) -> Heat:
    """One text: a row for each layer, early to deep, a column for each token.

    of: what is attributed and of which example, for the caption. Raises ValueError where a layer has another number of
    attributions than there are tokens, or one that is not finite.
    """
    names = [_shown(token) for token in tokens]
    bins = _bins(len(names))
    columns = [names[a] if b == a + 1 else f"{names[a]}\u2026{names[b - 1]} ({a}\u2013{b - 1})" for a, b in bins]
    return _map("Attribution by layer and token", ("Token", "token"), columns, columns, bins, layers, unit, of)


def time_map(steps: int, layers: Sequence[LayerLine], unit: str, of: str) -> Heat:
    """A series: a row for each layer, early to deep, a column for each time step, from 0. As `token_map`."""
    bins = _bins(steps)
    columns = [f"{a}" if b == a + 1 else f"{a}\u2013{b - 1}" for a, b in bins]
    every = ceil(len(bins) / _MOST_TICKS)
    ticks = [f"{a}" if at % every == 0 else "" for at, (a, _) in enumerate(bins)]
    return _map("Attribution by layer and time", ("Time step", "step"), columns, ticks, bins, layers, unit, of)


def layer_share(found: Depth) -> Bars:
    """Which share of the output's change is attributed to each layer. Raises ValueError where no share is known."""
    known = [(each, each.share) for each in found.layers if each.share is not None]
    if not known:
        raise ValueError(f"there is no share to draw: {'; '.join(found.reasons) or 'no layer'}")
    return Bars(
        title="Share of the output's change, by layer from input to output",
        value_title="Signed total / change of the output",
        bars=_bars(known),
        table=_depth_table("Share of the output's change", [each for each, _ in known]),
        caption="Parallel branches share the change; layers in a row repeat it, so shares do not add up over depth."
        " Where every path passes, the share is 1 but for the error of the method; a branch below zero works against"
        f" the change. Whiskers: 95 % over examples.{_of_many(len(known), _MOST_BARS)}",
    )


def layer_agreement(found: Depth) -> Bars:
    """How far a layer's units agree, from input to output. Raises ValueError where agreement is not known."""
    known = [(each, each.agreement) for each in found.layers if each.agreement is not None]
    if not known:
        raise ValueError(f"there is no agreement to draw: {'; '.join(found.reasons) or 'no layer'}")
    decided = (
        "No layer that every path passes keeps it at one half or more."
        if found.decided is None
        else f"From {found.decided} on it stays at one half or more wherever every path passes: there evidence for"
        " outweighs evidence against by three to one."
    )
    return Bars(
        title="Agreement of units, by layer from input to output",
        value_title="|Signed total| / absolute total",
        bars=_bars(known),
        table=_depth_table("Agreement of units", [each for each, _ in known]),
        caption=f"1: all units of a layer pull one way; 0: they cancel. {decided} Whiskers: 95 % over examples."
        f"{_of_many(len(known), _MOST_BARS)}",
    )


def unit_bars(layer: str, units: Sequence[UnitMean], unit: str, of: int) -> Bars:
    """The units of one layer that carry most, of the `of` that it has. Raises ValueError without any."""
    if not units:
        raise ValueError(f"layer '{layer}' has no unit to draw")
    shown = units[:_MOST_BARS]
    labels = [", ".join(map(str, each.index)) or "the only one" for each in shown]
    return Bars(
        title=f"Units of {layer}"[:_MOST_LETTERS],
        value_title="Mean signed attribution",
        unit=unit,
        bars=tuple(
            Bar(label=label, value=each.mean.value, low=each.mean.low, high=each.mean.high)
            for label, each in zip(labels, shown, strict=True)
        ),
        table=Table(
            title=f"Units of {layer}"[:_MOST_LETTERS],
            columns=(
                Column(title="Unit"),
                Column(title="Mean signed attribution", unit=unit, align="right"),
                Column(title="Share of the layer's absolute attribution", align="right"),
            ),
            rows=tuple(
                (Word(value=label), _number(each.mean, unit), Number(value=each.share))
                for label, each in zip(labels, shown, strict=True)
            ),
        ),
        caption=f"{len(shown)} of {of} units, by their index in one example's output, from 0. Chosen for being the"
        " largest, so the intervals do not account for the choice. Whiskers: 95 % over examples.",
    )


def _map(
    title: str, along: tuple[str, str], columns: Sequence[str], ticks: Sequence[str], bins: Sequence[tuple[int, int]],
    layers: Sequence[LayerLine], unit: str, of: str,
) -> Heat:  # fmt: skip
    """along: the sequence's name and its element's. columns: names for the table; ticks: as many for the axis."""
    length = bins[-1][1]
    for layer in layers:
        if layer.attribution.shape != (length,) or not bool(torch.isfinite(layer.attribution).all()):
            raise ValueError(f"layer '{layer.name}' needs one finite attribution for each of {length} {along[1]}s")
    chosen = [layers[at] for at in spread(len(layers), _MOST_ROWS)]
    values = [[float(each.attribution[a:b].sum(dtype=torch.float64)) for a, b in bins] for each in chosen]
    caption = (
        f"{of} One scale for all layers; blue raises the target, orange lowers it. Behind the first layers a column is"
        f" a position, which may hold what was read from other {along[1]}s."
    )
    widest = bins[0][1] - bins[0][0]
    last = bins[-1][1] - bins[-1][0]
    if widest > 1:
        caption += f" Each column is the sum of {widest} {along[1]}s" + (
            f", the last of {last}." if last < widest else "."
        )
    return Heat(
        title=title, row_title="Layer, early to deep", column_title=along[0], value_title=f"Attribution ({unit})",
        rows=tuple(each.name for each in chosen), columns=tuple(ticks),
        values=tuple(map(tuple, values)),
        table=_long_table(title, along[0], [each.name for each in chosen], columns, bins, values, unit),
        caption=caption + _of_many(len(layers), _MOST_ROWS),
    )  # fmt: skip


def _long_table(
    title: str, along: str, rows: Sequence[str], columns: Sequence[str], bins: Sequence[tuple[int, int]],
    values: Sequence[Sequence[float]], unit: str,
) -> Table:  # fmt: skip
    return Table(
        title=title,
        columns=(
            Column(title="Layer"), Column(title="Position", align="right"), Column(title=along),
            Column(title="Attribution", unit=unit, align="right"),
        ),
        rows=tuple(
            (Word(value=row), Number(value=a, count=True), Word(value=column), Number(value=value, unit=unit))
            for row, line in zip(rows, values, strict=True)
            for column, (a, _), value in zip(columns, bins, line, strict=True)
        ),
        note="Position: of the first in a column, from 0.",
    )  # fmt: skip


def _bins(length: int) -> list[tuple[int, int]]:
    """At most 48 columns (more names have no room), each of equally many neighbours, the last of what is left."""
    if length < 1:
        raise ValueError("a map needs a sequence of at least one")
    each = ceil(length / _MOST_COLUMNS)
    return [(at, min(at + each, length)) for at in range(0, length, each)]


def _shown(token: str) -> str:
    """A token as a label: white space made visible, its beginning where it is long."""
    plain = "".join("\u2423" if one.isspace() else one if one.isprintable() else "\ufffd" for one in token)
    return (plain if len(plain) <= _TOKEN_LETTERS else plain[: _TOKEN_LETTERS - 1] + "\u2026") or "\u2205"


def _bars(known: Sequence[tuple[AtDepth, Interval]]) -> tuple[Bar, ...]:
    chosen = [known[at] for at in spread(len(known), _MOST_BARS)]
    return tuple(
        Bar(
            label=each.key, value=found.value, low=found.low, high=found.high,
            group="every path passes" if each.cut else "some paths pass by",
        )
        for each, found in chosen
    )  # fmt: skip


def _depth_table(title: str, layers: Iterable[AtDepth]) -> Table:
    return Table(
        title=title,
        columns=(
            Column(title="Layer"),
            Column(title="Paths"),
            Column(title="Share of the output's change", align="right"),
            Column(title="Agreement of units", align="right"),
        ),
        rows=tuple(
            (
                Word(value=each.key),
                Word(value="every path passes" if each.cut else "some paths pass by"),
                _maybe(each.share, "attributions of this method have no share"),
                _maybe(each.agreement, "no attributions of both signs"),
            )
            for each in layers
        ),
        note="In order of running. 95 % Student's t over examples, of a ratio of means.",
    )


def _maybe(found: Interval | None, because: str) -> Cell:
    return Blank(because=because) if found is None else _number(found)


def _number(found: Interval, unit: str = "") -> Number:
    return Number(value=found.value, unit=unit, low=found.low, high=found.high, n=found.n)


def _of_many(count: int, most: int) -> str:
    return f" {most} of {count} layers, evenly over depth." if count > most else ""
