"""How little at the output of one layer breaks an example?

The layer's output is moved by rho |h(x)| at the most, in L2, and the network goes on from there: its smallest rho that
breaks, example by example, is found by the frontier of the attack engine with the layer's output in the place of the
input. It starts at the largest budget; what breaks there is drawn in to smaller ones, from where it climbs again; then
each budget found is tried again a little below itself, from what broke it and from random points. What is found is an
upper bound: another attack may need less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from workers.attack.classes import Misclassified
from workers.attack.draws import Draws
from workers.attack.found import Found
from workers.attack.frontier import attack
from workers.attack.lanes import Climb, Starts, climb
from workers.attack.settings import Settings
from workers.attack.space import Space, per_row
from workers.attack.standing import Standing
from workers.attack.victim import Asked, Network, Victim
from workers.kind import AnalysisError
from workers.sweep.layout import alike

_LEVELS, _SPAN = 12, 200.0
"""Budgets of the first curve, and how much smaller than the largest its smallest is."""

_NARROWER = (0.6, 0.75, 0.86, 0.93, 0.97, 0.985, 0.995)
"""Of the budget that was found for an example: where it is tried again."""

HELD = 40
"""Tensors as large as the layer's output that are held for each example: what breaks one is drawn in to all budgets."""

_SHORTENINGS = 8
_TOWARDS, _FRESH = 2, 3
"""Runners-up that are climbed to; random points that are climbed from, where the gradient at the layer leads astray."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """largest: relative budget tried first. steps: of each climb. rounds: times the found is tried again below."""

    largest: float
    steps: int
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Budgets:
    """rho: (n,), float64; infinite where the largest budget broke nothing, NaN where the layer is zero and nothing is
    relative to it, or the example is wrong without an attack."""

    rho: Tensor
    asked: Asked


def latent(
    network: Network, h: Tensor, outputs: Tensor, labels: Tensor, search: Search, seeds: Sequence[int], rows: int,
    told: Callable[[float], None],
) -> Budgets:  # fmt: skip
    """network: from the layer's output and the example's place to logits. h: (n, ...), what the layer gives of each.
    outputs: (n, classes), what the network gives. labels: int64 (n,). seeds: one for each.
    rows: most in one call.

    Raises AnalysisError where the network cannot be run from here, or its output does not hang on the layer.
    """
    victim, goal = Victim(network=network, rows=rows), Misclassified(labels)
    asked = Asked()
    every = torch.arange(len(h), device=h.device)
    _require_same(victim.outputs(h, every), outputs)
    norm = h.flatten(1).double().norm(dim=1)
    known = (norm > 0) & norm.isfinite() & ~goal.broken(outputs, every)
    rho = torch.where(known, torch.inf, torch.nan).double()
    who = known.nonzero().flatten()
    if len(who) == 0:
        return Budgets(rho.cpu(), asked)
    made = h.clone()
    for turn in range(1 + search.rounds):
        part = _Part(network, labels.to(h.device), h, who, norm * (rho if turn else search.largest), rows)
        report = partial(_told, told, turn / (1 + search.rounds), 1 / (1 + search.rounds))
        found = part.narrower(search.steps, made, seeds, report) if turn else part.first(search.steps, seeds, report)
        hit = (found.clean & (found.at < len(found.epsilons))).nonzero().flatten()
        lower = torch.tensor((0.0, *found.epsilons), dtype=torch.float64)[found.at[hit]]
        hit = hit.to(who.device)
        shorter = part.shortened(hit, found.made[hit], lower)
        made[who[hit]] = shorter
        rho[who[hit]] = _relative(h[who[hit]], shorter, norm[who[hit]])
        asked = _sum(asked, found.asked)
        who = who[rho[who].isfinite()]
        if len(who) == 0:
            break
    told(1.0)
    return Budgets(rho.cpu(), asked)


def joined(parts: Sequence[Budgets]) -> Budgets:
    """Those of some examples after those of others."""
    asked = Asked()
    for each in parts:
        asked = _sum(asked, each.asked)
    return Budgets(torch.cat([each.rho for each in parts]), asked)


class _Part:
    """The examples `who` of h, as the engine has them, and the engine at work on them. unit: (n,), the length of a
    budget of 1."""

    def __init__(
        self, network: Network, labels: Tensor, h: Tensor, who: Tensor, unit: Tensor, rows: int
    ) -> None:  # fmt: skip
        def those(values: Tensor, index: Tensor) -> Tensor:
            return network(values, who[index])

        infinite = h.new_tensor(torch.inf)
        self._who, self._h = who, h[who]
        self._space = Space(norm="l2", low=-infinite, high=infinite, unit=per_row(unit[who], self._h))
        self._victim, self._goal = Victim(network=those, rows=rows), Misclassified(labels[who])

    def first(self, steps: int, seeds: Sequence[int], told: Callable[[float, str], None]) -> Found:
        """The whole ladder, over budgets from the largest down."""
        budgets = tuple((_SPAN ** (level / (_LEVELS - 1)) / _SPAN) for level in range(_LEVELS))
        settings = Settings(norm="l2", epsilons=budgets, steps=steps, towards=_TOWARDS, queries=0)
        own = [seeds[at] for at in self._who.tolist()]
        return attack(self._victim, self._goal, self._h, self._space, settings, own, told)

    def narrower(self, steps: int, made: Tensor, seeds: Sequence[int], told: Callable[[float, str], None]) -> Found:
        """Climbs below the budget that each has, from what broke it there, (n, ...)."""
        settings = Settings(norm="l2", epsilons=_NARROWER, towards=_TOWARDS, queries=0)
        standing = Standing(self._victim, self._goal, self._h, self._space, settings)
        _climbed(standing, steps, made[self._who], Draws([seeds[at] + 1 for at in self._who.tolist()]), told)
        return standing.found()

    def shortened(self, index: Tensor, made: Tensor, lower: Tensor) -> Tensor:
        """What broke each, drawn towards the example as far as it still breaks. lower: budgets that broke none."""
        if len(index) == 0:
            return made
        x = self._h[index]
        length = self._space.take(index).distance(x.double(), made.double())
        low, high = (lower.to(length) / length).clamp(0, 1), torch.ones_like(length)
        best = made
        for _ in range(_SHORTENINGS):
            middle = (low + high) / 2
            tried = x + per_row(middle, x) * (made - x)
            broken = self._goal.broken(self._victim.outputs(tried, index), index)
            best = torch.where(per_row(broken, x).bool(), tried, best)
            low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
        return best


def _told(told: Callable[[float], None], before: float, share: float, fraction: float, _stage: str) -> None:
    told(before + share * min(1.0, fraction))


def _climbed(standing: Standing, steps: int, start: Tensor, draws: Draws, told: Callable[[float, str], None]) -> None:
    """Three climbs: by the margin, from random points too, and towards the runners-up."""

    def from_start(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        begun = standing.space.take(index).project(standing.x[index], start[index], standing.epsilon(index))
        return index, torch.full_like(index, -1), begun

    def towards(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        to = standing.towards[index]
        row, column = (to >= 0).nonzero().unbind(1)
        return index[row], to[row, column], standing.near[index[row]]

    def anywhere(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = index.repeat_interleave(_FRESH)
        x, space = standing.x[rows], standing.space.take(rows)
        return rows, torch.full_like(rows, -1), draws.inside(rows, x, space, standing.epsilon(rows))

    plans: tuple[tuple[Climb, Starts, int], ...] = (
        (Climb(name="margin", loss="margin", steps=steps), from_start, 1),
        (Climb(name="fresh", loss="margin", steps=steps), anywhere, _FRESH),
        (Climb(name="margin-to", loss="margin-to", steps=steps), towards, standing.towards.shape[1]),
    )
    for at, (plan, starts, lanes) in enumerate(plans):
        if len(standing.open()) == 0:
            break

        def tell(done: float, at: int = at, name: str = plan.name) -> None:
            told((at + min(done, 1.0)) / len(plans), name)

        standing.stage(plan.name, partial(climb, standing, plan, starts, tell, lanes))


def _relative(h: Tensor, made: Tensor, norm: Tensor) -> Tensor:
    found: Tensor = (made.double() - h.double()).flatten(1).norm(dim=1) / norm
    return found


def _require_same(rerun: Tensor, outputs: Tensor) -> None:
    if not alike(rerun, outputs):
        raise AnalysisError(
            "not-rerun", "given its own output back, the network says something else: it cannot be run from here on"
        )


def _sum(one: Asked, other: Asked) -> Asked:
    return Asked(forwards=one.forwards + other.forwards, gradients=one.gradients + other.gradients)
