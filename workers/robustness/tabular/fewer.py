"""Which columns of a broken row need not have changed? Those are put back, most first, while the row stays broken."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.robustness.tabular.hunt import Hunt
from workers.robustness.tabular.repair import obeys
from workers.robustness.tabular.rules import Rules

_SINGLE = 64
"""Columns that are tried one by one; beside them the least changed ones, 2, 4, 8, ... at once."""
_ROUNDS = 64


def fewer(hunt: Hunt) -> None:
    """Puts columns of `hunt.made` back, in place: each round what puts back most and keeps the row broken and legal."""
    case, goal = hunt.case, hunt.case.judged.goal
    at = ((hunt.at >= 0) & (hunt.at < len(case.parameters.epsilons))).nonzero().flatten()
    for _ in range(_ROUNDS):
        if len(at) == 0:
            return
        improved = []
        for start in range(0, len(at), max(1, hunt.victim.rows)):
            part = at[start : start + hunt.victim.rows]
            who, rows, count = _candidates(case.rules, case.x[part], hunt.made[part])
            if len(who) == 0:
                continue
            outputs = hunt.victim.outputs(rows, part[who])
            fits = goal.broken(outputs, part[who]) & obeys(case.rules, rows)
            fits &= hunt.level(part[who], rows) <= hunt.at[part[who]]
            margin = torch.where(fits, goal.margin(outputs, part[who]).double(), torch.inf)
            for row in torch.unique(who[fits]).tolist():
                own = ((who == row) & fits).nonzero().flatten()
                most = own[count[own] == count[own].max()]
                best = most[margin[most].argmin()]
                hunt.made[part[row]] = rows[best]
                improved.append(part[row])
        at = torch.stack(improved) if improved else at[:0]


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


def _candidates(rules: Rules, x: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with some columns put back: whose, int64 (k,), the row, and how many columns."""
    moved, size = changed(rules, x, made), by_units(rules, x, made).abs()
    order = torch.where(moved, size, torch.inf).argsort(dim=1, stable=True)
    counts = moved.sum(1)
    who, rows, how = list[Tensor](), list[Tensor](), list[int]()
    for row in range(len(x)):
        own = order[row, : int(counts[row])].tolist()
        if len(own) < 2:
            continue
        sets = [own[:k] for k in _doubling(len(own))] + [[column] for column in own[:_SINGLE]]
        for columns in sets:
            back = made[row].clone()
            places = [place for column in columns for place in rules.columns[column].places]
            back[places] = x[row, places]
            who.append(torch.tensor(row))
            rows.append(back)
            how.append(len(columns))
    if not who:
        none = torch.empty(0, dtype=torch.int64, device=x.device)
        return none, x[:0], none
    return torch.stack(who).to(x.device), torch.stack(rows), torch.tensor(how, device=x.device)


def _doubling(count: int) -> list[int]:
    made, size = [], 2
    while size < count:
        made.append(size)
        size *= 2
    return made
