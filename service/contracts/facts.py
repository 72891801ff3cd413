"""What must its owner declare about a model or a dataset, because no file says it?"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Name, Text, Value

Task = Literal[
    "classification",
    "regression",
    "segmentation",
    "sequence",
    "next_token",
    "seq2seq",
    "reconstruction",
    "generation",
    "score",
    "policy",
]
InputKind = Literal["image", "table", "text", "series", "video", "tokens"]
Side = Annotated[int, Field(ge=1, le=2**31), WHOLE]
Names = Annotated[tuple[Name, ...], Field(max_length=100_000, strict=False)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=100_000, strict=False)]


class Bounds(Value):
    """The lowest and highest legal input, in raw units: one number each, or one per channel or feature."""

    low: Numbers = Field(description="Lowest legal raw value; one for all, or one per channel or feature.")
    high: Numbers = Field(description="Highest legal raw value; as many as `low`.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.low) != len(self.high):
            raise ValueError(f"bounds have {len(self.low)} low and {len(self.high)} high values; give as many of each")
        if any(low >= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("every low bound must be below its high bound")
        return self


class Preprocessing(Value):
    """How raw values become what the network reads: (raw - mean) / std, per channel or feature, then nothing else."""

    mean: Numbers = Field((0.0,), description="Subtracted from raw values; one for all, or one per channel or feature.")
    std: Numbers = Field((1.0,), description="Divides what is left; as many as `mean`, none of them zero.")

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"preprocessing has {len(self.mean)} means and {len(self.std)} stds; give as many of each")
        if any(value <= 0 for value in self.std):
            raise ValueError("every std must be above zero")
        return self


class InputFacts(Value):
    """What one example is, in the units people know it by."""

    kind: InputKind = Field(description="What an example is.")
    layout: Annotated[str, Field(pattern=r"^N[A-Z]{0,5}$")] = Field(
        description="Axes by letter, N first: NCHW for images, NF for tables, NTC for series."
    )
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=2**31), WHOLE], ...], Field(max_length=5, strict=False)] = (
        Field(description="Shape of one example, without the batch axis.")
    )
    bounds: Bounds = Field(description="Legal raw values.")
    unit: Annotated[str, Field(max_length=64)] = Field("raw", description="Name of the raw unit, e.g. grey level 0-16.")
    preprocessing: Preprocessing = Field(Preprocessing(), description="Raw values to network input, as numbers.")
    feature_names: Names = Field((), description="Names of the features of a table, in order.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.layout) != len(self.shape) + 1:
            raise ValueError(f"layout {self.layout} has {len(self.layout) - 1} axes besides N, shape {len(self.shape)}")
        for name, values in (("bounds", self.bounds.low), ("preprocessing", self.preprocessing.mean)):
            if len(values) not in (1, self.channels):
                raise ValueError(
                    f"{name} has {len(values)} values; give 1 or {self.channels}, one per channel or feature"
                )
        if self.kind in ("tokens", "text") and self.preprocessing != Preprocessing():
            raise ValueError(f"{self.kind} are ids, between which mean and std say nothing: leave preprocessing out")
        if self.kind in ("tokens", "text") and any(end % 1 for end in (*self.bounds.low, *self.bounds.high)):
            raise ValueError(f"{self.kind} are ids: their bounds are whole numbers, the lowest and highest id")
        if self.feature_names and len(self.feature_names) != self.channels:
            raise ValueError(f"{len(self.feature_names)} feature names for {self.channels} features")
        return self

    @property
    def channel_axis(self) -> int:
        """Axis of the channels or features within one example: C if the layout has one, else the last."""
        letter = "C" if "C" in self.layout else self.layout[-1]
        return self.layout.index(letter) - 1

    @property
    def channels(self) -> int:
        """How many channels (images, series) or features (tables) an example has."""
        return self.shape[self.channel_axis] if self.shape else 1


def _nothing(given: object) -> bool:
    """Facts that are not declared are not written: what was written before they existed still reads the same."""
    return not given


class FurtherInput(Value):
    """A second, third, ... input of a network, in the order of its forward: the other image of a pair, a mask."""

    name: Name = Field(description="Name of the array that holds it in a dataset; also its name in the report.")
    input: InputFacts = Field(description="What it is, as for the first input.")


FurtherInputs = Annotated[tuple[FurtherInput, ...], Field(max_length=7, strict=False)]


class OutputFacts(Value):
    """What the network's output means."""

    kind: Literal["logits", "probabilities", "values"] = Field(description="What the output numbers are.")
    classes: Names = Field((), description="Class names in output order; empty for regression.")
    unit: Annotated[str, Field(max_length=64)] = Field("logit", description="Unit of one output number.")


