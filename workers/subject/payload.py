"""Do the tensors of a `.pt2` fit the bytes that are there? Weights and constants, by their configuration files.

torch trusts sizes and strides: an empty payload of a declared terabyte is allocated, a short one is read past its end
unless as_strided notices. Here every view must lie within its payload before anything is loaded.
"""

from dataclasses import dataclass
from typing import Any

from workers.subject.archive import Archive
from workers.subject.program import MAX_JSON, checked, parsed
from workers.subject.refusal import Refusal, quoted

_AGAIN = "Export the model again with torch 2.13 (torch.export.save) from its source."
_STRIDED = 7
# bytes per element, by the codes of torch._export.serde.schema.ScalarType
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2, 28: 2, 34: 4, 35: 8}
MAX_TENSOR_BYTES = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """The configuration of weights or constants, and the payload files it refers to with their sizes."""

    config: dict[str, Any]
    files: dict[str, int]


def payloads(archive: Archive, root: str, folder: str, config_name: str) -> Payloads:
    """Reads `<root>/data/<folder>/<config_name>` and checks each tensor against its payload; raises Refusal."""
    part = f"data/{folder}/{config_name}"
    member = f"{root}/{part}"
    if member not in archive.sizes:
        raise Refusal("missing-member", f"the archive has no {part}", _AGAIN)
    raw = parsed(archive.read(member, MAX_JSON), part)
    entries = raw.get("config")
    if set(raw) != {"config"} or not isinstance(entries, dict):
        raise Refusal("bad-program", f"{part} is not as torch writes it", _AGAIN)
    _refuse_pickles(entries, part)
    config = checked(raw, part)
    files: dict[str, int] = {}
    for name, entry in config["config"].items():
        path = entry["path_name"]
        size = archive.sizes.get(f"{root}/data/{folder}/{path}")
        if size is None:
            raise Refusal("missing-member", f"{part} names data/{folder}/{path}, which the archive lacks", _AGAIN)
        _fits(entry["tensor_meta"], size, f"tensor {quoted(name)} of {part}")
        files[path] = size
    return Payloads(config=config, files=files)


def _refuse_pickles(entries: dict[str, Any], part: str) -> None:
    for name, entry in entries.items():
        shape = {"path_name", "is_param", "use_pickle", "tensor_meta"}
        if not isinstance(entry, dict) or set(entry) != shape or not isinstance(entry["path_name"], str):
            raise Refusal("bad-program", f"{part}: entry {quoted(name)} is not as torch writes it", _AGAIN)
        if entry["path_name"].startswith(("custom_obj_", "opaque_obj_")):
            raise Refusal(
                "custom-object",
                f"{part}: constant {quoted(name)} is a custom or opaque object, which runs code when it is read",
                "Export a model whose constants are plain tensors.",
            )
        if entry["use_pickle"] is not False or not isinstance(entry["tensor_meta"], dict):
            raise Refusal(
                "pickled-tensor",
                f"{part}: tensor {quoted(name)} is stored as a pickle (use_pickle), which runs code when it is read",
                "Turn tensor subclasses into plain tensors (tensor.detach().clone()) and export again.",
            )


def _fits(meta: dict[str, Any], size: int, what: str) -> None:
    """Whether the strided view `meta` describes lies within `size` bytes."""
    item = _ITEM_BYTES.get(meta.get("dtype", 0)) if isinstance(meta.get("dtype"), int) else None
    if item is None or meta.get("layout") != _STRIDED:
        raise Refusal("tensor-type", f"{what} has a dtype or layout that is not read here", "Use plain dense tensors.")
    sizes, strides = _integers(meta.get("sizes"), what), _integers(meta.get("strides"), what)
    (offset,) = _integers([meta.get("storage_offset")], what)
    elements = 1
    for axis in sizes:
        elements *= axis
    if len(sizes) != len(strides) or len(sizes) > 32 or elements * item > MAX_TENSOR_BYTES:
        raise Refusal("tensor-size", f"{what} has shape {quoted(sizes)} and strides {quoted(strides)}", _AGAIN)
    if size % item:
        raise Refusal("tensor-size", f"{what}: its payload of {size:,} bytes is not a whole number of elements", _AGAIN)
    last = offset + sum((axis - 1) * stride for axis, stride in zip(sizes, strides, strict=True))
    if elements and (last + 1) * item > size:
        raise Refusal("tensor-size", f"{what} needs {(last + 1) * item:,} bytes; its payload has {size:,}", _AGAIN)


def _integers(values: Any, what: str) -> list[int]:
    found = [
        value["as_int"] if isinstance(value, dict) and set(value) == {"as_int"} else None
        for value in (values if isinstance(values, list) else [None])
    ]
    integers = [value for value in found if type(value) is int and 0 <= value < 2**40]
    if len(integers) != len(found):
        raise Refusal("tensor-size", f"{what} has a size, stride or offset that is not a plain number", _AGAIN)
    return integers
