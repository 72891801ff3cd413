"""Which lines got better or worse between two measurements? Each by its interval, all of them taken together.

A line is compared where both sides measured it on the same bytes of data and its metric has a direction. Holm's
adjustment is over every line that has a probability, so asking about more lines makes no verdict easier to get.
Lines without an interval are compared as numbers, called so, and counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.contracts.vocabulary import METRICS
from service.history.difference import Difference, Estimate, difference, magnitude
from service.history.multiplicity import benjamini_hochberg, holm
from service.history.points import Point

Verdict = Literal["improved", "worse", "no_difference_shown", "not_comparable"]
ALPHA = 0.05
"""The most that the chance of one wrong verdict or more among all lines tested may be."""
SIGNS = {"higher is better": 1, "lower is better": -1, "closer to zero is better": -1}
ORDER: Mapping[Verdict, int] = {"worse": 0, "improved": 1, "no_difference_shown": 2, "not_comparable": 3}
SAME = "it is the very same measurement"


@dataclass(frozen=True, slots=True)
class Compared:
    """One line: its points (rows of the store, one may be missing), what changed, and what that shows."""

    before: Point | None
    after: Point | None
    change: Difference | None
    p_holm: float | None
    p_bh: float | None
    verdict: Verdict
    because: str

    @property
    def line(self) -> Point:
        """A point that says what the line is of."""
        point = self.before if self.after is None else self.after
        assert point is not None  # one of the two is always there
        return point

    @property
    def as_numbers(self) -> bool:
        """Whether the verdict rests on two numbers alone."""
        return self.change is not None and self.change.how == "numbers"


def compare(before: Mapping[str, Point], after: Mapping[str, Point], *, sides: tuple[str, str]) -> list[Compared]:
    """Every line of either side (series key -> point), the worse first. `sides` are the words for the two."""
    paired = [(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
    changes = [_change(one, other) for one, other in paired]
    reasons = [_why_not(one, other, sides) for one, other in paired]
    p = [
        change.p
        for change, reason in zip(changes, reasons, strict=True)
        if change is not None and change.p is not None and not reason
    ]
    adjusted = iter(zip(holm(p), benjamini_hochberg(p), strict=True))
    found = []
    for (one, other), change, reason in zip(paired, changes, reasons, strict=True):
        tested = change is not None and change.p is not None and not reason
        by_holm, by_bh = next(adjusted) if tested else (None, None)
        verdict: Verdict = "not_comparable"
        because = reason
        if other is not None and change is not None and not reason:
            verdict, because = _verdict(other.metric, change, by_holm)
        found.append(Compared(one, other, change, by_holm, by_bh, verdict, because))
    return sorted(found, key=_worst_first)


def counts(compared: Sequence[Compared]) -> dict[str, int]:
    """How many lines got each verdict, those that rest on numbers alone apart."""
    words = [
        f"{each.verdict}_as_numbers" if each.as_numbers and each.verdict in {"improved", "worse"} else each.verdict
        for each in compared
    ]
    names = ("improved", "worse", "improved_as_numbers", "worse_as_numbers", "no_difference_shown", "not_comparable")
    return {name: words.count(name) for name in names}


def said(compared: Sequence[Compared]) -> str:
    """The counts in a sentence: all lines, the worse always, the others where there are any."""
    found = counts(compared)
    lines = "1 line" if len(compared) == 1 else f"{len(compared)} lines"
    others = {
        "worse_as_numbers": "worse as numbers only",
        "improved": "improved",
        "improved_as_numbers": "improved as numbers only",
        "no_difference_shown": "with no difference shown",
        "not_comparable": "not comparable",
    }
    return ", ".join(
        [lines, f"{found['worse']} worse", *(f"{found[name]} {text}" for name, text in others.items() if found[name])]
    )


def badness(metric: str, value: float) -> float:
    """How bad a value is: larger is worse. Where a metric has no direction, larger values come first."""
    known = METRICS.get(metric)
    direction = "no direction" if known is None else known.direction
    if direction == "closer to zero is better":
        return abs(value)
    return -value if direction == "higher is better" else value


def _change(before: Point | None, after: Point | None) -> Difference | None:
    if before is None or after is None:
        return None
    one, other = _estimate(before), _estimate(after)
    known = METRICS.get(after.metric)
    if known is not None and known.direction == "closer to zero is better":
        one, other = magnitude(one), magnitude(other)
    return difference(one, other)


def _estimate(point: Point) -> Estimate:
    return Estimate(point.value, point.low, point.high, point.n)


def _why_not(before: Point | None, after: Point | None, sides: tuple[str, str]) -> str:
    """Why two points cannot be compared; empty where they can."""
    if before is None:
        return f"it was not measured on {sides[0]}"
    if after is None:
        return f"it was not measured on {sides[1]}"
    if (before.analysis_id, before.created_at) == (after.analysis_id, after.created_at):
        return SAME
    if before.dataset_digest != after.dataset_digest:
        return "the bytes of its dataset changed, so the model is not all that did"
    known = METRICS.get(after.metric)
    if known is None:
        return "its metric is no longer in the vocabulary"
    return "its metric has no direction: other is neither better nor worse" if known.direction == "no direction" else ""


def _verdict(metric: str, change: Difference, p_holm: float | None) -> tuple[Verdict, str]:
    gain = change.value * SIGNS[METRICS[metric].direction]
    way: Verdict = "improved" if gain > 0 else "worse"
    if change.how == "numbers":
        if gain == 0:
            return "no_difference_shown", "the numbers are equal"
        return way, "by the numbers alone: there is no interval, and nothing is known of chance"
    assert p_holm is not None  # every other difference has a probability
    if p_holm <= ALPHA:
        return way, f"p is {p_holm:.2g} after Holm"
    return "no_difference_shown", f"p is {p_holm:.2g} after Holm; a difference this size may be chance"


def _worst_first(compared: Compared) -> tuple[Any, ...]:
    p = 2.0 if compared.p_holm is None else compared.p_holm
    line = compared.line
    return (
        ORDER[compared.verdict],
        compared.as_numbers,
        p,
        line.metric,
        line.layer or "",
        line.series_key,
    )
