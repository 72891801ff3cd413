"""Does a decision hang on a protected column alone? Each of its other values is put in, and nothing else is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workers.attack.classes import Misclassified
from workers.attack.victim import Victim
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.categories import candidates
from workers.robustness.tabular.repair import obeys
from workers.robustness.tabular.rules import Floats

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the background: the values that are tried of a number."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flips:
    """flipped: bool (n,), rows decided otherwise with some other value of this column. tried: int64 (n,), values that
    were put in; those that break a relation are left out."""

    column: str
    flipped: Tensor
    tried: Tensor


def flips(case: Case, victim: Victim, background: Floats) -> tuple[Flips, ...]:
    """Of each protected column; budgets, directions and what is immutable play no part. background: (rows, F), raw."""
    columns = dict.fromkeys(_column(case, name) for name in case.parameters.protected)
    with case.attacked.quiet():
        return tuple(_of(case, victim, at, background) for at in columns)


def _column(case: Case, name: str) -> int:
    """A column by its own name, or that of one of its inputs."""
    return next(
        at
        for at, column in enumerate(case.rules.columns)
        if name in {case.rules.names[place] for place in column.places}
    )


def _of(case: Case, victim: Victim, at: int, background: Floats) -> Flips:
    rules, n = case.rules, len(case)
    if rules.legal[at]:
        unchanged = torch.zeros(n, len(rules.columns), dtype=torch.bool, device=case.x.device)
        who, _, rows = candidates(rules, case.x, unchanged, (at,))
    else:
        who, rows = _numbers(case, rules.columns[at].places[0], background)
    lawful = obeys(rules, rows)
    who, rows = who[lawful], rows[lawful]
    flipped = torch.zeros(n, dtype=torch.bool, device=case.x.device)
    if len(who):
        flipped[who[_otherwise(case, victim, who, rows)]] = True
    return Flips(
        column=rules.columns[at].name, flipped=flipped.cpu(), tried=torch.bincount(who, minlength=n).cpu()
    )  # fmt: skip


def _otherwise(case: Case, victim: Victim, who: Tensor, rows: Tensor) -> Tensor:
    outputs = victim.outputs(rows, who)
    if case.judged.reading == "shift":
        return case.judged.goal.broken(outputs, who)
    return Misclassified(case.judged.decided).broken(outputs, who)


def _numbers(case: Case, place: int, background: Floats) -> tuple[Tensor, Tensor]:
    who, made = list[Tensor](), list[Tensor]()
    for value in _values(case, place, background):
        rows = case.x.clone()
        rows[:, place] = value
        other = (rows[:, place] != case.x[:, place]).nonzero().flatten()
        who.append(other)
        made.append(rows[other])
    return torch.cat(who), torch.cat(made)


def _values(case: Case, place: int, background: Floats) -> Sequence[float]:
    rules = case.rules
    found = np.quantile(background[:, place], _QUANTILES, method="nearest")  # values that some row has
    low, high = float(rules.low[place]), float(rules.high[place])
    return [float(value) for value in np.unique(found) if low <= value <= high]
