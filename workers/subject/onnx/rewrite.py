"""What is in an ONNX file, read as data, and what is written in its place?

The file is parsed by protobuf, which runs nothing and opens nothing. Each message is checked against a list of what
it may hold, everything else is dropped or refused, every name is replaced, and the rest is written in one fixed way:
equal networks give equal bytes, whoever exported them.
"""

import mmap
from collections import ChainMap
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, ValueInfoProto

from workers.subject.digest import digest_of_file
from workers.subject.network import Rewritten
from workers.subject.onnx.fields import sift
from workers.subject.onnx.functions import check_expansion, functions_of
from workers.subject.onnx.graph import Walk
from workers.subject.onnx.operators import IR_VERSIONS, OPSETS, check_version, domain_of
from workers.subject.onnx.writing import MAX_BYTES, write
from workers.subject.refusal import Refusal, quoted

REWRITER = "lamina.onnx/1"
WRITTEN_IR = 10
"""Version of the container that is written: the first whose functions may be overloaded; later ones are kept."""
MAX_VALUES = 64
_AGAIN = "Export the model again, and check it with onnx.checker."
_KEPT = frozenset(
    (
        TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT32,
        TensorProto.INT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL,
    )
)  # fmt: skip
"""Types of inputs and outputs that are tensors of torch too."""


def rewrite(source: Path, target: Path) -> Rewritten:
    """Writes what the ONNX file at `source` computes to `target`, and nothing else of it. Raises Refusal."""
    model = _parsed(source)
    dropped = sift(model)
    versions = _versions(model)
    functions = functions_of(model)
    check_expansion(model.graph.node, functions)
    _inputs(model)
    notes = [*_without_zipmaps(model), *_outputs(model)]
    walk = Walk(functions)
    for function in model.functions:
        _opsets(function, versions)
        walk.function(function)
    walk.graph(model.graph, ChainMap())
    _settle_versions(model, versions, walk.domains, {domain for domain, _, _ in functions})
    write(model, target)
    if walk.switched:
        notes.append(f"dropout and batch normalization run in evaluation mode ({walk.switched} named a training mode)")
    if dropped + walk.dropped:
        notes.append(f"not kept: {dropped + walk.dropped} texts, names and other remarks that no result depends on")
    notes.append(f"a black box, run by onnxruntime (operators: {walk.nodes:,}; numbers in tensors: {walk.numbers:,})")
    version = versions.get("", versions.get("ai.onnx.ml", 0))
    return Rewritten(
        digest=digest_of_file(target), rewriter=REWRITER, torch_version=f"ONNX opset {version}", notes=tuple(notes)
    )


def _parsed(source: Path) -> ModelProto:
    size = source.stat().st_size
    if size > MAX_BYTES:
        raise Refusal(
            "too-large",
            f"the file has {size:,} bytes; an ONNX file of one piece has at most 2 GiB",
            "Send a smaller model, or only the part that is to be audited.",
        )
    model = ModelProto()
    try:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            model.ParseFromString(memoryview(content))
    except (DecodeError, ValueError) as error:
        raise Refusal(
            "corrupt-onnx",
            "the file begins as an ONNX model but cannot be read as one: it is cut off, damaged, or nested too deeply",
            "Compare its size and digest with the original and send it again.",
        ) from error
    model.DiscardUnknownFields()
    if not model.HasField("graph") or not model.graph.output:
        raise Refusal("corrupt-onnx", "the file holds no graph with an output", _AGAIN)
    if model.ir_version not in IR_VERSIONS:
        raise Refusal(
            "opset",
            f"the file is of version {model.ir_version} of the format; {IR_VERSIONS.start} to {IR_VERSIONS.stop - 1}"
            " are read",
            "Export the model with a current version of onnx.",
        )
    return model


