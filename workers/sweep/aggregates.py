"""What do the attributions of thousands of examples say together, when none of them is kept?

Each reducer sees every block once and holds sums, so its memory depends on units, classes and replicates but not on
the number of examples; `Axis` alone holds rows, few numbers for each example. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.numerics.concentration import concentrations
from workers.numerics.intervals import Interval, mean_of_sums_t
from workers.sweep.reducers import Block, UnitMoments

_REPLICATES = 200
_MOST_CLASSES = 50
"""With more classes, replicates for each would take more memory than the attributions: Student's t serves them."""


class _Weights:
    """The bootstrap weights of the block in hand, drawn once for all its taps."""

    def __init__(self, seed: int, replicates: int) -> None:
        self._seed, self.replicates = seed, replicates
        self._of: tuple[int, int] = (0, 0)
        self._drawn = torch.zeros(0, replicates, dtype=torch.float64)

    def of(self, block: Block) -> Tensor:
        """(examples, replicates)."""
        if self._of != (block.start, block.stop):
            self._drawn = poisson_weights(self._seed, block.start, block.stop, self.replicates)
            self._of = (block.start, block.stop)
        return self._drawn


class Bootstrap:
    """Intervals of the mean and of the mean magnitude, of every tap's total and of single units.

    Totals have `replicates` Poisson bootstrap replicates always: 8 · (3 · replicates + 5) bytes for each tap. Units
    have them, in the order of the taps, as long as all that is held for units stays within `most_bytes`
    (16 · replicates bytes for each unit); the others get Student's t, and the interval says which it is.
    seed: of the analysis; the weights of an example depend on it and on the example's index alone.
    """

    def __init__(self, seed: int, replicates: int = _REPLICATES, most_bytes: int = 64 << 20) -> None:
        self._weights, self._left = _Weights(seed, replicates), most_bytes
        self._totals: dict[str, StreamedMeans] = {}
        self._units: dict[str, StreamedMeans | None] = {}

    def take(self, block: Block) -> None:
        weights = self._weights.of(block)
        if block.key not in self._totals:
            self._totals[block.key] = StreamedMeans(1, 2, self._weights.replicates)
            self._units[block.key] = self._afforded(2 * block.attribution[0].numel())
        self._totals[block.key].add(_both_totals(block), weights)
        units = self._units[block.key]
        if units is not None:
            flat = block.attribution.flatten(1).to("cpu", torch.float64)
            units.add(torch.cat([flat, flat.abs()], 1), weights)

    def _afforded(self, columns: int) -> StreamedMeans | None:
        size = StreamedMeans.bytes(1, columns, self._weights.replicates)
        if size > self._left:
            return None
        self._left -= size
        return StreamedMeans(1, columns, self._weights.replicates)

    def total(self, key: str, level: float = 0.95) -> Interval:
        """The mean over examples of a tap's signed total. Raises KeyError for a tap that was not swept."""
        return self._totals[key].interval(0, level=level)

    def absolute_total(self, key: str, level: float = 0.95) -> Interval:
        """The mean over examples of a tap's absolute total."""
        return self._totals[key].interval(1, level=level)

    def unit(self, key: str, at: int, moments: UnitMoments, level: float = 0.95) -> tuple[Interval, Interval]:
        """The mean and the mean magnitude of the unit at flat index `at`. `moments`: of the same tap and examples.

        A unit chosen for being the largest of many has a mean that is too large by the choice: no interval tells it.
        """
        held, (total, magnitude, square) = self._units[key], moments.sums
        if held is not None:
            return held.interval(at, level=level), held.interval(total.numel() + at, level=level)
        squares = float(square.flatten()[at])
        signed, absolute = (
            mean_of_sums_t(float(each.flatten()[at]), squares, moments.n, level) for each in (total, magnitude)
        )
        return signed, absolute


