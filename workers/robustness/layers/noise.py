"""Which random change of an input is as large as an attack's?

A displacement means nothing by itself: every change of the input moves every layer. What it is compared with is noise
of the same length, drawn for each example from its own seed, within the same bounds and where the attack was free too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.attack.space import Space

_HALVINGS, _DOUBLINGS = 40, 60


def equal_noise(space: Space, x: Tensor, made: Tensor, seeds: Sequence[int], draws: int) -> Tensor:
    """(draws, N, ...): x and noise as long as made - x, in L2 by units of epsilon, as far as the bounds let it be.

    Of random signs in an L-infinity space, of normal numbers in an L2 space. x, made: (N, ...). seeds: one for each.
    A clipped number changes less, so the others change more: the length is found by halving.
    """
    if len(x) == 0:
        return x.new_empty(draws, *x.shape)
    length = _length(space, made - x)
    return torch.stack(
        [
            _scaled(space, x, _directions(space, x, [seed + draw for seed in seeds]), length) for draw in range(draws)
        ]
    )  # fmt: skip


def reached(space: Space, x: Tensor, made: Tensor, noisy: Tensor) -> Tensor:
    """(draws, N), float64: the length of each noise over that of the attack, 1 where the bounds allowed it."""
    length = _length(space, made - x)
    return torch.stack([_length(space, each - x) for each in noisy]) / length.clamp(min=1e-300)


def _directions(space: Space, x: Tensor, seeds: Sequence[int]) -> Tensor:
    drawn = []
    for seed, row in zip(seeds, x, strict=True):
        stream = torch.Generator().manual_seed(seed % (1 << 63))
        numbers = torch.randn(row.shape, generator=stream, dtype=torch.float64)
        drawn.append(numbers.sign() if space.norm == "linf" else numbers)
    made = torch.stack(drawn).to(x.device, x.dtype) * space.unit
    return made if space.free is None else torch.where(space.free, made, 0.0)


def _scaled(space: Space, x: Tensor, direction: Tensor, length: Tensor) -> Tensor:
    """x + t · direction within bounds, t by example the smallest that is long enough."""
    own = _length(space, direction).clamp(min=1e-300)
    low, high = torch.zeros_like(length), length / own
    for _ in range(_DOUBLINGS):
        short = _length(space, _moved(space, x, direction, high) - x) < length
        if not bool(short.any()):
            break
        low, high = torch.where(short, high, low), torch.where(short, 2 * high, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        short = _length(space, _moved(space, x, direction, middle) - x) < length
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return _moved(space, x, direction, high)


def _moved(space: Space, x: Tensor, direction: Tensor, times: Tensor) -> Tensor:
    far = x + times.reshape(-1, *[1] * (x.ndim - 1)).to(x.dtype) * direction
    return torch.maximum(torch.minimum(far, space.high), space.low)


def _length(space: Space, change: Tensor) -> Tensor:
    """(N,), float64."""
    found: Tensor = (change / space.unit).flatten(1).double().norm(dim=1)
    return found
