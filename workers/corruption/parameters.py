"""What may be asked about corrupted inputs?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Name, Parameters

KindName = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur", "defocus_blur", "motion_blur",
    "zoom_blur", "brightness", "fog", "contrast", "jpeg_like", "pixelate", "saturate", "quantise", "rotation",
    "translation", "series_noise", "dropout", "spikes", "drift", "channel_loss", "time_shift", "time_warp",
    "letters_swapped", "letters_dropped", "letters_inserted", "keyboard", "case", "homoglyphs", "whitespace",
    "punctuation", "missing", "cell_noise", "swapped",
]  # fmt: skip
_Severity = Annotated[int, Field(ge=1, le=5), WHOLE]
_Group = Annotated[tuple[Name, ...], Field(min_length=2, max_length=1000, strict=False)]


class CorruptionParameters(Parameters):
    """Which corruptions, how strong, and of how many examples."""

    corruptions: Annotated[tuple[KindName, ...], Field(max_length=35, strict=False)] = Field(
        (), description="Which corruptions; none for all that apply to the model's kind of input."
    )
    severities: Annotated[tuple[_Severity, ...], Field(min_length=1, max_length=5, strict=False)] = Field(
        (1, 2, 3, 4, 5), description="Severities, 1 to 5; the strengths behind them are listed in the outcome."
    )
    examples: Annotated[int, Field(ge=1, le=100_000), WHOLE] = Field(
        200, description="Examples, from the beginning of the evaluation data; as many as there are where fewer."
    )
    alarm: float = Field(
        0.1, ge=0, le=1, description="Lost accuracy or agreement, as a share, beyond which a corruption is a finding."
    )
    rows: Annotated[int, Field(ge=0, le=65_536), WHOLE] = Field(
        0, description="Examples in one forward pass; 0 for what one pass over the network's layers says."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")
    padding: Literal["value", "none"] = Field(
        "value",
        description="Of series: whether steps at the end that hold `padding_value` are padding, where neither a mask"
        " nor a length is an input.",
    )
    padding_value: float = Field(0.0, ge=-1e12, le=1e12, description="What padding holds, in raw units.")
    categories: Annotated[tuple[Name, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="Of tables: names of columns that are categories, beside those that are declared."
    )
    one_hot: Annotated[tuple[_Group, ...], Field(max_length=1000, strict=False)] = Field(
        (), description="Of tables: groups of columns of which one is 1: each group is one category."
    )

    @model_validator(mode="after")
    def _no_contradiction(self) -> CorruptionParameters:
        for name, values in (("corruptions", self.corruptions), ("severities", self.severities)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} = {values} names one twice: name each once")
        return self

    @property
    def ascending(self) -> tuple[int, ...]:
        """The severities in order."""
        return tuple(sorted(self.severities))
