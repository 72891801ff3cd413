"""What do the attacks on all rows know together: the smallest budget that broke each row, and by which legal row?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workers.attack.victim import Asked, Victim
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.repair import Repaired, obeys

_SLACK = 5e-6
"""Of a budget; the checker allows twice that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attack: its name, what it asked, and how many rows it was the first to break at each budget."""

    name: str
    asked: Asked
    broke: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Hunt:
    """n rows at E budgets. clean: bool (n,), not broken as they are. at: int64 (n,), the smallest budget known to break
    each, E for none, -1 where it is not clean. made: (n, F), what broke it. by: int64 (n,), the attempt that did."""

    case: Case
    victim: Victim
    clean: Tensor
    at: Tensor
    made: Tensor
    by: Tensor
    attempts: list[Attempt] = field(default_factory=list)
    repairs: Repaired = field(default_factory=Repaired)

    @classmethod
    def of(cls, case: Case, victim: Victim) -> Hunt:
        """Before any attack."""
        every = torch.arange(len(case), device=case.x.device)
        broken = case.judged.goal.broken(case.judged.scores(case.given), every)
        at = torch.where(broken, -1, len(case.parameters.epsilons))
        return cls(case, victim, ~broken, at, case.x.clone(), torch.full_like(at, -1))

    def open(self) -> Tensor:
        """The rows that are not yet broken within the smallest budget, int64."""
        return (self.at > 0).nonzero().flatten()

    @contextmanager
    def attempt(self, name: str, asked: Asked | None = None) -> Iterator[None]:
        """Around an attack: keeps its count and what it was the first to break, if it asked at all.

        asked: what was asked for it before.
        """
        before, count = self.robust(), self.victim.whose()
        yield
        broke = (before & ~self.robust()).sum(0).tolist()
        if asked is not None:
            count.forwards += asked.forwards
            count.gradients += asked.gradients
        if count.forwards:
            self.attempts.append(Attempt(name=name, asked=count, broke=tuple(broke)))

    def robust(self) -> Tensor:
        """Whether a row holds at each budget, bool (n, E)."""
        places = torch.arange(len(self.case.parameters.epsilons), device=self.at.device)
        return self.clean[:, None] & (self.at[:, None] > places)

    def offer(self, index: Tensor, rows: Tensor) -> Tensor:
        """Takes what breaks its row within a smaller budget than known. index: int64 (k,), of `rows` (k, F).

        Gives the margin of each, (k,), infinite where a relation does not hold: what was offered has its types,
        bounds and directions.
        """
        if len(index) == 0:
            return rows.new_empty(0)
        outputs = self.victim.outputs(rows, index)
        goal = self.case.judged.goal
        lawful = obeys(self.case.rules, rows)
        self.repairs.proposed += len(rows)
        self.repairs.rejected += int((~lawful).sum())
        level = self.level(index, rows)
        taken = goal.broken(outputs, index) & lawful & (level < self.at[index])
        places = taken.nonzero().flatten()
        if len(places):
            key = level[places] * len(places) + torch.arange(len(places), device=places.device)
            worst = torch.full((len(self.case),), int(key.max()) + 1, device=places.device)
            best = worst.scatter_reduce(0, index[places], key, "amin")
            places = places[best[index[places]] == key]
            self.at[index[places]] = level[places]
            self.made[index[places]] = rows[places]
            self.by[index[places]] = len(self.attempts)
        return torch.where(lawful, goal.margin(outputs, index).to(rows), torch.inf)

    def level(self, index: Tensor, rows: Tensor) -> Tensor:
        """The place of the smallest budget that each lies within, E for none, int64 (k,)."""
        epsilons = torch.tensor(self.case.parameters.epsilons, dtype=torch.float64, device=rows.device)
        return torch.bucketize(distance(self.case, index, rows), epsilons * (1 + _SLACK))


def distance(case: Case, index: Tensor, rows: Tensor) -> Tensor:
    """By how many units the number that changed most has changed, float64 (k,); what rounding adds left out."""
    x, own = case.x[index].double(), rows.double()
    grain = torch.maximum(x.abs(), own.abs()) * torch.finfo(rows.dtype).eps
    size = ((own - x).abs() - grain).clamp(min=0.0) / case.rules.unit.to(x)
    return torch.where(case.rules.numbers.to(x.device), size, 0.0).amax(1)
