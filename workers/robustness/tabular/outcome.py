"""What did attacks on a table find? Curves over budgets, what had to change, and what hangs on a protected column."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Integer, Name, Text, Value
from service.contracts.outcome import Outcome
from workers.numerics.intervals import Interval
from workers.robustness.tabular.reading import Reading

_Label = Annotated[str, Field(max_length=600)]


class Average(Value):
    """A share or median over rows with its 95 % interval; no bounds where one row tells none."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=128)] = Field(description="How the bounds were found.")

    @classmethod
    def of(cls, made: Interval) -> Average:
        """The same as a value of the contract."""
        return cls(value=made.value, low=made.low, high=made.high, n=made.n, interval=made.method)


class Budget(Value):
    """All attacks together within one budget."""

    epsilon: float
    kept: Average = Field(description="Rows decided rightly, or as before, under every attack: an upper bound.")
    success: Average | None = Field(description="Of the rows that were so without an attack; null where none was.")


class Attack(Value):
    """One attack: what it asked, and how many rows it was the first to break at each budget."""

    name: Name
    forwards: Integer
    gradients: Integer
    broke: Annotated[tuple[Integer, ...], Field(strict=False)]


class OfColumn(Value):
    """One column: what was allowed, and how often a row was broken with it."""

    column: _Label
    type: Annotated[str, Field(max_length=32)]
    rule: _Label = Field(description="What an attack may do with it.")
    unit: float | None = Field(description="Raw units in one unit of epsilon; null for categories.")
    changed: Average | None = Field(description="Share of broken rows in which it changed; null where none broke.")
    median_change: float | None = Field(description="Of those, the median size in raw units; null for categories.")


class Protected(Value):
    """One protected column, changed alone."""

    column: _Label
    flips: Average | None = Field(description="Rows decided otherwise with another value; null where none was tried.")
    values: Integer = Field(description="Values put in, over all rows.")
    rows: Integer = Field(description="Rows into which at least one was put.")


class Before(Value):
    """What one column of a row was and became."""

    column: _Label
    before: _Label
    after: _Label


class Row(Value):
    """One broken row: what it needs, the smallest budgets first."""

    index: Integer
    epsilon: float
    decided: _Label
    became: _Label
    cost: float
    cells: Annotated[tuple[Before, ...], Field(strict=False)]


class Refused(Value):
    """A stored row that the independent check did not confirm."""

    index: Integer
    because: Text


class TabularOutcome(Outcome):
    """Everything that was measured."""

    reading: Reading
    unit_name: Annotated[str, Field(max_length=64)]
    background: Annotated[str, Field(max_length=32)] = Field(description="Role whose rows tell units and categories.")
    examples: Integer = Field(description="Rows attacked.")
    available: Integer
    aside: Integer = Field(description="Rows that break a rule themselves and were not attacked.")
    black_box: bool
    tolerance: float = Field(description="Of numbers: the shift that counts, output units; 0 of classes.")
    output_unit: Annotated[str, Field(max_length=64)]
    most_categories: Integer = Field(description="Categories that may change in a row; 0 where there are none.")
    columns_changeable: Integer
    relations: Annotated[tuple[_Label, ...], Field(strict=False)]
    clean: Average = Field(description="Rows decided rightly, or as before, without an attack.")
    budgets: Annotated[tuple[Budget, ...], Field(min_length=1, strict=False)]
    attacks: Annotated[tuple[Attack, ...], Field(strict=False)]
    broken: Integer
    changed: Average | None = Field(description="Median columns changed in a broken row; null where none broke.")
    cost: Average | None = Field(description="Median cost of a broken row; null where none broke.")
    columns: Annotated[tuple[OfColumn, ...], Field(strict=False)]
    protected: Annotated[tuple[Protected, ...], Field(strict=False)]
    shown: Annotated[tuple[Row, ...], Field(strict=False)]
    proposed: Integer = Field(description="Rows that attacks proposed.")
    rejected: Integer = Field(description="Those that broke a relation beyond repair and were taken back.")
    rechecked: Integer
    confirmed: Integer
    asked_again: Integer = Field(description="Stored rows that the network was asked about again, one by one.")
    refused: Annotated[tuple[Refused, ...], Field(strict=False)]
    notes: Annotated[tuple[Text, ...], Field(strict=False)]

    @property
    def forwards(self) -> int:
        """Rows that attacks sent through the network."""
        return sum(each.forwards for each in self.attacks)

    @property
    def gradients(self) -> int:
        """Rows whose gradient was taken."""
        return sum(each.gradients for each in self.attacks)
