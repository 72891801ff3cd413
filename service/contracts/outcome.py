"""What does an analysis answer with? Numbers with their intervals, findings a reader can act on, points of history."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, LayerName, Name, Text, Value
from service.contracts.vocabulary import METRICS

Severity = Literal["note", "warning", "failure"]


class Estimate(Value):
    """A number that stands for more than was measured: its value, interval, sample size and how they were found."""

    value: float
    low: float
    high: float
    n: Annotated[int, Field(ge=1, description="Examples (or draws) behind the estimate."), WHOLE]
    method: Annotated[str, Field(max_length=128)] = Field(description="How the interval was made, with its level.")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"the interval [{self.low}, {self.high}] does not hold its value {self.value}")
        return self


class Finding(Value):
    """A sentence a reader can act on: raised if, meaning, advice."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    severity: Severity
    raised_if: Text
    meaning: Text
    advice: Text
    evidence: Text = Field("", description="The figures that raised it.")
    layer: LayerName | None = None


class ControlRun(Value):
    """A run whose right answer is known beforehand, what it gave, and whether that is what it must give."""

    name: Name
    question: Text
    expected: Text
    observed: Text
    passed: bool | None = Field(description="null: not applicable here; `observed` says why.")


class NotApplicable(Value):
    """What was not computed, and why."""

    subject: Annotated[str, Field(max_length=600)] = Field(description="A layer, a method, an example.")
    because: Text


class Outcome(Value):
    """Base of every kind's outcome: what was computed, what it showed, what was not done."""

    schema_version: Annotated[int, Field(ge=1), WHOLE] = 1
    findings: Annotated[tuple[Finding, ...], Field(max_length=1000, strict=False)] = ()
    controls: Annotated[tuple[ControlRun, ...], Field(max_length=100, strict=False)] = ()
    not_applicable: Annotated[tuple[NotApplicable, ...], Field(max_length=20_000, strict=False)] = ()


class Measurement(Value):
    """One number kept in history. What identifies its line is every member but value, low, high and n."""

    metric: Annotated[str, Field(max_length=64)]
    layer: LayerName | None = None
    class_name: Name | None = None
    target: Name | None = None
    epsilon: float | None = None
    facets: Annotated[dict[Name, Name], Field(max_length=8, default_factory=dict)]
    value: float
    low: float | None = None
    high: float | None = None
    n: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; the vocabulary is in service/contracts/vocabulary.py")
        return self
