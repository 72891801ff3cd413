"""Which attacks has a network that gives outputs and no gradients?

From cheap to dear: random changes; the nearest given row of another answer, drawn in; a search by random windows from
nowhere; and for what is left HopSkipJump, from the nearest adversarial of any size. Each is a stage of the one ladder
for a whole curve (`standing`): whatever breaks an example is drawn in to all smaller budgets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from workers.attack.draws import Draws
from workers.attack.query.hopskipjump import hopskipjump
from workers.attack.query.noise import drawn
from workers.attack.query.square import COLD, square
from workers.attack.query.unlike import nearest_unlike
from workers.attack.settings import Settings
from workers.attack.space import per_row
from workers.attack.standing import Standing

Run = Callable[[Standing, Draws, Callable[[float], None]], None]
_NOISE = 10
"""Random changes of each example, and as many random inputs where HopSkipJump has nothing to begin at."""
_NEIGHBOURS = 16


def stages(settings: Settings, unlike: Tensor | None = None) -> list[tuple[str, float, Run]]:
    """Name, weight in time and work of each stage, in order.

    settings.queries: of Square, for each budget that an example is tried at, and of HopSkipJump, once; 0 leaves both
    out. unlike: (M, ...), raw rows among which unlike neighbours are looked for, of any answer.
    """
    queries = settings.queries * (2 if settings.doubled else 1)
    made: list[tuple[str, float, Run]] = [("noise", _NOISE, _noise)]
    if unlike is not None:
        made.append(("unlike-neighbour", _NEIGHBOURS, partial(_neighbour, unlike)))
    if queries:
        made.append(("square", queries, partial(_square, queries)))
        made.append(("hopskipjump", queries, partial(_jump, queries, unlike)))
    return made


def _noise(standing: Standing, draws: Draws, told: Callable[[float], None]) -> None:
    """Random changes within the budget that each is tried at, every second one in a corner."""
    for number in range(_NOISE):
        for index in _parts(standing, standing.open()):
            point = drawn(draws, index, standing.x, standing.space, standing.epsilon(index), corner=number % 2 == 1)
            standing.looked(index, point, standing.victim.outputs(point, index))
        told((number + 1) / _NOISE)


def _neighbour(unlike: Tensor, standing: Standing, _draws: Draws, told: Callable[[float], None]) -> None:
    parts = _parts(standing, standing.open())
    for number, index in enumerate(parts):
        made, found = _nearest(standing, index, unlike)
        _look(standing, index[found], made[found])
        told((number + 1) / len(parts))


def _square(queries: int, standing: Standing, draws: Draws, told: Callable[[float], None]) -> None:
    square(standing, draws, queries, told, COLD, patient=True)


def _jump(queries: int, unlike: Tensor | None, standing: Standing, draws: Draws, told: Callable[[float], None]) -> None:
    index = standing.open()
    start, found = _starts(standing, index, unlike, draws)
    index, start = index[found], start[found]
    if len(index):
        made, _ = hopskipjump(
            standing.victim, standing.goal, standing.x, standing.space, index, start, queries, draws, told
        )
        _look(standing, index, made)


def _starts(standing: Standing, index: Tensor, unlike: Tensor | None, draws: Draws) -> tuple[Tensor, Tensor]:
    """An adversarial of any size for each example, as far as there is one: what broke it at a larger budget, an unlike
    neighbour, or a random input."""
    start = standing.made[index].clone()
    found = standing.at[index] < len(standing.epsilons)
    if unlike is not None and not bool(found.all()):
        rows = (~found).nonzero().flatten()
        start[rows], found[rows] = _nearest(standing, index[rows], unlike)
    widest = standing.space.take(index).widest(standing.x[index])
    for number in range(_NOISE):
        # Without bounds there is no such thing as a random input.
        for rows in _parts(standing, (~found & torch.isfinite(widest)).nonzero().flatten()):
            who = index[rows]
            point = drawn(draws, who, standing.x, standing.space, widest[rows], corner=number % 2 == 1)
            broken = standing.goal.broken(standing.victim.outputs(point, who), who)
            start[rows[broken]], found[rows[broken]] = point[broken], True
    return start, found


def _nearest(standing: Standing, index: Tensor, unlike: Tensor) -> tuple[Tensor, Tensor]:
    return nearest_unlike(standing.victim, standing.goal, standing.x, standing.space, index, unlike, _NEIGHBOURS)


def _look(standing: Standing, index: Tensor, made: Tensor) -> None:
    """Takes note of points that break their examples at any distance, each drawn in to the budget it is tried at."""
    for rows in _parts(standing, torch.arange(len(index), device=index.device)):
        who, point = index[rows], made[rows]
        drawn_in = standing.space.take(who).project(standing.x[who], point, standing.epsilon(who))
        within = standing.space.take(who).distance(standing.x[who], point) <= standing.epsilon(who)
        point = torch.where(per_row(within, point).bool(), point, drawn_in)
        standing.looked(who, point, standing.victim.outputs(point, who))


def _parts(standing: Standing, rows: Tensor) -> list[Tensor]:
    """As many rows at a time as go through the victim."""
    at_once = max(1, standing.victim.rows)
    return [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
