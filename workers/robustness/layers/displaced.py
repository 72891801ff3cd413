"""How far does a changed input carry each layer from where it was?

    r_l = |h_l(x') - h_l(x)| / |h_l(x)|

for an adversarial x' and for random changes of equal norm. Only what the two have apart is of the attack: a network
that grows every change grows both. The local gain is r_l over that of the layer before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.robustness.layers.chosen import before
from workers.robustness.layers.through import Through
from workers.sweep.probe import Tap

_ROUNDING = 1e-5
"""Of a layer's norm: by less the same numbers differ from one place in a batch to another."""


@dataclass(frozen=True, slots=True, eq=False)
class Displaced:
    """Of L layers and m examples, float64; NaN where the layer is zero at the example, or not finite.

    relative, cosine: (L, m), by the adversarial. random: (L, m, draws). at_input: (m,) and random_at_input (m, draws):
    the same of the input as the network reads it.
    """

    taps: tuple[Tap, ...]
    relative: Tensor
    cosine: Tensor
    random: Tensor
    at_input: Tensor
    random_at_input: Tensor

    @property
    def reached(self) -> tuple[bool, ...]:
        """Whether any change of the input moves each layer."""
        return tuple(bool((each > 0).any()) for each in torch.cat([self.relative[:, :, None], self.random], 2))

    @property
    def before(self) -> tuple[int, ...]:
        """What each layer's gain is over: the place of a layer, -1 for the input."""
        return before(self.taps, self.reached)

    @property
    def ratio(self) -> Tensor:
        """(L, m): by the adversarial over the mean of its random changes; NaN where those move nothing."""
        mean = self.random.mean(2)
        return torch.where(mean > 0, self.relative / mean, torch.nan)

    @property
    def gain(self) -> Tensor:
        """(L, m): r_l over that of the layer `before`; NaN where that is not displaced."""
        return _over(self.relative, self.at_input, self.before)

    @property
    def random_gain(self) -> Tensor:
        """(L, m): the same by random changes, the mean of whose displacements stands for each layer."""
        return _over(self.random.mean(2), self.random_at_input.mean(1), self.before)


def _over(relative: Tensor, at_input: Tensor, places: Sequence[int]) -> Tensor:
    earlier = torch.stack([at_input if place < 0 else relative[place] for place in places])
    return torch.where(earlier > 0, relative / earlier, torch.nan)


def displaced(
    through: Through,
    taps: Sequence[Tap],
    x: Tensor,
    made: Tensor,
    noisy: Tensor,
    index: Tensor,
    read: Callable[[Tensor], Tensor],
    told: Callable[[float], None],
) -> Displaced:
    """x, made: (m, ...), raw. noisy: (draws, m, ...). index: int64 (m,), the example of each. read: raw to what the
    network reads."""
    draws, m = noisy.shape[:2]
    relative, cosine = (torch.full((len(taps), m), torch.nan, dtype=torch.float64) for _ in range(2))
    random = torch.full((len(taps), m, draws), torch.nan, dtype=torch.float64)
    together = max(1, through.rows // (2 + draws))
    for start in range(0, m, together):
        part = slice(start, min(start + together, m))
        rows = torch.cat([x[part], made[part], *noisy[:, part]])
        values = through.known(rows, index[part].repeat(2 + draws), taps)
        for at, tap in enumerate(taps):
            clean, moved, *others = _flat(values[tap.key]).chunk(2 + draws)
            relative[at, part] = _relative(clean, moved)
            cosine[at, part] = _cosine(clean, moved)
            random[at, part] = torch.stack([_relative(clean, other) for other in others], 1)
        told(part.stop / m)
    given = _flat(read(x))
    return Displaced(
        tuple(taps), relative, cosine, random, _relative(given, _flat(read(made))),
        torch.stack([_relative(given, _flat(read(each))) for each in noisy], 1),
    )  # fmt: skip


def _flat(values: Tensor) -> Tensor:
    """(rows, units), float64, on the CPU."""
    return values.reshape(len(values), -1).double().cpu()


def _relative(clean: Tensor, moved: Tensor) -> Tensor:
    """(rows,); NaN where it has no meaning."""
    norm = clean.norm(dim=1)
    found = (moved - clean).norm(dim=1) / norm
    found = torch.where(found > _ROUNDING, found, found.clamp(max=0))  # NaN stays what it is
    return torch.where((norm > 0) & found.isfinite(), found, torch.nan)


def _cosine(clean: Tensor, moved: Tensor) -> Tensor:
    norms = clean.norm(dim=1) * moved.norm(dim=1)
    found = (clean * moved).sum(1) / norms
    return torch.where((norms > 0) & found.isfinite(), found.clamp(-1, 1), torch.nan)
