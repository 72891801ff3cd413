"""What is asked of the conductance of a model's layers, and what is answered?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Integer, LayerName, Parameters, Text, Value
from service.contracts.outcome import Estimate, Outcome
from workers.passes.asked import Asked
from workers.sweep.rules import Rule

Names = Annotated[tuple[LayerName, ...], Field(max_length=2000, strict=False)]


class ConductanceParameters(Parameters):
    """What to explain, from where, and how finely."""

    steps: Annotated[int, Field(ge=1, le=2000), WHOLE] = Field(
        50, description="Steps along the path; error falls as 1/S."
    )
    rule: Rule = Field(
        "trapezoid",
        description="How a step is summed: trapezoid (gradients of both ends) or captum (as captum 0.9 does).",
    )
    target: Annotated[
        str, Field(pattern=r"^(predicted|label|class:[^\x00-\x1f\x7f]{1,128}|element:[0-9]{1,9}(,[0-9]{1,9}){0,4})$")
    ] = Field(
        "predicted",
        description="Output explained: predicted (or the only) one, label, class:NAME or element:I,J by index.",
    )
    scale: Literal["output", "probability"] = Field(
        "output", description="The output as the model gives it, or its probability after a softmax."
    )
    baseline: Annotated[
        str, Field(pattern=r"^(zero|mean|midpoint|constant:-?[0-9]{1,12}(\.[0-9]{1,12})?(e-?[0-9]{1,2})?)$")
    ] = Field(
        "zero",
        description="Start of the path in raw units: zero, mean of the data, midpoint of the bounds, or constant:C.",
    )
    layers: Names = Field((), description="Names of the layers; empty for all that run.")
    examples: Annotated[int, Field(ge=1, le=100_000), WHOLE] = Field(
        64, description="Examples analysed, from the beginning of the evaluation data."
    )
    verify: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        1, description="Layers, drawn by seed, that captum recomputes for comparison; 0 for none."
    )
    tolerance: float = Field(
        0.05, gt=0, le=1, description="Largest mean completeness error, as a share of the output's change."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the computation.")

    @property
    def asked(self) -> Asked:
        return Asked(
            target=self.target, scale=self.scale, baseline=self.baseline, examples=self.examples,
            precision=self.precision,
        )  # fmt: skip


class Average(Value):
    """A mean over examples with Student's t interval, 95 %; no bounds for a single example."""

    value: float
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=1), WHOLE]


class Unit(Value):
    """One unit of a layer, by its index in one example's output."""

    index: Annotated[tuple[Integer, ...], Field(strict=False)]
    mean: Average
    share: float = Field(description="Of the sum over units of mean absolute conductance.")


class Conducted(Value):
    """One tensor that one call of one layer gives."""

    key: LayerName = Field(description="The layer; @call where it runs more than once, :position among its outputs.")
    layer: LayerName
    call: Integer | None = Field(description="Which call; null where there is one.")
    output: Integer | None = Field(description="Which of its output tensors; null where there is one.")
    type: Annotated[str, Field(max_length=256)]
    container: bool
    shape: Annotated[tuple[Integer, ...], Field(strict=False)]
    same_as: LayerName | None = Field(description="The inner layer whose output this layer passes on unchanged.")
    total: Average = Field(description="Sum over units, in the target's unit.")
    absolute_total: Average = Field(description="Sum over units of magnitudes.")
    completeness_error: Average | None = Field(description="Null where paths pass the layer by.")
    top_units: Annotated[tuple[Unit, ...], Field(strict=False)]


class Verified(Value):
    """One layer recomputed by captum."""

    layer: LayerName
    difference: float | None = Field(description="max |ours − captum's| / max |captum's|; null where captum cannot.")
    reason: Text


class ConductanceOutcome(Outcome):
    """Conductance of every layer."""

    target: str
    unit: str
    baseline: str
    rule: Rule
    steps: Integer
    tolerance: float
    precision: str
    examples: Integer
    available: Integer = Field(description="Examples in the evaluation data.")
    output_change: Average = Field(description="F(x) − F(x').")
    accuracy: Estimate | None
    layers: Annotated[tuple[Conducted, ...], Field(strict=False)]
    verified: Annotated[tuple[Verified, ...], Field(strict=False)]
    overlay_layer: LayerName | None
    held: Names = Field(
        (), description="Inputs that keep their value while the others go from baseline to input: ids and masks."
    )

    @property
    def own(self) -> tuple[Conducted, ...]:
        """The layers that give a tensor of their own, not that of a layer inside them."""
        return tuple(layer for layer in self.layers if layer.same_as is None)
