"""What does a comparison answer with?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Digest, Integer, LayerName, Name, Parameters, Text, Value
from service.contracts.outcome import Outcome

Form = Literal["attribution", "accuracy"]


class CompareParameters(Parameters):
    """How to compare."""

    bins: Annotated[int, Field(ge=2, le=50), WHOLE] = Field(10, description="Bins of equal mass for shifts of scores.")
    alarm: float = Field(0.9, ge=0, le=1, description="nDCG below which a ranking is a finding.")
    margin: float = Field(0.02, ge=0, le=1, description="Lost accuracy, as a share, that is a finding once it is sure.")


class Side(Value):
    """One of the two analyses."""

    analysis: Annotated[str, Field(max_length=64)]
    model_name: Name
    model_version: Annotated[str, Field(max_length=64)]
    model_digest: Digest
    examples: Integer


class Estimated(Value):
    """A number with its 95 % interval; no bounds where none can be told."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]
    interval: Annotated[str, Field(max_length=64)]


class Kept(Value):
    """How much of one layer's or input's ranking of units is kept."""

    layer: LayerName
    ndcg: float
    chance: float = Field(description="What a random ranking of its units would keep on average.")
    units: Integer


class Shifted(Value):
    """How far one score moved."""

    score: Name
    index: float = Field(description="Population stability index.")
    critical: float = Field(description="What chance alone exceeds once in a hundred families of tests.")
    ratio: float
    n: Integer
    m: Integer


class CompareOutcome(Outcome):
    """Everything that was compared."""

    form: Form
    compared: Name = Field(description="Kind of the two analyses.")
    before: Side
    after: Side
    pairs: Integer = Field(description="Examples that both saw.")
    ndcg: Estimated | None = Field(description="Of layers within an example, mean over examples.")
    layers: Annotated[tuple[Kept, ...], Field(strict=False)] = ()
    difference: Estimated | None = Field(description="Later less earlier accuracy, in pairs.")
    gained: Integer = 0
    lost: Integer = 0
    p: float | None = Field(None, description="McNemar's exact test.")
    loss_difference: Estimated | None = Field(None, description="Later less earlier log loss, in pairs.")
    shifts: Annotated[tuple[Shifted, ...], Field(strict=False)] = ()
    alarm: float
    margin: float
    notes: Annotated[tuple[Text, ...], Field(strict=False)] = ()
