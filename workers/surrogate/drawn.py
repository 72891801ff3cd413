"""What did the network say of the samples drawn so far?

Equal samples are asked about once, over all blocks: with few features many are equal. What the network could not give
is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
        self._known: dict[bytes, int] = {}
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
        self.z = np.concatenate([self.z, samples.z[kept]])
        self.distances = np.concatenate([self.distances, samples.distances[kept]])
        self.values = np.concatenate([before, values[kept]])
        self.cluster = np.concatenate([self.cluster, cluster[kept]])

    def _values(self, samples: Samples, told: Told) -> Floats:
        """(n, L), of which equal samples share a row of the answers."""
        first, before = list[int](), len(self._known)
        where = np.empty(len(samples), dtype=np.int64)
        for at, key in enumerate(_keys(samples)):
            where[at] = number = self._known.setdefault(key, len(self._known))
            if number == before + len(first):
                first.append(at)
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


def _keys(samples: Samples) -> list[bytes]:
    """One for each sample, equal where the network reads the same."""
    z, drawn = samples.z, np.ascontiguousarray(samples.drawn).reshape(len(samples), -1)
    parts = [np.packbits(z != 0, axis=1) if bool(((z == 0) | (z == 1)).all()) else _octets(z)]
    if not (drawn.shape == z.shape and np.array_equal(drawn, z)):
        parts.append(_octets(drawn))
    rows = np.ascontiguousarray(np.concatenate(parts, axis=1))
    keys: list[bytes] = rows.view(f"V{rows.shape[1]}").ravel().tolist()
    return keys


def _octets(rows: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows).view(np.uint8)
