"""Can what a child wrote be believed? Its files are as hostile as the model it ran: checked, or refused whole.

Nothing here trusts the child: links are not followed, JSON is strict (no NaN, no unknown member, capped size, depth
and number of values), a large file passes in pieces, a kind may only speak of itself, of metrics the catalogue lists
for it and of layers the inspected model has, and a PNG or safetensors file must be what its header says.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from service.contracts.api import KindView
from service.contracts.job import RESULT, ArtifactFile, Failed, Inspected, Member, Refused, StagedModel, Succeeded
from service.contracts.section import Picture
from workers.sandbox.scratch import UnsafeScratch, open_result, read_result

PNG_SIDE = 8192
PNG_BYTES = 64 * 2**20
JSON_BYTES = 64 * 2**20
JSON_VALUES = 1_000_000
"""An empty object takes two characters of a file and, with what is wrong about it, a kilobyte of memory."""
FAULTS_LISTED = 1000
REFUSAL_CHARACTERS = 1000
SAFETENSORS_HEADER = 16 * 2**20
CHUNK = 1 << 20
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

AnyResult = Inspected | Refused | Succeeded | Failed


class ResultRefused(Exception):
    """The child's result breaks a rule; nothing of it is stored. The text says which rule, and may quote the child."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule if len(rule) <= REFUSAL_CHARACTERS else rule[: REFUSAL_CHARACTERS - 3] + "...")


def read_answer(scratch: Path, member: str, most: int) -> AnyResult:
    """A member's `result.json`, as a value of the contract. Raises ResultRefused."""
    content = _read(scratch, f"{member}/result.json", most)
    _count_values(content)
    try:
        return RESULT.validate_json(content)
    except ValidationError as error:
        if error.error_count() > FAULTS_LISTED:
            raise ResultRefused(f"result.json has {error.error_count()} faults") from None
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(str(step) for step in first["loc"])
        raise ResultRefused(f"result.json at {where}: {first['msg']} ({error.error_count()} faults)") from error


def open_canonical(scratch: Path, member: str, name: str) -> BinaryIO:
    """The canonical file of an inspection, opened as a plain file and nothing else. Raises ResultRefused."""
    return _open(scratch, f"{member}/{name}")


def _open(scratch: Path, name: str) -> BinaryIO:
    try:
        return open_result(scratch, name)
    except (UnsafeScratch, OSError) as error:
        raise ResultRefused(f"{name.rpartition('/')[2]}: {error}") from error


def _read(scratch: Path, name: str, most: int) -> bytes:
    try:
        return read_result(scratch, name, limit=most)
    except (UnsafeScratch, OSError) as error:
        raise ResultRefused(f"{name.rpartition('/')[2]}: {error}") from error