def _versions(model: ModelProto) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in model.opset_import:
        sift(each)
        if found.setdefault(domain_of(each.domain), each.version) != each.version:
            raise Refusal("opset", f"the file asks for two versions of {quoted(each.domain or 'ai.onnx')}", _AGAIN)
    for domain in OPSETS:
        if domain in found:
            check_version(domain, found[domain])
    return found


def _opsets(function: object, versions: dict[str, int]) -> None:
    """A function runs with the operator sets of the model; other versions would make two meanings of one name."""
    for each in function.opset_import:  # type: ignore[attr-defined]  # protobuf's classes are made at run time
        domain = domain_of(each.domain)
        if domain in OPSETS and versions.setdefault(domain, each.version) != each.version:
            raise Refusal(
                "opset",
                f"a function asks for version {each.version} of {quoted(domain or 'ai.onnx')}, the model for"
                f" {versions[domain]}",
                "Write the functions out: onnx.inliner.inline_local_functions(model, convert_version=True)",
            )


def _settle_versions(model: ModelProto, versions: dict[str, int], used: set[str], defined: set[str]) -> None:
    """Names only the operator sets that are used, in one order; one that is used must have been named."""
    for domain in used - versions.keys():
        raise Refusal("opset", f"the file does not say which version of {quoted(domain or 'ai.onnx')} it uses", _AGAIN)
    kept = {domain: versions[domain] for domain in used} | dict.fromkeys(defined, 1)
    for holder in (model, *model.functions):
        del holder.opset_import[:]
        for domain in sorted(kept):
            holder.opset_import.add(domain=domain, version=kept[domain])
    model.ir_version = max(model.ir_version, WRITTEN_IR)


def _inputs(model: ModelProto) -> None:
    """Takes tensors of the file off the list of inputs; what is left must be tensors of numbers with axes."""
    stored = {tensor.name for tensor in model.graph.initializer}
    model.graph.input.sort(key=lambda value: value.name in stored)
    del model.graph.input[sum(value.name not in stored for value in model.graph.input) :]
    if not 1 <= len(model.graph.input) <= MAX_VALUES:
        raise Refusal(
            "inputs",
            f"the model takes {len(model.graph.input)} inputs; 1 to {MAX_VALUES} are read",
            "Export a model whose inputs are the tensors that an example consists of.",
        )
    for value in model.graph.input:
        if _kind(value) not in _KEPT or not value.type.tensor_type.HasField("shape"):
            raise Refusal(
                "input-dtype",
                f"the input {quoted(value.name)} is no tensor of numbers with declared axes",
                "Encode texts before the model, and declare the input's shape when exporting.",
            )


def _without_zipmaps(model: ModelProto) -> list[str]:
    """Takes off ZipMap at the end, which turns rows of probabilities into dictionaries: the rows are wanted."""
    zipped = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap" and len(node.output) == 1}
    ends = [value for value in model.graph.output if value.name in zipped]
    for value in ends:
        node = zipped[value.name]
        rows = ValueInfoProto(name=node.input[0] if node.input else "")
        rows.type.tensor_type.elem_type = TensorProto.FLOAT
        model.graph.node.remove(node)
        if rows.name in {other.name for other in model.graph.output}:
            model.graph.output.remove(value)
        else:
            value.CopyFrom(rows)
    return ["the list of dictionaries at the end (ZipMap) is taken off: probabilities are rows"] if ends else []


def _outputs(model: ModelProto) -> list[str]:
    """Keeps the outputs that are tensors of numbers; labels as texts and lists cannot be analysed."""
    values = list(model.graph.output)
    other = [value for value in values if _kind(value) not in _KEPT]
    if len(other) == len(values) or len(values) > MAX_VALUES:
        raise Refusal(
            "no-output",
            "the model gives no tensor of numbers, or too many outputs",
            'Export probabilities or logits as an array; with skl2onnx: options={"zipmap": False}',
        )
    for value in other:
        model.graph.output.remove(value)
    return [f"not kept: {len(other)} outputs that are no tensors of numbers"] if other else []


def _kind(value: ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else 0
