"""What may be asked of LIME, whatever the kind of input?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Parameters
from workers.passes.targets import TARGET
from workers.surrogate.settings import Selection, Settings

TargetName = Annotated[str, Field(pattern=TARGET.pattern)]
Beside = Literal["none", "input_x_gradient", "integrated_gradients", "saliency"]


class LimeParameters(Parameters):
    """What is explained, over which examples, from how many samples, and how it is checked."""

    targets: Annotated[tuple[TargetName, ...], Field(min_length=1, max_length=10, strict=False)] = Field(
        ("predicted",),
        description="Numbers explained, all from the same samples, 1 to 10: predicted, label, class:NAME, element:I,J,"
        " next and others; see docs/targets.md.",
    )
    scale: Literal["auto", "output", "probability"] = Field(
        "auto", description="The output as the model gives it, or its probability; auto: probability where it has one."
    )
    examples: Annotated[int, Field(ge=1, le=256), WHOLE] = Field(
        4, description="Examples explained, from the beginning of the evaluation data."
    )
    samples: Annotated[int, Field(ge=10, le=100_000), WHOLE] = Field(
        1000, description="Samples around each example, the example itself among them; with `settle` the first block."
    )
    features: Annotated[int, Field(ge=1, le=200), WHOLE] = Field(
        10, description="How many features the surrogate keeps."
    )
    selection: Selection = Field(
        "auto", description="How they are chosen, in lime's names; auto is forward_selection up to 6 features."
    )
    kernel_width: float = Field(
        0.0, ge=0, le=1e6, description="Width of the kernel that weighs samples by distance; 0 for lime's own."
    )
    alpha: float = Field(1.0, ge=0, le=1e6, description="Ridge penalty of the surrogate.")
    paired: bool = Field(
        default=True,
        description="Every second sample mirrors the one before (antithetic), where samples have mirror images.",
    )
    settle: bool = Field(
        default=False,
        description="Samples are appended until the last feature kept is told from the first one left out.",
    )
    most: Annotated[int, Field(ge=10, le=1_000_000), WHOLE] = Field(
        20_000, description="With `settle`: the most samples of an example."
    )
    rows: Annotated[int, Field(ge=0, le=65_536), WHOLE] = Field(
        0,
        description="Samples in one forward pass; 0 for what one pass over the network's layers says. What was taken"
        " is in the provenance.",
    )
    verify: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        1, description="Examples, drawn by seed, that lime itself fits from the same samples; 0 for none."
    )
    engine: Literal["lamina", "lime"] = Field(
        "lamina", description="What chooses features and fits them: our engine, or the package lime."
    )
    pick: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        3, description="Examples that together show the most of what the model uses (SP-LIME); 0 for none."
    )
    beside: Beside = Field(
        "none", description="Attributions of the same examples and targets that the surrogate is compared with."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @model_validator(mode="after")
    def _no_contradiction(self) -> LimeParameters:
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets = {self.targets} names one twice: name each once")
        if self.settle and self.most < self.samples:
            raise ValueError(f"most = {self.most} is less than samples = {self.samples}: give at least as many")
        return self

    def settings(self, rows: int) -> Settings:
        """What the engine is asked for, `rows` samples in a forward pass."""
        return Settings(
            samples=self.samples, features=self.features, selection=self.selection, alpha=self.alpha,
            kernel_width=self.kernel_width or None, paired=self.paired and self.engine == "lamina",
            settle=self.settle and self.engine == "lamina", most=self.most, rows=rows,
        )  # fmt: skip
