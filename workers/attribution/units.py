"""Which units are strongest, over all examples and for each class, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.attribution.outcome import Average, Unit
from workers.attribution.totals import class_name
from workers.numerics.intervals import Interval, mean_of_sums_t
from workers.passes.attribution import Swept
from workers.sweep.reducers import UnitMoments

_TOP, _TOP_OF_CLASS = 5, 3
"""Units named of each layer, and of each layer for each class."""

_MOST_PAIRS = 1000
"""Layers times classes whose units are named: of the layers with the largest totals."""


def strongest(made: Swept, names: Mapping[str, str]) -> JsonValue:
    """By the name of each tap, its strongest units over all examples. names: what each tap is reported as."""
    return {name: _of_all(made, key) for key, name in names.items()}


def strongest_by_class(made: Swept, names: Mapping[str, str], labels: Tensor | None, known: Sequence[str]) -> JsonValue:
    """By the name of each tap and of each class, its strongest units over the examples of that class.

    labels: (examples,). known: the names of the classes, by label.
    """
    if made.by_class is None or labels is None:
        return {}
    numbers = torch.unique(labels[labels >= 0]).tolist()
    ordered = sorted(names, key=lambda key: -float(made.totals.absolute(key).mean()))
    return {
        names[key]: {
            class_name(number, known): _units(made, key, group, _TOP_OF_CLASS)
            for group, number in enumerate(numbers)
            if made.by_class.holds(key, group)
        }
        for key in ordered[: _MOST_PAIRS // max(1, len(numbers))]
    }


def _of_all(made: Swept, key: str) -> list[JsonValue]:
    moments = made.moments.of(key)
    magnitude = moments.sums[1]
    return [
        _unit(magnitude, at, *_both(made, key, at, moments)) for at in _largest(magnitude, _TOP)
    ]  # fmt: skip


def _both(made: Swept, key: str, at: int, moments: UnitMoments) -> tuple[Interval, Interval]:
    """The mean and the mean magnitude; Student's t where no replicates were held."""
    if made.units.holds(key):
        return made.units.unit(key, at)
    total, magnitude, square = (float(each.flatten()[at]) for each in moments.sums)
    return mean_of_sums_t(total, square, moments.n), mean_of_sums_t(magnitude, square, moments.n)


def _units(made: Swept, key: str, group: int, most: int) -> list[JsonValue]:
    assert made.by_class is not None
    magnitude = made.by_class.magnitudes(key, group).reshape(made.moments.of(key).sums[1].shape)
    return [_unit(magnitude, at, *made.by_class.unit(key, at, group)) for at in _largest(magnitude, most)]


def _largest(magnitude: Tensor, most: int) -> list[int]:
    """The flat indices of the strongest units, the strongest first; none where nothing is attributed."""
    if float(magnitude.sum()) == 0:
        return []
    order = torch.argsort(magnitude.flatten(), descending=True, stable=True)[: min(most, prod(magnitude.shape))]
    return [int(at) for at in order]


def _unit(magnitude: Tensor, at: int, mean: Interval, size: Interval) -> JsonValue:
    found = torch.unravel_index(torch.tensor(at), magnitude.shape)
    dumped: JsonValue = Unit(
        index=tuple(int(i) for i in found), mean=Average.of(mean), magnitude=Average.of(size),
        share=float(magnitude.flatten()[at]) / float(magnitude.sum()),
    ).model_dump(mode="json")  # fmt: skip
    return dumped
