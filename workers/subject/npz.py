"""How does a customer's `.npz` become examples? Headers first, then bytes as numbers; nothing is ever unpickled.

numpy's own loader trusts a header's shape and would unpickle object arrays. Here each header is read as data and must
agree with the size of its member before a byte is kept, and values are checked against the declared facts.
"""

import ast
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray

from service.contracts.facts import DatasetFacts, InputFacts
from service.contracts.manifest import DatasetManifest, TensorSpec
from workers.subject.archive import NPZ_CAPS, Archive, opened
from workers.subject.digest import digest_of_file
from workers.subject.magic import require_npz
from workers.subject.refusal import Refusal, quoted
from workers.subject.subject import Examples

REWRITER = "lamina.npz/1"
_MAGIC = b"\x93NUMPY"
_DTYPE = re.compile(r"[<>|=]?(f[248]|[iu][1248]|b1)")
_MAX_HEADER = 1 << 14
_AGAIN = 'Save plain arrays of numbers: numpy.savez("data.npz", inputs=inputs, labels=labels)'
_BLOCK = 1 << 22

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one `.npy` member says of itself, found to agree with its size. start: where its numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int


def rewrite_dataset(source: Path, target: Path, facts: DatasetFacts) -> DatasetManifest:
    """Checks the `.npz` at `source`; writes {inputs: float32, labels: int64} as safetensors to `target`.

    Inputs stay in raw units, shape (N, *facts.input.shape). Equal numbers give equal bytes. Raises Refusal.
    """
    require_npz(source)
    with opened(source, NPZ_CAPS, "an .npz file") as archive:
        wanted = [facts.inputs_array, *([facts.labels_array] if facts.labels_array else [])]
        missing = [name for name in wanted if f"{name}.npy" not in archive.sizes]
        if missing:
            raise _missing(missing[0], archive, facts)
        headers = {name: _header(archive, name) for name in wanted}
        _check_shapes(headers, facts)
        raw = _array(archive, facts.inputs_array, headers[facts.inputs_array])
        labels = _array(archive, facts.labels_array, headers[facts.labels_array]) if facts.labels_array else None
        unread = sorted(quoted(name) for name in archive.sizes if name.removesuffix(".npy") not in wanted)
    low, high = _check_values(raw, facts)
    inputs, notes = _as_float32(raw)
    arrays: dict[str, Array] = {"inputs": inputs}
    counts: tuple[int, ...] = ()
    if labels is not None:
        arrays["labels"] = _check_labels(labels, facts)
        if facts.classes:
            counts = tuple(int(count) for count in np.bincount(arrays["labels"], minlength=len(facts.classes)))
    if unread:
        notes += (f"not read: {', '.join(unread)[:1000]}",)
    safetensors.numpy.save_file(arrays, target)
    return DatasetManifest(
        format="npz",
        rewriter=REWRITER,
        canonical_digest=digest_of_file(target),
        examples=len(inputs),
        inputs=_spec(facts.inputs_array, raw),
        labels=None if labels is None or facts.labels_array is None else _spec(facts.labels_array, labels),
        label_counts=counts,
        low=low,
        high=high,
        notes=notes,
    )


def read_dataset(canonical: Path, *, name: str, digest: str) -> Examples:
    """The examples of a file that `rewrite_dataset` wrote: inputs float32 (N, ...) in raw units, labels int64 (N,)."""
    tensors = safetensors.torch.load_file(canonical)
    return Examples(name=name, digest=digest, inputs=tensors["inputs"], labels=tensors.get("labels"))


def _missing(name: str, archive: Archive, facts: DatasetFacts) -> Refusal:
    found = ", ".join(quoted(member.removesuffix(".npy")) for member in list(archive.sizes)[:8]) or "nothing"
    optional = " or register it with labels_array null" if name == facts.labels_array else ""
    return Refusal(
        "missing-array",
        f"the file has no array {quoted(name)}; it has {found}",
        f"Register the dataset with the names its arrays have,{optional} or save it again: {_AGAIN}",
    )


def _header(archive: Archive, name: str) -> Header:
    member, size = f"{name}.npy", archive.sizes[f"{name}.npy"]
    start = next(archive.chunks(member), b"")[: _MAX_HEADER + 12]
    if start[:6] != _MAGIC or len(start) < 12 or start[6] not in (1, 2, 3):
        raise _unreadable(name, "it does not begin with a NumPy header")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(start[8 : 8 + width], "little")
    text = start[8 + width : 8 + width + length]
    if length > _MAX_HEADER or len(text) != length:
        raise _unreadable(name, f"its header claims {length:,} bytes")
    dtype, shape, fortran = _parsed(text, name)
    data = size - 8 - width - length
    if prod(shape) * dtype.itemsize != data:
        raise Refusal(
            "header-size",
            f"array {quoted(name)} claims {prod(shape) * dtype.itemsize:,} bytes by its header (shape {quoted(shape)});"
            f" the archive holds {data:,}",
            _AGAIN,
        )
    return Header(dtype=dtype, shape=shape, fortran=fortran, start=8 + width + length)


