"""What can a report show? Prose, measures, tables and figures, as closed values that one renderer draws.

Numbers carry both value and display string; the display is computed here, from the value, so neither a child
nor a template can show a reader another number than the one that is stored.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, computed_field, model_validator

from service.contracts.base import WHOLE, Name, Text, Value
from service.contracts.outcome import ControlRun, Finding, NotApplicable


def display(value: float, digits: int, *, count: bool = False) -> str:
    """A number as people read it: `digits` significant digits, zeros kept, a true minus sign; counts are grouped.

    It depends on the value alone, not on how JSON wrote it: 4 and 4.0 are one number.
    """
    if count:
        text = f"{value:,.0f}".replace(",", "\u202f")
    elif value == 0:
        text = "0"
    elif 1e-4 <= abs(value) < 1e7:
        text = f"{value:#.{digits}g}".removesuffix(".") if abs(value) < 10**digits else f"{value:.0f}"
    else:
        text = f"{value:.{digits - 1}e}"
    return text.replace("-", "\u2212")


def exact(value: float) -> str:
    """A number that somebody chose or declared, as they wrote it."""
    return f"{value:.12g}".replace("-", "\u2212")


class Shown(Value):
    """Base of what carries a computed display string; on the way in a wrong one is refused."""

    @model_validator(mode="before")
    @classmethod
    def _display_is_ours(cls, value: Any) -> Any:
        if isinstance(value, dict) and "display" in value:
            rest = {key: item for key, item in value.items() if key != "display"}
            if cls.model_validate(rest).model_dump()["display"] != value["display"]:
                raise ValueError(f"display {value['display']!r} is not how {rest} is written")
            return rest
        return value


class Number(Shown):
    """A number with its unit, and with interval and sample size where it is an estimate."""

    type: Literal["number"] = "number"
    value: float
    count: bool = Field(default=False, description="A whole number of things: shown without decimals, grouped.")
    unit: Annotated[str, Field(max_length=64)] = ""
    low: float | None = None
    high: float | None = None
    n: Annotated[int, Field(ge=1), WHOLE] | None = None
    digits: Annotated[int, Field(ge=1, le=12), WHOLE] = 3

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.count and not (self.value.is_integer() and abs(self.value) < 2**53):
            raise ValueError(f"{self.value} is no count")
        return self

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents this order; mypy cannot follow it
    @property
    def display(self) -> str:
        """The number, and its interval if it has one, as a reader sees it."""
        text = display(self.value, self.digits, count=self.count)
        if self.low is not None and self.high is not None:
            text += f" [{display(self.low, self.digits)}, {display(self.high, self.digits)}]"
        return text


class Word(Shown):
    """A cell that is text."""

    type: Literal["word"] = "word"
    value: Annotated[str, Field(max_length=600)]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def display(self) -> str:
        """The text itself."""
        return self.value


class Blank(Shown):
    """A cell with nothing in it, and why."""

    type: Literal["blank"] = "blank"
    because: Annotated[str, Field(max_length=600)]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def display(self) -> str:
        """An en dash: absent, not zero."""
        return "\u2013"


Cell = Annotated[Number | Word | Blank, Field(discriminator="type")]


class Prose(Value):
    """A paragraph."""

    block: Literal["prose"] = "prose"
    text: Text


class Measure(Value):
    """One number worth a line of its own."""

    block: Literal["measure"] = "measure"
    label: Name
    number: Number
    direction: Annotated[str, Field(max_length=64)] = "no direction"
    note: Text = ""


class Column(Value):
    """Head of a table column."""

    title: Name
    unit: Annotated[str, Field(max_length=64)] = ""
    align: Literal["left", "right"] = "left"


class Table(Value):
    """Rows of cells under heads; also the data of a figure."""

    block: Literal["table"] = "table"
    title: Name
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=20, strict=False)]
    rows: Annotated[
        tuple[Annotated[tuple[Cell, ...], Field(strict=False)], ...], Field(max_length=20_000, strict=False)
    ]
    note: Text = ""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {index} of table {self.title!r} has {len(row)} cells for {len(self.columns)} columns"
                )
        return self


class Bar(Value):
    """One bar, with its interval where the value is an estimate."""

    label: Annotated[str, Field(max_length=600)]
    value: float
    low: float | None = None
    high: float | None = None
    group: Annotated[str, Field(max_length=128)] = ""


class Bars(Value):
    """A bar per label, with error bars: for comparing layers, units or features. Its table holds the same numbers."""

    block: Literal["bars"] = "bars"
    title: Name
    value_title: Name
    unit: Annotated[str, Field(max_length=64)] = ""
    bars: Annotated[tuple[Bar, ...], Field(min_length=1, max_length=400, strict=False)]
    table: Table
    caption: Text = ""


class Point(Value):
    """One point of a line, with its interval where it is an estimate."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    series: Annotated[str, Field(max_length=128)] = ""


class Lines(Value):
    """Curves over a number: error by steps, accuracy by budget. Its table holds the same numbers."""

    block: Literal["lines"] = "lines"
    title: Name
    x_title: Name
    y_title: Name
    x_log: bool = False
    y_log: bool = False
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=5000, strict=False)]
    table: Table
    caption: Text = ""


class Heat(Value):
    """A grid of values by row and column name, diverging around zero. Its table holds the same numbers."""

    block: Literal["heat"] = "heat"
    title: Name
    row_title: Name
    column_title: Name
    value_title: Name
    rows: Annotated[
        tuple[Annotated[str, Field(max_length=600)], ...], Field(min_length=1, max_length=200, strict=False)
    ]
    columns: Annotated[
        tuple[Annotated[str, Field(max_length=600)], ...], Field(min_length=1, max_length=64, strict=False)
    ]
    values: Annotated[tuple[Annotated[tuple[float | None, ...], Field(strict=False)], ...], Field(strict=False)]
    table: Table
    caption: Text = ""


class Picture(Value):
    """A PNG artifact of this analysis, by name, with what it shows in words."""

    block: Literal["picture"] = "picture"
    title: Name
    artifact: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}\.png$")]
    alternative: Text = Field(description="What the picture shows, for those who cannot see it.")
    caption: Text = ""


Block = Annotated[Prose | Measure | Table | Bars | Lines | Heat | Picture, Field(discriminator="block")]


class Section(Value):
    """One analysis in a report."""

    schema_version: Annotated[int, Field(ge=1), WHOLE] = 1
    title: Name
    question: Text
    answer: Text = Field(description="The answer in one or two sentences, with its doubt.")
    blocks: Annotated[tuple[Block, ...], Field(max_length=200, strict=False)]
    findings: Annotated[tuple[Finding, ...], Field(max_length=1000, strict=False)] = ()
    controls: Annotated[tuple[ControlRun, ...], Field(max_length=100, strict=False)] = ()
    not_applicable: Annotated[tuple[NotApplicable, ...], Field(max_length=20_000, strict=False)] = ()
    limits: Annotated[tuple[Text, ...], Field(max_length=50, strict=False)] = Field(
        (), description="What this section does not show."
    )
    source: Text = Field(description="Paper and the place in it.")
