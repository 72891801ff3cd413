"""What does one `.npy` array say of itself, and is that what is there? The header is data; nothing is unpickled.

numpy's own loader trusts a header's shape and would unpickle object arrays. Here each header must agree with the size
of its array before a byte is kept. Format: numpy.lib.format, versions 1.0 to 3.0.
"""

import re
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from service.contracts.facts import DatasetFacts
from workers.subject.data.arrays import AGAIN, check_shapes, found, wanted
from workers.subject.data.found import Array, Found
from workers.subject.data.limits import ARRAY_HEADER
from workers.subject.refusal import Refusal, quoted

MAGIC = b"\x93NUMPY"
_HEADER = re.compile(r"\s*+\{(.*)\}\s*+", re.DOTALL)
_ITEM = re.compile(
    r"""\s*+(?P<q>['"])(?P<key>descr|fortran_order|shape)(?P=q)\s*+:\s*+
    (?:(?P<p>['"])(?P<text>[^'"\\]{1,64})(?P=p)|(?P<truth>True|False)
    |\((?P<shape>(?:[ ]*+[0-9]{1,19}[ ]*+,)*[ ]*+(?:[0-9]{1,19})?[ ]*+)\))
    \s*+(?:,|$)""",
    re.VERBOSE,
)
_STRUCTURED = re.compile(r"['\"]descr['\"]\s*+:\s*+(\[.{0,64})", re.DOTALL)
_DTYPE = re.compile(r"[<>|=]?(f[248]|[iu][1248]|b1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an array says of itself, found to agree with its size. start: where its numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    def array(self, content: bytes | bytearray) -> Array:
        """The numbers of the whole `.npy`, without a copy."""
        flat: Array = np.frombuffer(content, dtype=self.dtype, offset=self.start)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


def header_of(name: str, start: bytes, size: int) -> Header:
    """The header of an array of `size` bytes that begins with `start`. Raises Refusal, naming the array."""
    start = start[: ARRAY_HEADER + 12]
    if start[:6] != MAGIC or len(start) < 12 or start[6] not in (1, 2, 3):
        raise _unreadable(name, "it does not begin with a NumPy header")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(start[8 : 8 + width], "little")
    text = start[8 + width : 8 + width + length]
    if length > ARRAY_HEADER or len(text) != length:
        raise _unreadable(name, f"its header claims {length:,} bytes")
    dtype, shape, fortran = _parsed(text, name)
    data = size - 8 - width - length
    if prod(shape) * dtype.itemsize != data:
        raise Refusal(
            "header-size",
            f"array {quoted(name)} claims {prod(shape) * dtype.itemsize:,} bytes by its header (shape {quoted(shape)});"
            f" the file holds {data:,}",
            AGAIN,
        )
    return Header(dtype=dtype, shape=shape, fortran=fortran, start=8 + width + length)


def _parsed(text: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    said = text.decode("latin-1")
    if structured := _STRUCTURED.search(said):
        raise _not_read(name, structured.group(1))
    found = _HEADER.fullmatch(said)
    items = {item.group("key"): item for item in _ITEM.finditer(found.group(1))} if found else {}
    if not found or set(items) != {"descr", "fortran_order", "shape"} or _ITEM.sub("", found.group(1)).strip():
        raise _unreadable(name, "its header is not a NumPy header")
    descr, shape, order = items["descr"]["text"], items["shape"]["shape"], items["fortran_order"]["truth"]
    if descr is None or shape is None or order is None:
        raise _unreadable(name, "its header is not a NumPy header")
    if descr == "|O":
        raise Refusal(
            "object-array",
            f"array {quoted(name)} holds Python objects, stored as a pickle that runs code when it is read",
            AGAIN,
        )
    if not _DTYPE.fullmatch(descr):
        raise _not_read(name, descr)
    sizes = tuple(int(size) for size in shape.split(",") if size.strip())
    if len(sizes) > 8 or any(size >= 2**48 for size in sizes):
        raise _unreadable(name, f"its header gives the shape {quoted(sizes)}")
    return np.dtype(descr), sizes, order == "True"


def _not_read(name: str, descr: str) -> Refusal:
    return Refusal(
        "array-dtype",
        f"array {quoted(name)} has dtype {quoted(descr)}; float, integer, unsigned and bool arrays are read",
        AGAIN,
    )


def _unreadable(name: str, why: str) -> Refusal:
    return Refusal("bad-array", f"array {quoted(name)} cannot be read: {why}", AGAIN)


def read(source: Path, facts: DatasetFacts) -> Found:
    """The single array of an `.npy` file as examples; such a file has no labels. Raises Refusal."""
    alone = facts.model_copy(update={"labels_array": None})
    if facts.further_inputs:
        raise Refusal(
            "missing-array",
            f"an .npy file holds one array, and {len(facts.further_inputs)} further inputs are declared",
            AGAIN,
        )
    wanted(alone)
    with source.open("rb") as file:
        header = header_of(facts.inputs_array, file.read(ARRAY_HEADER + 12), source.stat().st_size)
    check_shapes({facts.inputs_array: header.shape}, alone)
    result = found(lambda _: header.array(source.read_bytes()), alone, [])
    return result if facts.labels_array is None else _without_labels(result)


def _without_labels(result: Found) -> Found:
    return replace(result, notes=(*result.notes, "an .npy file holds examples only: there are no labels"))