def _parsed(text: bytes, name: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        raise _unreadable(name, "its header is not a NumPy header") from error
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise _unreadable(name, "its header is not a NumPy header")
    descr, shape = header["descr"], header["shape"]
    if descr == "|O":
        raise Refusal(
            "object-array",
            f"array {quoted(name)} holds Python objects, stored as a pickle that runs code when it is read",
            _AGAIN,
        )
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        raise Refusal(
            "array-dtype",
            f"array {quoted(name)} has dtype {quoted(descr)}; float, integer, unsigned and bool arrays are read",
            _AGAIN,
        )
    sound = isinstance(shape, tuple) and len(shape) <= 8 and all(type(n) is int and 0 <= n < 2**48 for n in shape)
    if not sound:
        raise _unreadable(name, f"its header gives the shape {quoted(shape)}")
    return np.dtype(descr), shape, bool(header["fortran_order"])


def _unreadable(name: str, why: str) -> Refusal:
    return Refusal("bad-array", f"array {quoted(name)} cannot be read: {why}", _AGAIN)


def _check_shapes(headers: dict[str, Header], facts: DatasetFacts) -> None:
    shape = headers[facts.inputs_array].shape
    if not shape or shape[1:] != facts.input.shape:
        raise Refusal(
            "input-shape",
            f"facts.input.shape declares one example as {list(facts.input.shape)}; array {quoted(facts.inputs_array)}"
            f" has shape {list(shape)}, that is {list(shape[1:])} per example",
            "Examples lie along the first axis; reshape the array, or register the dataset with its real shape.",
        )
    if shape[0] == 0:
        raise Refusal("empty-dataset", f"array {quoted(facts.inputs_array)} holds no example", "Send at least one.")
    labels = (shape[0],) if facts.labels_array is None else headers[facts.labels_array].shape
    if labels != (shape[0],):
        raise Refusal(
            "labels-shape",
            f"array {quoted(facts.labels_array)} has shape {list(labels)} for {shape[0]} examples",
            "Give one label per example, as a flat array.",
        )


def _array(archive: Archive, name: str, header: Header) -> Array:
    content = bytearray(archive.sizes[f"{name}.npy"])
    at = 0
    for chunk in archive.chunks(f"{name}.npy"):
        content[at : at + len(chunk)] = chunk
        at += len(chunk)
    flat: Array = np.frombuffer(content, dtype=header.dtype, offset=header.start)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _rows(facts: InputFacts) -> int:
    return max(1, _BLOCK // max(1, prod(facts.shape)))


def _check_values(raw: Array, facts: DatasetFacts) -> tuple[float, float]:
    """The lowest and highest value; refuses NaN, infinities and values out of bounds with the first place."""
    bounds = facts.input.bounds
    low_bound, high_bound = (_bound(values, facts.input) for values in (bounds.low, bounds.high))
    # a bound such as 0.1 has no float32 equal: the nearest float32 above it is still within
    low_bound = np.minimum(low_bound, low_bound.astype(np.float32).astype(np.float64))
    high_bound = np.maximum(high_bound, high_bound.astype(np.float32).astype(np.float64))
    low, high = np.inf, -np.inf
    step = _rows(facts.input)
    for start in range(0, len(raw), step):
        block = raw[start : start + step].astype(np.float64)
        said, remedy = "is not a finite number", "Drop or fill missing values."
        _first(~np.isfinite(block), raw, start, facts, "not-finite", said, remedy)
        outside = (block < low_bound) | (block > high_bound)
        said = f"lies outside the declared bounds ({facts.input.unit})"
        remedy = "Declare the real bounds, or send raw values in this unit."
        _first(outside, raw, start, facts, "out-of-bounds", said, remedy)
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high


def _bound(values: tuple[float, ...], facts: InputFacts) -> Array:
    numbers = np.asarray(values, dtype=np.float64)
    if len(values) == 1:
        return numbers.reshape(())
    shape = [1] * (len(facts.shape) + 1)
    shape[facts.channel_axis + 1] = len(values)
    return numbers.reshape(shape)


def _first(wrong: Array, raw: Array, start: int, facts: DatasetFacts, code: str, said: str, remedy: str) -> None:
    if not wrong.any():
        return
    place = np.unravel_index(int(wrong.argmax()), wrong.shape)
    index = (start + int(place[0]), *(int(axis) for axis in place[1:]))
    raise Refusal(code, f"array {quoted(facts.inputs_array)}: value {raw[index]} at {list(index)} {said}", remedy)


def _as_float32(raw: Array) -> tuple[Array, tuple[str, ...]]:
    with np.errstate(over="ignore"):
        inputs = np.ascontiguousarray(raw, dtype=np.float32)
    if not np.isfinite(inputs).all():
        raise Refusal("not-finite", "an input is too large for float32", "Scale the inputs and declare the new unit.")
    exact = raw.dtype.itemsize <= 2 or raw.dtype == np.float32 or bool((inputs == raw).all())
    return inputs, () if exact else (f"inputs were rounded from {raw.dtype.name} to float32",)


def _check_labels(labels: Array, facts: DatasetFacts) -> Array:
    if labels.dtype.kind not in "iub":
        raise Refusal(
            "labels-dtype",
            f"array {quoted(facts.labels_array)} has dtype {labels.dtype.name}; labels are whole numbers",
            "Save them with labels.astype(numpy.int64).",
        )
    wrong = (labels < 0) | (labels > (len(facts.classes) - 1 if facts.classes else 2**31))
    if wrong.any():
        index = int(wrong.argmax())
        raise Refusal(
            "labels-range",
            f"array {quoted(facts.labels_array)}: label {labels[index]} at [{index}] is not one of the"
            f" {len(facts.classes)} declared classes (0 to {len(facts.classes) - 1})"
            if facts.classes
            else f"array {quoted(facts.labels_array)}: label {labels[index]} at [{index}] is negative or beyond 2^31",
            "Number the labels from 0 in the order of the class names.",
        )
    return np.ascontiguousarray(labels, dtype=np.int64)


def _spec(name: str, array: Array) -> TensorSpec:
    shape = ("N", *(str(axis) for axis in array.shape[1:]))
    return TensorSpec(name=name[:256], dtype=array.dtype.name, shape=shape)
