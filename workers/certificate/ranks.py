"""How alike are two attributions, and how concentrated is one?

Everything is per example and about magnitudes: which units matter, and not in which direction. Numbers below the
rounding of the largest count as zero: their order would be noise.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from workers.certificate.draws import stream

_MOST_UNITS = 4096
_MOST_TOP = 100
LEAST_UNITS = 3
_ROUNDING = 64


def magnitudes(attribution: Tensor) -> Tensor:
    """(n, units), float64: |attribution|, and zero where that is rounding beside the largest of the example."""
    exact = attribution.detach().flatten(1).to("cpu", torch.float64).abs()
    if exact.shape[1] == 0:
        return exact
    noise = _ROUNDING * torch.finfo(attribution.dtype).eps * exact.amax(1, keepdim=True)
    return torch.where(exact > noise, exact, 0.0)


def obstacle(attribution: Tensor) -> str:
    """Why no ranking or share can be told of (n, ...): empty where one can."""
    if not bool(torch.isfinite(attribution).all()):
        return "the attribution holds NaN or infinity"
    if attribution.flatten(1).shape[1] < LEAST_UNITS:
        return f"there are fewer than {LEAST_UNITS} units to rank"
    if not bool(attribution.any()):
        return "the attribution is zero everywhere"
    flat = magnitudes(attribution)
    if bool((flat == flat[:, :1]).all()):
        return "every unit has the same magnitude"
    return ""


def ranks(values: Tensor) -> Tensor:
    """(n, units): ranks from 1 in ascending order, equal values sharing the mean of theirs."""
    ordered, order = values.sort(dim=1)
    places = torch.arange(1, values.shape[1] + 1, dtype=torch.float64).expand_as(values)
    opens = torch.ones_like(ordered, dtype=torch.bool)
    opens[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    closes = torch.ones_like(opens)
    closes[:, :-1] = opens[:, 1:]
    first = torch.where(opens, places, 0.0).cummax(1).values
    last = torch.where(closes, places, torch.inf).flip(1).cummin(1).values.flip(1)
    return torch.empty_like(places).scatter_(1, order, (first + last) / 2)


def sample(attribution: Tensor) -> Tensor:
    """(n, units up to 4096), float32: shares of the largest magnitude, which rank as the magnitudes do.

    Of more units as many are drawn, the same in every call.
    """
    flat = magnitudes(attribution)
    largest = flat.amax(1, keepdim=True)
    return (flat / torch.where(largest > 0, largest, 1.0))[:, _drawn(flat.shape[1])].float()


def spearman(one: Tensor, other: Tensor, counted: Tensor) -> Tensor:
    """(n,): rank correlation of two samples over the units `counted`; all (n, units).

    NaN where fewer than three units are counted, or where either has the same magnitude at all of them.
    """
    a, b = (torch.where(counted, each, -1.0) for each in (one, other))  # below all others in both, who keep their order
    units = counted.sum(1)
    x, y = (_centred(ranks(each), counted, units) for each in (a, b))
    norm = (x.square().sum(1) * y.square().sum(1)).sqrt()
    known = (units >= LEAST_UNITS) & (norm > 0)
    return torch.where(known, (x * y).sum(1) / norm.where(known, torch.ones_like(norm)), torch.nan)


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """(n,): Spearman's correlation of the magnitudes of two attributions (n, ...), but for units that are zero in both,
    whose tie says nothing."""
    a, b = sample(one), sample(other)
    return spearman(a, b, (a > 0) | (b > 0))


def top(attribution: Tensor) -> Tensor:
    """(n, units), bool: the units of largest magnitude, a tenth and at most 100; more on a tie; never one of zero."""
    flat = magnitudes(attribution)
    least = flat.topk(_top_count(flat.shape[1]), dim=1).values[:, -1:]
    return (flat >= least) & (flat > 0)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """(n,): the share of the larger top set that both have; NaN where either is zero everywhere."""
    a, b = top(one), top(other)
    larger = torch.maximum(a.sum(1), b.sum(1))
    known = a.any(1) & b.any(1)
    return torch.where(known, (a & b).sum(1) / larger.clamp(min=1), torch.nan).to(torch.float64)


def chance_overlap(units: int) -> float:
    """The overlap that two random rankings of so many units have in the mean."""
    return _top_count(units) / units


def gini(attribution: Tensor) -> Tensor:
    """(n,): the Gini index of the magnitudes (Hurley and Rickard 2009, table I); NaN for an example of zeros."""
    ordered = magnitudes(attribution).sort(dim=1).values
    units, total = ordered.shape[1], ordered.sum(1)
    weights = (units - torch.arange(1, units + 1, dtype=torch.float64) + 0.5) / units
    return 1 - 2 * (ordered * weights).sum(1) / torch.where(total > 0, total, torch.nan)


def effective_units(attribution: Tensor) -> Tensor:
    """(n,): exp of the entropy of the magnitudes' shares; NaN for an example of zeros."""
    flat = magnitudes(attribution)
    shares = flat / flat.sum(1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return entropy.exp()


def _centred(ranked: Tensor, counted: Tensor, units: Tensor) -> Tensor:
    inside = torch.where(counted, ranked, 0.0)
    mean = inside.sum(1, keepdim=True) / units.clamp(min=1)[:, None]
    return torch.where(counted, inside - mean, 0.0)


def _drawn(units: int) -> Tensor:
    if units <= _MOST_UNITS:
        return torch.arange(units)
    return torch.randperm(units, generator=stream(0, "units", units))[:_MOST_UNITS].sort().values


def _top_count(units: int) -> int:
    return min(_MOST_TOP, ceil(units / 10))
