"""What goes wrong in a row of a table? Cells are empty, read badly, or taken from another row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from workers.corruption.spec import Corruption, chosen

Floats = NDArray[np.float64]

_OFTEN = 0.25
"""A category is drawn anew with this probability where noise is one standard deviation."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ColumnFacts:
    """What the background says of one column.

    observed: its values there, (rows,). fill: what stands for an empty cell. deviation: standard deviation, 0 of a
    category. category: drawn from what was observed. whole: a number that is rounded. low, high: legal values.
    """

    name: str
    observed: Floats
    fill: float
    deviation: float
    category: bool
    whole: bool
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row. values: (K,), a number or code for each column."""

    values: Floats
    columns: tuple[ColumnFacts, ...]


def missing(row: Row, share: float, draws: torch.Generator) -> Row:
    """This share of columns, at least one, is empty, and what the background says stands there."""
    made = row.values.copy()
    for at in chosen(len(made), share, draws):
        made[at] = row.columns[at].fill
    return replace(row, values=made)


def noise(row: Row, deviations: float, draws: torch.Generator) -> Row:
    """Numbers move by noise in standard deviations, whole ones by whole steps; categories are drawn anew, each with a
    quarter of that probability."""
    normal = torch.randn(len(row.values), generator=draws, dtype=torch.float64).tolist()
    uniform = torch.rand(len(row.values), generator=draws, dtype=torch.float64).tolist()
    made = row.values.copy()
    for at, column in enumerate(row.columns):
        other = _other(column, draws)
        if column.category:
            made[at] = other if uniform[at] < _OFTEN * deviations else made[at]
            continue
        change = deviations * column.deviation * normal[at]
        moved = made[at] + (round(change) if column.whole else change)
        low, high = min(column.low, made[at]), max(column.high, made[at])
        made[at] = min(high, max(low, moved))
    return replace(row, values=made)


def swapped(row: Row, share: float, draws: torch.Generator) -> Row:
    """This share of columns, at least one, holds what another row of the background has there."""
    made = row.values.copy()
    others = [_other(column, draws) for column in row.columns]
    for at in chosen(len(made), share, draws):
        made[at] = others[at]
    return replace(row, values=made)


def _other(column: ColumnFacts, draws: torch.Generator) -> float:
    """What a row of the background has there."""
    return float(column.observed[int(torch.randint(len(column.observed), (), generator=draws))])


TABLE = (
    Corruption(name="missing", group="cells", title="empty cells", strength="share of columns",
               strengths=(0.05, 0.1, 0.2, 0.35, 0.5), apply=missing),
    Corruption(name="cell_noise", group="cells", title="noise", strength="standard deviations of the column",
               strengths=(0.1, 0.2, 0.4, 0.7, 1.0), apply=noise),
    Corruption(name="swapped", group="cells", title="cells of other rows", strength="share of columns",
               strengths=(0.05, 0.1, 0.2, 0.35, 0.5), apply=swapped),
)  # fmt: skip
