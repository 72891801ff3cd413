"""What may be asked about where in a network an attack lands?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, LayerName, Parameters
from workers.attack.settings import Settings

_EVERYWHERE = 1.0


class RobustnessLayersParameters(Parameters):
    """Which attack, which layers, and which of the four readings of them."""

    norm: Literal["linf", "l2"] = Field("linf", description="What bounds the change of an input.")
    epsilon: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Perturbation budget of the attack on the input, in raw units for images, in standard deviations"
        " for series and tables; 0 for the declared epsilon, else the largest that robustness takes by itself.",
    )
    examples: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        32, description="Examples attacked, from the beginning of the evaluation data."
    )
    steps: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        20, description="Gradient steps of the attack's first lane on the input."
    )
    layers: Annotated[tuple[LayerName, ...], Field(max_length=100, strict=False)] = Field(
        (), description="Layers looked at, by name; empty for all leaves, or evenly 24 of more."
    )
    draws: Annotated[int, Field(ge=2, le=64), WHOLE] = Field(
        8, description="Random changes of equal norm for each adversarial, for comparison."
    )
    attributions: bool = Field(
        default=True, description="Whether to ask which units' gradient x activation moves, layer by layer."
    )
    latent: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        4, description="How many layers are attacked at their own output, evenly over depth; 0 for none."
    )
    latent_steps: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        10, description="Gradient steps of each lane of one latent attack."
    )
    rounds: Annotated[int, Field(ge=0, le=10), WHOLE] = Field(
        1, description="Times each latent budget found is tried again at 60 to 98 % of itself."
    )
    largest: float = Field(
        _EVERYWHERE, gt=0, le=100, description="Largest latent budget, as a share of the norm of the layer's output."
    )
    probe_examples: Annotated[int, Field(ge=0, le=5000), WHOLE] = Field(
        300, description="Evaluation examples that linear probes are fitted on and checked with; 0 for no probes."
    )

    @model_validator(mode="after")
    def _no_contradiction(self) -> RobustnessLayersParameters:
        if len(set(self.layers)) < len(self.layers):
            raise ValueError("layers names one twice: name each once")
        return self

    def settings(self, epsilon: float) -> Settings:
        """Of the attack on the input: gradients alone, for what is looked at here is the adversarial it finds."""
        return Settings(norm=self.norm, epsilons=(epsilon,), steps=self.steps, towards=3, queries=0)
