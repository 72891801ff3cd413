"""Does the target fall faster when what the attribution ranks first is taken away, than in random order?

Samek et al., arXiv:1509.06321 (region perturbation); Petsiuk, Das and Saenko, arXiv:1806.07421 (deletion, insertion).
Insertion in the order of the attributions is deletion in the reverse order, read backwards, and a random order read
backwards is a random order: one set of evaluations serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.draws import stream
from workers.certificate.features import Features, Groups, obstacle
from workers.certificate.rows import ends, scores
from workers.sweep.ready import Prepared

_Score = Callable[[int, Callable[[int], Tensor]], Tensor]
"""(count, from a number to which features are away (n, features)) -> the target (count, n), float64."""


def deletion(
    ready: Prepared,
    attributions: Mapping[str, Tensor],
    *,
    steps: int,
    orders: int,
    seed: int,
    rows: int,
    groups: Groups | None = None,
) -> list[Check]:
    """Two checks, deletion and insertion, of the inputs' attributions.

    steps: shares of the features at which the curve is read. orders: random orders. rows: evaluations at once.
    """
    reason = obstacle(ready, attributions)
    if reason:
        return _neither(reason)
    features = Features(ready, attributions, groups)

    def score(count: int, which: Callable[[int], Tensor]) -> Tensor:
        return scores(ready, count, lambda i: features.taken_away(which(i)), rows)

    return _against_random(features.attribution, score, ends(ready, rows), steps, orders, seed)


def _against_random(
    values: Tensor, score: _Score, at_ends: tuple[Tensor, Tensor], steps: int, orders: int, seed: int
) -> list[Check]:
    """values: (n, features). at_ends: the target with nothing and with everything away, (n,)."""
    scale = float((at_ends[0] - at_ends[1]).abs().mean())
    if values.shape[1] < 2:
        return _neither("one feature has one order")
    if scale == 0:
        return _neither("the target is the same at the inputs as at the baselines")
    areas = _areas(values, score, at_ends, min(steps, values.shape[1]), orders, seed)
    first, last, random = areas[0], areas[1], areas[2:]
    beaten = (float(each.double().mean()) for each in (random > first, random < last))
    gains = ((random.mean(0) - first) / scale, (last - random.mean(0)) / scale)
    return [
        measured(name, gain, note=f"ahead of {share:.0%} of {orders} random orders")
        for name, gain, share in zip(("deletion", "insertion"), gains, beaten, strict=True)
    ]


def _areas(values: Tensor, score: _Score, at_ends: tuple[Tensor, Tensor], steps: int, orders: int, seed: int) -> Tensor:
    """(2 + orders, n): under the curves of deletion, highest first, lowest first, and in random orders."""
    n, features = values.shape
    counts = [round(features * step / steps) for step in range(steps + 1)]
    known: dict[int, Tensor] = {}

    def which(version: int) -> Tensor:
        order, step = divmod(version, steps - 1)
        if order not in known:
            known.clear()
            known[order] = _places(values, order, seed)
        return known[order] < counts[step + 1]

    inner = score((2 + orders) * (steps - 1), which).reshape(2 + orders, steps - 1, n)
    start, stop = (each.expand(2 + orders, 1, n) for each in at_ends)
    shares = torch.tensor(counts, dtype=torch.float64) / features
    return torch.trapezoid(torch.cat([start, inner, stop], 1), shares, dim=1)


def _places(values: Tensor, order: int, seed: int) -> Tensor:
    """(n, features): when each feature's turn comes. Order 0 takes the highest first, 1 the lowest; others are random.

    Equal attributions have their turns in a random order too.
    """
    n, features = values.shape
    shuffled = torch.stack([torch.randperm(features, generator=stream(seed, f"order {order}", i)) for i in range(n)])
    turns = shuffled
    if order < 2:
        sign = -1 if order == 0 else 1
        turns = shuffled.gather(1, (sign * values.gather(1, shuffled)).argsort(dim=1, stable=True))
    return torch.empty_like(turns).scatter_(1, turns, torch.arange(features).expand(n, features))


def _neither(reason: str) -> list[Check]:
    return [not_applicable(name, reason) for name in ("deletion", "insertion")]
