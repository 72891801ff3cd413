"""What does an analysis of accuracy answer with?"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Integer, Name, Parameters, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval


class AccuracyParameters(Parameters):
    """Of how many examples, and how."""

    examples: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = Field(
        100_000, description="Examples, from the beginning of the evaluation data; as many as there are where fewer."
    )
    bins: Annotated[int, Field(ge=2, le=50), WHOLE] = Field(
        10, description="Bins of equal mass for calibration; fewer where examples are fewer."
    )
    precision: Annotated[str, Field(pattern="^float(32|64)$")] = Field(
        "float32", description="Floating-point type of the network: float32 or float64."
    )


class Score(Value):
    """A number over examples with its 95 % interval; no bounds where one example tells none."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=64)]

    @classmethod
    def of(cls, made: Interval) -> Score:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class ClassScore(Value):
    """One class that has examples."""

    class_name: Name
    accuracy: Score
    predicted: Integer = Field(description="How often it was predicted.")


class ReliabilityBin(Value):
    """Examples of like confidence."""

    confidence: float
    accuracy: Score


class Mistake(Value):
    """How often one class was taken for another."""

    label: Name
    predicted: Name
    count: Integer


class AccuracyOutcome(Outcome):
    """Everything that was measured."""

    examples: Integer
    available: Integer
    classes: Annotated[tuple[Name, ...], Field(strict=False)]
    from_logits: bool
    accuracy: Score
    balanced_accuracy: Score
    log_loss: Score
    brier_score: Score
    calibration_error: Score
    mean_confidence: float
    declared: float | None = Field(description="Accuracy that the owner of the model declares.")
    absent: Annotated[tuple[Name, ...], Field(strict=False)] = Field(description="Classes without an example.")
    smallest_class: Integer = Field(description="Examples of the rarest class, of those that have any.")
    by_class: Annotated[tuple[ClassScore, ...], Field(strict=False)]
    reliability: Annotated[tuple[ReliabilityBin, ...], Field(strict=False)]
    confusion: Annotated[tuple[tuple[Integer, ...], ...], Field(strict=False)] = Field(
        description="Label by predicted class; empty where there are more than 40 classes."
    )
    mistakes: Annotated[tuple[Mistake, ...], Field(strict=False)] = Field(description="The most frequent, at most 20.")
