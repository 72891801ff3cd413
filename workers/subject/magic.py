"""What is this file? Told from its first bytes and member names; what is not taken is refused with a way out."""

import re
import zipfile
import zlib
from pathlib import Path

from service.contracts.manifest import ModelFormat
from workers.subject.archive import PT2_CAPS, bounded_directory
from workers.subject.foreign import EMPTY, FOREIGN, UNKNOWN, Foreign
from workers.subject.huggingface.archive import looks_like
from workers.subject.peek import is_pickle, is_safetensors, last_of, protobuf_fields, start_of, text_of, unpacked

_STARTS = {
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.": "old-torch",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"\x93NUMPY": "numpy",
    b"GGUF": "gguf", b"lmgg": "gguf", b"tjgg": "gguf", b"fmgg": "gguf",
    b"CBM1": "catboost",
    b"binf": "xgboost", b"bs64": "xgboost",
    b"RDX2\n": "r", b"RDX3\n": "r", b"RDA2\n": "r", b"RDA3\n": "r",
    b"X\n\x00\x00\x00": "r", b"A\n2\n": "r", b"A\n3\n": "r",
    b"MATLAB 5.0 MAT-file": "matlab", b"MATLAB 7.3 MAT-file": "matlab",
    b"\x04\x22\x4d\x18": "lz4", b"ZF": "packed-pickle",
    b"PAR1": "parquet", b"ARROW1": "arrow", b"FEA1": "arrow", b"SQLite format 3\x00": "sqlite",
    b"\x89PNG\r\n\x1a\n": "image", b"\xff\xd8\xff": "image", b"GIF8": "image", b"BM": "image",
    b"II*\x00": "image", b"MM\x00*": "image",
    b"%PDF-": "pdf",
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "compressed",
    b"\x7fELF": "native", b"\xfe\xed\xfa\xce": "native", b"\xcf\xfa\xed\xfe": "native", b"\xca\xfe\xba\xbe": "native",
}  # fmt: skip
_FURTHER_IN = {
    (4, b"TFL3"): "tflite",
    (4, b"ORTM"): "ort",
    (4, b"ET12"): "executorch",
    (8, b"WEBP"): "image",
    (257, b"ustar"): "tar",
}
_MEMBERS = {
    r"data/aotinductor/.*": "aoti",
    r"serialized_exported_program\.json": "old-export",
    r"(code/.*|constants\.pkl|bytecode\.pkl)": "torchscript",
    r"\.data/extern_modules": "torch-package",
    r"data\.pkl": "torch-state",
    r"(.*\.weights\.h5|metadata\.json)": "keras",
    r"saved_model\.pb(txt)?": "saved-model",
    r"(Data/)?com\.apple\.CoreML/.*|coremldata\.bin": "core-ml",
    r"model_index\.json": "diffusers",
    r"adapter_config\.json": "adapter",
    r"(pytorch_model.*\.bin|.*\.pth)": "pickled-folder",
    r"schema\.json": "skops",
    r".*\.npy": "npz",
    r"\[Content_Types\]\.xml|mimetype": "office",
    r".*\.(pt2|onnx|safetensors|keras|pt|pkl|joblib)": "zip-in-zip",
    r".*\.(png|jpe?g|webp|csv|parquet)": "image",
}
_JSON = {
    '"learner"': "xgboost", '"oblivious_trees"': "catboost", '"tree_info"': "lightgbm", '"nbformat"': "notebook",
    '"cells"': "notebook", '"model_type"': "hf-config", '"architectures"': "hf-config", '"keras_version"': "keras-json",
    '"class_name"': "keras-json",
}  # fmt: skip
_ONNX_FIELDS = frozenset((*range(1, 9), 14, 20, 25, 26))


def format_of(path: Path) -> ModelFormat:
    """Which format of models the file may be; else a Refusal that says what it is and how to make one."""
    start = start_of(path)
    if start[:4] == b"PK\x03\x04":
        return _zip_format(path)
    if _is_onnx(path, start):
        return "onnx"
    raise _foreign(path, start).refusal()


def _foreign(path: Path, start: bytes) -> Foreign:
    if not start:
        return EMPTY
    if start[:4] == b"PK\x05\x06":
        return FOREIGN["zip"]
    key = _by_signature(start) or _by_structure(path, start)
    return FOREIGN[key] if key else UNKNOWN


