"""What is each player's Shapley value, from the worth of some or all coalitions?

Kernel SHAP (Lundberg and Lee, arXiv:1705.07874, theorem 2): the Shapley values φ of a game v over M players are the
weighted least squares fit  v(z) - v(∅) ≈ z·φ  under  Σ φ = v(all) - v(∅)  with the weights
(M - 1) / (C(M, |z|) |z| (M - |z|)). Over all 2^M - 2 proper coalitions the fit is exact. Otherwise coalitions are drawn
in proportion to these weights, each with its complement, and fitted with equal weights (Covert and Lee,
arXiv:2012.01536, sections 3.1 and 4.1, from whom is the solution by Lagrange's multiplier).

The standard error is that of a fit to drawn points: residuals of the pairs, and not of single coalitions, are what is
independent (the sandwich of White 1980, Econometrica 48:817).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Coalitions:
    """members: (n, M), Boolean. weights: (n,), float64. exact: these are all; else rows i and n/2 + i are a pair."""

    members: Tensor
    weights: Tensor
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class Shapley:
    """values: (M,). standard_error: of them, over other draws; (M,), zero where all coalitions were seen."""

    values: Tensor
    standard_error: Tensor


class TooFewCoalitions(ValueError):
    """The coalitions do not determine every player's value."""

    def __init__(self, count: int, players: int) -> None:
        super().__init__(f"{count} coalitions do not determine the values of {players} parts; ask for more samples")


_MOST_DRAWS = 100

_LEAST_PIVOT = 1e-7
"""Of the mean of z z', whose entries lie between 0 and 1: below it, rounding decides."""


def every_coalition(players: int) -> Coalitions:
    """All but the empty and the full one, by their kernel weights."""
    codes = torch.arange(1, 2**players - 1)
    members = (codes[:, None] >> torch.arange(players) & 1).bool()
    by_size = torch.tensor(
        [0.0, *((players - 1) / (comb(players, k) * k * (players - k)) for k in range(1, players))],
        dtype=torch.float64,
    )
    return Coalitions(members, by_size[members.sum(1)], exact=True)


def drawn_coalitions(players: int, count: int, seed: int) -> Coalitions:
    """`count` (even) coalitions for at least two players, the second half the complements of the first.

    Drawn again, from the same stream, where they leave a player's value open. Raises TooFewCoalitions.
    """
    draws = torch.Generator().manual_seed(seed)
    sizes = torch.arange(1, players, dtype=torch.float64)
    for _ in range(_MOST_DRAWS):
        size = 1 + torch.multinomial(1 / (sizes * (players - sizes)), count // 2, replacement=True, generator=draws)
        order = torch.rand(count // 2, players, dtype=torch.float64, generator=draws).argsort(1)
        members = torch.zeros(count // 2, players, dtype=torch.bool)
        members.scatter_(1, order, torch.arange(players) < size[:, None])
        found = Coalitions(
            torch.cat([members, ~members]), torch.ones(2 * (count // 2), dtype=torch.float64), exact=False
        )
        if _factor(found) is not None:
            return found
    raise TooFewCoalitions(count, players)


def shapley(coalitions: Coalitions, worth: Tensor, change: float) -> Shapley:
    """worth: (n,), float64: v(z) - v(∅) of each coalition. change: v(all) - v(∅). Raises TooFewCoalitions."""
    players = coalitions.members.shape[1]
    if players == 1:
        return Shapley(torch.tensor([change], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    factor = _factor(coalitions)
    if factor is None:
        raise TooFewCoalitions(len(worth), players)
    z, share = _fitted_on(coalitions)
    ones = torch.ones(players, 1, dtype=torch.float64)
    solved = torch.cholesky_solve(torch.cat([(z.T @ (share * worth))[:, None], ones], 1), factor)
    free, towards = solved[:, 0], solved[:, 1]
    values = free - towards * (free.sum() - change) / towards.sum()
    if coalitions.exact:
        return Shapley(values, torch.zeros_like(values))
    return Shapley(values, _standard_error(z, worth - z @ values, factor, towards))


def _fitted_on(coalitions: Coalitions) -> tuple[Tensor, Tensor]:
    """z: (n, M), and the share of each of the n in the fit: (n,); float64."""
    return coalitions.members.to(torch.float64), coalitions.weights / coalitions.weights.sum()


def _factor(coalitions: Coalitions) -> Tensor | None:
    """Cholesky's factor of the mean of z z', (M, M); None where it has none."""
    z, share = _fitted_on(coalitions)
    factor, failed = torch.linalg.cholesky_ex(z.T @ (share[:, None] * z))
    return None if int(failed) or float(factor.diagonal().min()) < _LEAST_PIVOT else factor


def _standard_error(z: Tensor, residual: Tensor, factor: Tensor, towards: Tensor) -> Tensor:
    """(M,): from the scores of the pairs, brought onto the plane of equal sums."""
    pairs = len(z) // 2
    scores = (z * residual[:, None]).reshape(2, pairs, -1).mean(0)
    pulled = torch.cholesky_solve(scores.T, factor)
    on_plane = pulled - towards[:, None] * pulled.sum(0) / towards.sum()
    return on_plane.square().sum(1).sqrt() / pairs
