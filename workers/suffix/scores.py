"""What is the target, and its gradient at a layer, when that layer gives these values?

One row of the model's prefix serves all values of one example where the model broadcasts it. That is trusted only
after the last row of this example's first chunk of that size has been run again alone, and gave the same number and the
same gradient: what a model does with its rows may depend on what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.suffix.case import Case, repeated
from workers.suffix.rerun import Rerun
from workers.sweep.layout import alike
from workers.sweep.probe import Tap
from workers.sweep.refusals import ChangingGraph

_MODEL_SAYS_NO = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, AttributeError)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """target: (points, examples). slope: its gradient at the values, of their shape, or None where none was asked."""

    target: Tensor
    slope: Tensor | None


class Scores:
    """Evaluates targets under replaced values, and learns of which taps one row of prefix is enough.

    once: the taps, each with a number of rows, at which one row was found to be enough (True) or not (False).
    """

    def __init__(self, rerun: Rerun) -> None:
        self._rerun = rerun
        self.once: dict[tuple[str, int], bool] = {}
        self._tried: set[tuple[str, int, int]] = set()

    def at(self, tap: Tap, case: Case, values: Tensor, *, slopes: bool) -> Scored:
        """values: (points, examples, units...), what `tap` gives instead. Raises ChangingGraph, BadTarget."""
        points = len(values)
        if len(case) == 1 and points > 1 and self._rerun.broadcasts and self.once.get((tap.key, points), True):
            scored = self._from_one_row(tap, case, values, slopes=slopes)
            if scored is not None:
                return scored
        return self._run(tap, case, repeated(case.x, points), values, slopes=slopes)

    def _from_one_row(self, tap: Tap, case: Case, values: Tensor, *, slopes: bool) -> Scored | None:
        asked = (tap.key, len(values))
        try:
            scored = self._run(tap, case, case.x, values, slopes=slopes)
        except torch.OutOfMemoryError:
            raise
        except _MODEL_SAYS_NO:
            self.once[asked] = False
            return None
        if (*asked, case.start) not in self._tried:
            self._tried.add((*asked, case.start))
            self.once[asked] = self._holds(tap, case, values, scored)
        return scored if self.once[asked] else None

    def _holds(self, tap: Tap, case: Case, values: Tensor, scored: Scored) -> bool:
        alone = self._run(tap, case, case.x, values[-1:], slopes=scored.slope is not None)
        same = alike(scored.target, _with_last(scored.target, alone.target))
        if scored.slope is None or alone.slope is None:
            return same
        return same and alike(scored.slope, _with_last(scored.slope, alone.slope))

    def _run(self, tap: Tap, case: Case, inputs: tuple[Tensor, ...], values: Tensor, *, slopes: bool) -> Scored:
        points, count = len(values), values.shape[0] * values.shape[1]
        rows = values.flatten(0, 1).detach().requires_grad_(slopes)
        with torch.set_grad_enabled(slopes):
            output = self._rerun.output(tap, inputs, rows)
            if len(case.target.read(output)) < count:
                raise ChangingGraph(f"the output has fewer rows than the values that '{tap.key}' was given")
            target = case.target.select(output, count)
            slope = _slope(target, rows) if slopes else None
        return Scored(target.detach().reshape(points, -1), None if slope is None else slope.reshape(values.shape))


def _slope(target: Tensor, rows: Tensor) -> Tensor:
    """The gradient of each row's target at that row's values; zero where the target does not depend on them."""
    if not target.requires_grad:
        return torch.zeros_like(rows)
    (slope,) = torch.autograd.grad(target.sum(), rows, allow_unused=True)
    return torch.zeros_like(rows) if slope is None else slope


def _with_last(several: Tensor, last: Tensor) -> Tensor:
    return torch.cat([several[:-1], last])
