"""Which rows does a chunk hold, and which example is each of them?

A block of examples shares its chunks. The rows of a chunk are all examples of the block at the first of its points,
then all of them at the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Examples:
    """The examples start:stop, with what they are compared with.

    inputs, baselines: (examples, ...) each. differences: x - x' of the floating-point inputs, None for integers.
    still: the places in the block of the examples that equal their baseline.
    """

    __slots__ = ("baselines", "differences", "inputs", "start", "still", "stop")

    def __init__(self, start: int, baselines: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
        self.start, self.stop = start, start + len(inputs[0])
        self.inputs, self.baselines = inputs, baselines
        self.differences = tuple(
            x - b if x.is_floating_point() else None for x, b in zip(inputs, baselines, strict=True)
        )
        moves = torch.stack([d.flatten(1).ne(0).any(1) for d in self.differences if d is not None]).any(0)
        self.still = (~moves).nonzero().flatten()

    @classmethod
    def cut(
        cls, inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], start: int, stop: int, device: str
    ) -> Examples:
        """The examples start:stop, on `device`; a baseline may have one row for all."""
        some = tuple(x[start:stop].to(device) for x in inputs)
        origin = tuple(
            (b if len(b) == 1 else b[start:stop]).to(device).expand_as(x) if x.is_floating_point() else x
            for b, x in zip(baselines, some, strict=True)
        )
        return cls(start, origin, some)

    def __len__(self) -> int:
        return self.stop - self.start


At = Callable[[Examples, Sequence[float]], tuple[Tensor, ...]]
"""The rows of some points: (points * examples, ...) for each input of the network."""


def straight(block: Examples, alphas: Sequence[float]) -> tuple[Tensor, ...]:
    """x' + α (x - x') for each α; integers stay as they are."""
    made = []
    for base, change in zip(block.baselines, block.differences, strict=True):
        if change is None:
            made.append(repeated(base, len(alphas)))
            continue
        weights = torch.tensor(alphas, dtype=base.dtype, device=base.device).view(-1, *[1] * base.ndim)
        made.append((weights * change).add_(base).flatten(0, 1))
    return tuple(made)


def repeated(rows: Tensor, times: int) -> Tensor:
    """All rows, then all of them again: (times * rows, ...)."""
    return rows.repeat(times, *[1] * (rows.ndim - 1))


def padded(rows: tuple[Tensor, ...], least: int) -> tuple[Tensor, ...]:
    """The rows, and the last of them again as often as it takes to have `least`."""
    short = least - len(rows[0])
    if short <= 0:
        return rows
    return tuple(torch.cat([t, t[-1:].expand(short, *t.shape[1:])]) for t in rows)
