"""What may a column of a table be drawn as? Its strata: bins of a number, or the values of a category, by frequency.

As lime 0.2.0.1 (`lime.discretize`): borders are quantiles, or the thresholds of a tree that parts the labels by
entropy, and belong to the bin below them. Within a bin values are normal, with the mean and deviation of the bin's own,
cut off at its ends. Unlike lime, a bin that is a single number gives that number, and a number that quantiles leave in
one bin, because three quarters of its values are its largest, is cut below that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sklearn.tree import DecisionTreeClassifier

from workers.surrogate.neighbourhood import Floats

Cut = Literal["quartile", "decile", "entropy"]
Codes = NDArray[np.int64]

NONE = -1
"""Code of a category that the background does not have."""

_PERCENTS = {"quartile": [25, 50, 75], "decile": [10, 20, 30, 40, 50, 60, 70, 80, 90]}
_DEPTH = 3
_COUNTED = 16
"""Strata of a column up to which counting is quicker than a search."""
"""Of the entropy tree, as in lime: at most 8 bins."""
_DIGITS = (6, 9, 17)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Strata:
    """What one column may be drawn as, by code.

    shares, low, high, mean, std: (B,), shares adding up to 1, some of them 0. borders: of the bins; None for values
    that stand alone. missing: the number of a last stratum behind the bins, of missing values. names: (B,), of bins;
    none of values.
    """

    shares: Floats
    low: Floats
    high: Floats
    mean: Floats
    std: Floats
    borders: Floats | None
    missing: float | None = None
    names: tuple[str, ...] = ()

    def code(self, value: float) -> int:
        """The stratum of a value; NONE where a category is new."""
        if self.missing is not None and value == self.missing:
            return len(self.shares) - 1
        if self.borders is not None:
            return int(np.searchsorted(self.borders, value))
        found = np.flatnonzero(self.low == value)
        return int(found[0]) if len(found) else NONE


def of_values(values: Floats) -> Strata:
    """Each value that occurs. values: (n,)."""
    found, counts = np.unique(values, return_counts=True)
    return Strata(
        shares=counts / float(counts.sum()), low=found, high=found, mean=found, std=np.zeros(len(found)), borders=None
    )


def of_number(values: Floats, name: str, borders: Floats, missing: float | None = None) -> Strata:
    """Bins; values that equal `missing`, if any, are a stratum of their own.

    values: (n,), of which some are known. borders: ascending; none where all known values are equal.
    """
    known = values if missing is None else values[values != missing]
    code = np.searchsorted(borders, known)
    counts = np.bincount(code, minlength=len(borders) + 1)
    some = np.maximum(counts, 1)
    low = np.concatenate([[known.min()], borders])
    high = np.maximum(np.concatenate([borders, [known.max()]]), low)
    # Rounding may leave the mean of equal numbers a little outside them.
    mean = np.clip(np.bincount(code, known, len(counts)) / some, low, high)
    std = np.sqrt(np.bincount(code, np.square(known - mean[code]), len(counts)) / some)
    names = _names(name, borders) if len(borders) else (f"{name} = {worded(low[0])}",)
    if missing is not None:
        counts = np.append(counts, len(values) - len(known))
        low, high, mean = (np.append(each, missing) for each in (low, high, mean))
        std, names = np.append(std, 0.0), (*names, f"{name} = {worded(missing)} (missing)")
    return Strata(
        names=names, shares=counts / float(counts.sum()), low=low, high=high, mean=mean, std=std, borders=borders,
        missing=missing,
    )  # fmt: skip


def borders(values: Floats, cut: Cut, labels: Codes | None) -> Floats:
    """Ascending; no bin holds all values unless all are equal, for which there are none.

    values, labels: (n,). Raises ValueError for entropy without labels.
    """
    largest = values.max()
    if values.min() == largest:
        return np.empty(0)
    found = np.unique(_thresholds(values, labels) if cut == "entropy" else np.percentile(values, _PERCENTS[cut]))
    if found[0] >= largest:
        return np.asarray(values[values < largest].max(keepdims=True))
    return found


def _thresholds(values: Floats, labels: Codes | None) -> Floats:
    """As lime has it; the seed decides nothing where a tree has one feature to choose from."""
    if labels is None:
        raise ValueError("a cut by entropy needs labels")
    grown = DecisionTreeClassifier(criterion="entropy", max_depth=_DEPTH, random_state=np.random.RandomState(0))
    tree = grown.fit(values[:, None], labels).tree_
    found = tree.threshold[tree.children_left >= 0]
    return np.asarray(found if len(found) else [np.median(values)], dtype=np.float64)


def _names(name: str, borders: Floats) -> tuple[str, ...]:
    told = _apart(borders)
    between = [f"{low} < {name} <= {high}" for low, high in pairwise(told)]
    return (f"{name} <= {told[0]}", *between, f"{name} > {told[-1]}")


def _apart(numbers: Floats) -> list[str]:
    """In as few digits as tell them apart."""
    for digits in _DIGITS:
        told = [f"{each:.{digits}g}" for each in numbers.tolist()]
        if len(set(told)) == len(told):
            break
    return told


def worded(number: float) -> str:
    """As names show a number."""
    return f"{number:.{_DIGITS[0]}g}"


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """The strata of C columns, to be drawn from together.

    cumulative: of shares, one for each column. first: (C,), where the strata of each begin in what follows, one column
    after another. low, high, mean, std, below, span: below and span are the normal distribution function at a stratum's
    lower end, and what it gains to the upper. wide: whether a stratum has more than one number.
    """

    cumulative: tuple[Floats, ...]
    first: Codes
    low: Floats
    high: Floats
    mean: Floats
    std: Floats
    below: Floats
    span: Floats
    wide: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Sequence[Strata]) -> Stacked:
        """In their order."""
        low, high, mean, std = (
            np.concatenate([getattr(each, part) for each in columns]) for part in ("low", "high", "mean", "std")
        )
        scale = np.where(std > 0, std, np.inf)  # of a single number: both ends at the middle of the distribution
        below, above = ndtr((low - mean) / scale), ndtr((high - mean) / scale)
        return cls(
            cumulative=tuple(_cumulative(each.shares) for each in columns),
            first=np.cumsum([0, *(len(each.shares) for each in columns)])[:-1], low=low, high=high, mean=mean, std=std,
            below=below, span=above - below, wide=high > low,
        )  # fmt: skip

    def codes(self, first: int, draws: Floats) -> Codes:
        """(c, n), of columns from number `first` on, from uniform draws in [0, 1): as RandomState.choice has it."""
        among = self.cumulative[first : first + len(draws)]
        if max(map(len, among)) <= _COUNTED:
            return _counted(among, draws)
        return np.stack([np.searchsorted(each, row, "right") for each, row in zip(among, draws, strict=True)])

    def values(self, first: int, codes: Codes, draws: Floats) -> Floats:
        """(c, n), from uniform draws in [0, 1) by the inverse of each stratum's distribution function."""
        at = self.places(first, codes)
        drawn = ndtri(self.below.take(at) + draws * self.span.take(at))
        drawn *= self.std.take(at)
        drawn += self.mean.take(at)
        return np.asarray(np.clip(drawn, self.low.take(at), self.high.take(at), out=drawn))

    def places(self, first: int, codes: Codes) -> Codes:
        """Where the strata `codes` (c, n), of columns from number `first` on, stand."""
        return np.asarray(codes + self.first[first : first + len(codes), None])


def _counted(among: Sequence[Floats], draws: Floats) -> Codes:
    """How many of the ascending numbers `among`, of each row, are no larger than its draws: as a search finds it."""
    made = np.zeros(draws.shape, dtype=np.int8)
    for at in range(max(map(len, among))):
        border = np.array([each[at] if at < len(each) else np.inf for each in among])
        made += border[:, None] <= draws
    return made.astype(np.int64)


def _cumulative(shares: Floats) -> Floats:
    made = shares.cumsum()
    return np.asarray(made / made[-1])
