"""What did the network say of the samples drawn so far?

Equal samples are asked about once, over all blocks: with few features many are equal. What the network could not give
is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.surrogate.asked import Known
from workers.surrogate.neighbourhood import Floats, Neighbourhood, Predict, Samples
from workers.surrogate.refusal import NoSurrogate
from workers.surrogate.settings import Settings

Told = Callable[[float], None]
"""Takes the share of the count budget that is spent, ascending to 1."""

_MOST_LOST = 0.5
"""Of more, what is left is no longer a sample of the neighbourhood."""


class Drawn:
    """The samples of one example, the example itself first; it grows by `draw`.

    z: (n, K). distances: (n,). values: (n, L), all finite. cluster: (n,), what was drawn together: a pair, or a sample
    alone; 0 is the example. samples: drawn; distinct: different ones among them; lost: drawn and left out.
    """

    def __init__(self, neighbourhood: Neighbourhood, predict: Predict, settings: Settings, seed: int) -> None:
        self._neighbourhood, self._predict, self._rows = neighbourhood, predict, settings.rows
        self._together = 2 if settings.paired else 1
        self._stream = neighbourhood.stream(seed, settings.paired)
        self._known = Known()
        self._answers: Floats | None = None
        self.z: Floats = np.empty((0, len(neighbourhood.names)))
        self.distances: Floats = np.empty(0)
        self.values: Floats = np.empty((0, 0))
        self.cluster: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.samples = self.lost = 0

    @property
    def distinct(self) -> int:
        """Different samples that the network was asked about."""
        return len(self._known)

    def draw(self, count: int, told: Told) -> None:
        """Appends the next `count` samples. Raises NoSurrogate, and what the network raises."""
        samples = self._stream.take(count)
        if not (np.isfinite(samples.z).all() and np.isfinite(samples.distances).all()):
            raise NoSurrogate(
                "a feature or a distance of the samples is not finite",
                "Look for missing or infinite values in the example and in the background data.",
            )
        values = self._values(samples, told)
        cluster = (np.arange(self.samples, self.samples + count) - 1) // self._together + 1
        kept: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
        if self.samples == 0 and not kept[0]:
            raise NoSurrogate(
                "the network gives no finite number for the example itself",
                "Look for NaN or infinity in its output, or explain another example.",
            )
        self.samples, self.lost = self.samples + count, self.lost + int((~kept).sum())
        if self.lost > _MOST_LOST * self.samples:
            raise NoSurrogate(
                f"the network gives no finite number for {self.lost} of {self.samples} samples around the example",
                "What is left out of a feature must stay an input that the network can take: choose another fill.",
            )
        before = self.values if len(self.values) else np.empty((0, values.shape[1]))
        self.z = _behind(self.z, samples.z, kept)
        self.distances = _behind(self.distances, samples.distances, kept)
        self.values = _behind(before, values, kept)
        self.cluster = _behind(self.cluster, cluster, kept)

    def _values(self, samples: Samples, told: Told) -> Floats:
        """(n, L), of which equal samples share a row of the answers."""
        where, first = self._known.number(samples)
        new = samples
        if len(first) < len(samples):
            new = Samples(samples.z[first], samples.distances[first], samples.drawn[first])
        parts = [] if self._answers is None else [self._answers]
        for start in range(0, len(new), self._rows):
            part = new.part(start, start + self._rows)
            parts.append(self._asked(part))
            told(min(1.0, (start + len(part)) / len(new)))
        self._answers = np.concatenate(parts)
        return self._answers[where]

    def _asked(self, part: Samples) -> Floats:
        values = np.asarray(self._predict(self._neighbourhood.inputs(part)), dtype=np.float64)
        if values.ndim != 2 or len(values) != len(part):
            raise ValueError(f"{len(part)} samples need as many rows of predictions, not the shape {values.shape}")
        return values


_Numbers = TypeVar("_Numbers", bound=np.generic)


def _behind(before: NDArray[_Numbers], rows: NDArray[_Numbers], kept: NDArray[np.bool_]) -> NDArray[_Numbers]:
    """The rows that are kept, behind those before; what would be the same is not copied."""
    some = rows if kept.all() else rows[kept]
    return np.concatenate([before, some]) if len(before) else some
