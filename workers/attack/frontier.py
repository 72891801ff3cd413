"""At which budgets does each example break? One ladder of attacks, climbed once for a whole curve.

From cheap to dear: Auto-PGD on the cross-entropy from a random point, on the ratio of logits from what was nearest, on
the difference to every class with successive halving; for L-infinity once more from what was nearest, for L2 along the
boundary from outside; and a search by random windows that begins at what was nearest, and where gradients led nowhere
once more from anywhere. An example leaves a stage as soon as it is broken and goes on at a smaller budget (`standing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil

import torch
from torch import Tensor

from workers.attack.boundary import walk
from workers.attack.draws import Draws
from workers.attack.found import Found, Stage
from workers.attack.goal import Goal
from workers.attack.lanes import Climb, Starts, climb
from workers.attack.query.ladder import stages as black_box
from workers.attack.query.square import COLD, WARM, square
from workers.attack.settings import Settings
from workers.attack.space import Space
from workers.attack.standing import Standing, Told, silent
from workers.attack.victim import Victim

Run = Callable[[Standing, Draws, Callable[[float], None]], None]

_LANES = 9
"""Where there are fewer classes to climb to, each is climbed to from several starts."""
_RUNGS = ((0.12, 5), (0.25, 3), (0.5, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Resumed:
    """Where an attack stood when a stage was over: with the same arguments it goes on to the same result.

    state: tensors by name. stages: those that are over.
    """

    state: Mapping[str, Tensor]
    stages: tuple[Stage, ...]


def attack(
    victim: Victim,
    goal: Goal,
    x: Tensor,
    space: Space,
    settings: Settings,
    seeds: Sequence[int],
    told: Told = silent,
    begun: Resumed | None = None,
    kept: Callable[[Resumed], None] | None = None,
    unlike: Tensor | None = None,
) -> Found:
    """The smallest of the budgets that breaks each example, as far as this ladder finds: an upper bound of the truth.

    x: (N, ...) within bounds. seeds: one per example. kept: given what `begun` takes, after every stage. unlike: raw
    rows (M, ...) among which a black box's nearest of another answer is looked for. Raises ValueError where budgets,
    seeds or inputs do not fit.
    """
    _check(x, space, settings, seeds)
    standing = Standing(victim, goal, x, space, settings)
    if begun is not None:
        standing.restore(begun.state, begun.stages)
    stages = black_box(settings, unlike) if victim.black_box else _white_box(goal, settings)
    for number, (name, weight, run) in enumerate(stages):
        if number < len(standing.stages):
            continue
        whole = sum(each for _, each, _ in stages)
        before = sum(each for _, each, _ in stages[:number])
        report = partial(_told, told, name, before / whole, weight / whole)
        report(0.0)
        standing.stage(name, partial(run, standing, _streams(seeds, number), report))
        if kept is not None:
            kept(Resumed(standing.state(), tuple(standing.stages)))
    return standing.found()


def _told(told: Told, name: str, begins: float, share: float, fraction: float) -> None:
    told(begins + share * min(1.0, fraction), name)


def _streams(seeds: Sequence[int], stage: int) -> Draws:
    """Each stage draws from streams of its own, so that a run taken up again draws what it would have drawn."""
    return Draws([(seed * 1_000_003 + stage) % 2**63 for seed in seeds])


def _check(x: Tensor, space: Space, settings: Settings, seeds: Sequence[int]) -> None:
    epsilons = settings.epsilons
    if not epsilons or epsilons[0] <= 0 or any(a >= b for a, b in pairwise(epsilons)):
        raise ValueError(f"budgets are above zero and ascend, unlike {epsilons}")
    if len(seeds) != len(x):
        raise ValueError(f"{len(seeds)} seeds for {len(x)} examples")
    if not bool((torch.isfinite(x) & (x >= space.low) & (x <= space.high)).all()):
        raise ValueError(
            "an example lies outside the bounds, or is not finite: an attack within them has no place there"
        )


# --- the ladder


def _white_box(goal: Goal, settings: Settings) -> list[tuple[str, float, Run]]:
    """Name, weight in time and work of each stage."""
    steps = settings.steps * (2 if settings.doubled else 1)
    first = goal.losses[0]
    made: list[tuple[str, float, Run]] = [
        (f"apgd-{first}", steps, partial(_climb, Climb(name=f"apgd-{first}", loss=first, steps=steps), _random))
    ]
    if "dlr" in goal.losses:
        dlr = Climb(name="apgd-dlr", loss="dlr", steps=ceil(0.4 * steps))
        made.append((dlr.name, dlr.steps, partial(_climb, dlr, _near)))
    if goal.targeted:
        climbed = 2 * steps if settings.norm == "linf" else steps
        lanes = Climb(name="apgd-targets", loss=goal.targeted[0], steps=climbed, rungs=_RUNGS)
        made.append((lanes.name, 3.0 * lanes.steps, partial(_climb, lanes, _to_each)))
    if settings.norm == "linf":
        last = goal.losses[min(2, len(goal.losses) - 1)] if "margin" in goal.losses else first
        refine = Climb(name="refine", loss=last, steps=2 * steps, first=0.5)
        made.append((refine.name, refine.steps, partial(_climb, refine, _near)))
    else:
        made.append(("boundary", 3.0 * steps, partial(_boundary, 2 * steps)))
    if settings.queries:
        queries = settings.queries * (2 if settings.doubled else 1)
        made.append(("square", 0.04 * queries, partial(_square, queries)))
        made.append(("square-anew", 0.04 * queries, partial(_anew, queries)))
    return made


def _climb(
    plan: Climb, starts: Callable[[Standing, Draws], Starts], standing: Standing, draws: Draws,
    told: Callable[[float], None],
) -> None:  # fmt: skip
    per_example = _lanes(standing) if starts is _to_each else 1
    climb(standing, plan, starts(standing, draws), told, per_example)


def _boundary(steps: int, standing: Standing, _draws: Draws, told: Callable[[float], None]) -> None:
    walk(standing, steps, told)


def _square(queries: int, standing: Standing, draws: Draws, told: Callable[[float], None]) -> None:
    square(standing, draws, queries, told, WARM)


def _anew(queries: int, standing: Standing, draws: Draws, told: Callable[[float], None]) -> None:
    """From anywhere, where gradients led nowhere: in L2, and wherever they were zero."""
    index = standing.open()
    only = index if standing.space.norm == "l2" else index[standing.flat[index] > 0]
    square(standing, draws, queries, told, COLD, only)


# --- where lanes start


def _random(standing: Standing, draws: Draws) -> Starts:
    """A random point of the ball; once broken, from what broke it, drawn in."""

    def starts(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fresh = standing.level[index] == len(standing.epsilons) - 1
        drawn = draws.inside(index, standing.x[index], standing.space.take(index), standing.epsilon(index))
        wide = fresh.reshape(-1, *[1] * (drawn.ndim - 1))
        return index, torch.full_like(index, -1), torch.where(wide, drawn, standing.near[index])

    return starts


def _near(standing: Standing, _draws: Draws) -> Starts:
    """What was nearest to breaking it so far."""

    def starts(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return index, torch.full_like(index, -1), standing.near[index]

    return starts


def _lanes(standing: Standing) -> int:
    """How many lanes an example has where each climbs to a class."""
    classes = standing.towards.shape[1]
    return classes * ceil(min(4, _LANES) / classes) if classes < 4 else classes


def _to_each(standing: Standing, draws: Draws) -> Starts:
    """A lane to every class, from random points."""
    times = _lanes(standing) // max(1, standing.towards.shape[1])

    def starts(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        towards = standing.towards[index].repeat(1, times)
        rows = index.repeat_interleave(towards.shape[1])
        point = draws.inside(rows, standing.x[rows], standing.space.take(rows), standing.epsilon(rows))
        return rows, towards.reshape(-1), point

    return starts
