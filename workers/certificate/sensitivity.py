"""How far does the attribution move when the input hardly does?

Yeh et al., arXiv:1901.09392, definition 3.1: the largest ‖Φ(x + r) - Φ(x)‖ over ‖r‖ ≤ ε, relative to ‖Φ(x)‖ as in
captum. Its maximum over a few draws is a lower bound of the truth.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.certificate.checks import Check, measured, not_applicable
from workers.certificate.draws import stream
from workers.certificate.features import absent, attributed, distance
from workers.certificate.rows import with_inputs
from workers.sweep.method import Explain
from workers.sweep.ready import Prepared

_RADIUS = 0.02


def max_sensitivity(
    ready: Prepared,
    explain: Explain,
    attributions: Mapping[str, Tensor],
    *,
    neighbours: int,
    seed: int,
    rows: int,
    still: Mapping[int, Tensor] | None = None,
) -> Check:
    """rows: examples that `explain` is given at once, at least those there are. An `explain` that draws random numbers
    by the place of an example gets them one neighbour at a time (rows = n), so that only the input differs. still: what
    is padding (`features.padding`), which has no neighbours."""
    reason = absent(ready, attributions)
    keys = attributed(ready, attributions)
    if not reason and not any(distance(ready, at) for at in keys.values()):
        reason = "every input equals its baseline, which leaves no scale for its neighbours"
    if reason:
        return not_applicable("max_sensitivity", reason)
    n, together = len(ready), max(1, rows // len(ready))
    here = _joined(attributions, keys)
    norm = here.norm(dim=1)
    largest = torch.zeros(n, dtype=torch.float64)
    for start in range(0, neighbours, together):
        versions = [neighbour(ready, keys, seed, i, still) for i in range(start, min(start + together, neighbours))]
        there = _joined(explain(with_inputs(ready, versions)), keys).reshape(len(versions), n, -1)
        largest = torch.maximum(largest, (there - here).norm(dim=2).amax(0))
    values = torch.where(norm > 0, largest / norm, torch.nan)
    return measured("max_sensitivity", values, note=f"{neighbours} neighbours of each example")


def neighbour(
    ready: Prepared, keys: Mapping[str, int], seed: int, which: int, still: Mapping[int, Tensor] | None = None
) -> tuple[Tensor, ...]:
    """The network's inputs, each unit of those attributed moved uniformly within the radius, but for padding."""
    made = list(ready.x)
    for key, position in keys.items():
        x = ready.x[position]
        draws = torch.stack([
            torch.rand(x.shape[1:], generator=stream(seed, f"neighbour {which} of {key}", i), dtype=torch.float64)
            for i in range(len(ready))
        ])  # fmt: skip
        moved = x + ((2 * draws - 1) * _RADIUS * distance(ready, position)).to(x)
        made[position] = torch.where(still[position], x, moved) if still and position in still else moved
    return tuple(made)


def _joined(attributions: Mapping[str, Tensor], keys: Mapping[str, int]) -> Tensor:
    return torch.cat([attributions[key].flatten(1) for key in keys], 1).to("cpu", torch.float64)
