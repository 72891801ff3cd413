"""Which format of examples is this file, and if it is none, what is it? Told from its first bytes and member names."""

import codecs
import zipfile
import zlib
from pathlib import Path

from service.contracts.manifest import DatasetFormat
from workers.subject.archive import Caps, bounded_directory
from workers.subject.data.limits import ARCHIVE_RATIO, CANONICAL_BYTES, IMAGES
from workers.subject.refusal import Refusal, quoted

NEEDED = "a dataset is an npz, npy, safetensors, csv, jsonl or parquet file, or a zip of PNG, JPEG or WebP images"
ZIP_CAPS = Caps(
    members=IMAGES,
    bytes=CANONICAL_BYTES,
    ratio=ARCHIVE_RATIO,
    methods=frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}),
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_ARRAYS = 'numpy.savez("data.npz", inputs=inputs, labels=labels)'
_TABLE = 'table.to_csv("data.csv", index=False)'
_START = 1 << 16

_PICKLE = (
    "a Python pickle (.pkl, .pt, .pth or .joblib), which runs code when it is opened",
    f"Open it where you trust it and save plain arrays:\n    import numpy\n    {_ARRAYS}",
)
_ELSE = f"Save a table as csv ({_TABLE}) or arrays as npz ({_ARRAYS})."
_SOUND = f"Decode it to numbers, and save those: {_ARRAYS}"
_PACKED = "Unpack it and send what is in it."
_SHEET = f"Save the sheet as csv, or:\n    table = pandas.read_excel(file)\n    {_TABLE}"
_KERAS = (
    'Save its arrays:\n    file = h5py.File("data.h5")\n    inputs, labels = file["inputs"][:], file["labels"][:]\n    '
    + _ARRAYS
)
_FRAME = f"Save it as parquet, or:\n    {_TABLE}"
_IMAGE = (
    "a single image",
    "Put images in folders named after their classes and send the folder:\n    lamina dataset add FOLDER ...",
)
_MODEL = "Register it with `lamina model add`; a dataset holds examples."

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    *((bytes((0x80, protocol)), *_PICKLE) for protocol in range(2, 6)),
    (b"\x1f\x8b", "compressed by gzip", _PACKED),
    (b"BZh", "compressed by bzip2", _PACKED),
    (b"\xfd7zXZ\x00", "compressed by xz", _PACKED),
    (b"\x28\xb5\x2f\xfd", "compressed by zstandard", _PACKED),
    (b"\x04\x22\x4d\x18", "compressed by LZ4", _PACKED),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _PACKED),
    (b"Rar!\x1a\x07", "a RAR archive", _PACKED),
    (b"PARE", "a Parquet file with an encrypted footer", "Write it without encryption."),
    (
        b"ARROW1",
        "an Arrow IPC (Feather) file",
        'Save it as parquet: pyarrow.parquet.write_table(table, "data.parquet")',
    ),
    (b"FEA1", "a Feather file", 'Save it as parquet: pyarrow.parquet.write_table(table, "data.parquet")'),
    (b"ORC", "an ORC file", _FRAME),
    (b"Obj\x01", "an Avro file", _FRAME),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _KERAS),
    (b"SQLite format 3\x00", "an SQLite database", f"Save the table: pandas.read_sql(query, connection); {_TABLE}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.xls)", _SHEET),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", f"Save its arrays: scipy.io.loadmat(file); {_ARRAYS}"),
    (b"RDX", "an R data file", "In R: write.csv(table, file, row.names = FALSE)"),
    (b"<stata_dta>", "a Stata file", f"Save it as csv: table = pandas.read_stata(file); {_TABLE}"),
    (b"\x89PNG\r\n\x1a\n", *_IMAGE),
    (b"\xff\xd8\xff", *_IMAGE),
    (b"GIF8", "a GIF image", "Convert it to PNG, and put it in a zip."),
    (b"BM", "a BMP image", "Convert it to PNG, and put it in a zip."),
    (b"II*\x00", "a TIFF image", "Convert it to PNG, and put it in a zip."),
    (b"MM\x00*", "a TIFF image", "Convert it to PNG, and put it in a zip."),
    (b"%PDF", "a PDF document", _ELSE),
    (b"\x7fELF", "a program", _ELSE),
    (b"MZ", "a program", _ELSE),
    (b"fLaC", "a sound file", _SOUND),
    (b"ID3", "a sound file", _SOUND),
    (b"\xff\xfe", "text in UTF-16", 'Save it as UTF-8: open(file, "w", encoding="utf-8")'),
    (b"\xfe\xff", "text in UTF-16", 'Save it as UTF-8: open(file, "w", encoding="utf-8")'),
)
_INSIDE: tuple[tuple[str, str, str], ...] = (
    ("xl/workbook.xml", "an Excel workbook (.xlsx)", _SHEET),
    ("xl/workbook.bin", "an Excel workbook (.xlsb)", _SHEET),
    ("content.xml", "an OpenDocument file (.ods)", _SHEET),
    ("word/document.xml", "a Word document", _ELSE),
    ("data.pkl", "a Python pickle in a zip (torch.save), which runs code when it is opened", _PICKLE[1]),
    ("models/model.json", "a torch.export archive (.pt2), which is a model", _MODEL),
    ("model.weights.h5", "a Keras model (.keras)", _MODEL),
    ("META-INF/MANIFEST.MF", "a Java archive", _ELSE),
)