class ModelFacts(Value):
    """The declared facts of a model: without them nothing can be audited in raw units."""

    task: Task = Field(description="What the model is for.")
    input: InputFacts = Field(description="What one example is.")
    further_inputs: FurtherInputs = Field(
        (),
        exclude_if=_nothing,
        description="The inputs after the first, in order; empty for networks of one input.",
    )
    output: OutputFacts = Field(description="What the output means.")
    loss: Literal["cross_entropy", "binary_cross_entropy", "mse", "other"] = Field(
        "cross_entropy", description="Loss the model was trained with."
    )
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="Accuracy its owner claims.")
    epsilon: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Perturbation budget its owner claims robustness for, L-infinity, in raw units."
    )
    risk_tier: Literal["minimal", "limited", "high"] | None = Field(None, description="Risk tier its owner assigned.")
    role: Text | None = Field(None, description="What the model decides, in its owner's words.")

    @model_validator(mode="after")
    def _classes(self) -> Self:
        names = [further.name for further in self.further_inputs]
        if len(set(names)) != len(names):
            raise ValueError(f"two further inputs have one name: {', '.join(names)}")
        if self.task == "classification" and len(self.output.classes) < 2:
            raise ValueError("a classification model needs the names of its classes, at least two")
        return self


class Column(Value):
    """One column of a table file, and what it is for."""

    name: Name = Field(description="As the header names it.")
    role: Literal["feature", "label", "text", "ignore"] = Field("feature", description="What it is used for.")
    type: Literal["number", "integer", "category", "boolean", "text"] = Field(
        "number", description="How its cells are read; a category becomes its place among `categories`."
    )
    categories: Names = Field((), description="Values of a category, in the order of their codes 0, 1, ...")
    missing: float | None = Field(None, description="What an empty cell becomes; null refuses files with empty cells.")

    @model_validator(mode="after")
    def _categories(self) -> Self:
        if (self.type == "category") != bool(self.categories):
            raise ValueError(f"column {self.name!r}: a category, and only a category, names its categories")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"column {self.name!r}: a category is named twice")
        if self.role == "feature" and self.type == "text":
            raise ValueError(
                f"column {self.name!r}: a feature is a number, integer, category or boolean; text has the role text"
            )
        return self


class Resize(Value):
    """How an image of any size becomes one of the declared shape, in raw values and before everything else."""

    method: Literal["nearest", "bilinear", "bicubic", "lanczos", "box"] = Field(
        "bilinear", description="Resampling filter; all but nearest average when they shrink."
    )
    fit: Literal["stretch", "crop", "pad"] = Field(
        "stretch", description="Stretch to the shape, or keep the aspect: crop the centre, or pad with `fill`."
    )
    short_side: Annotated[int, Field(ge=1, le=8192), WHOLE] | None = Field(
        None, description="With crop: the shorter side is resized to this first; null takes the shape's."
    )
    fill: Annotated[float, Field(ge=0, le=255)] = Field(0.0, description="With pad: the raw value of the margin.")


class DatasetFacts(Value):
    """The declared facts of a dataset: which array is what, in which unit."""

    input: InputFacts = Field(description="What one example is; must agree with the model it is used on.")
    further_inputs: FurtherInputs = Field(
        (), exclude_if=_nothing, description="Arrays for the inputs after the first, by their names."
    )
    columns: Annotated[tuple[Column, ...], Field(max_length=10_000, strict=False)] = Field(
        (),
        exclude_if=_nothing,
        description="Columns of a csv, jsonl or parquet file; features in the order of the network's features.",
    )
    delimiter: Literal[",", ";", "\t"] | None = Field(
        None, exclude_if=_nothing, description="What stands between the cells of a csv; null finds out."
    )
    resize: Resize | None = Field(
        None, exclude_if=_nothing, description="How images of other sizes are brought to the shape; null refuses them."
    )
    classes: Names = Field((), description="Names of the labels 0, 1, ...; empty when there are none.")
    inputs_array: Name = Field("inputs", description="Name of the array that holds the examples, N first.")
    labels_array: Name | None = Field("labels", description="Name of the integer labels array, or null.")
    example_names: Text | None = Field(None, description="What an example is called, e.g. patient, image.")

    @model_validator(mode="after")
    def _columns(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"column {next(name for name in names if names.count(name) > 1)!r} is declared twice")
        roles = [column.role for column in self.columns]
        for role in ("label", "text"):
            if roles.count(role) > 1:
                raise ValueError(f"{roles.count(role)} columns have the role {role}; one can")
        text = self.input.kind == "text"
        if self.columns and text != ("text" in roles):
            raise ValueError("inputs of kind text, and only those, come from a column of the role text")
        if text and "feature" in roles:
            raise ValueError("a dataset of texts has no feature columns; give the other columns the role ignore")
        if self.columns and not text and "feature" not in roles:
            raise ValueError("columns are declared and none of them is a feature")
        return self

    @model_validator(mode="after")
    def _label_order(self) -> Self:
        for column in self.columns if self.classes else ():
            for code, name in enumerate(column.categories if column.role == "label" else ()):
                if code >= len(self.classes) or (name in self.classes and self.classes[code] != name):
                    raise ValueError(f"column {column.name!r}: its categories name the classes in another order")
        return self

    @model_validator(mode="after")
    def _resized(self) -> Self:
        if self.resize is not None and self.resize.short_side is not None:
            sides = [size for axis, size in zip(self.input.layout[1:], self.input.shape, strict=True) if axis in "HW"]
            if self.resize.fit != "crop":
                raise ValueError("short_side goes with the fit crop alone")
            if sides and self.resize.short_side < max(sides):
                raise ValueError(f"a short_side of {self.resize.short_side} is less than the shape {sides} that is cut")
        return self
