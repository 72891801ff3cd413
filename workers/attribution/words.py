"""How is an average written?"""

from __future__ import annotations

from service.contracts.section import Number
from workers.attribution.outcome import Average


def number(average: Average, unit: str = "") -> Number:
    """As a cell or a measure shows it."""
    return Number(value=average.value, unit=unit, low=average.low, high=average.high, n=average.n)
