"""Files of examples that attack: pickles in disguise, bombs, headers that lie, archives and images with two faces."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from service.contracts.facts import DatasetFacts
from tests.hostile.harness import PYTHON, SECRET, SHELL, Hostile
from tests.workers.subject.data.files import image, image_facts, npz, parquet_of, table_facts, text_facts, zipped
from workers.subject.data.arrow import pa

Case = tuple[str, Callable[[], bytes | str], DatasetFacts, str | tuple[str, ...] | None]
MEMORY = ("too-large", "memory", "child-memory", "child-cpu-time")
TABLE = table_facts()
PIXELS = np.zeros((2, 2, 3), np.uint8)
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
NUMBERS = {"inputs": np.zeros((2, 2)), "labels": [0, 1]}


class Payload:
    """What a pickle of it would do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, (PYTHON,))


class System(Payload):
    """The same by a shell."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return (os.system, (SHELL,))


def cases() -> Iterator[Hostile]:
    """All of them."""
    for group in (_pickles(), _arrays(), _tensors(), _archives(), _pictures(), _csv(), _jsonl(), _parquet(), _names()):
        for name, make, facts, code in group:
            yield Hostile(name=f"a dataset {name}", build=_writing(make), what="dataset", facts=facts, code=code)


def _writing(make: Callable[[], bytes | str]) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        made = make()
        path.write_bytes(made if isinstance(made, bytes) else made.encode())

    return build


def _objects(payload: object) -> np.ndarray:
    array = np.empty(2, dtype=object)
    array[:] = [payload, payload]
    return array


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _pickles() -> Iterator[Case]:
    for protocol in range(6):
        content = pickle.dumps(Payload(), protocol=protocol)
        codes = ("not-a-dataset", "missing-column", "bad-text", "bad-csv")  # protocols 0 and 1 begin as text does
        yield f"that is a pickle of protocol {protocol}", lambda content=content: content, TABLE, codes
    yield "that is a pickle of a shell command", lambda: pickle.dumps(System()), TABLE, "not-a-dataset"
    yield "that is a pickle compressed by gzip", lambda: gzip.compress(pickle.dumps(Payload())), TABLE, "not-a-dataset"
    yield "as joblib compresses one", lambda: zlib.compress(pickle.dumps(Payload())), TABLE, "not-a-dataset"
    yield "of objects in an npz", lambda: npz(inputs=_objects(Payload()), labels=[0, 1]), TABLE, "object-array"
    yield "of objects as labels", lambda: npz(inputs=np.zeros((2, 2)), labels=_objects(System())), TABLE, "object-array"
    yield "that torch.save wrote", lambda: zipped({"a/data.pkl": pickle.dumps(Payload())}), TABLE, "not-a-dataset"
    yield (
        "with a pickle beside its arrays",
        lambda: _added(npz(**NUMBERS), {"extra.npy": pickle.dumps(Payload()), "data.txt": pickle.dumps(Payload())}),
        TABLE,
        None,
    )

    def single() -> bytes:
        target = io.BytesIO()
        np.save(target, _objects(Payload()), allow_pickle=True)
        return target.getvalue()

    yield "of objects in a single array", single, TABLE, "object-array"
    structured = _npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}", pickle.dumps(Payload()))
    yield "of objects in a structured array", lambda: structured, TABLE, ("array-dtype", "bad-array")


def _added(archive: bytes, members: dict[str, bytes]) -> bytes:
    target = io.BytesIO(archive)
    with zipfile.ZipFile(target, "a") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target.getvalue()


def _arrays() -> Iterator[Case]:
    square = "{'descr': '<f4', 'fortran_order': False, 'shape': "
    headers = {
        "that claims sixteen exabytes": "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976, 2)}",
        "whose shape wraps around to its size": square + "(4294967297, 4294967296)}",
        "of a negative shape": "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -2)}",
        "of a shape that is a text": "{'descr': '<f4', 'fortran_order': False, 'shape': '22'}",
        "whose header is a program": f"[{PYTHON}]",
        "whose header is a call": f"{{'descr': eval({PYTHON!r}), 'fortran_order': False, 'shape': (1, 2)}}",
        "whose header is nested a thousand deep": "(" * 8000,
        "of a power tower as a shape": "{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9, 2)}",
        "of sixteen thousand dimensions": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 8000 + ")}",
        "of a dtype with a comma": "{'descr': '<f4,|O', 'fortran_order': False, 'shape': (1, 2)}",
    }
    for name, header in headers.items():
        body = _npy(header, bytes(16))
        codes = ("bad-array", "header-size", "array-dtype")
        yield f"with an array {name}", lambda body=body: zipped({"inputs.npy": body, "labels.npy": body}), TABLE, codes
        yield f"that is one array {name}", lambda body=body: body, TABLE, codes


def _header(described: object, data: bytes = b"") -> bytes:
    text = described if isinstance(described, bytes) else json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + data


def _tensors() -> Iterator[Case]:
    whole = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    facts, bad = table_facts(labels_array=None), "bad-safetensors"
    yield "of tensors that share their bytes", lambda: _header({"inputs": whole, "x": whole}, bytes(8)), facts, bad
    yield (
        "of tensors that wrap around",
        lambda: _header({"inputs": {**whole, "shape": [1 << 63, 2]}}, bytes(8)),
        facts,
        bad,
    )
    yield (
        "of tensors beyond the end",
        lambda: _header({"inputs": {**whole, "data_offsets": [8, 16]}}, bytes(8)),
        facts,
        bad,
    )
    yield "of tensors backwards", lambda: _header({"inputs": {**whole, "data_offsets": [8, 0]}}, bytes(8)), facts, bad
    yield "with a header nested a million deep", lambda: _header(b'{"a":' * 1_000_000), facts, bad
    yield (
        "with twenty thousand tensors",
        lambda: _header({f"t{at}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for at in range(20_000)}),
        facts,
        ("missing-array", bad, *MEMORY),
    )
    named = _header({MARKUP: whole}, bytes(8))
    yield "of a tensor that is markup", lambda: named, facts, "missing-array"


def _archives() -> Iterator[Case]:
    good, pixel = image_facts(), image(PIXELS)
    for name, member in {
        "above it": "../../cat/1.png",
        "by a whole path": "/tmp/cat/1.png",
        "by a drive": "C:\\cat\\1.png",
        "through a dot": "cat/./1.png",
        "with a line end in its name": "cat/1\n.png",
        "with a NUL in its name": "cat/1.png/x\x01.png",
    }.items():
        yield f"that writes {name}", lambda member=member: zipped({member: pixel}), good, "unsafe-member"
    yield "that links to a secret", _linked, good, "unsafe-member"
    yield "that holds one name twice", _twice, good, "duplicate-member"
    yield (
        "that is encrypted",
        lambda: _patched(zipped({"cat/1.png": pixel}), b"PK\x01\x02", 8, b"\x01"),
        good,
        "encrypted-member",
    )
    yield (
        "compressed by bzip2",
        lambda: _compressed({"cat/1.png": pixel}, zipfile.ZIP_BZIP2),
        good,
        "unexpected-compression",
    )
    yield "of four gigabytes of zeros", lambda: _compressed({"inputs.npy": bytes(1 << 26)}), TABLE, "archive-bomb"
    yield "of an image member of zeros", lambda: _compressed({"cat/1.png": bytes(1 << 26)}), good, "archive-bomb"
    yield "whose members overlap", _overlapping, TABLE, "corrupt-archive"
    yield (
        "with ten thousand empty members",
        lambda: zipped({f"{at}.txt": b"" for at in range(10_000)}),
        good,
        "not-a-dataset",
    )
    script = f"#!/bin/sh\n{SHELL}\n".encode()
    yield "that is a program with a zip at its end", lambda: script + npz(**NUMBERS), TABLE, (
        "missing-column", "bad-text", "not-a-dataset", "not-utf8",
    )  # fmt: skip
    yield "that is a zip in a zip", lambda: zipped({"data.zip": npz(**NUMBERS)}), TABLE, "not-a-dataset"
    sizes = struct.pack("<II", 9, 9)
    yield "whose directory lies about sizes", lambda: _patched(npz(**NUMBERS), b"PK\x01\x02", 20, sizes), TABLE, (
        "corrupt-archive", "bad-array", "header-size",
    )  # fmt: skip


def _linked() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        info = zipfile.ZipInfo("cat/1.png")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file.writestr(info, str(SECRET))
    return target.getvalue()


def _twice() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("cat/1.png", image(PIXELS))
        file.writestr("cat/2.png", b"hidden")
    return target.getvalue().replace(b"cat/2.png", b"cat/1.png")


def _patched(archive: bytes, sign: bytes, offset: int, value: bytes) -> bytes:
    content = bytearray(archive)
    at = content.find(sign) + offset
    content[at : at + len(value)] = value
    return bytes(content)


def _compressed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target.getvalue()


def _overlapping() -> bytes:
    """Two directory entries for one stream."""
    content = bytearray(npz(inputs=np.zeros((2000, 2)), labels=np.zeros(2000, int)))
    first = content.find(b"PK\x01\x02")
    second = content.find(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    content[second + 16 : second + 28] = content[first + 16 : first + 28]
    return bytes(content)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, rows: bytes, *extra: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _pictures() -> Iterator[Case]:
    sound, facts = image(PIXELS), image_facts()
    broken = ("bad-image", "image-bomb", "image-size", "image-mode", *MEMORY)
    pictures: dict[str, Callable[[], bytes]] = {
        "of 900 megapixels in a few bytes": lambda: _png(30_000, 30_000, bytes(900_000)),
        "that claims four billion pixels a side": lambda: _png(2**32 - 1, 2**32 - 1, b""),
        "of no width": lambda: _png(0, 2, b""),
        "just below twice the cap": lambda: image(np.zeros((7000, 7000), np.uint8), mode="1"),
        "that ends in its pixels": lambda: _png(64, 64, bytes(10)),
        "without an end": lambda: sound[:-12],
        "with a damaged checksum": lambda: sound[:-14] + b"\0\0" + sound[-12:],
        "with an unknown bit depth": lambda: _png(2, 2, bytes(20), depth=7),
        "with a comment that inflates to a gigabyte": lambda: _png(
            2, 2, bytes(14), _chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(1 << 27)))
        ),
        "with a colour profile that inflates to a gigabyte": lambda: _png(
            2, 2, bytes(14), _chunk(b"iCCP", b"c\0\0" + zlib.compress(bytes(1 << 27)))
        ),
        "that is a TIFF by content": lambda: b"II*\0" + bytes(64),
        "that is PostScript by content": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run\n",
        "that is an SVG by content": lambda: (
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>"
        ),
    }
    for name, make in pictures.items():
        codes = (*broken, "not-an-image") if "inflates" not in name else (*broken, "image-size")
        yield f"with an image {name}", lambda make=make: zipped({"cat/1.png": make()}), facts, codes
    whole = image(np.zeros((64, 64, 3), np.uint8), "JPEG")
    yield "with a JPEG cut in two", lambda: zipped({"cat/1.jpg": whole[: len(whole) // 2]}), facts, "bad-image"
    sides = whole.find(b"\xff\xc0") + 5
    tall = whole[:sides] + b"\xff\xff\xff\xff" + whole[sides + 4 :]
    yield "with a JPEG that claims four gigapixels", lambda: zipped({"cat/1.jpg": tall}), facts, "image-bomb"
    webp = image(PIXELS, "WEBP", lossless=True)
    yield (
        "with a WebP that claims more than it holds",
        lambda: zipped({"cat/1.webp": webp[:20] + b"\xff" * 40}),
        facts,
        "bad-image",
    )
    yield "with an image that is also an archive", lambda: zipped({"cat/1.png": sound + npz(**NUMBERS)}), facts, None
    yield "with an image that is also a page", lambda: zipped({"cat/1.png": sound + MARKUP.encode()}), facts, None
    exif = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff" * 400
    yield (
        "with metadata that points nowhere",
        lambda: zipped({"cat/1.jpg": image(PIXELS, "JPEG", exif=exif)}),
        facts,
        None,
    )
    labels = "file,label\n1.png,=cmd()\n"
    yield "with labels that are formulas", lambda: zipped({"1.png": sound, "labels.csv": labels}), facts, "labels-range"


def _csv() -> Iterator[Case]:
    yield "of a million columns", lambda: ",".join(["c"] * 1_000_000) + "\n", TABLE, "too-large"
    yield "of one line without an end", lambda: "a,b,labels\n" + "1" * (5 << 20), TABLE, "line-too-long"
    yield "with a cell that is never closed", lambda: 'a,b,labels\n"' + "1,2,0\n" * 100_000, TABLE, "cell-too-long"
    yield "of a million quotes", lambda: "a,b,labels\n" + '"' * 1_000_000 + "\n", TABLE, ("cell-too-long", "bad-csv")
    yield (
        "with NUL bytes",
        lambda: b"a,b,labels\n1,\x002,0\n" + b"1,2,0\n" * 20_000,
        TABLE,
        ("bad-text", "not-a-dataset"),
    )
    yield "in two encodings", lambda: b"a,b,labels\n1,2,0\n" + "3,é,1\n".encode("latin-1"), TABLE, "not-utf8"
    yield "in UTF-16", lambda: "a,b,labels\n1,2,0\n".encode("utf-16"), TABLE, "not-a-dataset"
    yield "with surrogates as bytes", lambda: b"a,b,labels\n1,\xed\xa0\x80,0\n", TABLE, "not-utf8"
    yield (
        "of formulas",
        lambda: f"a,b,labels\n=HYPERLINK({PYTHON!r}),2,0\n",
        TABLE,
        ("row-length", "bad-cell", "bad-csv"),
    )
    yield "with a number of a million digits", lambda: "a,b,labels\n" + "9" * 100_000 + ",2,0\n", TABLE, "bad-cell"
    digits = "0." + "1" * 60
    yield (
        "of long numbers and one that is none",
        lambda: f"a,b,labels\n{digits},2,0\n{digits}e,2,0\n",
        TABLE,
        "bad-cell",
    )
    yield "that is infinite", lambda: "a,b,labels\n1e400,2,0\n", TABLE, "bad-cell"
    yield "of a hundred thousand different labels", lambda: "a,b,labels\n" + "".join(
        f"1,2,label {at}\n" for at in range(100_002)
    ), TABLE, ("too-large", "labels-range")  # fmt: skip
    yield "of faults alone", lambda: "a,b,labels\n" + "x,y,z\n" * 200_000, TABLE, "bad-cell"
    yield "with the same column twice", lambda: "a,a,b,labels\n1,2,3,0\n", TABLE, "duplicate-column"


def _jsonl() -> Iterator[Case]:
    row = '{"a": 1, "b": 2, "labels": 0}\n'
    yield "of JSON nested a million deep", lambda: '{"a": ' + "[" * 1_000_000 + "\n", TABLE, "bad-json"
    yield "of JSON with a number of a million digits", lambda: '{"a": ' + "9" * 1_000_000 + "}\n", TABLE, "bad-json"
    yield "of JSON with NaN", lambda: row + '{"a": NaN, "b": 2, "labels": 0}\n', TABLE, "bad-json"
    yield "of JSON with infinity", lambda: row + '{"a": -Infinity, "b": 2, "labels": 0}\n', TABLE, "bad-json"
    yield "of JSON with one name twice", lambda: '{"a": 1, "a": 2, "b": 2, "labels": 0}\n', TABLE, "bad-json"
    yield "of JSON in one line of five megabytes", lambda: '{"a": "' + "x" * (5 << 20) + '"}\n', TABLE, "line-too-long"
    yield "of JSON with a hundred thousand names", lambda: (
        json.dumps({f"n{at}": 0 for at in range(100_000)}) + "\n"
    ), TABLE, "too-large"  # fmt: skip
    yield "of JSON with half a character", lambda: '{"text": "\\ud800", "label": 0}\n', text_facts(), "bad-cell"
    yield "of JSON with a magic name", lambda: row + '{"__class__": "os.system", "a": 1}\n', TABLE, "missing-value"


def _footer(content: bytes, length: int) -> bytes:
    return content[:-8] + struct.pack("<I", length) + b"PAR1"


def _parquet() -> Iterator[Case]:
    good = parquet_of({"a": [1.0, 2.0], "b": [3.0, 4.0], "labels": [0, 1]}, compression="none")
    damaged = ("bad-parquet", "missing-column", "missing-value", "labels-range", "out-of-bounds", "not-finite", *MEMORY)
    yield "of Parquet whose footer is longer than the file", lambda: _footer(good, 1 << 30), TABLE, "bad-parquet"
    yield "of Parquet whose footer is its data", lambda: _footer(good, len(good) - 12), TABLE, damaged
    yield "of Parquet without a footer", lambda: _footer(good, 0), TABLE, "bad-parquet"
    yield "of Parquet that claims other row counts", lambda: good.replace(b"\x16\x04", b"\x16\x7e"), TABLE, damaged
    yield "of Parquet of ten million rows in a page", lambda: parquet_of(
        dict.fromkeys(("a", "b", "labels"), np.zeros(11_000_000, np.int8))
    ), TABLE, "too-large"  # fmt: skip
    long = "x" * 200_000
    yield "of Parquet that repeats a long text a hundred thousand times", lambda: parquet_of(
        {"text": pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), [long]), "label": [0] * 100_000}
    ), text_facts(), ("bad-cell", *MEMORY)  # fmt: skip
    some = "x" * 100_000
    yield "of Parquet that repeats a text to ten gigabytes", lambda: parquet_of(
        {"text": pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), [some]), "label": [0] * 100_000}
    ), text_facts(), MEMORY  # fmt: skip
    nested: Any = pa.array([1.0])
    for _ in range(60):
        nested = pa.StructArray.from_arrays([nested], ["x"])
    yield "of Parquet nested sixty deep", lambda: parquet_of({"a": [1.0], "b": nested, "labels": [0]}), TABLE, (
        "column-type", "bad-parquet",
    )  # fmt: skip
    yield "of Parquet with binary cells that are a pickle", lambda: parquet_of(
        {"a": [1.0], "b": [pickle.dumps(Payload())], "labels": [0]}
    ), TABLE, "column-type"  # fmt: skip
    yield "of Parquet whose schema is a pickled Python type", _extension, TABLE, "column-type"
    yield "of Parquet with a schema of noise", _noisy_schema, TABLE, (*damaged, "column-type")


def _extension() -> bytes:
    kind = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Payload())}
    field = pa.field("b", pa.binary(), metadata=kind)
    schema = pa.schema([("a", pa.float64()), field, ("labels", pa.int64())])
    target = io.BytesIO()
    from workers.subject.data.arrow import parquet

    parquet.write_table(pa.table([[1.0], [b"x"], [0]], schema=schema), target)
    return target.getvalue()


def _noisy_schema() -> bytes:
    content = parquet_of({"a": [1.0], "b": [2.0], "labels": [0]})
    at = content.find(b"ARROW:schema") + 20
    return content[:at] + b"/" * 60 + content[at + 60 :]


def _names() -> Iterator[Case]:
    yield "whose column is markup", lambda: f'"{MARKUP}",b,labels\n1,2,0\n', TABLE, None
    yield "whose unread column is markup", lambda: f'a,b,labels,"{MARKUP}"\n1,2,0,3\n', table_facts(
        columns=[{"name": "a"}, {"name": "b"}, {"name": "labels", "role": "label"}]
    ), None  # fmt: skip
    yield "whose column breaks out of SVG", lambda: '"]]></text><script>",b,labels\n1,2,0\n', TABLE, None
    yield "whose column turns the reading direction", lambda: "a\u202egnp.exe,b,labels\n1,2,0\n", TABLE, "column-name"
    yield "whose column is a thousand letters", lambda: "a" * 1000 + ",b,labels\n1,2,0\n", TABLE, "column-name"
    yield "whose class is markup", lambda: f'a,b,labels\n1,2,"{MARKUP}"\n', TABLE, "labels-range"
    yield "whose member is markup", lambda: zipped({f"cat/{MARKUP.replace('/', '')}.png": b"x"}), image_facts(), (
        "not-an-image",
    )  # fmt: skip
    yield "of texts that are markup", lambda: f'text,label\n"{MARKUP}",cat\n', text_facts(), None
    yield "of texts with control characters", lambda: "text,label\n\x1b[2Jgone,cat\n", text_facts(), "bad-cell"
