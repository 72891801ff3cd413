"""Which other categories bring a row nearest to another decision? All are tried, the best kept, and again.

Greedy: in each round every legal change of one category, truth value or one-hot group is asked in one batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.robustness.tabular.hunt import Hunt
from workers.robustness.tabular.repair import repaired
from workers.robustness.tabular.rules import Rules

_MOST_CELLS = 1 << 22
"""Numbers of candidates held at once."""


def exchanged(hunt: Hunt, index: Tensor) -> Tensor:
    """The rows (k, F) with the categories that came nearest; what breaks on the way is offered."""
    case, rules = hunt.case, hunt.case.rules
    base = case.x[index].clone()
    if not rules.exchangeable or not rules.most_categories:
        return base
    margin = torch.full((len(index),), torch.inf, dtype=base.dtype, device=base.device)
    changed = torch.zeros(len(index), len(rules.columns), dtype=torch.bool, device=base.device)
    for _ in range(rules.most_categories):
        moved = False
        for part in _parts(rules, len(index), base.shape[1]):
            moved |= _round(hunt, index[part], base, margin, changed, part)
        if not moved:
            break
    return base


def with_a_step(hunt: Hunt, index: Tensor) -> Tensor:
    """The rows (k, F) with the one category that comes nearest once all numbers have taken one step of the gradient.

    What moves a decision little by itself may move it far together with numbers. Steps are of every budget; what breaks
    is offered.
    """
    case, rules = hunt.case, hunt.case.rules
    base = case.x[index].clone()
    if not rules.exchangeable or not rules.most_categories:
        return base
    unchanged = torch.zeros(len(index), len(rules.columns), dtype=torch.bool, device=base.device)
    for own in _parts(rules, len(index), base.shape[1]):
        who, _, rows = candidates(rules, base[own], unchanged[own])
        if len(who):
            margins = _after_a_step(hunt, index[own][who], rows)
            best = torch.full((len(index[own]),), torch.inf).to(margins).scatter_reduce(0, who, margins, "amin")
            first = torch.full((len(index[own]),), len(who), device=who.device)
            hit = (margins == best[who]) & margins.isfinite()
            places = torch.arange(len(who), device=who.device)
            first = first.scatter_reduce(0, who[hit], places[hit], "amin")
            chosen = first[first < len(who)]
            base[who[chosen] + own.start] = rows[chosen]
    return base


def _after_a_step(hunt: Hunt, index: Tensor, rows: Tensor) -> Tensor:
    """The margin of rows (k, F) after one step of the largest budget that does not break their example, (k,)."""
    case, goal = hunt.case, hunt.case.judged.goal
    space, loss = case.rules.space(rows), goal.losses[0]
    _, _, slope = hunt.victim.gradient(
        rows, index, lambda outputs, part: goal.loss(loss, outputs, index[part], None)
    )  # fmt: skip
    way = space.steepest(torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0))
    margins = []
    for epsilon in case.parameters.epsilons:
        budget = torch.full((len(rows),), epsilon, dtype=rows.dtype, device=rows.device)
        made = repaired(case.rules, rows, space.project(rows, rows + epsilon * way, budget), hunt.repairs)
        margins.append(hunt.offer(index, made.detach()))
    tried = (hunt.at[index] - 1).clamp(min=0)
    return torch.stack(margins).gather(0, tried[None])[0]


def _parts(rules: Rules, n: int, inputs: int) -> list[slice]:
    each = max(1, _MOST_CELLS // (inputs * max(1, sum(len(codes) for codes in rules.legal))))
    return [slice(start, min(n, start + each)) for start in range(0, n, each)]


def _round(hunt: Hunt, index: Tensor, base: Tensor, margin: Tensor, changed: Tensor, part: slice) -> bool:
    """The best change of one category of each row, in place; whether there was any that helps."""
    who, column, rows = candidates(hunt.case.rules, base[part], changed[part])
    if len(who) == 0:
        return False
    margins = hunt.offer(index[who], rows)
    best = margin[part].scatter_reduce(0, who, margins, "amin")
    places = torch.arange(len(who), device=who.device)
    hit = (margins == best[who]) & (margins < margin[part][who])
    first = torch.full((len(index),), len(who), device=who.device).scatter_reduce(0, who[hit], places[hit], "amin")
    chosen = first[first < len(who)]
    at = who[chosen] + part.start
    base[at], margin[at] = rows[chosen], margins[chosen]
    changed[at, column[chosen]] = True
    return len(chosen) > 0


def candidates(
    rules: Rules, rows: Tensor, changed: Tensor, columns: tuple[int, ...] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Every legal change of one category: the row and the column of each, int64 (k,), and what it becomes, (k, F).

    changed: bool (n, C), columns that are not changed once more. columns: which; None for those that attacks may
    change, in the directions that they may.
    """
    who, of, made = list[Tensor](), list[Tensor](), list[Tensor]()
    free = columns is None
    for at in rules.exchangeable if columns is None else columns:
        column = rules.columns[at]
        places = list(column.places)
        now = rows[:, places].argmax(1).to(rows) if column.one_hot else rows[:, places[0]]
        for code in rules.legal[at]:
            other = (now != code) & ~changed[:, at]
            if free and bool(rules.up[places[0]]):
                other &= now < code
            if free and bool(rules.down[places[0]]):
                other &= now > code
            chosen = other.nonzero().flatten()
            became = rows[chosen].clone()
            if column.one_hot:
                became[:, places] = 0.0
                became[:, places[int(code)]] = 1.0
            else:
                became[:, places[0]] = code
            who.append(chosen)
            of.append(torch.full_like(chosen, at))
            made.append(became)
    if not who:
        none = torch.empty(0, dtype=torch.int64, device=rows.device)
        return none, none, rows[:0]
    return torch.cat(who), torch.cat(of), torch.cat(made)
