"""What do the attributions of thousands of examples say together, when none of them is kept?

Each reducer sees every block once and holds sums, so its memory depends on units, groups and replicates but not on the
number of examples; `Axis` alone holds rows, few numbers for each example. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.numerics.concentration import concentrations
from workers.numerics.intervals import Interval
from workers.sweep.reducers import Block

_REPLICATES = 200
_MOST_BYTES = 8 << 20


class UnitMeans:
    """The mean and the mean magnitude of every unit, over groups of examples, with intervals.

    sizes: how many units each tap has. rows: (all examples,), the group of each, negative for none; None where all are
    one group. What is held stays within `most_bytes`, which goes to the taps of fewest units first: 32 bytes for each
    unit and group as long as they last, which give Student's t; then 16 · replicates bytes, which give Poisson
    bootstrap replicates. The interval says which it is; a tap for which nothing is left is not held.
    seed: the weights of an example depend on it and on the example's index alone.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        groups: int = 1,
        rows: Tensor | None = None,
        *,
        seed: int = 0,
        replicates: int = _REPLICATES,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._seed, self._replicates, self._groups = seed, replicates, groups
        self._rows = None if rows is None else rows.to("cpu", torch.int64)
        self._granted, self.bytes = _granted(sizes, groups, replicates, most_bytes)
        self._means: dict[str, StreamedMeans] = {}
        self._of, self._drawn = (0, 0), torch.zeros(0, replicates, dtype=torch.float64)

    def take(self, block: Block) -> None:
        granted = self._granted.get(block.key)
        if granted is None:
            return
        flat = block.attribution.flatten(1) if block.attribution.ndim > 1 else block.attribution[:, None]
        flat = flat.to("cpu", torch.float64)
        if block.key not in self._means:
            self._means[block.key] = StreamedMeans(self._groups, 2 * flat.shape[1], granted)
        weights = self._weights(block) if granted else flat.new_zeros(len(flat), 0)
        group = None if self._rows is None else self._rows[block.start : block.stop]
        self._means[block.key].add(torch.cat([flat, flat.abs()], 1), weights, group)

    def _weights(self, block: Block) -> Tensor:
        """(examples, replicates): those of the block in hand, drawn once for all its taps."""
        if self._of != (block.start, block.stop):
            self._drawn = poisson_weights(self._seed, block.start, block.stop, self._replicates)
            self._of = (block.start, block.stop)
        return self._drawn

    def holds(self, key: str, group: int = 0) -> bool:
        """Whether something is known of a tap in a group."""
        return key in self._means and int(self._means[key].n[group]) > 0

    def magnitudes(self, key: str, group: int = 0) -> Tensor:
        """(units,), float64: the mean magnitude of each unit. Raises KeyError for a tap that is not held."""
        found = self._means[key].mean(group)
        return found[len(found) // 2 :]

    def unit(self, key: str, at: int, group: int = 0, level: float = 0.95) -> tuple[Interval, Interval]:
        """The mean and the mean magnitude of the unit at flat index `at`. Raises KeyError for a tap not held.

        A unit chosen for being the largest of many has a mean that is too large by the choice: no interval tells it.
        """
        means, units = self._means[key], len(self.magnitudes(key, group))
        return means.interval(at, group, level), means.interval(units + at, group, level)


def _granted(sizes: Mapping[str, int], groups: int, replicates: int, most: int) -> tuple[dict[str, int], int]:
    """How many replicates each tap that is held has, and the bytes of all."""
    granted, used = dict[str, int](), 0
    for count in (0, replicates):
        for key in sorted(sizes, key=lambda key: sizes[key]):
            before = StreamedMeans.bytes(groups, 2 * sizes[key], granted[key]) if key in granted else 0
            more = StreamedMeans.bytes(groups, 2 * sizes[key], count) - before
            if used + more <= most and (key in granted or count == 0):
                granted[key], used = count, used + more
    return granted, used


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
