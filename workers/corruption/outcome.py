"""What do corruptions do to a network? For each kind and severity a number with its interval, beside the clean one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Integer, Name, Text, Value
from service.contracts.outcome import Outcome
from workers.corruption.judge import Reading
from workers.numerics.intervals import Interval


class Average(Value):
    """A share or mean over examples with its 95 % interval; no bounds where one example tells none."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=128)] = Field(description="How the bounds were found.")

    @classmethod
    def of(cls, made: Interval) -> Average:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class Cell(Value):
    """One corruption at one severity."""

    corruption: Name
    severity: Integer
    strength: float = Field(description="What the corruption was called with.")
    value: Average = Field(description="Accuracy, agreement, shift or error, as `reading` says.")
    drop: Average = Field(description="How much worse than clean, paired by example; above zero is worse.")
    distance: float = Field(description="Mean distance of corrupted from clean examples, in `distance_unit`.")
    unchanged: Integer = Field(description="Examples that the corruption left exactly as they are.")
    not_finite: Integer = Field(description="Examples for which the model gave NaN or infinity.")


class Kind(Value):
    """One corruption over its severities."""

    corruption: Name
    group: Name
    title: Name
    strength: Text = Field(description="What its strengths count.")
    value: Average = Field(description="Mean over severities.")
    drop: Average = Field(description="Mean over severities, paired by example.")


class Group(Value):
    """One group of corruptions at one severity."""

    group: Name
    severity: Integer
    value: Average


class OfClass(Value):
    """One class, clean and under the worst corruption."""

    class_name: Name
    clean: Average
    corrupted: Average


class Shown(Value):
    """A picture of the outcome."""

    artifact: Annotated[str, Field(max_length=128)]
    title: Name
    alternative: Text
    caption: Text


class Edited(Value):
    """What one corruption made of a text."""

    corruption: Name
    text: Text


class CorruptionOutcome(Outcome):
    """Everything that was measured."""

    kind: Annotated[str, Field(max_length=32)] = Field(description="Of the input that was corrupted.")
    reading: Reading = Field(description="What is read of an answer.")
    unit: Annotated[str, Field(max_length=64)] = Field(description="Of every value and drop.")
    against: Text = Field(description="What answers are held against.")
    distance_unit: Text
    precision: Annotated[str, Field(max_length=16)]
    alarm: float
    examples: Integer
    available: Integer = Field(description="Examples in the evaluation data.")
    class_count: Integer = Field(description="Classes told apart; 0 where the output is no class.")
    labelled: bool = Field(description="Whether the data have labels.")
    severities: Annotated[tuple[Integer, ...], Field(strict=False)]
    clean: Average
    cells: Annotated[tuple[Cell, ...], Field(strict=False)]
    kinds: Annotated[tuple[Kind, ...], Field(strict=False)]
    groups: Annotated[tuple[Group, ...], Field(strict=False)]
    mean: Average = Field(description="Over all kinds and severities.")
    drop: Average = Field(description="Over all kinds and severities, paired by example.")
    worst: Cell = Field(description="The cell with the largest drop; chosen for being so.")
    classes: Annotated[tuple[OfClass, ...], Field(strict=False)] = Field(
        description="Under the worst corruption; empty where nothing is right or wrong."
    )
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)]
    texts: Annotated[tuple[Edited, ...], Field(strict=False)]
    notes: Annotated[tuple[Text, ...], Field(strict=False)]

    @property
    def higher_is_better(self) -> bool:
        """Of accuracy and agreement."""
        return self.reading in ("accuracy", "agreement")

    @property
    def worst_kind(self) -> Kind:
        """The corruption with the largest mean drop."""
        return max(self.kinds, key=lambda each: each.drop.value)
