"""How are named arrays kept in a file? As safetensors, in order, so that equal arrays give equal bytes.

The library's own writer makes a temporary file and renames it, which the sandbox does not allow.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_WRITTEN = {
    "<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8", "|u1": "U8",
    "|b1": "BOOL",
}  # fmt: skip


def save(arrays: Mapping[str, npt.NDArray[Any]], target: Path) -> None:
    """Writes `arrays` to `target`: widest items first, so that each is aligned; names in order among those."""
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header, at = {}, 0
    for name, array in ordered:
        dtype = _WRITTEN[array.dtype.newbyteorder("<").str]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tofile(file)
