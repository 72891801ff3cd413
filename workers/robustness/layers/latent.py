"""How little at the output of one layer breaks an example?

The layer's output is moved by rho |h(x)| at the most, in L2, and the network goes on from there: its smallest rho that
breaks, example by example, is found by the frontier of the attack engine with the layer's output in the place of the
input. It starts at the largest budget; what breaks there is drawn in to smaller ones, from where it climbs again; then
each budget found is tried again a little below itself, from what broke it. What is found is an upper bound: another
attack may need less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from workers.attack.classes import Misclassified
from workers.attack.lanes import Climb, Starts, climb
from workers.attack.settings import Settings
from workers.attack.space import Space, per_row
from workers.attack.standing import Standing
from workers.attack.victim import Asked, Network, Victim
from workers.kind import AnalysisError
from workers.sweep.layout import alike

_LEVELS, _SPAN = 12, 200.0
"""Budgets of the first curve, and how much smaller than the largest its smallest is."""

_NARROWER = (0.6, 0.72, 0.82, 0.9, 0.95, 0.98)
"""Of the budget that was found for an example: where it is tried again."""

_SHORTENINGS = 8
_TOWARDS = 2


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
    network: Network, h: Tensor, outputs: Tensor, labels: Tensor, search: Search, rows: int,
    told: Callable[[float], None],
) -> Budgets:  # fmt: skip
    """network: from the layer's output and the example's place to logits. h: (n, ...), what the layer gives of each.
    outputs: (n, classes), what the network gives. labels: int64 (n,). rows: most in one call.

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
    scale = torch.full_like(norm, search.largest)
    budgets = tuple((_SPAN ** (level / (_LEVELS - 1)) / _SPAN) for level in range(_LEVELS))
    for turn in range(1 + search.rounds):
        standing = _standing(network, goal, h, who, norm * scale, budgets, rows)
        start = h if turn == 0 else made
        _climbed(standing, search.steps, start[who], told, turn / (1 + search.rounds), 1 / (1 + search.rounds))
        found = standing.found()
        hit = found.clean & (found.at < len(budgets))
        broke = who[hit.to(who.device)]
        lower = torch.tensor((0.0, *budgets[:-1]), dtype=torch.float64)[found.at.clamp(0, len(budgets) - 1)][hit]
        own = found.made[hit.to(found.made.device)]
        shorter = _shortened(standing, hit.nonzero().flatten().to(who.device), own, lower)
        made[broke] = shorter
        rho[broke] = _relative(h[broke], shorter, norm[broke])
        asked = _sum(asked, found.asked)
        who = who[rho[who].isfinite()]
        if len(who) == 0:
            break
        scale = torch.where(rho.isfinite(), rho, scale)
        budgets = _NARROWER
    told(1.0)
    return Budgets(rho.cpu(), asked)


def _standing(
    network: Network, goal: Misclassified, h: Tensor, who: Tensor, unit: Tensor, budgets: tuple[float, ...], rows: int
) -> Standing:
    """The examples `who` of h, as the engine has them. unit: (n,), the length of a budget of 1."""

    def those(values: Tensor, index: Tensor) -> Tensor:
        return network(values, who[index])

    infinite = h.new_tensor(torch.inf)
    space = Space(norm="l2", low=-infinite, high=infinite, unit=per_row(unit[who], h[who]))
    settings = Settings(norm="l2", epsilons=budgets, towards=_TOWARDS, queries=0)
    return Standing(
        Victim(network=those, rows=rows), Misclassified(goal.labels.to(h.device)[who]), h[who], space, settings
    )


def _climbed(
    standing: Standing, steps: int, start: Tensor, told: Callable[[float], None], before: float, share: float
) -> None:
    """Two climbs: by the margin, and towards the runners-up."""

    def from_start(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        begun = standing.space.take(index).project(standing.x[index], start[index], standing.epsilon(index))
        return index, torch.full_like(index, -1), begun

    def towards(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        to = standing.towards[index]
        row, column = (to >= 0).nonzero().unbind(1)
        return index[row], to[row, column], standing.near[index[row]]

    plans: tuple[tuple[Climb, Starts, int], ...] = (
        (Climb(name="margin", loss="margin", steps=steps), from_start, 1),
        (Climb(name="margin-to", loss="margin-to", steps=steps), towards, standing.towards.shape[1]),
    )
    for at, (plan, starts, lanes) in enumerate(plans):
        if len(standing.open()) == 0:
            break

        def tell(done: float, at: int = at) -> None:
            told(before + share * (at + min(done, 1.0)) / len(plans))

        standing.stage(plan.name, partial(climb, standing, plan, starts, tell, lanes))


def _shortened(standing: Standing, index: Tensor, made: Tensor, lower: Tensor) -> Tensor:
    """What broke each, drawn towards the example as far as it still breaks. lower: budgets known not to be reached."""
    if len(index) == 0:
        return made
    x = standing.x[index]
    length = standing.space.take(index).distance(x.double(), made.double())
    low, high = (lower.to(length) / length).clamp(0, 1), torch.ones_like(length)
    best = made
    for _ in range(_SHORTENINGS):
        middle = (low + high) / 2
        tried = x + per_row(middle, x) * (made - x)
        broken = standing.goal.broken(standing.victim.outputs(tried, index), index)
        best = torch.where(per_row(broken, x).bool(), tried, best)
        low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
    return best


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
