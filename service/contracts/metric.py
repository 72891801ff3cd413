"""What is said of a metric, so that a number of it can be read?"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower is better", "higher is better", "closer to zero is better", "no direction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One entry of the vocabulary. A name is never reused with another meaning."""

    name: str
    title: str
    unit: str
    direction: Direction
    denominator: str
