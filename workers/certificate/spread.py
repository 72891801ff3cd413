"""How much of the attribution is a choice of ours: of the baseline, or of random draws?

Sturmfels, Lundberg and Lee, Visualizing the impact of feature attribution baselines, Distill 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.draws import stream
from workers.certificate.ranks import correlation, magnitudes, obstacle
from workers.numerics.determinism import NotFinite
from workers.sweep.jump import jump
from workers.sweep.method import Explain
from workers.sweep.ready import Prepared
from workers.sweep.refusals import SweepRefused

Over = Literal["baselines", "seeds"]


def spread(over: Over, variants: Sequence[Mapping[str, Tensor]], note: str = "") -> list[Check]:
    """Two checks for each tap that every variant has: the spread of its sum of magnitudes, and of its ranking.

    note: what else to know of the variants.
    """
    if len(variants) < 2:
        return [not_applicable(name, f"it needs two {over}") for name in _names(over)]
    keys = [key for key in variants[0] if all(key in each for each in variants)]
    return [check for key in keys for check in _at(over, key, [each[key] for each in variants], note)]


def over_baselines(explain: Explain, presented: Mapping[str, Tensor], others: Mapping[str, Prepared]) -> list[Check]:
    """The spread of `presented` and of what `explain` gives from the `other_baselines`, of those from which it can."""
    made, refused = [presented], []
    for name, ready in others.items():
        try:
            made.append(explain(ready))
        except (SweepRefused, NotFinite) as error:
            refused.append(f"from the {name} there is no attribution: {error}"[:600])
    if refused and len(made) < 2:
        return [not_applicable(name, "; ".join(refused)) for name in _names("baselines")]
    return spread("baselines", made, "; ".join(refused))


def other_baselines(ready: Prepared, seed: int, still: Mapping[int, Tensor] | None = None) -> dict[str, Prepared]:
    """The same examples from baselines that they make themselves: their mean, the midpoint of their range, and noise of
    their mean and standard deviation, unit by unit. Names to what is prepared; a single example has no other baseline.

    still: what is padding, as `features.padding` finds it: it stays what it is, and counts for none of these; in the
    deviation it counts as the mean.
    """
    if len(ready) < 2:
        return {}
    made: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": _mean, "midpoint": _midpoint, "noise": partial(_noise, seed=seed)
    }  # fmt: skip
    return {name: _from(ready, make, still or {}) for name, make in made.items()}


def _from(ready: Prepared, make: Callable[[Tensor], Tensor], still: Mapping[int, Tensor]) -> Prepared:
    """Whether the new path begins with a jump is another question than whether the old one did."""
    origin = tuple(
        _start(make, x, still.get(at)) if x.is_floating_point() else base
        for at, (x, base) in enumerate(zip(ready.x, ready.origin, strict=True))
    )
    early = jump(ready.model, ready.x, origin, ready.target, ready.probe.rows)
    return replace(ready, origin=origin, jump=early)


def _start(make: Callable[[Tensor], Tensor], x: Tensor, still: Tensor | None) -> Tensor:
    if still is None:
        return make(x)
    moves = (~still).to(x)
    count = moves.sum(0, keepdim=True)
    mean = (x * moves).sum(0, keepdim=True) / count.clamp(min=1)
    return torch.where(still, x, make(torch.where(still, mean, x)))


def standard_errors(errors: Mapping[str, Tensor], attributions: Mapping[str, Tensor]) -> list[Check]:
    """One check for each tap: how far other draws would move a unit, beside how large units are.

    errors: of every unit, of the shape of its attribution.
    """
    checks = []
    for key, each in errors.items():
        mean, size = each.flatten(1).double().mean(1), magnitudes(attributions[key]).mean(1)
        if bool((size > 0).any()):
            checks.append(measured("standard_error", torch.where(size > 0, mean / size, torch.nan), key))
        else:
            checks.append(not_applicable("standard_error", "the attribution is zero everywhere", key))
    return checks


def _mean(x: Tensor) -> Tensor:
    return x.mean(0, keepdim=True)


def _midpoint(x: Tensor) -> Tensor:
    return (x.amin(0, keepdim=True) + x.amax(0, keepdim=True)) / 2


def _noise(x: Tensor, seed: int) -> Tensor:
    draws = torch.randn(x.shape[1:], generator=stream(seed, "baseline", 0), dtype=torch.float64)
    return _mean(x) + x.std(0, keepdim=True) * draws.to(x)


def _names(over: Over) -> tuple[str, str]:
    return f"spread_over_{over}", f"ranks_over_{over}"


def _at(over: Over, key: str, variants: Sequence[Tensor], more: str) -> list[Check]:
    totals, ranking = _names(over)
    if any(each.shape != variants[0].shape for each in variants):
        return [not_applicable(name, "the variants differ in shape", key) for name in (totals, ranking)]
    if not all(bool(each.isfinite().all()) for each in variants):
        return [not_applicable(name, "an attribution holds NaN or infinity", key) for name in (totals, ranking)]
    sums = torch.stack([magnitudes(each).sum(1) for each in variants])
    mean = sums.mean(0)
    note = f"{len(variants)} {over}" + (f"; {more}" if more else "")
    if not bool(mean.any()):
        return [not_applicable(name, "the attribution is zero everywhere", key) for name in (totals, ranking)]
    first = measured(totals, torch.where(mean > 0, sums.std(0) / mean, torch.nan), key, note=note)
    reason = next((why for each in variants if (why := obstacle(each))), "")
    if reason:
        return [first, not_applicable(ranking, reason, key)]
    pairs = torch.stack([correlation(one, other) for one, other in combinations(variants, 2)])
    return [first, measured(ranking, pairs.nanmean(0), key, note=note)]
