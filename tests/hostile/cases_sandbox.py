"""Files that attack whoever reads them rather than what reads them: by size, by depth, by time."""

import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.harness import Hostile
from tests.workers.facts import dataset_facts, model_facts

SHAPE = (4,)


def cases() -> Iterator[Hostile]:
    """Hostile to any format's reader."""
    program = {
        "a program of sixty million characters in one name": b'{"a": "' + b"x" * 60_000_000 + b'"}',
        "a program nested a million deep": b"[" * 1_000_000 + b"]" * 1_000_000,
        "a program of two million empty lists": b"[" + b"[]," * 2_000_000 + b"[]]",
        "a program with a number of a million digits": b'{"schema_version": ' + b"9" * 1_000_000 + b"}",
    }
    for name, content in program.items():
        yield Hostile(name=name, build=_archive(content), facts=model_facts(SHAPE), code=("bad-json", "schema-version"))
    yield Hostile(
        name="an array file that claims four terabytes", build=_claiming((1 << 38, 4)), what="dataset",
        facts=dataset_facts(SHAPE, labels_array=None), code=("header-size", "array-size"),
    )  # fmt: skip


def _archive(program: bytes) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
            file.writestr("m/archive_format", "pt2")
            file.writestr("m/archive_version", "0")
            file.writestr("m/byteorder", "little")
            file.writestr("m/models/model.json", program)

    return build


def _claiming(shape: tuple[int, ...]) -> Callable[[Path], None]:
    """A `.npz` whose `inputs` has a header for `shape` and sixteen bytes of content."""

    def build(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
            file.writestr("inputs.npy", npy({"descr": "<f4", "fortran_order": False, "shape": shape}) + bytes(16))

    return build


def npy(header: dict[str, Any]) -> bytes:
    """The beginning of a `.npy` file, version 1.0 (numpy.lib.format)."""
    text = repr(header).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
