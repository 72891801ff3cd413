"""How is a checked model written without a second copy of it in memory? Tensor by tensor, in protobuf's own encoding.

https://protobuf.dev/programming-guides/encoding: a message is a run of fields, each a tag and, where it is a message
or bytes, a length. Fields of one message may stand in any order, so the small ones come first.
"""

from pathlib import Path

from onnx import GraphProto, ModelProto

from workers.subject.refusal import Refusal

MAX_BYTES = (2 << 30) - 1
"""A protobuf cannot be larger."""


def write(model: ModelProto, target: Path) -> None:
    """Writes the model; equal models give equal bytes. Raises Refusal where it would be larger than can be read."""
    body = GraphProto(node=model.graph.node, name=model.graph.name, input=model.graph.input, output=model.graph.output)
    first, graph, initializer = (
        ModelProto.DESCRIPTOR.fields_by_name["ir_version"].number,
        ModelProto.DESCRIPTOR.fields_by_name["graph"].number,
        GraphProto.DESCRIPTOR.fields_by_name["initializer"].number,
    )
    small = body.SerializeToString(deterministic=True)
    heads = [_tag(initializer, tensor.ByteSize()) for tensor in model.graph.initializer]
    size = len(small) + sum(map(len, heads)) + sum(tensor.ByteSize() for tensor in model.graph.initializer)
    rest = ModelProto(opset_import=model.opset_import, functions=model.functions).SerializeToString(deterministic=True)
    if size + len(rest) + 64 > MAX_BYTES:
        raise Refusal(
            "too-large",
            f"the model takes {size:,} bytes once its numbers are written out; 2 GiB can be read",
            "Send a smaller model, or only the part that is to be audited.",
        )
    with target.open("wb") as file:
        file.write(_varint(first << 3) + _varint(model.ir_version) + _tag(graph, size) + small)
        for head, tensor in zip(heads, model.graph.initializer, strict=True):
            file.write(head)
            file.write(tensor.SerializeToString(deterministic=True))
        file.write(rest)


def _tag(number: int, length: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))
