"""Which columns of a broken row need not have changed? Those are put back, most first, while the row stays broken.

Of the columns by how little they changed, the first 1, 2, 4, ... are put back at once; where none of that holds, one by
one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.robustness.tabular.hunt import Hunt
from workers.robustness.tabular.repair import obeys
from workers.robustness.tabular.rules import Rules

SINGLE = 48
"""Columns that are tried one by one in a round, the least changed."""
_ROUNDS = 24
_MOST_CELLS = 1 << 22
"""Numbers of candidates held at once."""


def fewer(hunt: Hunt) -> None:
    """Puts columns of `hunt.made` back, in place: each round what puts back most and keeps the row broken and legal."""
    at = ((hunt.at >= 0) & (hunt.at < len(hunt.case.parameters.epsilons))).nonzero().flatten()
    each = max(1, _MOST_CELLS // (SINGLE * max(1, hunt.made.shape[1])))
    singles = torch.zeros(len(hunt.made), dtype=torch.bool, device=at.device)
    for _ in range(_ROUNDS):
        if len(at) == 0:
            return
        helped = torch.zeros_like(singles)
        for start in range(0, len(at), each):
            _round(hunt, at[start : start + each], singles, helped)
        again = helped[at] | ~singles[at]
        singles[at] = ~helped[at]
        at = at[again]


def _round(hunt: Hunt, part: Tensor, singles: Tensor, helped: Tensor) -> None:
    """One round of some rows, int64 (k,). singles: whether columns are put back one by one; helped: in place."""
    case, goal = hunt.case, hunt.case.judged.goal
    who, rows, count = _candidates(case.rules, case.x[part], hunt.made[part], singles[part])
    if len(who) == 0:
        return
    outputs = hunt.victim.outputs(rows, part[who])
    fits = goal.broken(outputs, part[who]) & obeys(case.rules, rows)
    fits &= hunt.level(part[who], rows) <= hunt.at[part[who]]
    margin = goal.margin(outputs, part[who]).double()
    for row in torch.unique(who[fits]).tolist():
        own = ((who == row) & fits).nonzero().flatten()
        most = own[count[own] == count[own].max()]
        hunt.made[part[row]] = rows[most[margin[most].argmin()]]
        helped[part[row]] = True


def changed(rules: Rules, x: Tensor, made: Tensor) -> Tensor:
    """Which columns differ, bool (n, C)."""
    moved = x != made
    return torch.stack([moved[:, list(column.places)].any(1) for column in rules.columns], dim=1)


def by_units(rules: Rules, x: Tensor, made: Tensor) -> Tensor:
    """By how many units each column changed, float64 (n, C); a category that changed counts 1."""
    size = (made.double() - x.double()) / rules.unit.to(x.device)
    return torch.stack(
        [
            (x != made)[:, list(column.places)].any(1).double() if codes else size[:, column.places[0]]
            for column, codes in zip(rules.columns, rules.legal, strict=True)
        ],
        dim=1,
    )


def _candidates(rules: Rules, x: Tensor, made: Tensor, singles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with some columns put back: whose, int64 (k,), the row, and how many columns."""
    moved, size = changed(rules, x, made), by_units(rules, x, made).abs()
    order = torch.where(moved, size, torch.inf).argsort(dim=1, stable=True)
    counts, alone = moved.sum(1).tolist(), singles.tolist()
    who, sets = list[int](), list[list[int]]()
    for row, count in enumerate(counts):
        own = order[row, :count].tolist()
        if count > 1:
            found = [[column] for column in own[:SINGLE]] if alone[row] else [own[:k] for k in _doubling(count)]
            who += [row] * len(found)
            sets += found
    index = torch.tensor(who, dtype=torch.int64, device=x.device)
    rows = made[index].clone()
    for at, columns in enumerate(sets):
        places = [place for column in columns for place in rules.columns[column].places]
        rows[at, places] = x[who[at], places]
    return index, rows, torch.tensor([len(columns) for columns in sets], dtype=torch.int64, device=x.device)


def _doubling(count: int) -> list[int]:
    made, size = [], 1
    while size < count:
        made.append(size)
        size *= 2
    return made
