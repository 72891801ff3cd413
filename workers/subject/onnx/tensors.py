"""Does a tensor of an ONNX file hold what its header says? Checked, and its numbers written back as plain bytes."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from workers.subject.refusal import Refusal, quoted

MAX_DIMENSION = 1 << 31
MAX_AXES = 32
MAX_STRING = 1 << 16
_SCANNED = 1 << 22
_AGAIN = "The file is damaged or was made by hand: write it again with onnx.save, and check it with onnx.checker."

_BITS: dict[int, int] = {
    TensorProto.FLOAT: 32, TensorProto.DOUBLE: 64, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16,
    TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E4M3FNUZ: 8, TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8, TensorProto.BOOL: 8, TensorProto.INT4: 4, TensorProto.UINT4: 4,
    TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT16: 16, TensorProto.UINT16: 16,
    TensorProto.INT32: 32, TensorProto.UINT32: 32, TensorProto.INT64: 64, TensorProto.UINT64: 64,
}  # fmt: skip
_TYPED: dict[str, dict[int, str]] = {
    "float_data": {TensorProto.FLOAT: "<f4"},
    "double_data": {TensorProto.DOUBLE: "<f8"},
    "int64_data": {TensorProto.INT64: "<i8"},
    "uint64_data": {TensorProto.UINT64: "<u8", TensorProto.UINT32: "<u4"},
    "int32_data": {
        TensorProto.INT32: "<i4", TensorProto.INT16: "<i2", TensorProto.INT8: "<i1", TensorProto.UINT16: "<u2",
        TensorProto.UINT8: "<u1", TensorProto.BOOL: "<u1", TensorProto.FLOAT16: "<u2", TensorProto.BFLOAT16: "<u2",
        TensorProto.FLOAT8E4M3FN: "<u1", TensorProto.FLOAT8E4M3FNUZ: "<u1", TensorProto.FLOAT8E5M2: "<u1",
        TensorProto.FLOAT8E5M2FNUZ: "<u1", TensorProto.INT4: "<u1", TensorProto.UINT4: "<u1",
    },
}  # fmt: skip
"""Which field of a tensor holds numbers of which type, and how they stand in raw bytes."""
_FLOATS: dict[int, str] = {TensorProto.FLOAT: "<f4", TensorProto.DOUBLE: "<f8", TensorProto.FLOAT16: "<f2"}


def settle(tensor: Any, where: str) -> int:
    """Checks one TensorProto and moves its numbers to `raw_data`, in place; returns how many there are.

    Refused: data outside the file, more or fewer numbers than the shape says, types and values that do not fit, NaN.
    """
    if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
        raise Refusal(
            "external-data",
            f"{where} says that its numbers are in another file, which is never opened",
            'Save it as one file: onnx.save(onnx.load("model.onnx"), "one.onnx", save_as_external_data=False)',
        )
    dims = list(tensor.dims)
    if len(dims) > MAX_AXES or any(not 0 <= size < MAX_DIMENSION for size in dims):
        raise Refusal(
            "tensor-shape", f"{where} has the shape {quoted(dims)}, which no tensor of this file can have", _AGAIN
        )
    count = int(prod(dims))
    if tensor.data_type == TensorProto.STRING:
        _strings(tensor, count, where)
        return count
    bits = _BITS.get(tensor.data_type)
    if bits is None:
        raise Refusal(
            "tensor-type",
            f"{where} has the number type {int(tensor.data_type)}, which is not read",
            "Convert its numbers to float32 and export it again.",
        )
    if not tensor.HasField("raw_data"):
        _to_raw(tensor, count, bits, where)
    elif any(getattr(tensor, field) for field in (*_TYPED, "string_data")):
        raise _lies(where, count, "its numbers twice")
    raw = tensor.raw_data
    if len(raw) != -(-count * bits // 8):
        raise _lies(where, count, f"{len(raw):,} bytes")
    _sound(raw, tensor.data_type, where)
    return count


def _strings(tensor: Any, count: int, where: str) -> None:
    if len(tensor.string_data) != count or tensor.HasField("raw_data"):
        raise _lies(where, count, f"{len(tensor.string_data):,} texts")
    if any(len(text) > MAX_STRING for text in tensor.string_data):
        raise Refusal(
            "too-large",
            f"{where} holds a text of more than {MAX_STRING:,} bytes",
            "Send a smaller model, or only the part that is to be audited.",
        )


def _to_raw(tensor: Any, count: int, bits: int, where: str) -> None:
    held = [field for field in (*_TYPED, "string_data") if len(getattr(tensor, field))]
    if not held:
        if count:
            raise _lies(where, count, "none")
        tensor.raw_data = b""
        return
    (field, *more) = held
    kind = _TYPED.get(field, {}).get(tensor.data_type)
    expected = -(-count // 2) if bits == 4 else count
    if more or kind is None or len(getattr(tensor, field)) != expected:
        raise _lies(where, count, f"{len(getattr(tensor, field)):,} in {' and '.join(held)}")
    numbers: NDArray[Any] = np.array(getattr(tensor, field))
    stored = numbers.astype(kind)
    if stored.dtype.kind in "iu" and not bool((stored == numbers).all()):
        raise _lies(where, count, "numbers that its type cannot hold")
    tensor.ClearField(field)
    tensor.raw_data = stored.tobytes()


def _sound(raw: bytes, data_type: int, where: str) -> None:
    """Refuses NaN, and truth values that are neither 0 nor 1."""
    if data_type == TensorProto.BOOL:
        if raw and max(raw) > 1:
            raise Refusal("tensor-values", f"{where} holds truth values other than 0 and 1", _AGAIN)
        return
    kind = _FLOATS.get(data_type)
    if kind is None:
        return
    numbers = np.frombuffer(raw, kind)
    if any(bool(np.isnan(numbers[at : at + _SCANNED]).any()) for at in range(0, len(numbers), _SCANNED)):
        raise Refusal(
            "weights-not-finite",
            f"{where} holds NaN",
            "The model has diverged or is damaged: train it again, or export an earlier checkpoint.",
        )


def _lies(where: str, count: int, found: str) -> Refusal:
    return Refusal("tensor-size", f"{where} should hold {count:,} numbers by its shape; it holds {found}", _AGAIN)
