"""How many units are taken from a text at once, and which?

As lime 0.2.0.1 draws them (`LimeTextExplainer`): any number from one to all, each as likely, then so many of the units.
"""

from __future__ import annotations

import numpy as np

from workers.surrogate.neighbourhood import Floats, Samples

KERNEL_WIDTH = 25.0
"""lime's, in hundredths of cosine distance."""


class Removals:
    """Rows of ones, of which units drawn by RandomState(seed) are 0; the first row is the example, all ones.

    Not paired: lime's own draws, bit for bit, for a first `take` of as many samples; it draws all numbers of units
    before the units, so that where the blocks end changes what follows. paired: every second row is the mirror image
    of the one before. There at least one unit stays and one goes, since the mirror image of an empty text is the
    example once more; and blocks change nothing.
    """

    def __init__(self, features: int, seed: int, *, paired: bool) -> None:
        if paired and features < 2:
            raise ValueError(f"of {features} feature no part can be taken away of which the rest is a mirror image")
        self._random, self._features, self._paired = np.random.RandomState(seed), features, paired
        self._taken = 0
        self._pending = np.empty((0, features))

    def take(self, count: int) -> Samples:
        """The next `count` rows; `drawn` is z itself."""
        first = np.ones((int(self._taken == 0 and count > 0), self._features))
        wanted = count - len(first)
        z = np.concatenate([first, self._pairs(wanted) if self._paired else self._alone(wanted)])
        self._taken += count
        return Samples(z=z, distances=100 * (1 - np.sqrt(z.mean(axis=1))), drawn=z)

    def _alone(self, count: int) -> Floats:
        z = np.ones((count, self._features))
        for row, size in zip(z, self._random.randint(1, self._features + 1, count), strict=True):
            row[self._random.permutation(self._features)[:size]] = 0  # what choice(replace=False) draws
        return z

    def _pairs(self, count: int) -> Floats:
        fresh = (max(0, count - len(self._pending)) + 1) // 2
        drawn = self._random.random_sample((fresh, 1 + self._features))
        size = (drawn[:, :1] * (self._features - 1)).astype(np.int64)  # that many and one more
        ranked = np.sort(drawn[:, 1:], axis=1)
        kept = (drawn[:, 1:] > np.take_along_axis(ranked, size, axis=1)).astype(np.float64)
        rows = np.concatenate([self._pending, np.stack([kept, 1 - kept], axis=1).reshape(-1, self._features)])
        self._pending = rows[count:]
        return rows[:count]
