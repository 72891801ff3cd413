"""What does LIME over layers answer? Of each example a surrogate for every layer, and where the decision is visible."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from service.contracts.base import Integer, LayerName, Text, Value
from service.contracts.outcome import Outcome
from workers.lime.outcome import Average, Example, Explanation, Shown


class Layer(Value):
    """A layer that is read."""

    key: LayerName
    kind: Annotated[str, Field(max_length=128)] = Field(description="Its class, for display.")
    cut: bool = Field(description="Whether every path from the input to the target passes through it.")
    container: bool = Field(description="Whether it holds other layers.")


class AtLayer(Value):
    """One reading of one layer at one example, beside the output's surrogate. Its own is in `Example.explanations`."""

    index: Integer = Field(description="The example.")
    key: LayerName
    reading: Annotated[str, Field(max_length=128)]
    explanation: Integer = Field(description="Its place among the example's explanations; 0 is the output's.")
    at_example: float = Field(description="Σ w·h of the layer's output at the example; its norm for the norm.")
    shared: float = Field(description="Share of the strongest features that are the output's strongest too.")
    chance: float = Field(description="What a random choice would share.")
    ranks: float | None = Field(description="Spearman's correlation with the output's coefficients; null: no order.")
    low: float | None = Field(description="95 %: what other samples would give.")
    high: float | None
    agrees: bool = Field(description="Half of what is not chance is shared, ranks agree, and both may be read.")


class Visible(Value):
    """From which cut on the direction agrees with the output, at one example."""

    index: Integer
    key: LayerName | None = Field(description="The first of the cuts that agree to the end; null where there is none.")
    depth: float | None = Field(description="Cuts up to it, over all cuts.")
    because: Text = Field(description="Why there is none.")


class Depth(Value):
    """One reading of one layer over all examples."""

    key: LayerName
    reading: Annotated[str, Field(max_length=128)]
    cut: bool
    legible: Integer = Field(description="Examples whose surrogate may be read.")
    held_out: Average | None = Field(
        description="Weighted R2 on samples not fitted to, mean over the examples in which it changes."
    )
    shared: Average | None = Field(description="Mean over examples in which both may be read.")
    ranks: Average | None


class LayersOutcome(Outcome):
    """What LIME over layers found."""

    noun: Annotated[str, Field(max_length=64)]
    absent: Annotated[str, Field(max_length=128)]
    settings: dict[str, JsonValue]
    target: Annotated[str, Field(max_length=300)]
    readings: Annotated[tuple[Annotated[str, Field(max_length=600)], ...], Field(strict=False)]
    scale: str
    unit: str = Field(description="Of the target, and so of directions.")
    precision: str
    top: Integer = Field(description="Strongest features compared, or half of all where that is less.")
    examples: Integer = Field(description="Examples asked for, and there.")
    available: Integer = Field(description="Examples in the evaluation data.")
    layers: Annotated[tuple[Layer, ...], Field(strict=False)] = Field(description="In the order in which they run.")
    explained: Annotated[tuple[Example, ...], Field(strict=False)]
    at: Annotated[tuple[AtLayer, ...], Field(strict=False)]
    visible: Annotated[tuple[Visible, ...], Field(strict=False)]
    depths: Annotated[tuple[Depth, ...], Field(strict=False)]
    pictures: Annotated[tuple[Shown, ...], Field(strict=False)]

    def example(self, index: int) -> Example:
        """Raises StopIteration where it has no surrogate."""
        return next(each for each in self.explained if each.index == index)

    def of(self, at: AtLayer) -> Explanation:
        """The surrogate of a layer."""
        return self.example(at.index).explanations[at.explanation]

    def read_at(self, index: int, reading: str | None = None) -> tuple[AtLayer, ...]:
        """What is read of each layer of an example, in order of running; of one reading where it is named."""
        return tuple(each for each in self.at if each.index == index and reading in (None, each.reading))

    @property
    def leading(self) -> str | None:
        """The reading that most layers have: what is drawn from early to deep."""
        names = list(dict.fromkeys(each.reading for each in self.at))
        counts = {name: len({each.key for each in self.at if each.reading == name}) for name in names}
        return max(names, key=lambda name: counts[name]) if names else None
