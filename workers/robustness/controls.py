"""Which runs would show that the attacks mean nothing?

One asks the engine, at the very examples and within their bounds, about a linear rule whose smallest perturbation is
known; one about a rule that nothing can change; one attacks the network twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.contracts.outcome import ControlRun
from workers.attack.classes import Misclassified
from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.victim import Victim
from workers.kind import Context
from workers.robustness.case import Case

LINEAR = ("a linear rule", "Is the smallest perturbation of a linear rule found, and none smaller?")
CONSTANT = ("a constant", "Is nothing broken where nothing can change?")
AGAIN = ("once more", "Does the same attack give the same bits?")

FEW, STEPS, QUERIES = 4, 20, 100
_BELOW, _ABOVE = 0.98, 1.02
"""Times the smallest perturbation that is known: at the one nothing may be broken, at the other everything."""

Observed = tuple[str, bool | None]


def run(which: tuple[str, str], case: Case, context: Context) -> ControlRun:
    """One of `RUNS`, with the first examples."""
    expected, check = RUNS[which]
    context.progress(0.99, f"control: {which[0]}")
    with case.attacked.quiet():
        observed, passed = check(case, context)
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """s(x) = sum of weight · (x - own) / unit + margin for each example: class 0 while it is above zero."""

    own: Tensor
    weight: Tensor
    unit: Tensor
    margin: Tensor

    def __call__(self, made: Tensor, index: Tensor) -> Tensor:
        moved = (made - self.own[index]) / self.unit[index]
        score = (self.weight[index] * moved).flatten(1).sum(1) + self.margin[index]
        return torch.stack([score, -score], 1) / 2


def _linear(case: Case, context: Context) -> Observed:
    x, space = case.attacked.x[:FEW], _first(case.attacked.space, len(case))
    epsilon = min(case.settings.epsilons[0], 0.1 * float(space.widest(x).min()))
    unit = space.unit.expand(x.shape)
    draws = torch.Generator().manual_seed(case.seeds(context.digest)[0])
    weight = torch.randn(x.shape, generator=draws, dtype=torch.float64).to(x)
    reach = 1.1 * epsilon * unit
    down, up = x - space.low >= reach, space.high - x >= reach
    weight = torch.where(up & ~down, -weight.abs(), torch.where(down & ~up, weight.abs(), weight))
    weight = torch.where(down | up, weight, 0.0)
    if space.free is not None:
        weight = torch.where(space.free.expand(x.shape), weight, 0.0)
    dual = weight.flatten(1).abs().sum(1) if space.norm == "linf" else weight.flatten(1).norm(dim=1)
    if not bool((dual > 0).all()):
        return "no number has room to move within the bounds", None
    settings = replace(_short(case), epsilons=(_BELOW * epsilon, _ABOVE * epsilon))
    rule = _Linear(x, weight, unit, epsilon * dual)
    found = attack(
        Victim(network=rule), Misclassified(torch.zeros(len(x), dtype=torch.int64)), x, space, settings,
        case.seeds(context.digest)[:FEW],
    )  # fmt: skip
    below, above = ((found.clean & (found.at <= place)).sum().item() for place in (0, 1))
    observed = (
        f"smallest perturbation {epsilon:.4g}: {below} of {len(x)} broken at {_BELOW} times that, {above} at"
        f" {_ABOVE} times"
    )
    return observed, below == 0 and above == len(x)


def _constant(case: Case, context: Context) -> Observed:
    x = case.attacked.x[:FEW]

    def same(made: Tensor, _index: Tensor) -> Tensor:
        level = 0 * made.flatten(1).sum(1)
        return torch.stack([level + 1, level], 1)

    found = attack(
        Victim(network=same), Misclassified(torch.zeros(len(x), dtype=torch.int64)), x,
        _first(case.attacked.space, len(case)), _short(case), case.seeds(context.digest)[:FEW],
    )  # fmt: skip
    held = int(found.robust()[:, -1].sum())
    return f"{held} of {len(x)} hold at {found.epsilons[-1]:.4g}", held == len(x)


def _again(case: Case, context: Context) -> Observed:
    rows = torch.arange(len(case.attacked.x[:FEW]))
    examined, why = case.examined(64, context.digest)
    if why is not None:
        examined = replace(examined, victim=replace(examined.victim, black_box=True))
    some = examined.some(rows)
    first, second = (some.attacked(_short(case), "once more") for _ in range(2))
    same = torch.equal(first.at, second.at) and torch.equal(first.made, second.made)
    return "the same bits" if same else "other bits", same


def _short(case: Case) -> Settings:
    settings = case.settings
    return replace(settings, steps=min(STEPS, settings.steps), queries=min(QUERIES, settings.queries))


def _first(space: Space, n: int) -> Space:
    return space.take(torch.arange(min(FEW, n)))


RUNS: dict[tuple[str, str], tuple[str, Callable[[Case, Context], Observed]]] = {
    LINEAR: (f"none broken at {_BELOW} times the smallest perturbation, all at {_ABOVE} times", _linear),
    CONSTANT: ("all hold at every budget", _constant),
    AGAIN: ("the same bits", _again),
}
