"""How do all examples stand: which budgets break each, and which is it tried at now?

The frontier. Every example is tried at the largest budget that is not yet known to break it. What breaks it there is
drawn in to all smaller budgets at once, and the example goes on below the smallest that still breaks it. Balls lie in
each other: an attack that finds nothing within a budget stands for all smaller ones too, so that one whole failing
attack is enough for a curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workers.attack.found import Found, Stage
from workers.attack.goal import Goal
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.victim import Victim

Told = Callable[[float, str], None]
"""Called with the fraction done and the stage; what it raises ends the attack."""


def silent(_fraction: float, _stage: str) -> None:
    """For who does not ask how far it is."""


_KEPT = ("clean", "at", "level", "made", "by", "near", "margin", "flat")


class Standing:
    """N examples at E budgets. It changes as attacks report what they see.

    clean: bool (N,), not broken as they are. at: int64 (N,), the smallest budget known to break each, E for none, -1
    where it is not clean. level: int64 (N,), the budget it is tried at, -1 where nothing is left to try. made:
    (N, ...), what broke it at `at`. by: int64 (N,), the stage that did. near, margin: (N, ...) and (N,), what was
    nearest to breaking it within the budget that it is tried at. flat: int64 (N,), how much more often its gradient was
    zero than not.
    """

    def __init__(self, victim: Victim, goal: Goal, x: Tensor, space: Space, settings: Settings) -> None:
        self.victim, self.goal, self.x, self.space, self.settings = victim, goal, x, space, settings
        self.epsilons = torch.tensor(settings.epsilons, dtype=x.dtype, device=x.device)
        self.stages: list[Stage] = []
        n, last = len(x), len(settings.epsilons) - 1
        every = torch.arange(n, device=x.device)
        victim.whose()  # what is asked here belongs to no attack
        outputs = victim.outputs(x, every)
        self.clean = ~goal.broken(outputs, every)
        self.level = torch.where(self.clean, last, -1)
        self.at = torch.where(self.clean, last + 1, -1)
        self.made, self.near = x.clone(), x.clone()
        self.margin = goal.margin(outputs, every)
        self.by = torch.full((n,), -1, dtype=torch.int64, device=x.device)
        self.flat = torch.zeros(n, dtype=torch.int64, device=x.device)
        self.towards = goal.towards(outputs, every, settings.towards)

    def open(self) -> Tensor:
        """The examples that are still tried, int64."""
        return (self.level >= 0).nonzero().flatten()

    def epsilon(self, index: Tensor) -> Tensor:
        """The budget that each is tried at."""
        return self.epsilons[self.level[index].clamp(min=0)]

    def felt(self, index: Tensor, slope: Tensor) -> None:
        """Takes note of gradients, (rows, ...)."""
        zero = slope.flatten(1).abs().amax(1) == 0
        self.flat.index_add_(0, index, torch.where(zero, 1, -1))

    def looked(self, index: Tensor, points: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Takes note of points and what the network gives there; an example may be in several rows.

        Two masks over rows: where the point's example has moved to a smaller budget or is done, and where the goal was
        reached at all.
        """
        broken = self.goal.broken(outputs, index) & (self.level[index] >= 0)
        self._nearer(index, points, self.goal.margin(outputs, index), ~broken)
        if not bool(broken.any()):
            return broken, broken
        rows = broken.nonzero().flatten()
        rows = rows[_first_of_each(index[rows], len(self.x))]
        self._lower(index[rows], points[rows])
        moved = torch.zeros(len(self.x), dtype=torch.bool, device=index.device)
        moved[index[rows]] = True
        return moved[index], broken

    def _nearer(self, index: Tensor, points: Tensor, margins: Tensor, rows: Tensor) -> None:
        rows = (rows & (margins < self.margin[index])).nonzero().flatten()
        if len(rows) == 0:
            return
        best = torch.full_like(self.margin, torch.inf).scatter_reduce(0, index[rows], margins[rows], "amin")
        rows = rows[margins[rows] == best[index[rows]]]
        rows = rows[_first_of_each(index[rows], len(self.x))]
        self.near[index[rows]] = points[rows]
        self.margin[index[rows]] = margins[rows]

    def _lower(self, index: Tensor, points: Tensor) -> None:
        """Each of these examples is broken by its point at the budget it is tried at: by how little else?"""
        level, lowest = self.level[index], self.level[index].clone()
        row, smaller = (level[:, None] > torch.arange(len(self.epsilons), device=level.device)).nonzero().unbind(1)
        if len(row):
            who = index[row]
            drawn = self.space.take(who).project(self.x[who], points[row], self.epsilons[smaller])
            outputs = self.victim.outputs(drawn, who)
            broken, margins = self.goal.broken(outputs, who), self.goal.margin(outputs, who)
            lowest.scatter_reduce_(0, row[broken], smaller[broken], "amin")
            chosen = smaller == lowest[row]
            points = points.clone()
            points[row[chosen]] = drawn[chosen]
            below = smaller == lowest[row] - 1
            self.near[who[below]], self.margin[who[below]] = drawn[below], margins[below]
        self.at[index], self.made[index] = lowest, points
        self.level[index] = lowest - 1
        self.by[index] = len(self.stages)

    def stage(self, name: str, work: Callable[[], None]) -> None:
        """Runs one attack and keeps its count and what it was the first to break."""
        before = self._robust()
        asked = self.victim.whose()
        work()
        broke = (before & ~self._robust()).sum(0).tolist()
        self.stages.append(Stage(name=name, asked=asked, broke=tuple(broke)))

    def _robust(self) -> Tensor:
        places = torch.arange(len(self.epsilons), device=self.at.device)
        return self.clean[:, None] & (self.at[:, None] > places)

    def found(self) -> Found:
        """What is known now."""
        distance = self.space.distance(self.x.double(), self.made.double())
        return Found(
            epsilons=self.settings.epsilons, clean=self.clean.cpu(), at=self.at.cpu(), made=self.made,
            distance=distance.cpu(), by=self.by.cpu(), stages=tuple(self.stages),
        )  # fmt: skip

    # --- to go on later

    def state(self) -> Mapping[str, Tensor]:
        """All that changes, as tensors: with the stages that are over it is enough to go on from here."""
        return {name: getattr(self, name).clone() for name in _KEPT}

    def restore(self, state: Mapping[str, Tensor], stages: Sequence[Stage]) -> None:
        """Takes up what `state` gave. Raises ValueError where it is of other examples."""
        if state["made"].shape != self.x.shape:
            raise ValueError(f"the state is of {tuple(state['made'].shape)}, the examples are {tuple(self.x.shape)}")
        for name in _KEPT:
            setattr(self, name, state[name].to(getattr(self, name)))
        self.stages = [replace(stage, asked=replace(stage.asked)) for stage in stages]


def _first_of_each(index: Tensor, n: int) -> Tensor:
    """The rows that are the first of their example."""
    rows = torch.arange(len(index), device=index.device)
    first = torch.full((n,), len(index), device=index.device).scatter_reduce(0, index, rows, "amin")
    return rows[first[index] == rows]
