"""What is the nearest legal row to one that an attack proposes? Steps first, then relations, and else less of it.

Whole numbers step towards the row that was attacked, so that no repair leaves the budget. Relations are kept by
projecting onto them in turn, in units, with the columns that need no steps, within the box that the proposal already
takes (successive projections: Gubin, Polyak and Raik 1967). Where that does not succeed, half of the change is tried, a
quarter, an eighth, and at last the row itself: what comes out always obeys, as far as the row itself does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.robustness.tabular.rules import Rules

TOLERANCE = 1e-6
"""Of the sum of the sizes of its terms: what rounding may leave of a relation."""
_ROUNDS = 40
_LESS = (0.5, 0.25, 0.125, 0.0)
_SNAP = 1e-5
"""Of a step: how near to the next one counts as there."""


@dataclass(slots=True)
class Repaired:
    """How many rows were proposed, and for how many no repair was found, so that less of the change was taken."""

    proposed: int = 0
    rejected: int = 0


def repaired(rules: Rules, x: Tensor, made: Tensor, count: Repaired | None = None) -> Tensor:
    """Legal rows (n, F) near `made`, around the rows x; differentiable, rounding as if it were not there.

    Only the numbers of `made` are read: the categories are those of x.
    """
    target = _within(rules, x, made)
    stepped = _stepped(rules, x, target)
    if count is not None:
        count.proposed += len(x)
    if not rules.relations:
        return stepped
    near = _projected(rules, x, stepped, target)
    wrong = ~obeys(rules, near.detach())
    if not bool(wrong.any()):
        return near
    if count is not None:
        count.rejected += int(wrong.sum())
    for share in _LESS:
        less = _stepped(rules, x, x + share * (target - x))
        near = torch.where(wrong[:, None], less, near)
        if share:
            wrong = wrong & ~obeys(rules, near.detach())
    return near


def obeys(rules: Rules, rows: Tensor) -> Tensor:
    """Whether each row keeps to all relations, bool (n,)."""
    if not rules.relations:
        return torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    wide, weights, bound = rows.double(), rules.weights.to(rows.device), rules.bound.to(rows.device)
    gap = wide @ weights.T - bound
    gap = torch.where(rules.equal.to(rows.device), gap.abs(), gap)
    room = TOLERANCE * (wide.abs() @ weights.abs().T + bound.abs()) + 1e-12
    return (gap <= room).all(1)


def _within(rules: Rules, x: Tensor, made: Tensor) -> Tensor:
    low, high = rules.ends(x)
    moved = torch.where(rules.numbers.to(x.device), made, x)
    return torch.maximum(torch.minimum(moved, high), low)


def _stepped(rules: Rules, x: Tensor, target: Tensor) -> Tensor:
    step = rules.step.to(x)
    if not bool((step > 0).any()):
        return target
    size = torch.where(step > 0, step, 1.0)
    with torch.no_grad():
        steps = (target - x) / size
        snapped = x + (steps + _SNAP * steps.sign()).trunc() * size
    return torch.where(step > 0, target + (snapped - target).detach(), target)


def _projected(rules: Rules, x: Tensor, stepped: Tensor, target: Tensor) -> Tensor:
    """Cyclic projections onto the relations, in units, of the numbers without steps."""
    unit = rules.unit.to(x)
    reach = ((target - x).detach().abs() / unit).amax(1, keepdim=True) * unit
    low, high = rules.ends(x)
    low, high = torch.maximum(low, x - reach), torch.minimum(high, x + reach)
    moves = rules.numbers.to(x.device) & ~(rules.step > 0).to(x.device)
    weights = rules.weights.to(x)
    made = stepped
    for _ in range(_ROUNDS):
        if bool(obeys(rules, made.detach()).all()):
            break
        for relation, weight in zip(rules.relations, weights, strict=True):
            excess = (made.double() * weight.double()).sum(1) - relation.bound
            if relation.sense == "at_most":
                excess = excess.clamp(min=0.0)
            lowers = (weight * excess[:, None].detach().to(x)) > 0
            room = moves & torch.where(lowers, made > low, made < high).detach()
            pull = torch.where(room, weight * unit.square(), 0.0)
            share = (pull * weight).sum(1).clamp(min=1e-30)
            made = made - pull * (excess.to(x) / share)[:, None]
            made = torch.maximum(torch.minimum(made, high), low)
    return made
