"""Which rows are drawn around a row of a table, in which order, and what does the surrogate read of them?

The draws of lime 0.2.0.1 (`LimeTabularExplainer`) for the same RandomState: binned, every column's bins or categories,
then the numbers within the bins; scaled, a normal number for every column, then the categories. lime draws column by
column all that is asked for, so that where blocks end changes what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.neighbourhoods.columns import TableColumn
from workers.neighbourhoods.discretise import Codes, Stacked
from workers.surrogate.neighbourhood import Floats, Samples

_AT_ONCE = 1 << 16
"""Numbers drawn together, 512 KiB of each array: what a processor keeps near."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawable:
    """The C columns that are drawn, K of which are features, and the row they are drawn around.

    row: (inputs,), raw. kept: (K,), the columns that are features; the others stay as they are in the row.
    """

    columns: tuple[TableColumn, ...]
    row: Floats
    kept: Codes

    @property
    def own(self) -> Floats:
        """(C,): the row's numbers and codes."""
        return np.array([column.read(self.row[None])[0] for column in self.columns])

    def written(self, values: Floats) -> Floats:
        """Rows (n, inputs), of values (K, n)."""
        across = np.repeat(self.row[:, None], values.shape[1], axis=1)  # column by column, and turned at the end
        alone = np.array([not self.columns[each].one_hot for each in self.kept], dtype=np.bool_)
        places = [self.columns[each].places[0] for each in self.kept[alone]]
        across[places] = values if alone.all() else values[alone]
        for feature in np.flatnonzero(~alone):
            self.columns[self.kept[feature]].write(across.T, values[feature])
        return np.ascontiguousarray(across.T)


class Binned:
    """Rows of RandomState(seed): each column a stratum by its share, and a number within it.

    Features are 1 where the stratum is that of the row; the distance is Euclidean. code: (C,), of the row. There are no
    mirror images: with quantiles q and 1 - q coefficients varied as much as without, or a fifth more.
    """

    def __init__(self, drawable: Drawable, strata: Stacked, code: Codes, seed: int) -> None:
        self._random, self._of, self._strata = np.random.RandomState(seed), drawable, strata
        self._code, self._begun = code[drawable.kept], False

    def take(self, count: int) -> Samples:
        """The next `count` rows; `drawn` is their raw inputs."""
        columns, example = len(self._of.columns), int(not self._begun and count > 0)
        codes = np.empty((columns, count), dtype=np.int64)
        for some in _parts(columns, count):
            codes[some] = self._strata.codes(some.start, self._random.random_sample((some.stop - some.start, count)))
        values = np.empty((columns, count))
        for some in _parts(columns, count):
            values[some] = self._within(some.start, codes[some], example)
        if len(self._of.kept) < columns:
            codes, values = codes[self._of.kept], values[self._of.kept]
        z = (codes == self._code[:, None]).T.astype(np.float64, order="C")
        drawn = self._of.written(values)
        z[:example], drawn[:example], self._begun = 1.0, self._of.row, self._begun or count > 0
        return Samples(z=z, distances=np.sqrt((1 - z).sum(axis=1)), drawn=drawn)

    def _within(self, first: int, codes: Codes, example: int) -> Floats:
        """(c, n); a stratum of one number takes no draw, nor does the example."""
        wide = self._strata.wide.take(self._strata.places(first, codes))
        draws = np.zeros(codes.shape)
        if wide[:, example:].all():
            draws[:, example:] = self._random.random_sample((len(codes), codes.shape[1] - example))
        else:
            wide[:, :example] = False
            draws[wide] = self._random.random_sample(int(wide.sum()))
        return self._strata.values(first, codes, draws)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scales:
    """How the columns are drawn that are not in bins.

    mean, scale: (C,), of numbers; 0 and 1 of categories. category: (C,). deviation: (C,), 0 of constant columns.
    """

    mean: Floats
    scale: Floats
    category: NDArray[np.bool_]
    deviation: Floats


class Scaled:
    """Rows of RandomState(seed): numbers normal around `centre` (C,), categories by their share.

    Features are numbers on the scale of the background, and 1 where a category is that of the row; the distance is
    Euclidean. strata: of the categories alone. paired: a row drawn is followed by its mirror image, about the centre,
    quantile q of a category's shares being 1 - q; categories are then drawn by a RandomState of their own, so that
    blocks change nothing.
    """

    def __init__(
        self, drawable: Drawable, scales: Scales, strata: Stacked | None, centre: Floats, seed: int, *, paired: bool
    ) -> None:
        self._of, self._scales, self._strata, self._centre, self._paired = drawable, scales, strata, centre, paired
        self._random, self._begun = np.random.RandomState(seed), False
        self._categories = np.random.RandomState([seed, 1]) if paired else self._random
        self._own = drawable.own
        self._pending = (np.empty((0, len(scales.mean))), np.empty((int(scales.category.sum()), 0)))

    def take(self, count: int) -> Samples:
        """The next `count` rows; `drawn` is their raw inputs."""
        example, scales = int(not self._begun and count > 0), self._scales
        normal, uniform = self._pairs(count, example) if self._paired else self._alone(count)
        values = normal * scales.scale + self._centre
        if self._strata is not None:
            codes = self._strata.codes(0, uniform)
            values[:, scales.category] = self._strata.low.take(self._strata.places(0, codes)).T
        z = np.where(scales.category, values == self._own, (values - scales.mean) / scales.scale)
        own = np.where(scales.category, 1.0, (self._own - scales.mean) / scales.scale)
        drawn = self._of.written(values[:, self._of.kept].T)
        z[:example], drawn[:example], self._begun = own, self._of.row, self._begun or count > 0
        z, own = z[:, self._of.kept], own[self._of.kept]
        return Samples(z=z, distances=np.sqrt(np.square(z - own).sum(axis=1)), drawn=drawn)

    def _alone(self, count: int) -> tuple[Floats, Floats]:
        """Normal numbers (n, C) and uniform ones (categories, n)."""
        normal = self._random.standard_normal((count, len(self._scales.mean)))
        return normal, self._random.random_sample((int(self._scales.category.sum()), count))

    def _pairs(self, count: int, example: int) -> tuple[Floats, Floats]:
        before = self._pending
        fresh = (max(0, count - example - len(before[0])) + 1) // 2
        normal = self._random.standard_normal((fresh, len(self._scales.mean)))
        uniform = self._categories.random_sample((fresh, len(before[1])))
        mirrored = np.nextafter(1 - uniform, 0)  # below 1, as draws are
        rows = np.stack([normal, -normal], axis=1).reshape(2 * fresh, normal.shape[1])
        draws = np.stack([uniform, mirrored], axis=1).reshape(2 * fresh, uniform.shape[1]).T
        left = np.zeros((example, normal.shape[1])), np.zeros((len(before[1]), example))  # the example takes no draw
        rows, draws = np.concatenate([left[0], before[0], rows]), np.concatenate([left[1], before[1], draws], axis=1)
        self._pending = (rows[count:], draws[:, count:])
        return rows[:count], draws[:, :count]


def _parts(columns: int, count: int) -> Iterator[slice]:
    """Columns to draw together."""
    step = max(1, _AT_ONCE // max(1, count))
    for start in range(0, columns, step):
        yield slice(start, min(start + step, columns))
