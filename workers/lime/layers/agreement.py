"""Do a layer's features agree with those of the output, and from which layer on do they?

Agreement of a layer: what share of the output's strongest features are the layer's strongest too, and how alike the two
order all features (Spearman). For the direction signs count, since it is told in units of the target; for other
readings magnitudes alone. Bounds tell what other samples would give: both surrogates' coefficients are drawn anew from
their standard errors, as if independent. They stand on the same samples, whose errors they share, so that the bounds
are on the wide side.

The decision is visible from the first cut (a layer through which everything passes) from which on every cut agrees.
Branches beside one another need not: each may hold a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workers.certificate.ranks import LEAST_UNITS, ranks
from workers.lime.layers.reading import DIRECTION
from workers.surrogate.explained import Local
from workers.surrogate.neighbourhood import Floats

_DRAWS = 200
_LEVEL = (2.5, 97.5)
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """shared: of the strongest features. chance: what a random choice would share. ranks: Spearman's, with bounds; None
    where fewer than three features, or none that differ, have no order, and bounds also where errors are not known."""

    shared: float
    chance: float
    ranks: float | None
    low: float | None
    high: float | None

    @property
    def agrees(self) -> bool:
        """Whether at least half of what is not chance is shared, and the orders are alike beyond what other samples
        would change."""
        enough = self.shared - self.chance >= _HALF * (1 - self.chance)
        return enough and (self.ranks is None or (self.low is not None and self.low > 0))


def compared_features(asked: int, features: int) -> int:
    """How many of the strongest are compared: at most half of all, or agreement would come of itself."""
    return max(1, min(asked, features // 2))


def agreement(reading: str, layer: Local, output: Local, example: Floats, top: int, seed: int) -> Agreement:
    """example: (K,), the example's z. top: how many of the strongest. seed: of the draws behind the bounds."""
    count = len(example)
    draws = np.random.default_rng(seed)
    effects = [_effects(each, example, draws) for each in (layer, output)]
    if reading != DIRECTION:
        effects = [np.abs(each) for each in effects]
    first = [set(np.argsort(-np.abs(each[0]), kind="stable")[:top].tolist()) for each in effects]
    found = _spearman(effects[0], effects[1]) if count >= LEAST_UNITS else np.full(1, np.nan)
    value = float(found[0])
    errors = np.concatenate([layer.whole_errors, output.whole_errors])
    known = bool(np.isfinite(found).all() and np.isfinite(errors).all())
    low, high = np.percentile(found[1:], _LEVEL) if known else (np.nan, np.nan)
    return Agreement(
        shared=len(first[0] & first[1]) / top,
        chance=top / count,
        ranks=value if np.isfinite(value) else None,
        low=min(float(low), value) if known else None,
        high=max(float(high), value) if known else None,
    )


def _effects(local: Local, example: Floats, draws: np.random.Generator) -> Floats:
    """(1 + draws, K): what each feature adds at the example, then as other samples would have it."""
    errors = np.where(np.isfinite(local.whole_errors), local.whole_errors, 0.0)
    drawn = local.whole + errors * draws.standard_normal((_DRAWS, len(example)))
    return np.concatenate([local.whole[None], drawn]) * example


def _spearman(one: Floats, other: Floats) -> Floats:
    """(rows,): of each row with the same row; NaN where either has no order."""
    a, b = (ranks(torch.from_numpy(each)).numpy() for each in (one, other))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(norm > 0, (a * b).sum(1) / norm, np.nan))


def visible_from(agrees: Sequence[bool]) -> int | None:
    """Of layers in order, the first from which on all agree; None where the last does not."""
    found = None
    for at in range(len(agrees) - 1, -1, -1):
        if not agrees[at]:
            break
        found = at
    return found