def check_success(
    result: Succeeded, member: Member, model: StagedModel, inputs: Mapping[str, str], kind: KindView
) -> None:
    """Refuse a result that speaks of anything but its own analysis.

    `inputs` maps roles to digests; `kind` is the catalogue's entry. Raises ResultRefused.
    """
    said = result.provenance
    expected = {
        "kind": (result.kind, member.kind),
        "kind version": (result.kind_version, member.kind_version),
        "provenance kind": (said.kind, member.kind),
        "provenance kind version": (said.kind_version, member.kind_version),
        "analysis digest": (said.analysis_digest, member.digest),
        "model digest": (said.model_digest, model.digest),
        "input digests": (dict(said.input_digests), dict(inputs)),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise ResultRefused(f"the {what} is {found!r}, not {wanted!r}")
    fault = next(Draft202012Validator(kind.outcome).iter_errors(result.outcome), None)
    if fault is not None:
        raise ResultRefused(f"outcome at {fault.json_path}: {fault.message[:200]}")
    layers = {layer.name for layer in model.manifest.layers}
    for point in result.measurements:
        if point.metric not in kind.metrics:
            raise ResultRefused(f"{member.kind} does not measure {point.metric!r}")
        if point.layer is not None and point.layer.partition("@")[0] not in layers:
            raise ResultRefused(f"a measurement speaks of layer {point.layer!r}, which the model does not have")
    names = [artifact.file for artifact in result.artifacts]
    if len(set(names)) != len(names) or "result.json" in names:
        raise ResultRefused("two artifacts have one name")
    for block in result.section.blocks:
        if isinstance(block, Picture) and block.artifact not in names:
            raise ResultRefused(f"the section shows {block.artifact!r}, which is not among the artifacts")


def artifact_size(scratch: Path, member: str, artifact: ArtifactFile) -> int:
    """How many bytes a file claims to have, before anything of it is read. Raises ResultRefused."""
    with _open(scratch, f"{member}/{artifact.file}") as file:
        return os.fstat(file.fileno()).st_size


def artifact_chunks(scratch: Path, member: str, artifact: ArtifactFile) -> Iterator[bytes]:
    """One file's bytes, checked against its media type; what was checked is what is yielded. Raises ResultRefused.

    A fault may show only at the end of a large file: keep nothing before all of it has come.
    """
    name = f"{member}/{artifact.file}"
    match artifact.media_type:
        case "image/png":
            content = _read(scratch, name, PNG_BYTES)
            check_png(content)
            yield content
        case "application/vnd.safetensors":
            with _open(scratch, name) as file:
                yield from safetensors_chunks(file)
        case "application/json":
            content = _read(scratch, name, JSON_BYTES)
            check_json(content)
            yield content
        case "application/zip":
            raise ResultRefused(f"{artifact.file}: no analysis writes archives")


def check_png(content: bytes) -> None:
    """A PNG of sane size whose chunks are whole, known and checksummed; nothing after its end."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ResultRefused("a picture does not begin as a PNG")
    position, first, kind = 8, True, b""
    while kind != b"IEND":
        header = content[position : position + 8]
        if len(header) < 8:
            raise ResultRefused("a picture ends inside a chunk")
        length, kind = struct.unpack(">I4s", header)
        body = content[position + 8 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4 or struct.unpack(">I", checksum)[0] != zlib.crc32(kind + body):
            raise ResultRefused("a chunk of a picture is damaged")
        if first:
            if kind != b"IHDR" or length != 13:
                raise ResultRefused("a picture has no header")
            width, height = struct.unpack(">II", body[:8])
            if not (0 < width <= PNG_SIDE and 0 < height <= PNG_SIDE):
                raise ResultRefused(f"a picture claims {width} x {height} pixels; at most {PNG_SIDE} a side")
            first = False
        if kind not in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"pHYs", b"gAMA", b"sRGB"):
            raise ResultRefused(f"a picture has a chunk {kind!r}; only pixels are stored")
        position += 12 + length
    if position != len(content):
        raise ResultRefused("a picture has bytes after its end")


def safetensors_chunks(file: BinaryIO) -> Iterator[bytes]:
    """A safetensors file as it is read, if its tensors lie side by side and fill it exactly. Raises ResultRefused."""
    begin = file.read(8)
    if len(begin) < 8:
        raise ResultRefused("an array file is shorter than its header")
    (length,) = struct.unpack("<Q", begin)
    text = file.read(length) if length <= SAFETENSORS_HEADER else b""
    if length > len(text):
        raise ResultRefused(f"an array file claims a header of {length} bytes")
    left = _described(text)
    yield begin + text
    while chunk := file.read(CHUNK):
        left -= len(chunk)
        yield chunk
        if left < 0:
            break
    if left != 0:
        raise ResultRefused("the arrays of an array file do not fill it exactly")


def _described(text: bytes) -> int:
    """How many bytes the arrays take that a safetensors header describes, each after the one before."""
    header = check_json(text)
    if not isinstance(header, dict):
        raise ResultRefused("an array file's header is not an object")
    position = 0
    for start, end in sorted(_span(name, entry) for name, entry in header.items() if name != "__metadata__"):
        if start != position:
            raise ResultRefused("arrays of an array file do not lie side by side")
        position = end
    return position


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where one array lies, if its header entry adds up."""
    try:
        size = DTYPE_BYTES[entry["dtype"]]
        for side in entry["shape"]:
            if not isinstance(side, int) or side < 0:
                raise ResultRefused(f"array {name!r} has side {side!r}")
            size *= side
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultRefused(f"array {name!r} is not described as safetensors describes arrays") from error
    if end - start != size:
        raise ResultRefused(f"array {name!r} claims {end - start} bytes for {size}")
    return start, end


def _no_constant(text: str) -> None:
    raise ResultRefused(f"JSON holds {text}")


def _count_values(content: bytes) -> None:
    """Refuse JSON of more values than a parser should make; what stands in strings is counted with them."""
    values = content.count(b",") + content.count(b"[") + content.count(b"{")
    if values > JSON_VALUES:
        raise ResultRefused(f"JSON of {values} values; at most {JSON_VALUES} are read")


def check_json(content: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN or infinity, no deeper than the parser can follow."""
    _count_values(content)
    try:
        return json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ResultRefused(f"JSON that cannot be read: {type(error).__name__}") from error
