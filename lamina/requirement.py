"""Do an audit's numbers meet what was asked of them? `completeness_error<=0.01` holds for every point, or does not."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from lamina.failure import Usage
from service.contracts.api import MeasurementView

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
WRITTEN = re.compile(r"^\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A metric, a comparison and a number in the metric's unit."""

    metric: str
    comparison: str
    number: float

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `METRIC<=NUMBER`, or with >=, <, >. Raises `Usage`."""
        written = WRITTEN.match(text)
        try:
            if written is not None:
                return cls(written[1], written[2], float(written[3]))
        except ValueError:
            pass
        raise Usage(f"{text!r} is no requirement: write METRIC<=NUMBER (or >=, <, >), as completeness_error<=0.01")

    def unmet(self, points: Iterable[MeasurementView]) -> list[str]:
        """What does not meet it, in words; a metric that was not measured does not meet anything."""
        of_metric = [point for point in points if point.metric == self.metric]
        if not of_metric:
            return [f"{self.metric} was not measured, so {self} is not met"]
        return [
            f"{self.metric}{_at(point)} is {point.value:.6g}, and must be {self.comparison} {self.number:g}"
            for point in of_metric
            if not COMPARISONS[self.comparison](point.value, self.number)
        ]

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.number:g}"


def _at(point: MeasurementView) -> str:
    parts = [part for part in (point.layer, point.class_name, point.target) if part]
    return f" at {', '.join(parts)}" if parts else ""
