"""What may be asked of attacks on tables, and which rules may their columns have?"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Name, Parameters, Value

_Budget = Annotated[float, Field(gt=0, le=1000)]
_Names = Annotated[tuple[Name, ...], Field(max_length=10_000, strict=False)]
_Group = Annotated[tuple[Name, ...], Field(min_length=2, max_length=1000, strict=False)]
_Weights = Annotated[tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...], Field(max_length=1000, strict=False)]


class OfColumn(Value):
    """A number that belongs to a column."""

    column: Name
    value: float = Field(gt=0, le=1e12)


class Relation(Value):
    """What columns must keep to together: the weighted sum of some is at most, or equal to, a bound.

    `start <= end` has the columns start and end, the weights 1 and -1, and is at most 0.
    """

    columns: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000, strict=False)]
    weights: _Weights = Field((), description="One for each column; none for 1 each.")
    sense: Literal["at_most", "equal"] = "at_most"
    bound: float = Field(0.0, ge=-1e15, le=1e15, description="In raw units.")

    @model_validator(mode="after")
    def _fits(self) -> Relation:
        if self.weights and len(self.weights) != len(self.columns):
            raise ValueError(f"{len(self.weights)} weights for {len(self.columns)} columns: give one for each, or none")
        if len(set(self.columns)) < len(self.columns) or not any(self.weighed):
            raise ValueError(f"a relation of {', '.join(self.columns)} names a column twice, or weighs none")
        return self

    @property
    def weighed(self) -> tuple[float, ...]:
        """The weight of each column."""
        return self.weights or (1.0,) * len(self.columns)

    @property
    def said(self) -> str:
        """As people write it."""
        terms = [
            (f"{weight:g} " if abs(weight) != 1 else "-" if weight < 0 else "") + name
            for weight, name in zip(self.weighed, self.columns, strict=True)
        ]
        return f"{' + '.join(terms)} {'<=' if self.sense == 'at_most' else '='} {self.bound:g}".replace("+ -", "- ")


class TabularParameters(Parameters):
    """Which rows, within which budgets, under which rules, and with how much effort."""

    examples: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(
        100, description="Rows attacked, from the beginning of the evaluation data; as many as there are where fewer."
    )
    epsilons: Annotated[tuple[_Budget, ...], Field(min_length=1, max_length=12, strict=False)] = Field(
        (0.1, 0.25, 0.5, 1.0),
        description="Perturbation budgets, ascending: by how many units of itself each number may change at most.",
    )
    unit: Literal["std", "quantile_range"] = Field(
        "std",
        description="Unit of a number's change: its standard deviation in the background, or its range from the 5 % to"
        " the 95 % quantile.",
    )
    most_categories: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        1, description="Categories, truth values and one-hot groups that may change in a row; they cost no budget."
    )
    immutable: _Names = Field((), description="Columns that no attack may change.")
    only_up: _Names = Field((), description="Columns that an attack may only raise.")
    only_down: _Names = Field((), description="Columns that an attack may only lower.")
    whole: _Names = Field(
        (), description="Columns of whole numbers, beside those declared; without declared columns those that hold none"
        " but whole numbers are found.",
    )  # fmt: skip
    categories: _Names = Field((), description="Columns that are categories, beside those declared.")
    one_hot: Annotated[tuple[_Group, ...], Field(max_length=1000, strict=False)] = Field(
        (), description="Groups of columns of which one is 1: each group is one category."
    )
    steps_of: Annotated[tuple[OfColumn, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="Columns that change in steps: by whole multiples of `value`, raw units."
    )
    costs: Annotated[tuple[OfColumn, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="What a change of a column by one unit, or to another category, costs; 1 where not given."
    )
    relations: Annotated[tuple[Relation, ...], Field(max_length=100, strict=False)] = Field(
        (), description="What columns must keep to together: a weighted sum at most, or equal to, a bound."
    )
    protected: _Names = Field(
        (), description="Columns on which alone no decision should hang: each is changed on its own, and flips counted."
    )
    broken_rules: Literal["set_aside", "refuse"] = Field(
        "set_aside", description="What is done with rows of the data that break a rule themselves: told and set aside,"
        " or the analysis is refused.",
    )  # fmt: skip
    shift: float = Field(
        1.0, gt=0, le=1e6, description="Of numbers: by how many standard deviations of the output it must move."
    )
    steps: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        20, description="Gradient steps of a whole attack's first lane; the others follow from it."
    )
    queries: Annotated[int, Field(ge=0, le=100_000), WHOLE] = Field(
        300, description="Queries per row of the search by random blocks; black boxes get four times as many."
    )
    neighbours: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        8, description="Nearest rows that are decided otherwise which are drawn upon; 0 leaves them out."
    )
    shown: Annotated[int, Field(ge=0, le=50), WHOLE] = Field(5, description="Rows shown before and after.")
    rows: Annotated[int, Field(ge=0, le=65_536), WHOLE] = Field(
        0, description="Rows in one forward pass; 0 for what one pass over the network's layers says."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @model_validator(mode="after")
    def _no_contradiction(self) -> TabularParameters:
        if any(below >= above for below, above in pairwise(self.epsilons)):
            raise ValueError(f"epsilons = {self.epsilons} must ascend, each once")
        for name in ("immutable", "only_up", "only_down", "whole", "categories", "protected"):
            _once(name, getattr(self, name))
        _once("steps_of", [each.column for each in self.steps_of])
        _once("costs", [each.column for each in self.costs])
        both = set(self.only_up) & set(self.only_down)
        if both:
            raise ValueError(f"only_up and only_down both name {min(both)!r}: a column that may not change at all"
                             " is immutable")  # fmt: skip
        return self


def _once(name: str, given: tuple[str, ...] | list[str]) -> None:
    twice = [each for each, count in Counter(given).items() if count > 1]
    if twice:
        raise ValueError(f"{name} names {twice[0]!r} twice: name each column once")
