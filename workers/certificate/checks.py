"""What does one check of an attribution say, and what do all of them say together?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from service.contracts.base import WHOLE, LayerName, Text, Value
from service.contracts.vocabulary import Direction
from workers.certificate.definitions import DEFINITIONS, Definition
from workers.numerics.intervals import Interval, mean_t

Verdict = Literal["passed", "failed", "not applicable", "no threshold"]


class Check(Value):
    """One number about an attribution, and what follows from it. `definitions` says how it is made and by whom."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    place: LayerName | None = Field(description="The tap; null where the check is about all inputs together.")
    value: float | None
    low: float | None = Field(
        description="Bounds of the 95 % interval of the mean over examples; null for one example."
    )
    high: float | None
    n: Annotated[int, Field(ge=0, description="Examples behind the value."), WHOLE]
    unit: Annotated[str, Field(max_length=200)]
    direction: Direction
    threshold: float | None
    necessary: bool = Field(description="Whether an attribution that fails this is unusable in a report.")
    verdict: Verdict
    because: Text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.verdict in ("passed", "failed") and (self.value is None or self.threshold is None):
            raise ValueError(f"check {self.name} is {self.verdict} without a value or a threshold")
        if self.verdict == "no threshold" and (self.value is None or self.threshold is not None):
            raise ValueError(f"check {self.name} has no verdict: it needs a value and no threshold")
        return self


class Certificate(Value):
    """All checks of one attribution. Not usable where a necessary check failed, or where none could be made."""

    checks: Annotated[tuple[Check, ...], Field(max_length=100_000, strict=False)]
    usable: bool
    because: Text

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Certificate:
        """The certificate that these checks make."""
        every = tuple(checks)
        failed = [each for each in every if each.necessary and each.verdict == "failed"]
        passed = sum(each.necessary and each.verdict == "passed" for each in every)
        if failed:
            named = "; ".join(f"{_where(each)}: {each.because}" for each in failed[:5])
            more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
            return cls(checks=every, usable=False, because=f"{named}{more}"[:4000])
        if not passed:
            return cls(checks=every, usable=False, because="no necessary check could be made, so nothing speaks for it")
        return cls(checks=every, usable=True, because=f"all {passed} necessary checks that apply are passed")

    def at(self, place: str) -> Certificate:
        """The certificate of one tap: its own checks, and those about the whole attribution."""
        return Certificate.of(each for each in self.checks if each.place in (None, place))


def judged(
    name: str,
    interval: Interval,
    place: str | None = None,
    *,
    threshold: float | None = None,
    unit: str | None = None,
    note: str = "",
) -> Check:
    """A measured check with its verdict. threshold, unit: not the definition's but these. note: what else to know."""
    definition = DEFINITIONS[name]
    limit = definition.threshold if threshold is None else threshold
    verdict, because = _verdict(definition, interval, limit)
    low, high = (None if each is None else _inside(definition, each) for each in (interval.low, interval.high))
    return Check(
        name=name, place=place, value=interval.value, low=low, high=high, n=interval.n, unit=unit or definition.unit,
        direction=definition.direction, threshold=limit if verdict != "not applicable" else None,
        necessary=definition.necessary, verdict=verdict, because="; ".join(part for part in (because, note) if part),
    )  # fmt: skip


def measured(
    name: str,
    values: Tensor,
    place: str | None = None,
    *,
    threshold: float | None = None,
    unit: str | None = None,
    note: str = "",
) -> Check:
    """As `judged`, of the mean over examples of `values` (n,) with Student's t interval; NaN stands for no value."""
    known = values[~values.isnan()].to("cpu", torch.float64)
    if not len(known):
        return not_applicable(name, "it has no value for any example", place)
    if not bool(known.isfinite().all()):
        return not_applicable(name, "it is infinite", place)
    return judged(name, mean_t(known.numpy()), place, threshold=threshold, unit=unit, note=note)


def not_applicable(name: str, because: str, place: str | None = None) -> Check:
    """A check that could not be made, with the reason."""
    definition = DEFINITIONS[name]
    return Check(
        name=name, place=place, value=None, low=None, high=None, n=0, unit=definition.unit,
        direction=definition.direction, threshold=None, necessary=definition.necessary, verdict="not applicable",
        because=f"not applicable, because {because}",
    )  # fmt: skip


def _verdict(definition: Definition, interval: Interval, limit: float | None) -> tuple[Verdict, str]:
    if limit is None or definition.fails is None:
        return "no threshold", "no threshold can be defended: compare it between methods and versions"
    if definition.fails == "above":
        failed, what, edge, said = interval.value > limit, "it", interval.value, "at most"
    elif definition.fails == "below":
        failed, what, edge, said = interval.value < limit, "it", interval.value, "at least"
    else:
        if interval.high is None:
            return "not applicable", "not applicable, because one example gives no interval"
        failed, what, edge, said = interval.high < limit, "its upper bound", interval.high, "at least"
    return ("failed" if failed else "passed"), f"{what} is {edge:.3g} and must be {said} {limit:.3g}"


def _inside(definition: Definition, bound: float) -> float:
    low, high = definition.range
    return min(max(bound, low), high)


def _where(check: Check) -> str:
    return check.name if check.place is None else f"{check.name} at {check.place}"
