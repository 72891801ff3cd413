"""Does the header of a safetensors file describe exactly the bytes that follow it? Read as data, before any tensor.

The format: 8 bytes of length (little-endian), that much JSON {name: {dtype, shape, data_offsets}}, the tensors.
Source: https://huggingface.co/docs/safetensors, "Format".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from workers.subject.refusal import Refusal, quoted

HEADER_BYTES = 16 << 20
ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
_AGAIN = "Write it with safetensors.numpy.save_file or safetensors.torch.save_file, and send it whole."
_SIZE = 1 << 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One tensor as the header describes it. start: where its bytes begin, counted from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    bytes: int


def header_of(path: Path, limit: int = HEADER_BYTES) -> dict[str, Stored]:
    """The tensors of the file at `path` by name, in the order of their bytes; they fill it without gap or overlap.

    Raises Refusal, with code bad-safetensors, for anything else.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(limit, size - 8):
            raise _bad(f"its header claims {length:,} bytes, of which {limit:,} at most are read")
        text = file.read(length)
    return laid_out(text, size)


def laid_out(text: bytes, size: int) -> dict[str, Stored]:
    """What `header_of` gives, from the header's own bytes and the size of the whole file."""
    described = _described(text)
    described.pop("__metadata__", None)
    tensors = {name: _stored(name, value, 8 + len(text)) for name, value in described.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].bytes)))
    at = 8 + len(text)
    for name, tensor in ordered.items():
        if tensor.start != at:
            raise _bad(f"tensor {quoted(name)} does not begin where the one before it ends")
        at += tensor.bytes
    if at != size:
        raise _bad(f"its tensors end at byte {at:,} of {size:,}")
    return ordered


def _described(text: bytes) -> dict[str, Any]:
    try:
        described = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _bad("its header is not JSON with every name once") from error
    if not isinstance(described, dict):
        raise _bad("its header is not a JSON object")
    return described


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _stored(name: str, value: Any, data: int) -> Stored:
    if not isinstance(value, Mapping) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _bad(f"tensor {quoted(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise _bad(f"tensor {quoted(name)} has dtype {quoted(dtype)}")
    if not (_whole(shape) and len(shape) <= 8 and _whole(offsets) and len(offsets) == 2):
        raise _bad(f"tensor {quoted(name)} has shape {quoted(shape)} and data_offsets {quoted(offsets)}")
    wanted = prod(shape) * ITEM_BYTES[dtype]
    if offsets[1] - offsets[0] != wanted:
        raise _bad(
            f"tensor {quoted(name)} claims {wanted:,} bytes by its shape and {offsets[1] - offsets[0]:,} by its offsets"
        )
    return Stored(dtype=dtype, shape=tuple(shape), start=data + offsets[0], bytes=wanted)


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(each) is int and 0 <= each < _SIZE for each in values)


def _bad(why: str) -> Refusal:
    return Refusal("bad-safetensors", f"the file is not a sound safetensors file: {why}", _AGAIN)
