"""What is said of a network under attack?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Text, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval
from workers.robustness.honesty.verdict import Verdict

Integer = Annotated[int, Field(ge=0), WHOLE]
Short = Annotated[str, Field(max_length=128)]


class Share(Value):
    """How many of how many, with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    count: Integer
    n: Annotated[int, Field(ge=1), WHOLE]

    @classmethod
    def of(cls, made: Interval, count: int) -> Share:
        """The same as a value of the contract."""
        assert made.low is not None
        assert made.high is not None
        return cls(value=made.value, low=made.low, high=made.high, count=count, n=made.n)


class Mean(Value):
    """A mean over examples, with Student's t interval where there are two or more."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]


class At(Value):
    """One budget. robust: of all examples those right and not broken within it: an upper bound of the truth. broken: of
    those right without an attack; null where there are none."""

    epsilon: float
    robust: Share
    broken: Share | None
    shift: Mean | None = Field(None, description="Of a number: the largest shift found, a lower bound of the truth.")


class OfClass(Value):
    """The examples of one class."""

    name: Short
    clean: Share
    robust: Annotated[tuple[Share, ...], Field(strict=False)] = Field(description="One per budget.")


class Ran(Value):
    """One attack: what it cost, and how many examples it was the first to break at each budget."""

    name: Short
    forwards: Integer
    gradients: Integer
    broke: Annotated[tuple[Integer, ...], Field(strict=False)]


class Named(Value):
    """What an attack that everybody names leaves unbroken at each budget, run on its own."""

    name: Short
    robust: Annotated[tuple[Share, ...], Field(strict=False)]


class Nearest(Value):
    """The distance of the nearest adversarial found, over the examples right without an attack, in units of epsilon.

    median, low, high: with the 95 % interval of order statistics; null where it lies beyond the largest budget.
    """

    median: float | None
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    censored: Integer = Field(description="Examples that held at every budget: theirs is larger.")
    sought: bool = Field(description="Whether the nearest was sought, or only what the budgets tell is known.")


class Change(Value):
    """One feature, or the value of a channel at a step."""

    name: Short
    before: float
    after: float
    units: float = Field(description="The change in units of epsilon.")


class Line(Value):
    """One channel of a series, before and after."""

    name: Short
    before: Annotated[tuple[float, ...], Field(max_length=1000, strict=False)]
    after: Annotated[tuple[float, ...], Field(max_length=1000, strict=False)]


class Worst(Value):
    """An example that little breaks."""

    index: Integer = Field(description="Its place in the evaluation data, from 0.")
    truth: Short = Field(description="Its label, or what it was predicted as; empty for numbers.")
    before: Short
    after: Short
    epsilon: float = Field(description="The smallest budget that broke it.")
    distance: float = Field(description="Of the boundary on the way to what broke it, or of the nearest found.")
    by: Short = Field(description="The attack that found it.")
    survives: bool | None = Field(None, description="Whether it breaks in 8 bits too; null where that is not asked.")
    changes: Annotated[tuple[Change, ...], Field(strict=False)] = ()
    line: Line | None = None


class Again(Value):
    """What a check that shares nothing with the attacks says of the stored adversarials."""

    n: Integer
    confirmed: Integer
    refused: Annotated[tuple[Text, ...], Field(max_length=20, strict=False)]
    rounded: Integer | None = Field(description="Of those confirmed, how many still break after 8-bit rounding.")


class Drawn(Value):
    """A picture among the artifacts."""

    artifact: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}\.png$")]
    alternative: Text
    caption: Text


class RobustnessOutcome(Outcome):
    """What attacks found, and what may be doubted of them."""

    norm: Literal["linf", "l2"]
    unit: Text = Field(description="Of epsilon and distances.")
    input_unit: Short = Field(description="Of the input's own numbers.")
    goal: Short
    broken: Text = Field(description="What happens to an example that counts as broken.")
    judged: Literal["labels", "predictions"]
    classes: bool
    limit: float | None
    limit_unit: Short
    embedded: bool = Field(description="Embeddings of tokens are moved: diagnostic only.")
    black_box: bool
    blind: Text = Field("", description="Why no gradient could be taken where one should; empty where one could.")
    examples: Annotated[int, Field(ge=1), WHOLE]
    available: Annotated[int, Field(ge=1), WHOLE]
    settings: dict[str, JsonValue]
    rows: Integer
    clean: Share = Field(description="Examples on which the goal is not reached without an attack.")
    curve: Annotated[tuple[At, ...], Field(min_length=1, strict=False)]
    by_class: Annotated[tuple[OfClass, ...], Field(strict=False)]
    ran: Annotated[tuple[Ran, ...], Field(strict=False)]
    named: Annotated[tuple[Named, ...], Field(strict=False)]
    nearest: Nearest | None = Field(description="null where no example is right without an attack.")
    worst: Annotated[tuple[Worst, ...], Field(strict=False)]
    verdicts: Annotated[tuple[Verdict, ...], Field(strict=False)]
    again: Again | None = Field(description="null where it was not done; the list of what is not applicable says why.")
    stored: Integer
    stored_of: Integer
    notes: Annotated[tuple[Text, ...], Field(strict=False)]
    pictures: Annotated[tuple[Drawn, ...], Field(strict=False)]

    @property
    def forwards(self) -> int:
        """Rows that all attacks sent through the network."""
        return sum(each.forwards for each in self.ran)

    @property
    def gradients(self) -> int:
        """Gradients that all attacks took."""
        return sum(each.gradients for each in self.ran)

    @property
    def accuracy(self) -> bool:
        """Whether shares of what holds are accuracies, and not agreement or success."""
        return self.judged == "labels" and self.goal == "untargeted"
