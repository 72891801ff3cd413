"""What did inspection find in a file: which layers, and what can be asked of each?"""

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Digest, LayerName, Text, Value

Auditable = Literal["auditable", "forward_only", "not_fired", "no_gradient_path"]
Count = Annotated[int, Field(ge=0), WHOLE]
Label = Annotated[str, Field(max_length=256)]


class Layer(Value):
    """One module of a network, as the file names it."""

    name: LayerName
    type: Label = Field(description="Display text from the file; never imported.")
    calls: Count
    output_shape: Annotated[tuple[Label, ...], Field(max_length=16, strict=False)] = Field(
        description="Shape of the (first) output as text; the batch axis is N where it is known."
    )
    parameters: Count
    leaf: bool
    auditable: Auditable
    reason: Text | None = Field(None, description="Why it is not auditable; null when it is.")


class TensorSpec(Value):
    """One input or output tensor of a network, or one array of a dataset."""

    name: Label
    dtype: Label
    shape: Annotated[tuple[Label, ...], Field(max_length=16, strict=False)]


class ModelManifest(Value):
    """What the worker that inspected a model can say of it."""

    format: Literal["pt2"]
    rewriter: Label = Field(description="Name and version of what wrote the canonical form.")
    canonical_digest: Digest
    torch_version: Label
    batch: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        description="Fixed batch size of the export; null if dynamic."
    )
    parameters: Count
    inputs: Annotated[tuple[TensorSpec, ...], Field(max_length=64, strict=False)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(max_length=64, strict=False)]
    layers: Annotated[tuple[Layer, ...], Field(max_length=20_000, strict=False)]
    notes: Annotated[tuple[Text, ...], Field(max_length=100, strict=False)] = Field(
        (), description="What was changed or dropped on the way in, in words."
    )


class DatasetManifest(Value):
    """What the worker that inspected a dataset can say of it."""

    format: Literal["npz"]
    rewriter: Label
    canonical_digest: Digest
    examples: Annotated[int, Field(ge=1), WHOLE]
    inputs: TensorSpec
    labels: TensorSpec | None
    label_counts: Annotated[tuple[Count, ...], Field(max_length=100_000, strict=False)] = ()
    low: float = Field(description="Lowest input value found.")
    high: float = Field(description="Highest input value found.")
    notes: Annotated[tuple[Text, ...], Field(max_length=100, strict=False)] = ()
