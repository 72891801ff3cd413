"""What is asked of a network's attention, and what is answered?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Integer, LayerName, Parameters
from service.contracts.base import Value as Shared
from service.contracts.outcome import Outcome
from workers.attention.rollout import Heads
from workers.attention.run import Question, Rule
from workers.attribution.outcome import Average, Shown
from workers.passes.asked import Asked
from workers.passes.targets import TARGET

_ABSENT = "zero"
"""Attention has no baseline; where the inputs are probed they are compared with this one."""

MOST_POSITIONS = 512


class RolloutParameters(Parameters):
    """How attention is followed, from which tokens, and for which target."""

    rule: Rule = Field(
        "rollout",
        description="rollout (the product of the layers' attentions, for whatever is read) or gradient (each attention"
        " weighted by the target's gradient; also through encoder and decoder).",
    )
    heads: Heads = Field("mean", description="How rollout joins the heads of a layer: mean, max or min.")
    read: Annotated[str, Field(pattern=r"^(target|first|last|mean|position:[0-9]{1,6})$")] = Field(
        "target",
        description="Tokens of the last layer from which it is followed: target (those the target depends on), first,"
        " last, mean or position:K from 0.",
    )
    target: Annotated[str, Field(pattern=TARGET.pattern)] = Field(
        "predicted",
        description="Number explained: predicted (or the only one), label, class:NAME, element:I,J and others; see"
        " docs/targets.md.",
    )
    scale: Literal["output", "probability"] = Field(
        "output", description="The output as the model gives it, or its probability after a softmax."
    )
    examples: Annotated[int, Field(ge=1, le=100_000), WHOLE] = Field(
        64, description="Examples analysed, from the beginning of the evaluation data."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @property
    def asked(self) -> Asked:
        """Target and examples."""
        return Asked(
            target=self.target, scale=self.scale, baseline=_ABSENT, examples=self.examples, precision=self.precision
        )

    @property
    def question(self) -> Question:
        """What is asked of the attention."""
        return Question(rule=self.rule, heads=self.heads, read=self.read)


class Attended(Shared):
    """One attention: how wide and how far it looks."""

    key: LayerName = Field(description="The layer it runs in; @call where it runs more than once; empty: the network.")
    reads: Literal["self", "cross"] = Field(description="cross: its queries are not the tokens that it reads.")
    heads: Integer
    queries: Integer
    keys: Integer
    causal: bool
    entropy: Average = Field(description="nat: over how many tokens a query's weight is spread; e to it is a number.")
    distance: Average | None = Field(description="Tokens, or patches of a picture; null for cross-attention.")


class Depth(Shared):
    """What the rows read hold after one layer."""

    key: LayerName
    entropy: Average | None = Field(description="nat, of the tokens' shares; null where no example has any relevance.")
    largest: Average | None = Field(description="Share of the largest token.")
    total: Average = Field(description="Sum over tokens: 1 for rollout, relevance for gradient.")


class Position(Shared):
    """One token of the input, by its place."""

    position: Integer
    share: Average = Field(description="Of what is read after the last layer.")


class LayerRow(Shared):
    """What is read of each token after one layer."""

    key: LayerName
    values: Annotated[tuple[float, ...], Field(max_length=4096, strict=False)]


class RowMap(Shared):
    """The rows of the first example, layer by layer."""

    along: Literal["token", "time"]
    labels: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=4096, strict=False)] = Field(
        description="What each token reads; empty for time steps."
    )
    rows: Annotated[tuple[LayerRow, ...], Field(strict=False)]


class RolloutOutcome(Outcome):
    """From where the network attends, layer by layer, and what becomes of it over all layers."""

    rule: Rule
    heads: Heads
    read: str
    target: str
    target_unit: str
    precision: str
    examples: Integer
    available: Integer = Field(description="Examples in the evaluation data.")
    arrangement: Literal["stack", "encoder and decoder"]
    tokens: Integer = Field(description="Of the input; of the encoder where there is one.")
    grid: Annotated[tuple[Integer, ...], Field(strict=False)] | None = Field(
        description="Rows, columns and leading tokens where the tokens are patches of a picture."
    )
    attentions: Annotated[tuple[Attended, ...], Field(strict=False)]
    depths: Annotated[tuple[Depth, ...], Field(strict=False)]
    positions: Annotated[tuple[Position, ...], Field(max_length=MOST_POSITIONS, strict=False)]
    reached: Average = Field(description="Tokens that lead to the target through attention.")
    read_tokens: Average = Field(description="Tokens of the last layer that are read.")
    irrelevant: Integer = Field(description="Examples without any relevance after the last layer.")
    kept: Integer = Field(description="Examples whose rows are among the artifacts.")
    sequence: RowMap | None = Field(description="The first example's map, where its tokens are a sequence.")
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)]
