"""How far at least must each example be moved to be broken? An upper bound: the nearest adversarial that was found.

To each of the most promising places (for classes the runners-up) the loss is taken as linear, which on a linear model
already gives the answer; walkers then go from the example along the few nearest of these, one climbs no place in
particular, and one begins at an adversarial that is known. The weaker are dropped on the way. What is nearest at the
end is drawn in to the boundary (`draw_in`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.found import Found
from workers.attack.goal import Goal
from workers.attack.minimum.draw_in import drawn_in
from workers.attack.minimum.walk import Walk, Walkers, linear, plain_loss
from workers.attack.space import Space
from workers.attack.standing import Told, silent
from workers.attack.victim import Asked, Victim

_PLACES = 9
"""Most places whose linear distance is asked for."""
_LED = 3
"""Walkers that are led to a place."""
_RUNGS = ((0.15, 2), (0.4, 1))
"""After which share of the steps how many walkers of an example go on."""
_LEAST = 1e-6
"""The first radius, where the example lies on the boundary: one of zero would not grow."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Minimum:
    """N examples. clean: bool (N,), where the goal is not yet reached without an attack. found: bool (N,), where there
    is an adversarial, or none is needed. made: (N, ...), it, or the example itself where there is none or none is
    needed. distance: float64 (N,), from the example in units of epsilon: 0 where not clean, infinite where not found.
    asked: what it cost."""

    clean: Tensor
    found: Tensor
    made: Tensor
    distance: Tensor
    asked: Asked


