"""What does LIME answer? Of each example and target a surrogate with its doubt, and of all examples what they show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Integer, Text, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval
from workers.surrogate.explained import Verdict

FeatureName = Annotated[str, Field(max_length=600)]
TargetText = Annotated[str, Field(max_length=300)]


class Average(Value):
    """A mean over examples with its 95 % interval; no bounds for a single example."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=64)] = Field(description="How the bounds were found.")

    @classmethod
    def of(cls, made: Interval) -> Average:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class Coefficient(Value):
    """One feature in one surrogate. Errors are of what a run with other samples would give."""

    feature: Integer = Field(description="Its number, from 0.")
    name: FeatureName
    chosen: bool = Field(description="Whether the surrogate keeps it.")
    value: float = Field(description="On the chosen features; 0 where it is not among them.")
    error: float | None = Field(description="Standard error; null where too few samples tell none.")
    low: float | None = Field(description="95 %, by Student's t with the freedom that the samples leave.")
    high: float | None
    whole: float = Field(description="On all features, by which ranks and stability are judged.")
    whole_error: float | None


class OtherWidth(Value):
    """What another kernel width would have said."""

    width: float
    r2: float | None
    overlap: float | None = Field(description="Share of the chosen features that it would keep.")


class Explanation(Value):
    """The surrogate of one target at one example. A number that is null could not be had; `reason` says more."""

    target: TargetText
    class_name: Annotated[str, Field(max_length=128)] | None = Field(description="Whose number is read, if a class's.")
    features: Annotated[tuple[Coefficient, ...], Field(strict=False)] = Field(
        description="The chosen, largest first, then the strongest others."
    )
    chosen: Integer = Field(description="How many features the surrogate keeps.")
    intercept: float
    r2: float | None = Field(description="Weighted, on the samples fitted to: what lime calls score.")
    held_out: float | None = Field(description="Weighted R2 on samples not fitted to.")
    prediction: float = Field(description="f(x).")
    local: float = Field(description="What the surrogate says of x.")
    stable_features: float | None = Field(description="VSI, 0 to 1: whether other samples choose the same features.")
    stable_values: float | None = Field(description="CSI, 0 to 1: whether other samples give the same coefficients.")
    overlap: float | None = Field(description="Mean share of the chosen features that two repeats have in common.")
    gap: float | None = Field(description="Between the last chosen and the first other; null where all are chosen.")
    gap_error: float | None
    settled: bool | None = Field(description="Whether the gap exceeds its error; null where that was not asked.")
    widths: Annotated[tuple[OtherWidth, ...], Field(strict=False)]
    verdict: Verdict
    reason: Text

    @property
    def legible(self) -> bool:
        """Whether its coefficients may be read at all."""
        return self.verdict in ("readable", "doubtful")


class Example(Value):
    """All targets of one example, from the same samples."""

    index: Integer = Field(description="Its place in the evaluation data, from 0.")
    features: Integer = Field(description="How many features it has.")
    samples: Integer
    distinct: Integer = Field(description="Different samples among them.")
    lost: Integer = Field(description="Left out: the network gave no finite number.")
    lost_because: Text = ""
    effective: float = Field(description="How many samples of weight one would weigh as much.")
    kernel_width: float
    neighbourhood: dict[str, JsonValue]
    notes: Annotated[tuple[Text, ...], Field(max_length=20, strict=False)] = Field(
        (), description="What of the example is in no feature."
    )
    explanations: Annotated[tuple[Explanation, ...], Field(strict=False)]


class Picked(Value):
    """An example of the pick, in the order of picking."""

    index: Integer
    gain: float = Field(description="Coverage that it adds, as a share of all there is.")


class Picks(Value):
    """SP-LIME of one target."""

    target: TargetText
    picked: Annotated[tuple[Picked, ...], Field(strict=False)]
    coverage: float = Field(description="Of all features, by their weight over examples; 1 is everything.")


class Summary(Value):
    """One feature over the examples in which it occurs, for one target and class."""

    target: TargetText
    class_name: Annotated[str, Field(max_length=128)] | None
    feature: FeatureName
    mean: Average = Field(description="Of the coefficient on all features.")
    absolute: Average = Field(description="Of its magnitude.")


class Verified(Value):
    """One target of one example, fitted by the package lime from the same samples."""

    index: Integer
    target: TargetText
    difference: float | None = Field(
        description="max |ours − lime's| over coefficients and intercept, of lime's largest; null where lime cannot."
    )
    score: float | None = Field(description="|our R2 − lime's|.")
    same_features: bool | None
    reason: Text


class Compared(Value):
    """One target of one example beside an attribution."""

    index: Integer
    target: TargetText
    method: Annotated[str, Field(max_length=64)]
    ranks: float | None = Field(description="Rank correlation of magnitudes over all features.")
    top: float | None = Field(description="Share of the chosen features that are the attribution's strongest.")
    chance: float | None = Field(description="What a random choice would have in common.")
    because: Text = Field(description="Why they cannot be compared.")


class Shown(Value):
    """A picture among the artifacts."""

    artifact: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}\.png$")]
    title: Annotated[str, Field(max_length=128)]
    alternative: Text
    caption: Text
    index: Integer | None = Field(description="The example; null where several are drawn together.")


class LimeOutcome(Outcome):
    """What LIME found."""

    noun: Annotated[str, Field(max_length=64)]
    settings: dict[str, JsonValue]
    engine: str
    targets: Annotated[tuple[TargetText, ...], Field(strict=False)]
    scale: str
    unit: str = Field(description="Of predictions and coefficients.")
    precision: str
    examples: Integer = Field(description="Examples asked for, and there.")
    available: Integer = Field(description="Examples in the evaluation data.")
    explained: Annotated[tuple[Example, ...], Field(strict=False)]
    picks: Annotated[tuple[Picks, ...], Field(strict=False)]
    summaries: Annotated[tuple[Summary, ...], Field(strict=False)]
    verified: Annotated[tuple[Verified, ...], Field(strict=False)]
    compared: Annotated[tuple[Compared, ...], Field(strict=False)]
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)]

    @property
    def each(self) -> tuple[tuple[Example, Explanation], ...]:
        """Every surrogate with its example."""
        return tuple((example, one) for example in self.explained for one in example.explanations)
