"""Which examples share their chunks, with their baselines and their targets?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.sweep.ready import Prepared
from workers.sweep.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """The examples start:stop. x, origin: inputs and baselines, a row for each example; integers are equal in both."""

    start: int
    stop: int
    x: tuple[Tensor, ...]
    origin: tuple[Tensor, ...]
    target: Target

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def still(self) -> Tensor:
        """The places of the examples that equal their baselines."""
        moves = torch.zeros(len(self), dtype=torch.bool, device=self.x[0].device)
        for x, origin in zip(self.x, self.origin, strict=True):
            moves |= (x != origin).flatten(1).any(1)
        return (~moves).nonzero().flatten()


def case(ready: Prepared, start: int, stop: int, device: str) -> Case:
    """The examples start:stop, on `device`."""
    x = tuple(each[start:stop].to(device) for each in ready.x)
    origin = tuple(
        (base if len(base) == 1 else base[start:stop]).to(device).expand_as(given)
        if given.is_floating_point()
        else given
        for base, given in zip(ready.origin, x, strict=True)
    )
    return Case(start, stop, x, origin, ready.target.of(start, stop))


def repeated(tensors: tuple[Tensor, ...], times: int) -> tuple[Tensor, ...]:
    """All rows, and all of them again, `times` times."""
    return tuple(each.repeat(times, *[1] * (each.ndim - 1)) for each in tensors)
