"""What may be asked of an attack?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Parameters
from workers.passes.aims import Wanted

Compared = Literal["auto", "fgsm", "pgd"]
Epsilon = Annotated[float, Field(gt=0, le=1e9)]


class RobustnessParameters(Parameters):
    """Which examples are attacked, how far they may be moved, how hard is tried, and how the attack is doubted."""

    norm: Literal["linf", "l2"] = Field(
        "linf", description="How distance is measured: the largest change of a number, or the length of all changes."
    )
    epsilons: Annotated[tuple[Epsilon, ...], Field(max_length=20, strict=False)] = Field(
        (),
        description="Budgets, ascending, up to 20, in raw units of images, in standard deviations of series and tables;"
        " empty for a default set.",
    )
    goal: str = Field(
        "untargeted",
        pattern=r"^(untargeted|least-likely|class:[^\x00-\x1f\x7f]{1,128})$",
        description="untargeted: any other answer; least-likely or class:NAME: that class.",
    )
    examples: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(
        100, description="Examples attacked, from the beginning of the evaluation data."
    )
    steps: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(
        50, description="Gradient steps of the first attack; those of the others follow from it."
    )
    queries: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = Field(
        5000, description="Random windows tried per example (Square); 0 leaves it out. All there is for a black box."
    )
    compare: Annotated[tuple[Compared, ...], Field(max_length=2, strict=False)] = Field(
        ("auto",), description="Attacks that everybody names, beside ours: fgsm, pgd; auto: both where gradients are."
    )
    minimum: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether the nearest adversarial is sought too (DDN, FMN); auto: for l2 with gradients."
    )
    minimum_steps: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(100, description="Gradient steps of that.")
    checks: Literal["all", "quick", "none"] = Field(
        "all", description="Checks of the attack itself; quick leaves out those that attack again."
    )
    tolerance: float = Field(
        0.0, ge=0, le=1e12, description="Of a number that is given: the shift that counts; 0: half a standard deviation"
        " of the outputs."
    )  # fmt: skip
    anomaly: Literal["hidden", "raised"] = Field(
        "hidden", description="Of a reconstruction: anomalies are made to look usual, or usual examples like anomalies."
    )
    quantile: float = Field(
        0.9, gt=0, lt=1, description="Of a reconstruction's errors over the examples: above it lies an anomaly."
    )
    pictures: Annotated[int, Field(ge=0, le=12), WHOLE] = Field(
        4, description="How many of the examples broken by the least are shown."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @model_validator(mode="after")
    def _ascending(self) -> RobustnessParameters:
        if any(a >= b for a, b in zip(self.epsilons, self.epsilons[1:], strict=False)):
            raise ValueError(f"epsilons = {self.epsilons} do not ascend: name each once, smallest first")
        return self

    @property
    def wanted(self) -> Wanted:
        """What an attack is to reach."""
        return Wanted(goal=self.goal, tolerance=self.tolerance, quantile=self.quantile, raised=self.anomaly == "raised")
