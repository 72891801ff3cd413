"""From a network behind its inputs to DeepLIFT's contributions everywhere, inputs included."""

from __future__ import annotations

from tests.workers.sweep.methods.made import Made, attributed
from workers.rescale.deep_lift import DeepLift
from workers.sweep.completeness import completeness
from workers.sweep.ready import Prepared


def everywhere(given: Prepared) -> tuple[str, ...]:
    """The keys of all taps on the path, the inputs among them."""
    return tuple(tap.key for tap in given.probe.taps if tap.status == "on_path")


def lifted(given: Prepared, examples: int | None = None) -> Made:
    """examples: in a chunk."""
    return attributed(DeepLift(), given, everywhere(given), examples=examples)


def gap(made: Made, key: str) -> float:
    """The largest relative completeness error."""
    worst = completeness(made.totals.signed(key), made.ends).worst_relative
    assert worst is not None
    return worst
