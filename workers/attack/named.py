"""What do the attacks find that everybody names? FGSM and plain PGD, for comparison and never for a verdict.

FGSM: Goodfellow, Shlens and Szegedy, arXiv:1412.6572, section 4. PGD: Madry et al., arXiv:1706.06083, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.found import Found
from workers.attack.goal import Goal
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.standing import Standing, Told, silent
from workers.attack.victim import Victim

PGD_STEPS, _STEP = 40, 2.5
"""Madry's step: 2.5 budgets over all steps."""


def fgsm(
    victim: Victim, goal: Goal, x: Tensor, space: Space, settings: Settings, told: Told = silent
) -> tuple[Found, ...]:
    """One step of the whole budget along the gradient's steepest direction: a result for each budget on its own."""
    return tuple(
        _stepped(victim, goal, x, space, _at(settings, epsilon), "fgsm", x, 1, epsilon, told)
        for epsilon in settings.epsilons
    )


def pgd(
    victim: Victim,
    goal: Goal,
    x: Tensor,
    space: Space,
    settings: Settings,
    seeds: Sequence[int],
    told: Told = silent,
    steps: int = PGD_STEPS,
) -> tuple[Found, ...]:
    """Fixed steps from one random point of the ball: a result for each budget on its own."""
    made = []
    every = torch.arange(len(x), device=x.device)
    for epsilon in settings.epsilons:
        start = Draws(seeds).inside(every, x, space, torch.full((len(x),), epsilon, dtype=x.dtype, device=x.device))
        length = _STEP * epsilon / steps
        made.append(_stepped(victim, goal, x, space, _at(settings, epsilon), "pgd", start, steps, length, told))
    return tuple(made)


def _at(settings: Settings, epsilon: float) -> Settings:
    return replace(settings, epsilons=(epsilon,))


def _stepped(
    victim: Victim, goal: Goal, x: Tensor, space: Space, settings: Settings, name: str, start: Tensor, steps: int,
    length: float, told: Told,
) -> Found:  # fmt: skip
    standing = Standing(victim, goal, x, space, settings)
    loss = goal.losses[0]

    def climb() -> None:
        point = start
        for step in range(steps):
            index = standing.open()
            if len(index) == 0:
                return
            here, around = x[index], space.take(index)

            def climbed(outputs: Tensor, rows: slice, index: Tensor = index) -> Tensor:
                return goal.loss(loss, outputs, index[rows], None)

            _, _, slope = victim.gradient(point[index], index, climbed)
            slope = torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
            ahead = point[index] + length * around.steepest(slope)
            epsilon = standing.epsilon(index)
            point = point.clone()
            point[index] = around.project(here, ahead, epsilon)
            standing.looked(index, point[index], victim.outputs(point[index], index))
            told((step + 1) / steps, f"{name} at {settings.epsilons[0]:g}")

    standing.stage(name, climb)
    return standing.found()
