"""Do the units that a layer's decision rests on change with the attack, or stay?

Gradient times activation (Shrikumar et al., arXiv:1605.01713) of the right class, at the example, at its adversarial
and at a random change of equal norm: how alike do they rank the units of a layer, and how many of the strongest do they
share? Signs are left out: what is asked is which units matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from workers.certificate.ranks import chance_overlap, correlation, overlap
from workers.robustness.layers.through import Through
from workers.sweep.methods.at_input import GradientXActivation
from workers.sweep.probe import Tap
from workers.sweep.ready import Prepared
from workers.sweep.reducers import Keep
from workers.sweep.target import Target

MOST_EXAMPLES = 64
"""Of the adversarials: attributions of all layers are held for a block of them at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Of one layer, (m,) each, float64; NaN where an attribution is zero everywhere, or has nothing to rank.

    ranks: Spearman's correlation of magnitudes with those at the example. shared: of the strongest tenth of units.
    """

    ranks: Tensor
    random_ranks: Tensor
    shared: Tensor
    random_shared: Tensor
    chance: float


def moved(
    ready: Prepared,
    through: Through,
    taps: Sequence[Tap],
    target: Target,
    x: Tensor,
    made: Tensor,
    noisy: Tensor,
    index: Tensor,
    limits: tuple[int, int],
) -> dict[str, Moved]:
    """By key. target: of these m. index: int64 (m,). x, made, noisy: (m, ...), raw. limits: bytes of memory, threads.

    Raises SweepRefused, NotFinite where a layer cannot be attributed to at these inputs.
    """
    each = sum(tap.bytes_per_example for tap in taps)
    together = max(1, min(MOST_EXAMPLES, limits[0] // max(1, 8 * each)))
    found: dict[str, list[tuple[Tensor, ...]]] = {tap.key: [] for tap in taps}
    for start in range(0, len(x), together):
        part = slice(start, start + together)
        clean, adversarial, random = (
            _attributions(
                ready, through.inputs(rows[part], index[part]), target.of(start, start + together), taps, limits
            )
            for rows in (x, made, noisy)
        )
        for tap in taps:
            own = clean.of(tap.key)
            others = adversarial.of(tap.key), random.of(tap.key)
            found[tap.key].append((*(correlation(own, o) for o in others), *(overlap(own, o) for o in others)))
    return {tap.key: _joined(found[tap.key], chance_overlap(prod(tap.shape))) for tap in taps}


def _joined(parts: Sequence[tuple[Tensor, ...]], chance: float) -> Moved:
    ranks, random_ranks, shared, random_shared = (torch.cat(each).double() for each in zip(*parts, strict=True))
    return Moved(ranks, random_ranks, shared, random_shared, chance)


def _attributions(
    ready: Prepared, x: tuple[Tensor, ...], target: Target, taps: Sequence[Tap], limits: tuple[int, int]
) -> Keep:
    given = replace(
        ready, x=x, target=target,
        origin=tuple(base if len(base) == 1 else base[:1] for base in ready.origin),
        outputs=ready.outputs[:1].expand(len(x[0]), *ready.outputs.shape[1:]), labels=None,
    )  # fmt: skip
    method, keys = GradientXActivation(), tuple(tap.key for tap in taps)
    kept = Keep(keys)
    method.attribute(given, method.plan(given, *limits, keys), [kept], None, 0)
    return kept
