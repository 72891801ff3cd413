"""What does a check of an attack say? Pass, warn, fail, or not run and what it would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Name, Text, Value
from workers.numerics.intervals import Interval

Word = Literal["pass", "warn", "fail", "not run"]


class Verdict(Value):
    """One check: what was asked, what was seen, what must be seen, and why that makes this verdict."""

    name: Name
    question: Text
    verdict: Word
    observed: Text = Field(description="What was seen; empty where it was not run.")
    expected: Text = Field(description="What is seen where the figures may be believed.")
    because: Text = Field(description="Why this verdict; of a check that was not run, what it would take.")
    value: float | None = Field(None, description="Where what was seen is one number.")
    low: float | None = Field(None, description="95 % interval.")
    high: float | None = None
    n: Annotated[int, Field(ge=0), WHOLE] | None = Field(None, description="How many examples were looked at.")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw, before it is put beside its question."""

    verdict: Word
    observed: str
    because: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @classmethod
    def share(cls, verdict: Word, observed: str, because: str, of: Interval) -> Seen:
        """Where what was seen is an estimate."""
        return cls(verdict, observed, because, of.value, of.low, of.high, of.n)


class NotRun(Exception):  # an answer, not an error
    """A check that says nothing here; the text says why, and what it would take."""
