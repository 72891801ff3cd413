"""What is the conductance of single units, found from their own values along the path and not through the inputs?

Dhamdhere, Sundararajan and Yan, arXiv:1805.12233: what equation 1 gives to all inputs must add up to equation 2. The
two are summed from other numbers, so that what is wrong in one does not hide in the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.sweep.completeness import Endpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitEnds(Endpoints):
    """And of each chosen unit, (examples, units), float64: its conductance from its own values (`own`), the sum of the
    magnitudes of that one's steps (`gross`), and what was attributed to all inputs together (`summed`).

    unsummed: why `summed` is not all that reaches the units; empty where it is.
    """

    own: Tensor
    gross: Tensor
    summed: Tensor
    unsummed: str = ""

    def first(self, count: int) -> UnitEnds:
        """The same of the first `count` examples."""
        return UnitEnds(
            self.output[:count], self.baseline_output[:count], own=self.own[:count], gross=self.gross[:count],
            summed=self.summed[:count], unsummed=self.unsummed,
        )  # fmt: skip

    def error(self) -> Tensor:
        """|summed - own| of each example and unit, by the mean over examples of `gross`: (examples, units).

        NaN where nothing flows through a unit. Steps that cancel out leave a unit with little of its own, which is no
        measure of an error; what flows there and back is.
        """
        scale = self.gross.mean(0)
        return torch.where(scale > 0, (self.summed - self.own).abs() / scale, torch.nan)


class OwnConductance:
    """The running sum: the mean slope of each step times the units' change over it.

    Before the first point and after the last, where these are not the ends of the path, the slope is the nearest one.
    """

    __slots__ = ("_slope", "_value", "gross", "total")

    def __init__(self, start: Tensor) -> None:
        """start: the units at the baselines, (examples, units), float64."""
        self._value = start
        self._slope: Tensor | None = None
        self.total, self.gross = torch.zeros_like(start), torch.zeros_like(start)

    def add(self, values: Tensor, slopes: Tensor) -> None:
        """values, slopes: (points, examples, units) of the next chunk, in order along the path."""
        for value, slope in zip(values, slopes, strict=True):
            self._step(value, slope if self._slope is None else (self._slope + slope) / 2)
            self._slope = slope

    def finish(self, end: Tensor) -> None:
        """end: the units at the inputs. Raises ValueError where no point was added."""
        if self._slope is None:
            raise ValueError("a path needs at least one point")
        self._step(end, self._slope)

    def _step(self, value: Tensor, slope: Tensor) -> None:
        made = slope * (value - self._value)
        self.total += made
        self.gross += made.abs()
        self._value = value
