"""Which fields of an ONNX file are kept, which are dropped, and which make it unreadable?

An allow-list by message: what is in neither table is refused, so a field that a later standard adds does not slip in.
"""

from typing import Any

from workers.subject.refusal import Refusal, quoted

KEPT: dict[str, frozenset[str]] = {
    message: frozenset(fields.split())
    for message, fields in {
        "ModelProto": "ir_version opset_import graph functions",
        "OperatorSetIdProto": "domain version",
        "GraphProto": "node initializer input output",
        "NodeProto": "input output op_type domain overload attribute",
        "AttributeProto": "name ref_attr_name type f i s t g floats ints strings tensors graphs",
        "TensorProto": (
            "dims data_type float_data int32_data string_data int64_data double_data uint64_data raw_data name"
            " external_data data_location"  # seen and refused where the tensor is checked, which says more
        ),
        "FunctionProto": "name input output attribute attribute_proto node opset_import domain overload",
        "ValueInfoProto": "name type",
        "TypeProto": "tensor_type sequence_type",
        "Tensor": "elem_type shape",
        "Sequence": "elem_type",
        "TensorShapeProto": "dim",
        "Dimension": "dim_value dim_param",
    }.items()
}
DROPPED: dict[str, frozenset[str]] = {
    message: frozenset(fields.split())
    for message, fields in {
        "ModelProto": "producer_name producer_version domain model_version doc_string metadata_props configuration",
        "GraphProto": "name doc_string value_info quantization_annotation metadata_props",
        "NodeProto": "name doc_string metadata_props device_configurations",
        "AttributeProto": "doc_string",
        "TensorProto": "doc_string metadata_props",
        "FunctionProto": "doc_string value_info metadata_props",
        "ValueInfoProto": "doc_string metadata_props",
        "TypeProto": "denotation",
        "Dimension": "denotation",
    }.items()
}
_WHY = {
    "training_info": "instructions for training",
    "sparse_initializer": "a sparse tensor, whose size only its header says",
    "sparse_tensor": "a sparse tensor, whose size only its header says",
    "sparse_tensors": "a sparse tensor, whose size only its header says",
    "segment": "a tensor in pieces",
    "map_type": "a dictionary as a value",
    "opaque_type": "a value of a type of its own",
    "optional_type": "a value that may be absent",
    "sparse_tensor_type": "a sparse tensor as a value",
}


def sift(message: Any) -> int:
    """Takes out what is not needed of one message, in place; returns how many fields were. Raises Refusal.

    Texts must be UTF-8: protobuf gives those that are not as bytes.
    """
    name = message.DESCRIPTOR.name
    kept, dropped = KEPT[name], DROPPED.get(name, frozenset())
    taken = 0
    for field, value in message.ListFields():
        if field.name in dropped:
            message.ClearField(field.name)
            taken += 1
        elif field.name not in kept:
            what = _WHY.get(field.name, f"the field {quoted(field.name)} of {name}")
            raise Refusal(
                "unexpected-field",
                f"the file holds {what}, which is not read",
                "Export the model for inference, with dense tensors only.",
            )
        elif field.type == field.TYPE_STRING and not _is_text(value):
            raise Refusal("bad-text", f"a {field.name} of a {name} is not UTF-8", "Write the file again.")
    return taken


def _is_text(value: Any) -> bool:
    return all(isinstance(each, str) for each in ((value,) if isinstance(value, str | bytes) else value))
