"""Does the file hold what its owner declared? Shapes, dtypes and number of classes, before anything is computed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from service.contracts.facts import InputFacts, ModelFacts
from service.contracts.manifest import TensorSpec
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal, quoted

_FLOATING, _INTEGER = (torch.float32, torch.float64), (torch.int64, torch.int32)


def words(shape: Sequence[Any], batch: Any) -> tuple[str, ...]:
    """A shape as a manifest shows it: N for the batch axis, * for another size the file leaves open."""
    return tuple(
        "N" if axis == 0 and str(size) == str(batch) else str(size) if isinstance(size, int) else "*"
        for axis, size in enumerate(shape)
    )[:16]


def dtype_name(tensor: Tensor) -> str:
    """float32, int64, ..."""
    return str(tensor.dtype).removeprefix("torch.")


def specs(loaded: Loaded, facts: ModelFacts) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """All inputs and all outputs of a network, for its manifest; further inputs by their declared names."""
    batch = loaded.input.shape[0]
    outputs = tuple(
        TensorSpec(name=f"output {at}", dtype=dtype_name(tensor), shape=words(tensor.shape, batch))
        for at, tensor in enumerate(loaded.outputs[:64])
    )
    names = ["input", *(further.name for further in facts.further_inputs)]
    inputs = tuple(
        TensorSpec(
            name=names[at] if at < len(names) else f"input {at}",
            dtype=dtype_name(tensor),
            shape=words(tensor.shape, batch),
        )
        for at, tensor in enumerate(loaded.inputs[:64])
    )
    return inputs, outputs


def agrees(loaded: Loaded, facts: ModelFacts) -> None:
    """Raises Refusal with what was declared and what was found."""
    if facts.input.kind == "text":
        _text(loaded, facts)
    else:
        _as_many(loaded, facts)
        _input(loaded, 0, "input", facts.input)
        for at, further in enumerate(facts.further_inputs):
            _input(loaded, at + 1, f"further_inputs/{at}/input", further.input)
    floating = {tensor.dtype for tensor in loaded.inputs if tensor.is_floating_point()}
    if len(floating) > 1:
        names = " and ".join(dtype_name(tensor) for tensor in loaded.inputs if tensor.is_floating_point())
        raise Refusal(
            "input-dtype",
            f"the model's floating-point inputs are of different precision: {names}",
            "Export it with all of them in the same precision: model.float(), or model.double().",
        )
    _output(loaded, facts)


def _as_many(loaded: Loaded, facts: ModelFacts) -> None:
    declared, found = 1 + len(facts.further_inputs), len(loaded.inputs)
    if declared != found:
        named = ", ".join(quoted(further.name, 40) for further in facts.further_inputs)
        raise Refusal(
            "inputs",
            f"the model takes {found} inputs; declared are {declared}" + (f" (input, {named})" if named else ""),
            "Declare the first in facts.input and the others, in the order of the forward, in facts.further_inputs.",
        )


def _text(loaded: Loaded, facts: ModelFacts) -> None:
    """A model of texts turns them into all of its inputs itself."""
    if loaded.tokenizer is None:
        raise Refusal(
            "no-tokenizer",
            'facts.input.kind is "text", and the model brings no tokenizer that would turn text into its inputs',
            'Send a model folder with its tokenizer.json, or declare "tokens" and send token ids.',
        )
    if facts.further_inputs:
        raise Refusal(
            "inputs",
            'facts.input.kind is "text": the tokenizer gives every input, and facts.further_inputs declares more',
            'Declare no further inputs, or declare "tokens" and send every input as an array.',
        )
    for at in range(len(loaded.inputs)):
        _input(loaded, at, "input", facts.input)


def _input(loaded: Loaded, at: int, pointer: str, facts: InputFacts) -> None:
    tensor = loaded.inputs[at]
    which = "the model" if len(loaded.inputs) == 1 else f"input {at} of the model"
    _dtype(tensor.dtype, which, pointer, facts)
    found = tuple(tensor.shape[1:])
    same = len(found) == len(facts.shape) and all(
        not isinstance(size, int) or size == declared for size, declared in zip(found, facts.shape, strict=True)
    )
    if not same:
        raise Refusal(
            "input-shape",
            f"facts.{pointer.replace('/', '.')}.shape declares one example as {list(facts.shape)} ({facts.layout});"
            f" {which} reads {list(words(tensor.shape, tensor.shape[0]))}",
            "Register the model with the shape it was exported with, or export it with the shape that was declared.",
        )


def _dtype(found: torch.dtype, which: str, pointer: str, facts: InputFacts) -> None:
    integers = facts.kind in ("tokens", "text")
    switch = integers and (*facts.bounds.low, *facts.bounds.high) == (0.0, 1.0)
    if found in (_INTEGER if integers else _FLOATING) or (switch and found == torch.bool):
        return
    name = str(found).removeprefix("torch.")
    if found in _INTEGER or found == torch.bool:
        raise Refusal(
            "input-dtype",
            f"{which} reads {name}, and facts.{pointer.replace('/', '.')}.kind declares {facts.kind!r}",
            'Integers are ids: declare the kind "tokens", with the ids allowed as bounds (0 and 1 for a mask).',
        )
    raise Refusal(
        "input-dtype",
        f"{which} reads {name}; "
        + ("ids are int64 or int32" if integers else "networks that read float32 or float64 are audited"),
        "Declare what the model reads: its numbers with their bounds, and not ids."
        if integers
        else "Call model.float() before the export.",
    )


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
