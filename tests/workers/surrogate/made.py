"""Neighbourhoods whose network is a formula, and what it gives in every corner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from workers.surrogate.neighbourhood import Floats, Predict, Samples

WIDTH = 0.25


def cosine(z: Floats) -> Floats:
    """lime's distance of a mask from the mask of ones."""
    return 1 - np.sqrt(z.mean(axis=1))


class _Masks:
    def __init__(self, features: int, seed: int, paired: bool) -> None:
        self._draws, self._features, self._paired = np.random.RandomState(seed), features, paired
        self._rows = self._endless()

    def _endless(self) -> Iterator[Floats]:
        yield np.ones(self._features)
        while True:
            for row in self._draws.randint(0, 2, (256, self._features)).astype(np.float64):
                yield row
                if self._paired:
                    yield 1 - row

    def take(self, count: int) -> Samples:
        z = np.array([next(self._rows) for _ in range(count)])
        return Samples(z, cosine(z), z)


class Masks:
    """Masks of `features` features, each 0 or 1 alike."""

    kernel_width = WIDTH
    binary = True

    def __init__(self, features: int) -> None:
        self.names = tuple(f"feature {at}" for at in range(features))

    def stream(self, seed: int, paired: bool) -> _Masks:
        return _Masks(len(self.names), seed, paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        return (torch.from_numpy(samples.z),)

    def as_json(self) -> dict[str, object]:
        return {}


class Given(Masks):
    """Samples that are given, the example first."""

    def __init__(self, z: Floats, distances: Floats, drawn: Floats | None = None, width: float = WIDTH) -> None:
        super().__init__(z.shape[1])
        self._samples = Samples(z, distances, z if drawn is None else drawn)
        self.kernel_width = width
        self._taken = 0

    def stream(self, seed: int, paired: bool) -> Given:
        self._taken = 0
        return self

    def take(self, count: int) -> Samples:
        self._taken += count
        return self._samples.part(self._taken - count, self._taken)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        return (torch.from_numpy(samples.drawn),)


def network(formula: Callable[[Floats], Floats]) -> Predict:
    """`formula` of (rows, K) gives (rows,) or (rows, labels)."""

    def predict(inputs: tuple[Tensor, ...]) -> Floats:
        found = formula(inputs[0].numpy())
        return found if found.ndim == 2 else found[:, None]

    return predict


def noise(z: Floats) -> Floats:
    """A number of each mask's own, that no feature tells anything of."""
    return np.modf(np.abs(np.sin(z @ np.sqrt(np.arange(2.0, 2 + z.shape[1])) * 12.9898) * 43758.5453))[0]


def corners(features: int) -> Floats:
    """Every mask."""
    return np.array(list(product((0.0, 1.0), repeat=features)))
