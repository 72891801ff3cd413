"""What may be asked of LIME over the layers of a network?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, LayerName, Name, Parameters, Value
from workers.lime.parameters import TargetName
from workers.neighbourhoods.image import ImageSettings
from workers.neighbourhoods.series import SeriesSettings
from workers.neighbourhoods.table_background import Sampling, TableSettings
from workers.neighbourhoods.text_samples import TextSettings
from workers.neighbourhoods.words import Unit
from workers.surrogate.settings import Selection, Settings

READING = r"^(direction|norm|concept|unit:[^\x00-\x1f\x7f]{1,512}:[0-9]{1,9}(,[0-9]{1,9}){0,4})$"
ReadingName = Annotated[str, Field(pattern=READING)]
MOST_NUMBERS = 65_536
_Group = Annotated[tuple[Name, ...], Field(min_length=2, max_length=1000, strict=False)]


_ELSEWHERE = {
    "settle": "layers settle at different numbers of samples, and all are read from the same; ask for more `samples`",
    "most": "it belongs to `settle`: layers are read from one number of samples; ask for more `samples`",
    "engine": "the package lime reads one output at a time, and no layer; lime_image, lime_tabular, lime_text and"
    " lime_series take it",
    "verify": "the package lime reads no layer; the output's surrogate is compared with lime's in lime_image,"
    " lime_tabular, lime_text and lime_series, which fit as is done here",
}
"""What the other kinds of LIME take, and why it means nothing here."""


class Concept(Value):
    """A vector that stands for something, in the terms of one layer."""

    layer: LayerName = Field(description="By key or name, as layer_conductance names it.")
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        "concept", description="What it stands for."
    )
    vector: Annotated[tuple[float, ...], Field(min_length=1, max_length=MOST_NUMBERS, strict=False)] = Field(
        description="One number for each channel, read off the layer's mean over places; or one for each unit."
    )

    @model_validator(mode="after")
    def _points_somewhere(self) -> Concept:
        if not any(self.vector):
            raise ValueError(f"the vector of concept {self.name!r} at {self.layer!r} is zero and points nowhere")
        return self


class LayersParameters(Parameters):
    """What is read of each layer, over which examples, from how many samples, and what varies in them."""

    target: TargetName = Field(
        "predicted",
        description="Number of the output that layers are compared with: predicted, label, class:NAME and others; see"
        " docs/targets.md.",
    )
    scale: Literal["output", "probability"] = Field(
        "output", description="The target as the model gives it, or its probability, which saturates."
    )
    readings: Annotated[tuple[ReadingName, ...], Field(min_length=1, max_length=16, strict=False)] = Field(
        ("direction",),
        description="What one number a layer is read as, 1 to 16, all from the same samples: direction, norm,"
        " unit:LAYER:INDEX, concept.",
    )
    concepts: Annotated[tuple[Concept, ...], Field(max_length=200, strict=False)] = Field(
        (), description='For the reading "concept": a vector for each layer that is asked about.'
    )
    layers: Annotated[tuple[LayerName, ...], Field(max_length=200, strict=False)] = Field(
        (), description="Layers read, by name; empty for all, or evenly 64 of more."
    )
    examples: Annotated[int, Field(ge=1, le=64), WHOLE] = Field(
        4, description="Examples explained, from the beginning of the evaluation data."
    )
    samples: Annotated[int, Field(ge=10, le=100_000), WHOLE] = Field(
        1000, description="Samples around each example, the example itself among them."
    )
    features: Annotated[int, Field(ge=1, le=200), WHOLE] = Field(
        10, description="How many features each surrogate keeps."
    )
    top: Annotated[int, Field(ge=1, le=200), WHOLE] = Field(
        5, description="Features compared between a layer and the output; at most half of all that there are."
    )
    selection: Selection = Field(
        "auto", description="How they are chosen, in lime's names; auto is forward_selection up to 6 features."
    )
    kernel_width: float = Field(
        0.0, ge=0, le=1e6, description="Width of the kernel that weighs samples by distance; 0 for lime's own."
    )
    alpha: float = Field(1.0, ge=0, le=1e6, description="Ridge penalty of each surrogate.")
    paired: bool = Field(
        default=True,
        description="Every second sample mirrors the one before (antithetic), where samples have mirror images.",
    )
    segmentation: Literal["auto", "grid", "quickshift", "slic", "felzenszwalb"] = Field(
        "auto", description="Of images: how they are parted; auto: a grid below 32 pixels a side, else SLIC."
    )
    cells: Annotated[int, Field(ge=2, le=32), WHOLE] = Field(
        8, description="Of images: a grid's cells along each side."
    )
    segments: Annotated[int, Field(ge=4, le=1000), WHOLE] = Field(
        50, description="Of images: about how many segments SLIC makes."
    )
    fill: Literal["mean", "blur", "colour"] = Field(
        "mean", description="Of images: what stands for a hidden segment; colour is 0 in raw units."
    )
    stretches: Annotated[int, Field(ge=2, le=500), WHOLE] = Field(
        20, description="Of series: segments of time, filled by their channel's mean."
    )
    channels: Literal["apart", "together"] = Field(
        "apart", description="Of series: whether each channel has segments of its own, or all are hidden together."
    )
    sampling: Sampling = Field(
        "auto",
        description="Of tables: how columns are drawn: in bins by quartiles, deciles, entropy, or continuous around the"
        " row; auto: continuous, but quartiles where cells are missing.",
    )
    categories: Annotated[tuple[Name, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="Of tables: names of columns that are categories, drawn by their frequency."
    )
    one_hot: Annotated[tuple[_Group, ...], Field(max_length=1000, strict=False)] = Field(
        (), description="Of tables: groups of columns of which one is 1: each group is one feature."
    )
    unit: Unit = Field("word", description="Of texts: what is taken away: words, tokens, or sentences.")
    together: bool = Field(
        default=True, description="Of texts: units that read the same are one feature; else each occurrence."
    )
    mask: Annotated[str, Field(max_length=64)] = Field(
        "", description="Of texts: what stands in the place of what is taken away; empty to take it out."
    )
    mask_id: Annotated[int, Field(ge=-1, le=2**31), WHOLE] = Field(
        -1, description="Of ids without a text: the id in that place; -1 for the model's pad id, or 0."
    )
    rows: Annotated[int, Field(ge=0, le=65_536), WHOLE] = Field(
        0, description="Samples in one forward pass; 0 for what one pass over the network's layers says."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @model_validator(mode="before")
    @classmethod
    def _nothing_of_other_kinds(cls, given: object) -> object:
        named = [each for each in _ELSEWHERE if isinstance(given, dict) and each in given]
        if named:
            raise ValueError("; ".join(f"{each} is not asked of layers: {_ELSEWHERE[each]}" for each in named))
        return given

    @model_validator(mode="after")
    def _no_contradiction(self) -> LayersParameters:
        for name in ("readings", "layers"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice: name each once")
        named = [(each.layer, each.name) for each in self.concepts]
        if len(set(named)) < len(named):
            raise ValueError("two concepts of one layer have one name: name each once")
        if ("concept" in self.readings) != bool(self.concepts):
            raise ValueError('the reading "concept" and a vector for some layer in concepts belong together')
        return self

    @property
    def image(self) -> ImageSettings:
        """How images are parted and filled."""
        return ImageSettings(segmentation=self.segmentation, cells=self.cells, segments=self.segments, fill=self.fill)

    @property
    def table(self) -> TableSettings:
        """How the columns of a table are drawn."""
        return TableSettings(sampling=self.sampling, around="example", categories=self.categories, one_hot=self.one_hot)

    @property
    def series(self) -> SeriesSettings:
        """How series are."""
        return SeriesSettings(segments=self.stretches, channels=self.channels, fill="channel")

    @property
    def text(self) -> TextSettings:
        """How texts are."""
        return TextSettings(
            unit=self.unit, together=self.together, mask=self.mask or None,
            mask_id=None if self.mask_id < 0 else self.mask_id,
        )  # fmt: skip

    def settings(self, rows: int) -> Settings:
        """What the engine is asked for, `rows` samples in a forward pass."""
        return Settings(
            samples=self.samples, features=self.features, selection=self.selection, alpha=self.alpha,
            kernel_width=self.kernel_width or None, paired=self.paired, rows=rows,
        )  # fmt: skip