def _by_signature(start: bytes) -> str | None:
    found = next((key for magic, key in _STARTS.items() if start.startswith(magic)), None)
    if found == "image" and start[:2] == b"BM" and start[6:10] != b"\x00\x00\x00\x00":
        found = None  # two letters are little; a bitmap also has four reserved zeros
    if found is None and start[:2] == b"MZ" and b"\x00" in start[:64]:
        found = "native"
    return found or next(
        (key for (at, magic), key in _FURTHER_IN.items() if start[at : at + len(magic)] == magic), None
    )


def _by_structure(path: Path, start: bytes) -> str | None:
    if is_safetensors(path, start):
        return "safetensors"
    if start[:1] == b"{" and b"learner" in start[:64] and b"\x00" in start[:16]:
        return "xgboost"  # UBJSON
    inside = unpacked(start)
    if inside is not None:
        return _packed(inside)
    if is_pickle(start, last_of(path)):
        return "pickle"
    text = text_of(start)
    return _by_text(text) if text is not None else _by_protobuf(path, start)


def _packed(inside: bytes) -> str:
    if is_pickle(inside, None):
        return "packed-pickle"
    found = _by_signature(inside)
    return found if found in ("r", "tar") else "compressed"


def _by_text(text: str) -> str:
    bare = text.lstrip()
    head = bare[:2048].lower()
    if bare.startswith("version https://git-lfs.github.com/spec/"):
        return "lfs"
    if bare.startswith("tree\n") and "version=" in bare[:64]:
        return "lightgbm"
    if bare[:1] in "{[" and bare:
        return next((key for sign, key in _JSON.items() if sign in bare), "json")
    if bare[:1] == "<":
        if "<pmml" in head:
            return "pmml"
        if re.match(r"(<\?xml[^>]*>\s*)?<net\s", head):
            return "openvino"
        return "html" if re.search(r"<!doctype html|<(html|head|body|script|title|div)\b", head) else "xml"
    if re.match(r"(#!.*python|import \w|from [\w.]+ import |def \w|class \w|\"\"\")", bare):
        return "python"
    return "csv" if _is_table(bare) else "text"


def _is_table(text: str) -> bool:
    lines = [line for line in text.splitlines()[:3] if line]
    return len(lines) > 1 and any(lines[0].count(mark) == lines[1].count(mark) > 0 for mark in ",;\t")


def _is_onnx(path: Path, start: bytes) -> bool:
    """A protobuf whose first field is the small ir_version, beside texts, operator sets and a graph."""
    if start[:1] != b"\x08" or not 1 <= int.from_bytes(start[1:2], "big") < 0x80:
        return False
    fields = protobuf_fields(path)
    if not fields.keys() <= _ONNX_FIELDS or fields.get(1) != 0:
        return False
    producer = start[2:3] == b"\x12" and all(32 <= byte < 127 for byte in start[4 : 4 + min(start[3], 8)])
    return fields.get(7) == 2 or (producer and len(start) > 4)


def _by_protobuf(path: Path, start: bytes) -> str | None:
    fields = protobuf_fields(path)
    if start[:1] == b"\x08" and fields.get(2) == 2:
        return "core-ml" if any(number == 10 or number >= 200 for number in fields) else "saved-model"
    if start[:1] == b"\x0a" and b"<unk>" in start[:32]:
        return "tokenizer"
    if start[:1] == b"\x0a" and fields.keys() <= {1, 2, 3, 4} and len(start) > 16:
        return "graph-def"
    return None


def _zip_format(path: Path) -> ModelFormat:
    bounded_directory(path, PT2_CAPS, "a .pt2 file")
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "pt2"  # a damaged archive is described by the archive reader, which knows more
    inner = [name.split("/", 1)[-1] for name in names]
    if any(name.startswith("models/") and name.endswith(".json") for name in inner):
        return "pt2"
    if looks_like(names):
        return "huggingface"
    for sign, key in _MEMBERS.items():
        if any(re.fullmatch(sign, name, re.DOTALL) for name in (*names, *inner)):
            whole = key == "torch-state" and _is_whole_network(path, names)
            raise FOREIGN["torch-whole" if whole else key].refusal()
    raise FOREIGN["zip"].refusal()


def _is_whole_network(path: Path, names: list[str]) -> bool:
    """Whether the pickle of a torch.save names modules; read as bytes, a megabyte of it at most."""
    member = next(name for name in names if name == "data.pkl" or name.endswith("/data.pkl"))
    try:
        with zipfile.ZipFile(path) as file, file.open(member) as pickle:
            return b"torch.nn.modules" in pickle.read(1 << 20)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return False
