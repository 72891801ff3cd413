"""What was written down about adversarial examples? The arrays of a safetensors file, read from its bytes alone.

The format: https://github.com/huggingface/safetensors#format. Eight bytes of length, a JSON header, the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_READ = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1",
    "BOOL": "|b1",
}  # fmt: skip


class Unreadable(ValueError):
    """The bytes are not what was to be stored; the message says where they differ."""


def arrays(data: bytes) -> dict[str, Array]:
    """The arrays of a safetensors file by name, read-only. Raises Unreadable."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise Unreadable(f"{len(data)} bytes are too few for the header that they announce")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError as wrong:
        raise Unreadable(f"its header is not JSON: {wrong}") from None
    if not isinstance(header, dict):
        raise Unreadable("its header is no object")
    header.pop("__metadata__", None)
    return {name: _array(name, entry, data[8 + length :]) for name, entry in header.items()}


def _array(name: str, entry: Any, body: bytes) -> Array:
    try:
        dtype, shape = np.dtype(_READ[entry["dtype"]]), tuple(map(int, entry["shape"]))
        start, stop = map(int, entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as wrong:
        raise Unreadable(f"the entry of {name!r} is not understood: {wrong!r}") from None
    if min(shape, default=0) < 0 or not 0 <= start <= stop <= len(body):
        raise Unreadable(f"{name!r} lies at {start}:{stop} of {len(body)} bytes, in the shape {shape}")
    if stop - start != prod(shape) * dtype.itemsize:
        raise Unreadable(f"{name!r} has {stop - start} bytes for the shape {shape} of {dtype}")
    return np.frombuffer(body[start:stop], dtype).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stored:
    """Adversarial examples as they were written.

    index: int64 (n,), whose each is. made: (n, ...), raw units. epsilon: float64 (n,), the budget within which each is
    said to lie. unit: raw units in one unit of epsilon; free: bool, where it may differ; each with no axes, or those of
    `made` with n or 1 along the first. prediction: int64 (n, ...), the class it is said to be given. value: (n, ...),
    the output it is said to be given. label: int64 (n,), the class that it must not be given. What was not written is
    None; `unit` is then 1.
    """

    index: Array
    made: Array
    epsilon: Array
    unit: Array
    free: Array | None
    prediction: Array | None
    value: Array | None
    label: Array | None

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """Raises Unreadable."""
        return cls.among(arrays(data))

    @classmethod
    def among(cls, found: Mapping[str, Array]) -> Stored:
        """From arrays by name. Raises Unreadable where one is missing or has another length."""
        for name in ("index", "made", "epsilon"):
            if name not in found:
                raise Unreadable(f"there is no array {name!r} among {', '.join(sorted(found)) or 'none'}")
        n = len(found["made"]) if found["made"].ndim else -1
        for name in ("index", "epsilon", "prediction", "value", "label"):
            if name in found and (found[name].ndim < 1 or len(found[name]) != n):
                raise Unreadable(f"{name!r} has the shape {found[name].shape} beside {n} examples")
        if found["made"].dtype.kind != "f":
            raise Unreadable(f"'made' holds {found['made'].dtype}, and not floating-point numbers")
        rest = {name: found.get(name) for name in ("free", "prediction", "value", "label")}
        unit = found.get("unit", np.ones(()))
        return cls(index=found["index"], made=found["made"], epsilon=found["epsilon"], unit=unit, **rest)

    def __len__(self) -> int:
        """How many."""
        return len(self.made)
