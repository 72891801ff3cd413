"""What does a network say of samples, and what does it hold of them in each layer?

One forward pass tells both: a hook on each layer reads its output down to the numbers asked for, and keeps no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.lime.layers.reading import NOT_FINITE, NOT_RUN, Read, by_row
from workers.passes.predicting import Predicting
from workers.surrogate.neighbourhood import Floats
from workers.sweep.probe import Tap
from workers.sweep.watch import Watch


class Tapped:
    """The target of example `index`, then every reading of `found`: a `Predict` with 1 + readings labels.

    A reading that differs from the example's by no more than rounding is the example's. One that cannot be had at some
    sample though the target can is left at the example's: it costs the others nothing, and `unfit` says why it must not
    be used, by its place in `found`. A context manager: hooks exist only inside it.
    """

    def __init__(self, case: Predicting, index: int, found: Sequence[Read]) -> None:
        self._found = tuple(found)
        taps = dict.fromkeys(each.tap for each in found)
        self._columns = {tap.place: _Columns(tap, found) for tap in taps}
        self._watch = Watch(case.network, self._see, {tap.layer for tap in taps})
        self._predict = replace(case, network=_Run(self._run)).at(index)
        self._parts: list[dict[int, Tensor]] = []
        self._rows = 0
        self.unfit: dict[int, str] = {}
        self._at_example = np.array([each.at_example for each in found])
        self._base = np.array([each.base for each in found])
        self._unit = np.array([each.scale if each.weights is None else 1.0 for each in found])
        self._rounding = np.array([each.rounding for each in found])

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()

    def __call__(self, inputs: tuple[Tensor, ...]) -> Floats:
        """(rows, 1 + readings)."""
        self._parts.clear()
        said = self._predict(inputs)
        return np.concatenate([said, self._read(np.asarray(np.isfinite(said).all(axis=1)))], axis=1)

    def _run(self, inputs: tuple[Tensor, ...]) -> object:
        self._rows = len(inputs[0])
        self._parts.append({})
        return self._watch.run(inputs)

    def _see(self, _module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
        columns = self._columns.get((layer, call, position))
        if columns is not None:
            self._parts[-1] |= columns.of(tensor, self._rows)
        return tensor

    def _read(self, known: NDArray[np.bool_]) -> Floats:
        """What the parts of a block gave; the last may be padded. known: (rows,), where the target can be had."""
        for at in range(len(self._found)):
            if any(at not in part for part in self._parts):
                self.unfit.setdefault(at, NOT_RUN)
        read = [at for at in range(len(self._found)) if at not in self.unfit]
        made = np.tile(self._base, (len(known), 1))
        if read:
            parts = [torch.stack([part[at] for at in read], 1) for part in self._parts]
            values = torch.cat(parts)[: len(known)].double().cpu().numpy()
            change = (values - self._at_example[read]) / self._unit[read]
            wrong = (~np.isfinite(change) & known[:, None]).any(axis=0)
            self.unfit |= {at: NOT_FINITE for at, bad in zip(read, wrong, strict=True) if bad}
            still = (np.abs(change) <= self._rounding[read]) | wrong | ~known[:, None]
            made[:, read] += np.where(still, 0.0, change)
        return made


class _Columns:
    """What is read of one tap, and which columns of all readings that is."""

    def __init__(self, tap: Tap, found: Sequence[Read]) -> None:
        self._tap = tap
        own = [(at, each.weights) for at, each in enumerate(found) if each.tap is tap]
        self._norms = [at for at, weights in own if weights is None]
        sums = {at: weights for at, weights in own if weights is not None}
        self._sums = list(sums)
        self._weights = torch.stack(list(sums.values()), 1) if sums else None

    def of(self, tensor: Tensor, rows: int) -> dict[int, Tensor]:
        """By column, (rows,); nothing where the tap gave something for other rows."""
        flat = by_row(self._tap, tensor, rows)
        if flat is None:
            return {}
        made = {at: torch.linalg.vector_norm(flat, dim=1) for at in self._norms}
        if self._weights is not None:
            found = flat @ self._weights
            made |= {at: found[:, column] for column, at in enumerate(self._sums)}
        return made


class _Run(nn.Module):
    """A network that is run by whoever watches it."""

    def __init__(self, run: Callable[[tuple[Tensor, ...]], object]) -> None:
        super().__init__()
        self._run = run

    def forward(self, *inputs: Tensor) -> object:
        """What the watched network gives."""
        return self._run(inputs)
