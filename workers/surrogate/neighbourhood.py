"""Where around an example are samples drawn, what does the surrogate read of them, and what the network?

Ribeiro, Singh and Guestrin, "Why should I trust you?", arXiv:1602.04938, section 3.3. Every kind of input has a
neighbourhood of its own (`workers.neighbourhoods`); the engine knows this protocol alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

Floats = NDArray[np.float64]

Predict = Callable[[tuple[Tensor, ...]], Floats]
"""From what the network reads, one row per sample, to (rows, labels): one number per sample and label, all labels from
one forward pass. A number that the network could not give is not finite; what it raises ends the explanation."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Some of a stream's samples, in order.

    z: what the surrogate reads, (n, K): 1 where a feature is as in the example and 0 where it is not; of continuous
       features their scaled values.
    distances: from the example, in the neighbourhood's own measure, (n,).
    drawn: what `Neighbourhood.inputs` needs besides z, (n, ...); z itself where that is enough.
    """

    z: Floats
    distances: Floats
    drawn: NDArray[np.generic]

    def __len__(self) -> int:
        """How many."""
        return len(self.z)

    def part(self, start: int, stop: int) -> Samples:
        """The samples start:stop."""
        return Samples(self.z[start:stop], self.distances[start:stop], self.drawn[start:stop])


class Stream(Protocol):
    """An endless sequence of samples around one example, the same for equal seeds."""

    def take(self, count: int) -> Samples:
        """The next `count`. The very first sample of a stream is the example itself."""


class Neighbourhood(Protocol):
    """The neighbourhood of one example.

    names: what people call each of the K features. kernel_width: the package's, in the measure of `Samples.distances`.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """One for each feature."""

    @property
    def kernel_width(self) -> float:
        """The width of the exponential kernel sqrt(exp(-d² / width²)) that lime would take."""

    @property
    def binary(self) -> bool:
        """Whether z holds nothing but 0 and 1, so that a sample has a mirror image 1 - z."""

    def stream(self, seed: int, paired: bool) -> Stream:
        """Samples drawn by numpy's RandomState(seed), in the order in which lime 0.2.0.1 draws its own.

        paired: every second sample mirrors the one before it (antithetic), where the neighbourhood has mirror images;
        the example itself, first in the stream, has none.
        """

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """What the network reads for these samples: a tensor per input, a row per sample, on its device."""

    def as_json(self) -> dict[str, JsonValue]:
        """How it was made, for provenance; equal neighbourhoods give equal values."""
