"""What did attacks on texts find? Success of each, what had to change, and which words are fragile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Integer, Name, Text, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval

_Label = Annotated[str, Field(max_length=600)]


class Average(Value):
    """A share or median with its 95 % interval; no bounds where one example tells none."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=128)] = Field(description="How the bounds were found.")

    @classmethod
    def of(cls, made: Interval) -> Average:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class Attack(Value):
    """One attack on all examples that are decided rightly without it."""

    name: Name
    counts: Annotated[str, Field(max_length=16)] = Field(description="What is counted as changed: words or tokens.")
    success: Average | None = Field(description="Share broken; null where no example was right.")
    drawn: Average | None = Field(description="Share broken by as many edits that are drawn, not searched for.")
    edits: Average | None = Field(description="Median number changed in a broken example; null where none broke.")
    share: Average | None = Field(description="Median share changed in a broken example; null where none broke.")
    forwards: Integer = Field(description="Rows sent through the model, those of gradients too.")
    gradients: Integer
    queries: float | None = Field(description="Median rows sent for one example; null where none was attacked.")
    proposed: Integer = Field(description="Candidates.")
    rejected: Integer = Field(description="Those taken back: other tokens than meant, or none that the model reads.")


class Fragile(Value):
    """A word, or an id, that successful attacks changed. texts: attacked examples that hold it."""

    word: _Label
    broken: Integer
    texts: Integer


class Change(Value):
    """One edit."""

    before: _Label
    after: _Label


class Diff(Value):
    """One broken example, before and after; its text as far as it can be shown."""

    index: Integer
    attack: Name
    decided: _Label
    became: _Label
    share: float
    queries: Integer
    before: Text
    after: Text
    changes: Annotated[tuple[Change, ...], Field(strict=False)]


class Refused(Value):
    """A stored example that the independent check did not confirm."""

    index: Integer
    because: Text


class TextOutcome(Outcome):
    """Everything that was measured."""

    labelled: bool = Field(description="Whether labels tell what is right, or the model's own decisions stand for it.")
    reading: Annotated[str, Field(max_length=16)]
    of_texts: bool = Field(description="Whether the texts are known, or ids alone.")
    black_box: bool
    share: float
    examples: Integer = Field(description="Examples that attacks were tried on.")
    available: Integer
    aside: Integer = Field(description="Examples that cannot be attacked.")
    cut: Integer = Field(
        description="Texts that reach the most tokens that the model reads; what is behind is not read."
    )
    short: Integer = Field(description="Examples of which one change is more than the share, and one was allowed.")
    clean: Average = Field(description="Examples decided rightly, or as before, without an attack.")
    kept: Average = Field(description="Those that every attack left so: an upper bound.")
    success: Average | None = Field(description="Share broken by any attack; null where no example was right.")
    attacks: Annotated[tuple[Attack, ...], Field(strict=False)]
    unknown: Integer = Field(description="Successes that put in what the vocabulary does not know.")
    fragile: Annotated[tuple[Fragile, ...], Field(strict=False)]
    shown: Annotated[tuple[Diff, ...], Field(strict=False)]
    pictures: Annotated[tuple[Name, ...], Field(strict=False)]
    rechecked: Integer
    confirmed: Integer
    refused: Annotated[tuple[Refused, ...], Field(strict=False)]

    @property
    def forwards(self) -> int:
        """Rows that attacks sent through the model."""
        return sum(each.forwards for each in self.attacks)

    @property
    def gradients(self) -> int:
        """Rows whose gradient was taken."""
        return sum(each.gradients for each in self.attacks)
