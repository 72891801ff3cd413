"""What do the totals of all examples say: means, errors, shares and classes, each with its interval?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.attribution.outcome import Average, ClassTotal
from workers.numerics.bootstrap import StreamedMeans, poisson_weights
from workers.sweep.completeness import Endpoints, completeness

REPLICATES, _BLOCK = 200, 2048
MOST_CLASSES, MOST_CLASS_TOTALS = 50, 4000


@dataclass(frozen=True, slots=True)
class Averages:
    """Of one tap."""

    total: Average
    absolute_total: Average
    error: Average | None
    classes: tuple[ClassTotal, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """names: of the classes that examples have. rows: (examples,), each example's place in names, negative for none."""

    names: tuple[str, ...]
    rows: Tensor


def classes_of(labels: Tensor | None, names: Sequence[str]) -> Classes | None:
    """The classes of labelled examples; None where there are no labels. names: by label, where they are declared."""
    if labels is None or labels.ndim != 1:
        return None
    known, rows = torch.unique(labels.cpu(), return_inverse=True)
    named = tuple(class_name(i, names) for i in known.tolist())
    return Classes(named, torch.where(labels.cpu() >= 0, rows, -1))


def class_name(number: int, names: Sequence[str]) -> str:
    """What the class of a label is called. names: by label, where they are declared."""
    return (names[number] if 0 <= number < len(names) else str(number))[:128]


def averages(
    arrays: Mapping[str, Tensor], keys: Sequence[str], complete: Sequence[str], classes: Classes | None
) -> dict[str, Averages]:
    """arrays: `signed/KEY`, `absolute/KEY`, `output` and `baseline_output`, (examples,) each.

    Poisson bootstrap over examples, the same draws for every tap and analysis; Student's t for few examples. complete:
    the taps that must add up.
    """
    ends = Endpoints(arrays["output"], arrays["baseline_output"])
    moves = bool(ends.difference.abs().max() > 0)
    values = {}
    for key in keys:
        columns = [arrays[f"signed/{key}"], arrays[f"absolute/{key}"]]
        if key in complete and moves:
            columns.append(error(arrays[f"signed/{key}"], ends))
        values[key] = torch.stack([each.double().cpu() for each in columns], 1)
    every = {key: StreamedMeans(1, each.shape[1], REPLICATES) for key, each in values.items()}
    grouped = {key: StreamedMeans(len(classes.names), 2, REPLICATES) for key in keys} if classes else {}
    n = len(ends.output)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        weights = poisson_weights(0, rows.start, rows.stop, REPLICATES)
        for key, each in values.items():
            every[key].add(each[rows], weights)
            if classes:
                grouped[key].add(each[rows, :2], weights, classes.rows[rows])
    return {key: _said(every[key], grouped.get(key), classes, values[key].shape[1]) for key in keys}


def error(signed: Tensor, ends: Endpoints) -> Tensor:
    """|Σ attributions − (F(x) − F(x'))| of each example, by the mean of |F(x) − F(x')| over examples."""
    return completeness(signed, ends).delta.abs() / ends.difference.abs().mean()


def _said(every: StreamedMeans, grouped: StreamedMeans | None, classes: Classes | None, columns: int) -> Averages:
    total, absolute = (Average.of(every.interval(column)) for column in (0, 1))
    found = Average.of(every.interval(2)) if columns == 3 else None
    if grouped is None or classes is None:
        return Averages(total, absolute, found, ())
    made = tuple(
        ClassTotal(
            name=name, total=Average.of(grouped.interval(0, group)),
            absolute_total=Average.of(grouped.interval(1, group)),
        )
        for group, name in enumerate(classes.names)
        if int(grouped.n[group]) > 0
    )  # fmt: skip
    return Averages(total, absolute, found, made)
