"""Which share of the output's change goes through a layer, and from which depth on is it decided?

Totals of layers do not add up over depth, whatever the method. Of a method that is complete, every layer through which
all paths pass (a cut) carries the whole change, so the k-th of n layers in a row would get a share of 1/n for being one
of n. Gradient times activation is no way out: in a network without biases its total at every cut is the output itself
(Euler's theorem on homogeneous functions). And sums of magnitudes compare widths and cancellation, not layers. Hence
two measures that layers in a row do not spoil:

share: of the output's change, what goes through the layer: the signed total over F(x) - F(x'). It is 1 at every cut,
less in a branch whose neighbours carry the rest, negative where a branch works against the change. Parallel branches
share; layers in a row repeat. Only complete methods have it (Dhamdhere et al., arXiv:1805.12233, section 2).

agreement: net over gross, |sum of attributions| / sum of magnitudes, in [0, 1]: how little units work against each
other. At a cut a complete method has the same net at every depth, so agreement is comparable there; it rises as
evidence for and against is settled, and ends at 1 in the target itself. It is cumulative already: what a layer adds is
the difference from the cut before. The change is decided at the first cut from which on agreement stays at one half or
more: evidence for then outweighs evidence against by three to one. It is our own measure; no paper that we know has
it. It is told in the units of the layers as they are: other units (a rotation) have other magnitudes, and many small
units of either sign lower it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from workers.numerics.intervals import Interval, t_quantile

_DECIDED = 0.5


@dataclass(frozen=True, slots=True)
class LayerTotals:
    """What one leaf layer gave: signed and absolute totals of each example, (examples,), float64."""

    key: str
    cut: bool
    signed: Tensor
    absolute: Tensor


@dataclass(frozen=True, slots=True)
class AtDepth:
    """One layer's two measures, with 95 % intervals over examples; None where they have no meaning."""

    key: str
    cut: bool
    share: Interval | None
    agreement: Interval | None


@dataclass(frozen=True, slots=True)
class Depth:
    """The layers in order of running. decided: the first cut from which on agreement is one half or more at every cut,
    None where that is never so or unknown; surely: the same of the lower bounds. reasons: why a measure is missing."""

    layers: tuple[AtDepth, ...]
    decided: str | None
    surely: str | None
    reasons: tuple[str, ...]


def depth(layers: Sequence[LayerTotals], change: Tensor | None, level: float = 0.95) -> Depth:
    """layers: leaf layers on the path, in order of running, each tensor once (a container or a layer that passes on
    another's output would repeat it). change: (examples,), F(x) - F(x'); None for a method without completeness."""
    reasons = []
    moves = change is not None and bool(change.abs().sum() > 0)
    if change is None:
        reasons.append("no share: attributions of this method do not add up to the change of the output")
    elif not moves:
        reasons.append("no share: the output does not change from baseline to input")
    signed = any(bool((each.signed.abs() < each.absolute * (1 - 1e-9)).any()) for each in layers)
    if not signed:
        reasons.append("no agreement: no layer has attributions of both signs, so nothing is weighed")
    made = tuple(
        AtDepth(
            each.key, each.cut,
            _share(each, change, level) if moves and change is not None else None,
            _agreement(each, level) if signed else None,
        )
        for each in layers
    )  # fmt: skip
    cuts = [(each.key, each.agreement) for each in made if each.cut and each.agreement is not None]
    return Depth(
        made,
        _first_from([(key, found.value) for key, found in cuts]),
        _first_from([(key, 0.0 if found.low is None else found.low) for key, found in cuts]),
        tuple(reasons),
    )


def _share(layer: LayerTotals, change: Tensor, level: float) -> Interval:
    """Towards the change of each example: what raises an output that falls counts against."""
    return _ratio(layer.signed * change.sign(), change.abs(), level)


def _agreement(layer: LayerTotals, level: float) -> Interval | None:
    if not bool(layer.absolute.sum() > 0):
        return None
    found = _ratio(layer.signed.abs(), layer.absolute, level)
    low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in (found.low, found.high))
    return Interval(min(found.value, 1.0), low, high, found.n, level, found.method)


def _ratio(above: Tensor, below: Tensor, level: float) -> Interval:
    """Sum over sum, (examples,) each: a ratio of means, so that examples without any change decide nothing.

    Interval by linearisation (Cochran 1977, Sampling Techniques, section 6.4), with Student's t.
    """
    n, ratio = len(above), float(above.sum() / below.sum())
    if n == 1:
        return Interval(ratio, None, None, 1, level, "ratio, student-t")
    spread = float(torch.square(above - ratio * below).sum() / (n - 1))
    half = t_quantile(level, n - 1) * sqrt(spread / n) / float(below.mean())
    return Interval(ratio, ratio - half, ratio + half, n, level, "ratio, student-t")


def _first_from(values: Sequence[tuple[str, float]]) -> str | None:
    """The earliest key such that it and all later ones reach one half."""
    found = None
    for key, value in reversed(values):
        if value < _DECIDED:
            break
        found = key
    return found
