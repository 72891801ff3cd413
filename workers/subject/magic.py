"""What is this file, if it is not what was asked for? Told from its first bytes and member names."""

import json
import re
import zipfile
from pathlib import Path

from service.contracts.manifest import ModelFormat
from workers.subject.archive import PT2_CAPS, bounded_directory
from workers.subject.refusal import Refusal

EXPORT = (
    "Export it where the model's source is:\n"
    "    model.eval()\n"
    "    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))\n"
    '    torch.export.save(program, "model.pt2")\n'
    "or run: lamina export your_package.module:model model.pt2 --input-shape 1,8,8"
)


_PICKLE = "a Python pickle (.pt, .pth, .pkl or .joblib), which runs code when it is opened"
_SIGNATURES = {
    **{bytes((0x80, protocol)): _PICKLE for protocol in range(2, 6)},
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras .h5)",
    b"\x93NUMPY": "a single NumPy array (.npy)",
    b"PAR1": "a Parquet file",
}
_ONNX = re.compile(rb"\x08[\x01-\x14]\x12.[\x20-\x7e]", re.DOTALL)
"""A protobuf whose first field is the small ir_version and whose second is a text, the producer."""
_ARCHIVES = {
    r".*\.weights\.h5": "a Keras model (.keras)",
    r"code/.*": "a TorchScript archive",
    r"data\.pkl": "a Python pickle in a zip (torch.save), which runs code when it is opened",
    r"serialized_exported_program\.json": "a torch.export archive of the layout of torch 2.6 and before",
    r".*\.npy": "a NumPy archive (.npz)",
    r"data/aotinductor/.*": "a compiled AOTInductor package, which holds native code",
}


def format_of(path: Path) -> ModelFormat:
    """Which format of models the file may be; else a Refusal that says what it is and how to make one."""
    found = _named(path)
    if found is not None:
        raise Refusal("not-a-pt2", f"the file is {found}; a torch.export archive (.pt2) is needed", EXPORT)
    return "pt2"


def require_npz(path: Path) -> None:
    """Returns if the file may be a NumPy archive; else says what it is."""
    found = _named_data(path)
    if found is not None:
        raise Refusal(
            "not-an-npz",
            f"the file is {found}; a NumPy archive (.npz) is needed",
            'Save named arrays: numpy.savez("data.npz", inputs=inputs, labels=labels)',
        )


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _named(path: Path) -> str | None:
    start = _start(path)
    if start[:4] == b"PK\x03\x04":
        return _named_zip(path)
    found = _by_signature(start)
    if found is None and _is_safetensors(path, start):
        found = "a safetensors file: weights without a network"
    return found or "not a zip archive"


def _named_data(path: Path) -> str | None:
    start = _start(path)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    return _by_signature(start) or ("a safetensors file" if _is_safetensors(path, start) else "not a zip archive")


def _by_signature(start: bytes) -> str | None:
    if not start:
        return "empty"
    if _ONNX.match(start):
        return "an ONNX model"
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    return next((what for magic, what in _SIGNATURES.items() if start.startswith(magic)), None)


def _named_zip(path: Path) -> str | None:
    bounded_directory(path, PT2_CAPS, "a .pt2 file")
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None  # a damaged archive is described by the archive reader, which knows more
    inner = [name.split("/", 1)[-1] for name in names]
    if any(name.startswith("models/") and name.endswith(".json") for name in inner):
        return None
    for sign, what in _ARCHIVES.items():
        if any(re.fullmatch(sign, name) for name in (*names, *inner)):
            return what
    return "a zip archive without models/<name>.json"


def _is_safetensors(path: Path, start: bytes) -> bool:
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or not 2 <= length <= min(path.stat().st_size - 8, 100 << 20):
        return False
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(min(length, 1 << 16))
    try:
        return length > len(header) or isinstance(json.loads(header), dict)
    except (ValueError, RecursionError):
        return False
