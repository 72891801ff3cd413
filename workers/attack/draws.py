"""Where does chance come from? For each example from its own seed alone, whatever is attacked beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from workers.attack.space import Space, per_row


class Draws:
    """A stream for each example. It gives the same numbers in the same order, whichever examples ask beside it."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._streams = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]

    def uniform(self, index: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(rows, *shape), float32 in [0, 1); an example that is named twice draws twice."""
        drawn = [self._streams[at].random(shape, dtype=np.float32) for at in index.tolist()]
        return torch.from_numpy(np.stack(drawn)) if drawn else torch.empty(0, *shape)

    def normal(self, index: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(rows, *shape), float32, standard normal."""
        drawn = [self._streams[at].standard_normal(shape, dtype=np.float32) for at in index.tolist()]
        return torch.from_numpy(np.stack(drawn)) if drawn else torch.empty(0, *shape)

    def inside(self, index: Tensor, x: Tensor, space: Space, epsilon: Tensor) -> Tensor:
        """A legal point around each row of x: uniform in the cube for L-infinity, on the sphere for L2."""
        if space.norm == "linf":
            change = (2 * self.uniform(index, tuple(x.shape[1:])) - 1).to(x) * per_row(epsilon, x)
        else:
            change = self.normal(index, tuple(x.shape[1:])).to(x)
            length = change.flatten(1).norm(dim=1).clamp(min=1e-30)
            change = change * per_row(epsilon.to(x) / length, x)
        return space.project(x, x + change * space.unit, epsilon)