class ByClass:
    """Of every tap and class: the mean totals with intervals, and the mean and mean magnitude of each unit.

    labels: (all examples,) of class numbers, in the order of the sweep; a negative one belongs to no class. Intervals
    are bootstrapped for up to 50 classes, else Student's t. Unit sums take 16 bytes for each class and unit, and are
    held in the order of the taps as long as they stay within `most_bytes`.
    """

    def __init__(self, labels: Tensor, seed: int, replicates: int = _REPLICATES, most_bytes: int = 128 << 20) -> None:
        known = labels.to("cpu", torch.int64)
        classes = torch.unique(known[known >= 0])
        self.classes: tuple[int, ...] = tuple(classes.tolist())
        self._rows = torch.where(known >= 0, torch.searchsorted(classes, known), -1)
        self._weights = _Weights(seed, replicates if len(classes) <= _MOST_CLASSES else 0)
        self._left = most_bytes
        self._totals: dict[str, StreamedMeans] = {}
        self._units: dict[str, Tensor | None] = {}

    def take(self, block: Block) -> None:
        if block.key not in self._totals:
            self._totals[block.key] = StreamedMeans(len(self.classes), 2, self._weights.replicates)
            self._units[block.key] = self._afforded(block.attribution)
        group = self._rows[block.start : block.stop]
        self._totals[block.key].add(_both_totals(block), self._weights.of(block), group)
        sums = self._units[block.key]
        if sums is not None:
            labelled, values = group >= 0, block.attribution.to("cpu", torch.float64)
            if not bool(labelled.all()):
                group, values = group[labelled], values[labelled]
            sums[0].index_add_(0, group, values)
            sums[1].index_add_(0, group, values.abs())

    def _afforded(self, attribution: Tensor) -> Tensor | None:
        size = 16 * len(self.classes) * attribution[0].numel()
        if size > self._left:
            return None
        self._left -= size
        return torch.zeros(2, len(self.classes), *attribution.shape[1:], dtype=torch.float64)

    def n(self, key: str, number: int) -> int:
        """How many examples of class `number` were swept. Raises ValueError for a class that no example has."""
        return int(self._totals[key].n[self._row(number)])

    def total(self, key: str, number: int, level: float = 0.95) -> Interval:
        """The mean signed total of a tap over the examples of a class. Raises KeyError, ValueError."""
        return self._totals[key].interval(0, self._row(number), level)

    def absolute_total(self, key: str, number: int, level: float = 0.95) -> Interval:
        """The mean absolute total of a tap over the examples of a class."""
        return self._totals[key].interval(1, self._row(number), level)

    def unit_means(self, key: str, number: int) -> tuple[Tensor, Tensor] | None:
        """The mean and the mean magnitude of each unit over a class: (units...), float64; None where they were more
        than `most_bytes` allow."""
        sums, row = self._units[key], self._row(number)
        if sums is None:
            return None
        n = self.n(key, number)
        return sums[0, row] / n, sums[1, row] / n

    def _row(self, number: int) -> int:
        if number not in self.classes:
            raise ValueError(f"no example has class {number}; there are {', '.join(map(str, self.classes))}")
        return self.classes.index(number)


@dataclass(frozen=True, slots=True)
class Concentrated:
    """How a tap's attribution is spread over its `units`, per example and then averaged; as in `Concentrations`."""

    units: int
    half: Interval
    ninety: Interval
    effective: Interval
    gini: Interval


class Concentration:
    """How few units carry the attribution of an example: the mean over the `first` examples, with Student's t.

    It is told of each example by itself: the units of a mean over examples are spread wider than those of any one of
    them. Every example costs a sort of all units, as much as a backward pass where layers are large; hence `first`.
    Examples to which nothing is attributed are left out, and n says how many are in.
    """

    def __init__(self, first: int = 32) -> None:
        self._first = first
        self._units: dict[str, int] = {}
        self._means: dict[str, StreamedMeans] = {}

    def take(self, block: Block) -> None:
        wanted = max(0, min(self._first - block.start, len(block.attribution)))
        if wanted == 0:
            return
        rows = block.attribution[:wanted].reshape(wanted, -1)
        self._units[block.key] = rows.shape[1]
        found = concentrations(rows).stacked.cpu()
        known = found[~found.isnan().any(1)]
        self._means.setdefault(block.key, StreamedMeans(1, 4, 0)).add(known, known.new_zeros(len(known), 0))

    def of(self, key: str, level: float = 0.95) -> Concentrated | None:
        """None where nothing was attributed to any example. Raises KeyError for a tap that was not swept."""
        means = self._means[key]
        if int(means.n[0]) == 0:
            return None
        half, ninety, effective, gini = (means.interval(column, level=level) for column in range(4))
        return Concentrated(self._units[key], half, ninety, effective, gini)


class Axis:
    """Attributions summed over all but a few axes, for each of the `first` examples: per channel, token, time or place.

    stays: for each tap wanted, the axes of one example's units that stay, ascending (`axes.stays`); () leaves one
    number. The sums keep what the attributions add up to.
    """

    def __init__(self, stays: Mapping[str, tuple[int, ...]], first: int | None = None) -> None:
        self._stays, self._first = dict(stays), first
        self._blocks: dict[str, list[Tensor]] = {}

    def take(self, block: Block) -> None:
        if block.key not in self._stays:
            return
        wanted = len(block.attribution) if self._first is None else max(0, self._first - block.start)
        some, stays = block.attribution[:wanted], self._stays[block.key]
        gone = tuple(1 + axis for axis in range(some.ndim - 1) if axis not in stays)
        reduced = some.sum(gone, dtype=torch.float64).to(some.dtype) if gone else some
        self._blocks.setdefault(block.key, []).append(reduced.cpu())

    def of(self, key: str) -> Tensor:
        """(examples, axes that stay...), in the type of the attributions. Raises KeyError for a tap not wanted."""
        return torch.cat(self._blocks[key])


def _both_totals(block: Block) -> Tensor:
    """(examples, 2): signed and absolute, where the replicates are."""
    return torch.stack([block.signed, block.absolute], 1).to("cpu", torch.float64)
