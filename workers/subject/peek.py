"""What does the start of a file betray, without opening it as what it claims to be? Bounded looks, in plain Python."""

import bz2
import json
import lzma
import re
import zlib
from codecs import BOM_UTF8
from pathlib import Path

START = 8192
_INSIDE = 512
_LZMA_MEMORY = 64 << 20
_FIELDS = 4096
_NAME = rb"[A-Za-z_][\w.]{0,200}\r?\n"
_SCALAR = rb"(?:I-?\d{1,20}|F[\d.e+\-]{1,30}|S'[^'\n]{0,256}'|L-?\d{1,100}L?)\r?\n"
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]"  # a protocol; what follows has none, and is of protocol 0 or 1
    rb"|[ci(]{1,2}"
    + _NAME
    + _NAME  # a class or function, to import
    + rb"|[\]})](?:q.|r.{4}|\(|\.)"  # an empty container: kept, filled, or all there is
    rb"|\([dl](?:p\d+\r?\n|q.|\.)"
    rb"|\(?" + _SCALAR + rb"(?:[0.]|p\d+\r?\n|" + _SCALAR + rb"|c" + _NAME + rb")"  # scalars, then anything
    rb"|\([KMJUX].{0,64}[\x00-\x08\x80-\xff]",
    re.DOTALL,
)


def start_of(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(START)


def last_of(path: Path) -> bytes:
    """Its last byte."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1))
        return file.read(1)


def is_pickle(start: bytes, last: bytes | None) -> bool:
    """Whether it begins as a pickle of any protocol and, where the last byte is known, ends as one."""
    found = _PICKLE.match(start)
    return found is not None and (start[:1] == b"\x80" or last in (b".", None))


def unpacked(start: bytes) -> bytes | None:
    """The first bytes inside gzip, zlib, bzip2, xz or lzma; None where it is none of these."""
    try:
        if start[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(start, _INSIDE)
        if start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0:
            return zlib.decompressobj().decompress(start, _INSIDE)
        if start[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(start, _INSIDE)
        if start[:6] == b"\xfd7zXZ\x00" or start[:3] == b"\x5d\x00\x00":
            return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(start, _INSIDE)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return b"" if start[:1] != b"\x78" and start[:1] != b"\x5d" else None
    return None


def protobuf_fields(path: Path) -> dict[int, int]:
    """Numbers and wire types of the outermost fields of a protobuf, up to where it stops being one.

    A field that reaches beyond the end of the file is the last; fields are skipped, not read.
    """
    found: dict[int, int] = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_FIELDS):
            head = file.read(20)
            tag, used = _varint(head)
            number, wire = tag >> 3, tag & 7
            if not used or not 1 <= number < 1 << 29 or wire not in (0, 1, 2, 5):
                return found
            found[number] = wire
            value, more = _varint(head[used:]) if wire in (0, 2) else (0, 0)
            step = {0: more, 1: 8, 2: more + value, 5: 4}[wire]
            at = file.tell() - len(head) + used + step
            if step == 0 or at >= size:
                return found
            file.seek(at)
    return found


def _varint(content: bytes) -> tuple[int, int]:
    """Value and length; a length of 0 where there is none."""
    value = 0
    for at, byte in enumerate(content[:10]):
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return value, at + 1
    return 0, 0


def is_safetensors(path: Path, start: bytes) -> bool:
    """Whether it begins with the length of a JSON header that fits, and the header."""
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or not 2 <= length <= min(path.stat().st_size - 8, 100 << 20):
        return False
    try:
        return length > START - 8 or isinstance(json.loads(start[8 : 8 + length]), dict)
    except (ValueError, RecursionError):
        return False


def text_of(start: bytes) -> str | None:
    """The start as text; None where it holds what no text holds."""
    try:
        text = start.removeprefix(BOM_UTF8).decode(errors="strict" if len(start) < START else "ignore")
    except UnicodeDecodeError:
        return None
    return None if any(ord(mark) < 32 and mark not in "\t\n\r\f" for mark in text) else text
