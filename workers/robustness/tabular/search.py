"""How are rows attacked? Categories first, then rows that are decided otherwise, then the ladder of attacks on numbers.

The ladder (`workers.attack.frontier`) sees the network behind the repair: what it climbs is what legal rows give, after
rounding and with all relations kept. It climbs with the categories as they are, with those that came nearest, and with
those that came nearest after one step of all numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.categories import exchanged, with_a_step
from workers.robustness.tabular.fewer import fewer
from workers.robustness.tabular.hunt import Hunt
from workers.robustness.tabular.repair import repaired

Told = Callable[[float, str], None]
BLACK_BOX = 4
"""Times the queries that a network without gradients is asked."""


def hunted(case: Case, rows: int, seeds: Sequence[int], told: Told) -> Hunt:
    """Every attack on every row. seeds: one for each row."""
    hunt = Hunt.of(case, case.victim(rows))
    with case.attacked.quiet():
        told(0.0, "categories")
        with hunt.attempt("categories"):
            index = hunt.open()
            base = exchanged(hunt, index)
        second = case.x[index]
        if not case.subject.black_box and bool(case.rules.numbers.any()):
            told(0.05, "categories with a step")
            with hunt.attempt("categories with a step"):
                second = with_a_step(hunt, index)
        told(0.1, "neighbours")
        with hunt.attempt("neighbours"):
            _neighbours(hunt)
        if bool(case.rules.numbers.any()):
            _climbed(hunt, index, case.x[index], rows, seeds, "", _within(told, 0.15, 0.5))
            for around, said, begins in ((base, "other", 0.5), (second, "further", 0.7)):
                moved = (around != case.x[index]).any(1)
                moved &= (around != base).any(1) if around is second else True
                named = f", with {said} categories"
                _climbed(hunt, index[moved], around[moved], rows, seeds, named, _within(told, begins, begins + 0.15))
        told(0.85, "fewer columns")
        with hunt.attempt("fewer columns"):
            fewer(hunt)
    return hunt


def _within(told: Told, begins: float, ends: float) -> Told:
    return lambda fraction, stage: told(begins + (ends - begins) * min(1.0, fraction), stage)


def _climbed(
    hunt: Hunt, index: Tensor, around: Tensor, rows: int, seeds: Sequence[int], said: str, told: Told
) -> None:  # fmt: skip
    """The ladder around rows (k, F), which are those of `index` but for their categories."""
    still = (hunt.at[index] > 0).nonzero().flatten()
    index, around = index[still], around[still]
    if len(index) == 0:
        return
    case, asked = hunt.case, hunt.case.parameters
    queries = asked.queries * (BLACK_BOX if case.subject.black_box else 1)
    settings = Settings(norm="linf", epsilons=asked.epsilons, steps=asked.steps, queries=queries)
    victim = case.within_rules(rows, around, index, hunt.repairs)
    goal = case.judged.among(index).goal
    found = attack(
        victim, goal, around, case.rules.space(around), settings, [seeds[at] for at in index.tolist()],
        lambda fraction, stage: told(fraction, stage + said),
    )  # fmt: skip
    made = repaired(case.rules, around, found.made).detach()
    by = found.by.to(index.device)
    for number, stage in enumerate(found.stages):
        with hunt.attempt(stage.name + said, stage.asked):
            own = (by == number).nonzero().flatten()
            hunt.offer(index[own], made[own])


def _neighbours(hunt: Hunt) -> None:
    """The nearest other rows that the goal is reached at, drawn in to every budget: an attack that asks no gradient."""
    case, wanted = hunt.case, hunt.case.parameters.neighbours
    index, rules = hunt.open(), hunt.case.rules
    if not wanted or len(index) == 0:
        return
    scores = case.judged.scores(case.given)
    for at in index.tolist():
        donors = case.judged.goal.broken(scores, torch.full((len(case),), at, device=index.device)).nonzero().flatten()
        if len(donors) == 0:
            continue
        away = _away(case, case.x[at], case.x[donors])
        near = case.x[donors[away.argsort(stable=True)[:wanted]]]
        own = case.x[at].expand_as(near)
        wide = _categories_of(hunt, own, near)
        epsilons = torch.tensor(case.parameters.epsilons, dtype=near.dtype, device=near.device)
        starts, ends = (each.repeat(len(epsilons), 1) for each in (wide, near))
        budgets = epsilons.repeat_interleave(len(near))
        space = rules.space(starts)
        made = repaired(rules, starts, space.project(starts, ends, budgets), hunt.repairs).detach()
        hunt.offer(torch.full((len(made),), at, device=index.device), made)


def _away(case: Case, row: Tensor, others: Tensor) -> Tensor:
    unit, numbers = case.rules.unit.to(row), case.rules.numbers.to(row.device)
    size = torch.where(numbers, (others - row).abs() / unit, (others != row).to(row))
    return size.sum(1)


def _categories_of(hunt: Hunt, own: Tensor, near: Tensor) -> Tensor:
    """`own` with the categories of `near` where no more than may differ do, in the directions that they may."""
    rules = hunt.case.rules
    made, changed = own.clone(), torch.zeros(len(own), dtype=torch.int64, device=own.device)
    legal = torch.ones(len(own), dtype=torch.bool, device=own.device)
    for at in rules.exchangeable:
        places = list(rules.columns[at].places)
        differs = (own[:, places] != near[:, places]).any(1)
        changed += differs
        first = places[0]
        if bool(rules.up[first]):
            legal &= near[:, first] >= own[:, first]
        if bool(rules.down[first]):
            legal &= near[:, first] <= own[:, first]
        made[:, places] = near[:, places]
    taken = legal & (changed <= rules.most_categories)
    return torch.where(taken[:, None], made, own)
