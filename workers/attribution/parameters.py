"""What may be asked of an attribution, whatever its method?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, LayerName, Parameters
from workers.passes.asked import Asked
from workers.passes.baselines import BASELINE
from workers.passes.targets import TARGET

Names = Annotated[tuple[LayerName, ...], Field(max_length=2000, strict=False)]
Steps = Annotated[int, Field(ge=1, le=2000), WHOLE]
MostSteps = Annotated[int, Field(ge=0, le=4096), WHOLE]
MOST_STEPS = (
    "Above 0: steps are doubled, example by example, until the tolerance is met at every layer that must be complete,"
    " or there are this many; `steps` and `rule` are then not used."
)
ABSENT = "zero"
"""What stands for absence where a method has no baseline and a check needs one."""


class AttributionParameters(Parameters):
    """What is explained, over which examples, and how it is checked."""

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
    verify: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        1, description="Layers or inputs, drawn by seed, that captum recomputes for comparison; 0 for none."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the computation.")
    certificate: Literal["none", "quick", "full"] = Field(
        "quick", description="How thoroughly the attributions are checked; see docs/certificate.md."
    )
    certificate_examples: Annotated[int, Field(ge=1, le=16), WHOLE] = Field(
        4, description="Examples, from the first, with which the certificate is made."
    )

    @property
    def asked(self) -> Asked:
        """The question without its method."""
        return Asked(
            target=self.target, scale=self.scale, baseline=baseline_of(self) or ABSENT, examples=self.examples,
            precision=self.precision,
        )  # fmt: skip


class FromBaseline(AttributionParameters):
    """Methods that compare with a baseline."""

    baseline: Annotated[str, Field(pattern=BASELINE.pattern)] = Field(
        "zero",
        description="What the input is compared with, in raw units: zero, mean of the data, midpoint of the bounds, or"
        " constant:C; for tokens zero, mean or pad of their embeddings.",
    )


class Complete(FromBaseline):
    """Methods whose attributions add up to what the output changed by."""

    tolerance: float = Field(
        0.05, gt=0, le=1, description="Largest mean completeness error, as a share of the output's change."
    )


class OfLayers(AttributionParameters):
    """Methods that attribute to layers."""

    layers: Names = Field((), description="Names of the layers; empty for all that run.")


class LayersFromBaseline(OfLayers, FromBaseline):
    """Methods that attribute to layers what changed since a baseline."""


class CompleteLayers(OfLayers, Complete):
    """And that add up wherever every path passes."""


def baseline_of(parameters: AttributionParameters) -> str | None:
    """What the input is compared with; None where the method has no baseline."""
    return parameters.baseline if isinstance(parameters, FromBaseline) else None


def tolerance_of(parameters: AttributionParameters) -> float:
    """The largest completeness error that passes."""
    known = Complete.model_fields["tolerance"].default
    return parameters.tolerance if isinstance(parameters, Complete) else float(known)


def layers_of(parameters: AttributionParameters) -> tuple[str, ...]:
    """The layers named; empty for all."""
    return parameters.layers if isinstance(parameters, OfLayers) else ()
