"""Which runs would show that these numbers mean nothing?

A linear model around a row of the data, whose smallest budget follows from its weights, must break there and not below;
a model of columns that may not change must not break; and a checker that is told of rows spoilt on purpose must find
every one, and must find nothing wrong with the rows as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.contracts.outcome import ControlRun
from workers.attack.classes import Misclassified
from workers.attack.found import Found
from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.attack.victim import Victim
from workers.kind import Context
from workers.numerics.determinism import seed_for
from workers.recheck.constraints import Declared, forbidden
from workers.robustness.tabular.case import Case, background_of, columns_declared
from workers.robustness.tabular.compute import REFUSED
from workers.robustness.tabular.declared import declared_of
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.repair import repaired
from workers.robustness.tabular.rules import Rules
from workers.subject.subject import Subject

CONTROL_ROWS = 8
_NEAR = 0.02
"""How far above and below the smallest budget is tried."""
_STEPS = 10

LINEAR = ("a linear model", "Is a linear model broken just above the budget that its weights tell, and not below?")
HELD = ("what may not change", "Does a model of columns that may not change keep its decision?")
SPOILT = ("rows spoilt on purpose", "Does the check find every row that breaks a rule, and none that does not?")

Observed = tuple[str, bool | None]


def run(which: tuple[str, str], subject: Subject, parameters: TabularParameters, context: Context) -> ControlRun:
    """One of `RUNS`."""
    expected, check = RUNS[which]
    try:
        observed, passed = check(Case.of(subject, parameters), context)
    except REFUSED as refused:
        observed, passed = f"not applicable, because {refused}", None
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """Two logits around rows x: the second is w (x' - x) / unit - margin, float64 weights (F,), margin (n,)."""

    rules: Rules
    x: Tensor
    weights: Tensor
    margin: Tensor

    def __call__(self, made: Tensor, index: Tensor) -> Tensor:
        legal = repaired(self.rules, self.x[index], made)
        units = (legal - self.x[index]) / self.rules.unit.to(legal)
        second = units @ self.weights.to(legal) - self.margin[index]
        return torch.stack([torch.zeros_like(second), second], dim=1)


def _attacked(model: _Linear, epsilons: tuple[float, ...], context: Context) -> Found:
    n = len(model.x)
    labels = torch.zeros(n, dtype=torch.int64, device=model.x.device)
    return attack(
        Victim(network=model), Misclassified(labels), model.x, model.rules.space(model.x),
        Settings(norm="linf", epsilons=epsilons, steps=_STEPS, queries=0),
        [seed_for(context.digest, at) for at in range(n)], context.progress,
    )  # fmt: skip


def _linear(case: Case, context: Context) -> Observed:
    """Numbers alone, without steps and relations, where the smallest budget has a closed form."""
    x = case.x[:CONTROL_ROWS].double()
    rules = replace(
        case.rules, step=torch.zeros_like(case.rules.step), relations=(), weights=case.rules.weights[:0],
        bound=case.rules.bound[:0], equal=case.rules.equal[:0],
    )  # fmt: skip
    weights = _drawn(rules, context).to(x)
    epsilon = case.parameters.epsilons[len(case.parameters.epsilons) // 2]
    low, high = rules.ends(x)
    room = torch.where(weights > 0, high - x, x - low) / rules.unit.to(x)
    size = weights.abs() * torch.minimum(room, torch.full_like(room, epsilon))
    wider = weights.abs() * torch.minimum(room, torch.full_like(room, epsilon * (1 + _NEAR)))
    narrower = weights.abs() * torch.minimum(room, torch.full_like(room, epsilon * (1 - _NEAR)))
    told = (wider.sum(1) > size.sum(1)) & (narrower.sum(1) < size.sum(1))
    if not bool(told.any()):
        return "not applicable, because bounds and directions leave the rows no room that a budget limits", None
    model = _Linear(rules, x[told], weights, size.sum(1)[told])
    found = _attacked(model, (epsilon * (1 - _NEAR), epsilon * (1 + _NEAR)), context)
    right = int((found.at == 1).sum())
    n = int(told.sum())
    return (
        f"{right} of {n} rows: broken at {1 + _NEAR:g} of the smallest budget, and not at {1 - _NEAR:g}",
        right == n,
    )


def _drawn(rules: Rules, context: Context) -> Tensor:
    """Weights of the numbers that may change, of either sign, none near zero; float64 (F,)."""
    draws = np.random.Generator(np.random.PCG64(seed_for(context.digest, 0)))
    count = len(rules.names)
    drawn = draws.uniform(0.5, 1.5, count) * draws.choice([-1.0, 1.0], count)
    return torch.where(rules.numbers, torch.from_numpy(drawn), 0.0)


def _held(case: Case, context: Context) -> Observed:
    """Of held numbers; where no number is held, the first is."""
    rules = case.rules
    numbers = torch.tensor([not codes for codes in _of_inputs(rules)])
    if not bool((numbers & ~rules.numbers).any()):
        first = int(rules.numbers.nonzero()[0]) if bool(rules.numbers.any()) else -1
        if first < 0:
            return "not applicable, because no column is a number", None
        free = rules.free.clone()
        free[first] = False
        rules = replace(rules, free=free)
    if not bool(rules.numbers.any()):
        return "not applicable, because no number may change", None
    x = case.x[:CONTROL_ROWS].double()
    weights = (numbers & ~rules.numbers).to(x)
    model = _Linear(rules, x, weights, torch.full((len(x),), 1e-6, dtype=x.dtype, device=x.device))
    found = _attacked(model, case.parameters.epsilons, context)
    broken = int((found.at < len(found.epsilons)).sum())
    return f"{broken} of {len(x)} rows broken", broken == 0


def _of_inputs(rules: Rules) -> list[tuple[float, ...]]:
    made: list[tuple[float, ...]] = [()] * len(rules.names)
    for column, codes in zip(rules.columns, rules.legal, strict=True):
        for place in column.places:
            made[place] = codes
    return made


# --- rows spoilt on purpose


def _spoilt(case: Case, _context: Context) -> Observed:
    _, background = background_of(case.subject, case.attacked.input)
    declared = declared_of(case.attacked.facts, columns_declared(case.subject), case.parameters, background)
    x = case.x[:CONTROL_ROWS].cpu().double().numpy()
    epsilon = np.full(len(x), case.parameters.epsilons[-1])
    wronged = [why for why in forbidden(declared, x, x, epsilon) if why]
    spoilt = [(name, made) for name, spoil in _SPOILS.items() if (made := spoil(declared, x, epsilon)) is not None]
    missed = [name for name, made in spoilt if any(why is None for why in forbidden(declared, x, made, epsilon))]
    told = f"{len(spoilt)} ways to spoil {len(x)} rows: {', '.join(name for name, _ in spoilt)}"
    if wronged or missed:
        return f"missed: {', '.join(missed) or 'none'}; rows as they are refused: {len(wronged)}; {told}", False
    return f"all found, and no row as it is refused; {told}", True


Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _number(declared: Declared) -> int | None:
    """A column that is a plain number."""
    plain = [
        at
        for at, name in enumerate(declared.names)
        if not declared.category[at] and declared.unit[at] > 0 and name not in declared.steps
        and name not in declared.immutable
    ]  # fmt: skip
    return plain[0] if plain else None


def _beyond_budget(declared: Declared, x: Array, epsilon: Array) -> Array | None:
    at = _number(declared)
    if at is None:
        return None
    made = x.copy()
    made[:, at] += (
        np.where(x[:, at] > (declared.low[at] + declared.high[at]) / 2, -1, 1) * 1.01 * (epsilon * declared.unit[at])
    )
    return made


def _beyond_bounds(declared: Declared, x: Array, _epsilon: Array) -> Array:
    made = x.copy()
    made[:, 0] = declared.high[0] + 1e-3 * (1 + abs(declared.high[0]))
    return made


def _unmoved(declared: Declared, x: Array, _epsilon: Array) -> Array | None:
    if not declared.immutable:
        return None
    at = list(declared.names).index(declared.immutable[0])
    made = x.copy()
    middle = (declared.low[at] + declared.high[at]) / 2
    made[:, at] += np.where(x[:, at] > middle, -1e-3, 1e-3) * (1 + np.abs(x[:, at]))
    return made


def _off_step(declared: Declared, x: Array, _epsilon: Array) -> Array | None:
    if not declared.steps:
        return None
    name, size = next(iter(declared.steps.items()))
    made = x.copy()
    made[:, list(declared.names).index(name)] += 0.4 * size
    return made


def _two_ones(declared: Declared, x: Array, _epsilon: Array) -> Array | None:
    if not declared.one_hot:
        return None
    made = x.copy()
    made[:, [list(declared.names).index(name) for name in declared.one_hot[0][:2]]] = 1.0
    return made


def _no_category(declared: Declared, x: Array, _epsilon: Array) -> Array | None:
    if not declared.codes:
        return None
    made = x.copy()
    made[:, list(declared.names).index(next(iter(declared.codes)))] += 0.5
    return made


def _unrelated(declared: Declared, x: Array, _epsilon: Array) -> Array | None:
    if not declared.relations:
        return None
    relation = declared.relations[0]
    name, weight = max(relation.weights.items(), key=lambda item: abs(item[1]))
    at = list(declared.names).index(name)
    made = x.copy()
    total = sum(each * x[:, list(declared.names).index(other)] for other, each in relation.weights.items())
    made[:, at] += (relation.bound - total + 0.1 * (1 + np.abs(total) + abs(relation.bound))) / weight
    return made


_SPOILS: dict[str, Callable[[Declared, Array, Array], Array | None]] = {
    "beyond the budget": _beyond_budget,
    "beyond the bounds": _beyond_bounds,
    "what may not change": _unmoved,
    "off its steps": _off_step,
    "two of a one-hot group": _two_ones,
    "no category": _no_category,
    "a relation broken": _unrelated,
}

RUNS: dict[tuple[str, str], tuple[str, Callable[[Case, Context], Observed]]] = {
    LINEAR: (f"broken at {1 + _NEAR:g} of the smallest budget, and not at {1 - _NEAR:g}, every row", _linear),
    HELD: ("no row broken", _held),
    SPOILT: ("all found, and no row as it is refused", _spoilt),
}
