"""Which given row, of another answer, is nearest? It bounds the distance to break an example from above, by data alone.

The nearest unlike neighbour of case-based explanations, here drawn in along the line to the example.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.attack.goal import Goal
from workers.attack.minimum.draw_in import drawn_in
from workers.attack.space import Space
from workers.attack.victim import Victim

_AT_ONCE = 4
"""Candidates of each example that are asked together, nearest first."""


def nearest_unlike(
    victim: Victim, goal: Goal, x: Tensor, space: Space, index: Tensor, data: Tensor, most: int = 16
) -> tuple[Tensor, Tensor]:
    """What breaks each of these examples on the way to a given row, (rows, ...), and whether there is such, (rows,).

    index: int64 (rows,), of examples of x (N, ...). data: (M, ...), raw units, at least one row. For each example
    `most` rows are asked, as they would be within bounds and with what may not change as in the example, so that more
    rows cost no more queries: the nearest half of them one by one, the others ever further apart, as the nearest are
    often all of the example's own answer. The nearest that breaks it is drawn in. Where none does, the example itself.
    Raises ValueError where the data are not of the examples' shape.
    """
    if data.ndim != x.ndim or data.shape[1:] != x.shape[1:] or len(data) == 0:
        raise ValueError(f"rows of shape {tuple(data.shape)} are no neighbours of examples of {tuple(x.shape)}")
    made, found = x[index].clone(), torch.zeros(len(index), dtype=torch.bool, device=x.device)
    order = _nearest(x, space, index, data.to(x), most)
    for start in range(0, order.shape[1], _AT_ONCE):
        rows = (~found).nonzero().flatten()
        if len(rows) == 0:
            break
        asked = order[rows, start : start + _AT_ONCE]
        row, neighbour = rows.repeat_interleave(asked.shape[1]), asked.flatten()
        row, neighbour = row[neighbour >= 0], neighbour[neighbour >= 0]
        if len(row) == 0:
            continue
        point = _legal(x[index[row]], data.to(x)[neighbour], space.take(index[row]))
        broken = goal.broken(victim.outputs(point, index[row]), index[row])
        for at in broken.nonzero().flatten().flip(0).tolist():  # the nearest of an example's is written last
            made[row[at]], found[row[at]] = point[at], True
    made[found] = drawn_in(victim, goal, x, space, index[found], made[found])
    return made, found


def _legal(own: Tensor, data: Tensor, space: Space) -> Tensor:
    return space.project(own, data, torch.full((len(own),), torch.inf, dtype=own.dtype, device=own.device))


def _nearest(x: Tensor, space: Space, index: Tensor, data: Tensor, most: int) -> Tensor:
    """Rows of data, the nearer first, int64 (rows, up to most); -1 where one is not finite or is the example itself."""
    ranks = _ranks(len(data), most).to(data.device)
    finite = torch.isfinite(data.flatten(1)).all(1)
    whole = torch.where(finite.reshape(-1, *[1] * (data.ndim - 1)), data, 0.0)
    order = []
    for at in index:
        legal, own = space.take(at[None]), x[at][None].expand_as(whole)
        distance = legal.distance(own, _legal(own, whole, legal))
        distance = torch.where(finite & (distance > 0), distance, torch.inf)
        near, rows = distance.sort(stable=True)
        order.append(torch.where(torch.isinf(near), -1, rows)[ranks])
    return torch.stack(order) if order else torch.empty(0, 0, dtype=torch.int64, device=x.device)


def _ranks(rows: int, most: int) -> Tensor:
    """Which of so many rows in order are asked, int64 (up to most,): half at the front, half ever further apart."""
    if rows <= most:
        return torch.arange(rows)
    near = max(1, most // 2)
    share = torch.arange(1, most - near + 1, dtype=torch.float64) / max(1, most - near)
    far = near - 1 + torch.pow(float(rows - near), share).round().to(torch.int64)
    ranks: Tensor = torch.unique(torch.cat([torch.arange(near), far.clamp(max=rows - 1)]))
    return ranks