def told(source: Path) -> DatasetFormat:
    """The format of the file at `source`; else a Refusal that says what it is and how to make one that is read."""
    with source.open("rb") as file:
        start = file.read(_START)
    if not start:
        raise not_a_dataset("empty", _ELSE)
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _told_zip(source)
    binary: tuple[tuple[bytes, DatasetFormat], ...] = ((b"\x93NUMPY", "npy"), (b"PAR1", "parquet"))
    for magic, name in binary:
        if start.startswith(magic):
            return name
    if _is_safetensors(source, start):
        return "safetensors"
    return _told_text(start)


def not_a_dataset(what: str, remedy: str) -> Refusal:
    """The refusal of a file that is something else."""
    return Refusal("not-a-dataset", f"the file is {what}; {NEEDED}", remedy)


def _told_zip(source: Path) -> DatasetFormat:
    bounded_directory(source, ZIP_CAPS, "an .npz file or a zip of images")
    try:
        with zipfile.ZipFile(source) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refusal(
            "corrupt-archive",
            f"the file is not a whole zip archive, as an .npz file or a zip of images must be: {quoted(error)}",
            "It may be truncated: compare its size and digest with the original and send it again.",
        ) from error
    inner = {*names, *(name.split("/", 1)[-1] for name in names)}
    for sign, what, remedy in _INSIDE:
        if sign in inner:
            raise not_a_dataset(what, remedy)
    if any(name.lower().endswith(SUFFIXES) for name in names):
        return "images"
    if any(name.endswith(".npy") for name in names) or not names:
        return "npz"
    shown = ", ".join(quoted(name) for name in names[:5])
    raise not_a_dataset(f"a zip archive of other things ({shown})", _PACKED)


def _is_safetensors(source: Path, start: bytes) -> bool:
    length = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= length <= source.stat().st_size - 8


def _told_text(start: bytes) -> DatasetFormat:
    for magic, what, remedy in _SIGNATURES:
        if start.startswith(magic):
            raise not_a_dataset(what, remedy)
    if (start[:1] == b"\x78" and _inflates(start)) or start[:2] == b"ZF":
        raise not_a_dataset("compressed by zlib, as joblib writes pickles", _PICKLE[1])
    if start[:4] == b"RIFF":
        raise not_a_dataset(*(_IMAGE if start[8:12] == b"WEBP" else ("a sound or video file", _SOUND)))
    if start[257:262] == b"ustar":
        raise not_a_dataset("a tar archive", _PACKED)
    if start[4:8] == b"ftyp":
        raise not_a_dataset("a video or HEIF image", "Convert images to PNG or JPEG, and put them in a zip.")
    if b"\x00" in start:
        raise not_a_dataset("of no format that is known here, and no text", _ELSE)
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if text[:1] == b"{":
        return "jsonl"
    if text[:1] == b"[":
        raise not_a_dataset("a JSON array", "Write one object per line (jsonl): print(json.dumps(row), file=file)")
    if text[:1] == b"<":
        raise not_a_dataset(
            "an HTML or XML document", f"Save its table as csv: table = pandas.read_html(file)[0]; {_TABLE}"
        )
    if text[:5] in (b"(lp0\n", b"(dp0\n", b"cnump", b"c__bu", b"cposi"):
        raise not_a_dataset(*_PICKLE)
    return "csv"


def _inflates(start: bytes) -> bool:
    try:
        zlib.decompressobj().decompress(start[:64], 1)
    except zlib.error:
        return False
    return True
