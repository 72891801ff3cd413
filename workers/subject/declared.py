"""Does the file hold what its owner declared? Shapes, dtypes and number of classes, before anything is computed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from service.contracts.facts import ModelFacts
from service.contracts.manifest import TensorSpec
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal

_READ = (torch.float32, torch.float64)


def words(shape: Sequence[Any], batch: Any) -> tuple[str, ...]:
    """A shape as a manifest shows it: N for the batch axis, * for another size the file leaves open."""
    return tuple(
        "N" if axis == 0 and str(size) == str(batch) else str(size) if isinstance(size, int) else "*"
        for axis, size in enumerate(shape)
    )[:16]


def dtype_name(tensor: Tensor) -> str:
    """float32, int64, ..."""
    return str(tensor.dtype).removeprefix("torch.")


def specs(loaded: Loaded) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
    """The input and all outputs of a network, for its manifest."""
    batch = loaded.input.shape[0]
    outputs = tuple(
        TensorSpec(name=f"output {at}", dtype=dtype_name(tensor), shape=words(tensor.shape, batch))
        for at, tensor in enumerate(loaded.outputs[:64])
    )
    return TensorSpec(name="input", dtype=dtype_name(loaded.input), shape=words(loaded.input.shape, batch)), outputs


def agrees(loaded: Loaded, facts: ModelFacts) -> None:
    """Raises Refusal with what was declared and what was found."""
    if loaded.input.dtype not in _READ:
        raise Refusal(
            "input-dtype",
            f"the model reads {dtype_name(loaded.input)}; networks that read float32 or float64 are audited",
            "Export the part after the embedding, or call model.float() before the export.",
        )
    found = tuple(loaded.input.shape[1:])
    same = len(found) == len(facts.input.shape) and all(
        not isinstance(size, int) or size == declared for size, declared in zip(found, facts.input.shape, strict=True)
    )
    if not same:
        raise Refusal(
            "input-shape",
            f"facts.input.shape declares one example as {list(facts.input.shape)} ({facts.input.layout}); the file"
            f" reads {list(words(loaded.input.shape, loaded.input.shape[0]))}",
            "Register the model with the shape it was exported with, or export it with the shape that was declared.",
        )
    _output(loaded, facts)


def _output(loaded: Loaded, facts: ModelFacts) -> None:
    output, batch = loaded.outputs[loaded.chosen], loaded.input.shape[0]
    shape = words(output.shape, batch)
    if not shape or shape[0] != "N":
        raise Refusal(
            "output-shape",
            f"output {loaded.chosen} has shape {list(shape)}, whose first axis is not the batch",
            "Export a model that gives one row per example.",
        )
    classes = len(facts.output.classes)
    if classes and (len(shape) < 2 or shape[1] != str(classes)):
        raise Refusal(
            "output-shape",
            f"facts.output.classes declares {classes} classes; the file gives {list(shape)}",
            f"Name as many classes as the model has outputs, or export a model that gives (N, {classes}).",
        )
