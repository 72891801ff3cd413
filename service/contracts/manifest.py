"""What did inspection find in a file: which layers, and what can be asked of each?"""

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Digest, LayerName, Text, Value

Auditable = Literal["auditable", "forward_only", "not_fired", "no_gradient_path"]
ModelFormat = Literal["pt2", "huggingface", "onnx"]
DatasetFormat = Literal["npz", "npy", "safetensors", "csv", "jsonl", "parquet", "images"]
CANONICAL: dict[ModelFormat, str] = {"pt2": "model.pt2", "huggingface": "model.hf", "onnx": "model.onnx"}
"""What the canonical form of each format is called where it is staged."""

MethodFamily = Literal["forward", "gradient", "cam", "rules"]
"""What can be asked of a layer: its values; gradients and paths through it; maps over its places (Grad-CAM and its
kin); rules by module type (DeepLift, LRP, guided backpropagation).
"""

Count = Annotated[int, Field(ge=0), WHOLE]
Label = Annotated[str, Field(max_length=256)]


class Verdict(Value):
    """Whether a family of methods can be asked of a layer."""

    state: Literal["auditable", "forward_only", "not_reached", "not_applicable"]
    reason: Text | None = Field(None, description="Why not; null where it can.")


class Notice(Value):
    """Something a reader of later numbers must know of a model or a dataset."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    detail: Text
    advice: Text | None = None


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
    shapes: Annotated[
        tuple[Annotated[tuple[Label, ...], Field(max_length=16, strict=False)], ...], Field(max_length=64, strict=False)
    ] = Field((), description="Shape of the first output of each call, the first 64 calls.")
    flops: Count | None = Field(
        None, description="Floating-point operations of all calls for one example, its children's included."
    )
    verdicts: dict[MethodFamily, Verdict] = Field({}, description="What can be asked of it, by family of methods.")


class TensorSpec(Value):
    """One input or output tensor of a network, or one array of a dataset."""

    name: Label
    dtype: Label
    shape: Annotated[tuple[Label, ...], Field(max_length=16, strict=False)]


class Exit(Value):
    """A branch of a network that a computed condition chooses, and the share of examples that took it."""

    name: Label
    taken: Count
    of: Count


class ModelManifest(Value):
    """What the worker that inspected a model can say of it."""

    format: ModelFormat
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
    warnings: Annotated[tuple[Notice, ...], Field(max_length=100, strict=False)] = Field(
        (), description="What a reader of this model's numbers must know."
    )
    black_box: bool = Field(default=False, description="Whether only outputs can be seen: no layers, no gradients.")
    analysed: Annotated[int, Field(ge=0, le=63), WHOLE] = Field(
        0, description="Which of `outputs` is analysed, counted from 0."
    )
    flops: Count | None = Field(None, description="Floating-point operations of one example.")
    rehydrated: Count | None = Field(
        None, description="Layers turned back into modules of torch.nn; null where the format has them anyway."
    )
    tokenizer: Label | None = Field(None, description="What turns text into tokens, where the model brings it.")
    exits: Annotated[tuple[Exit, ...], Field(max_length=64, strict=False)] = Field(
        (), description="Branches chosen by a computed condition, and how often each was taken in inspection."
    )


class DatasetManifest(Value):
    """What the worker that inspected a dataset can say of it."""

    format: DatasetFormat
    rewriter: Label
    canonical_digest: Digest
    examples: Annotated[int, Field(ge=1), WHOLE]
    inputs: TensorSpec
    labels: TensorSpec | None
    label_counts: Annotated[tuple[Count, ...], Field(max_length=100_000, strict=False)] = ()
    low: float = Field(description="Lowest input value found.")
    high: float = Field(description="Highest input value found.")
    further_inputs: Annotated[tuple[TensorSpec, ...], Field(max_length=8, strict=False)] = ()
    notes: Annotated[tuple[Text, ...], Field(max_length=100, strict=False)] = ()
    warnings: Annotated[tuple[Notice, ...], Field(max_length=100, strict=False)] = ()