def minimum(
    victim: Victim,
    goal: Goal,
    x: Tensor,
    space: Space,
    steps: int,
    seeds: Sequence[int],
    told: Told = silent,
    known: Found | Minimum | None = None,
) -> Minimum:
    """The nearest adversarial of each example in the norm of the space, never further than one that is known.

    x: (N, ...) within bounds. steps: gradient steps of the walker that stays to the end, at least 1; all take about
    2.2 times as many. seeds: one per example. Raises ValueError where the victim gives no gradients, or arguments do
    not fit.
    """
    if victim.black_box:
        raise ValueError("a black box gives no gradients: search it with HopSkipJump (workers.attack.query)")
    if steps < 1 or len(seeds) != len(x):
        raise ValueError(f"at least one step and a seed per example are needed: {steps} steps, {len(seeds)} seeds")
    asked = victim.whose()
    every = torch.arange(len(x), device=x.device)
    clean = ~goal.broken(victim.outputs(x, every), every)
    made, distance = x.clone(), torch.where(clean, torch.inf, 0.0).double()
    walk = Walk(victim, goal, x, space, Draws(seeds), steps, sphere=space.norm == "l2")
    to_do, at_once = clean.nonzero().flatten(), max(1, victim.rows // _PLACES)
    parts = [to_do[start : start + at_once] for start in range(0, len(to_do), at_once)]
    for number, part in enumerate(parts):
        walkers = _walked(walk, part, known, partial(_told, told, number, len(parts)))
        walkers = walkers.those(torch.isfinite(walkers.distance))
        index = walkers.index
        made[index] = drawn_in(victim, goal, x, space, index, walkers.best)
        distance[index] = space.take(index).distance(x[index].double(), made[index].double())
    if known is not None:
        _not_further(made, distance, known, clean)
    return Minimum(clean=clean, found=torch.isfinite(distance), made=made, distance=distance, asked=asked)


def _told(told: Told, number: int, parts: int, fraction: float) -> None:
    told((number + fraction) / parts, "minimum")


def _walked(walk: Walk, part: Tensor, known: Found | Minimum | None, told: Callable[[float], None]) -> Walkers:
    """The walker of each of these examples that came nearest."""
    walkers, each = _begun(walk, part, known)
    rungs = {max(1, round(share * walk.steps)): most for share, most in _RUNGS}
    for number in range(walk.steps):
        if rungs.get(number, each) < each:
            walkers, each = _nearest(walkers, each, rungs[number]), rungs[number]
        walk.step(walkers, number)
        told((number + 1) / walk.steps)
    return _nearest(walkers, each, 1)


def _nearest(walkers: Walkers, each: int, most: int) -> Walkers:
    """Of each example's walkers those that came nearest; of two that found nothing the one of the smaller radius."""
    key = torch.where(torch.isinf(walkers.distance), 1e30 + walkers.radius.double(), walkers.distance.double())
    order = key.reshape(-1, each).argsort(dim=1, stable=True)[:, :most]
    first = torch.arange(len(order), device=order.device)[:, None] * each
    return walkers.those((first + order).flatten())


def _begun(walk: Walk, part: Tensor, known: Found | Minimum | None) -> tuple[Walkers, int]:
    """Walkers in the order of `part`, and how many each example has."""
    towards, radius = _promising(walk, part)
    plain = torch.full_like(part, -1)[:, None]
    towards, radius = torch.cat([towards, plain], 1), torch.cat([radius[:, : towards.shape[1]], radius[:, :1]], 1)
    at = walk.x[part][:, None].expand(-1, towards.shape[1], *walk.x.shape[1:])
    if known is not None:
        towards, radius = (
            torch.cat([towards, plain], 1),
            torch.cat([radius, known.distance.to(radius)[part][:, None]], 1),
        )
        start, none = known.made.to(at)[part], ~_broke(known)[part.cpu()].to(part.device)
        radius[none, -1] = radius[none, 0]
        start[none] = walk.x[part[none]]
        at = torch.cat([at, start[:, None]], 1)
    each = towards.shape[1]
    rows = at.reshape(-1, *walk.x.shape[1:]).clone()
    widest = walk.space.take(part).widest(walk.x[part]).repeat_interleave(each)
    walkers = Walkers(
        index=part.repeat_interleave(each), towards=towards.reshape(-1), at=rows,
        radius=torch.minimum(torch.maximum(radius.reshape(-1), _LEAST * widest.clamp(max=1.0)), widest),
        best=rows.clone(), distance=torch.full_like(widest, torch.inf),
    )  # fmt: skip
    return walkers, each


def _promising(walk: Walk, part: Tensor) -> tuple[Tensor, Tensor]:
    """The places that each example is nearest to if its loss were linear, and how near, nearest first, (rows, led).

    Where the goal knows no places there are none, and one number, how near it is at all.
    """
    victim, goal, x = walk.victim, walk.goal, walk.x[part]
    outputs = victim.outputs(x, part)
    margin, space = goal.margin(outputs, part), walk.space.take(part)
    places = goal.towards(outputs, part, _PLACES)
    count = places.shape[1] if goal.targeted else 0
    if count == 0:
        _, _, slope = victim.gradient(x, part, lambda out, rows: goal.loss(plain_loss(goal), out, part[rows], None))
        return torch.empty_like(places[:, :0]), linear(space, margin, slope)[:, None]
    rows, to = part.repeat_interleave(count), places.flatten()
    name = goal.targeted[0]
    _, value, slope = victim.gradient(
        walk.x[rows], rows, lambda out, some: goal.loss(name, out, rows[some], to[some].clamp(min=0))
    )
    value = value.reshape(-1, count)
    # What is missing to one place is what is missing to the nearest, and by how much its loss is lower.
    left = margin[:, None] + value.amax(1, keepdim=True) - value
    near = linear(walk.space.take(rows), left.flatten(), slope).reshape(-1, count)
    near, order = torch.where(places >= 0, near, torch.inf).sort(dim=1, stable=True)
    return places.gather(1, order)[:, :_LED], near[:, :_LED]


def _broke(known: Found | Minimum) -> Tensor:
    """Where an adversarial is known, bool (N,)."""
    if isinstance(known, Minimum):
        return known.clean & known.found
    return (known.at >= 0) & (known.at < len(known.epsilons))


def _not_further(made: Tensor, distance: Tensor, known: Found | Minimum, clean: Tensor) -> None:
    """What is known stands where nothing nearer was found; in place."""
    known_distance = known.distance.to(distance)
    better = clean & _broke(known).to(clean.device) & (known_distance < distance)
    made[better], distance[better] = known.made.to(made)[better], known_distance[better]
