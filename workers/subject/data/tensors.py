"""How does a customer's safetensors file become examples? Its header is read as data; the tensors are bytes."""

from pathlib import Path

import numpy as np

from service.contracts.facts import DatasetFacts
from workers.subject.data.arrays import AGAIN, check_shapes, found, missing, wanted
from workers.subject.data.found import Array, Found
from workers.subject.data.limits import SAFETENSORS_HEADER
from workers.subject.refusal import Refusal, quoted
from workers.subject.safetensors_header import Stored, header_of

_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "BF16": "<u2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip


def read(source: Path, facts: DatasetFacts) -> Found:
    """The declared tensors of the file at `source`. Raises Refusal."""
    names = wanted(facts)
    header = header_of(source, SAFETENSORS_HEADER)
    for name in names:
        if name not in header:
            raise missing(name, list(header), facts)
        if header[name].dtype not in _DTYPES:
            raise Refusal(
                "array-dtype",
                f"array {quoted(name)} has dtype {header[name].dtype}; float, integer and bool tensors are read",
                AGAIN,
            )
    check_shapes({name: header[name].shape for name in names}, facts)
    return found(lambda name: _array(source, header[name]), facts, [name for name in header if name not in names])


def _array(source: Path, tensor: Stored) -> Array:
    with source.open("rb") as file:
        file.seek(tensor.start)
        content = file.read(tensor.bytes)
    array: Array = np.frombuffer(content, dtype=_DTYPES[tensor.dtype])
    if tensor.dtype == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if tensor.dtype == "BOOL":
        array = np.frombuffer(content, dtype=np.uint8) != 0
    return array.reshape(tensor.shape)
