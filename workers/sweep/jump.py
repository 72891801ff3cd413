"""Does a path begin where the model jumps, so that no number of steps follows it?

Zero vectors have no direction. A network that normalises its embedded ids without adding to them first (RMSNorm, as in
T5 and Llama) answers to their direction alone, and has made its whole change as soon as it has left zero: integrals
along such a path (conductance, integrated gradients, internal influence) are those of a step function.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.sweep.embedded import FEW, batch, copies
from workers.sweep.target import Target

_EARLY, MOST = 1e-3, 0.05
"""How far along the path is looked, and the share of the change made by then from which a path is no path."""


def jump(
    model: nn.Module, x: tuple[Tensor, ...], origin: tuple[Tensor, ...], target: Target, rows: int | None = None
) -> float:
    """The share of the target's change that the first thousandth of the path makes; its median over some examples.

    x, origin: what `model` is called with, and where the path begins, one row for all or one each. rows: the one batch
    size that the model takes, None if any. 0 where nothing changes.
    """
    size = rows or min(len(x[0]), 8)
    some = tuple(each[:size] for each in x)
    count = len(some[0])
    start = tuple(
        (base if len(base) == 1 else base[:count]).expand_as(at) if at.is_floating_point() else at
        for base, at in zip(origin, some, strict=True)
    )
    early = tuple(
        torch.lerp(base, at, _EARLY) if at.is_floating_point() else at for base, at in zip(start, some, strict=True)
    )
    chosen = target.of(0, count)
    with torch.no_grad():
        first, soon, last = (
            chosen.select(model(*copies(batch(points, rows or FEW))), count).double() for points in (start, early, some)
        )
    change = (last - first).abs()
    moved = change > 0
    if not bool(moved.any()):
        return 0.0
    return float(((soon - first).abs()[moved] / change[moved]).median())


def why_jumps(share: float) -> str:
    """Why integrals along a path with this `jump` are refused; empty where they are not."""
    if share <= MOST:
        return ""
    return (
        f"0.1 % of the way from the baseline the output has made {100 * share:.0f} % of its change, and no number of"
        ' steps follows that; embedded ids that are normalised at once do so from zero vectors: ask for baseline "pad"'
        ' or "mean"; so do inputs far larger than the network was made for: declare their preprocessing'
    )
