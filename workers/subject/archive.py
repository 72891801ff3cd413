"""What is inside a customer's zip, read as data and within caps; and how is a deterministic one written?

Nothing is unpacked to disk. The directory is bounded before Python's zipfile reads it, and every member is bounded
before its bytes are: count, names, sizes, compression ratio, encryption (see docs/exporting.md for the caps).
"""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from workers.subject.refusal import Refusal, quoted

CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error)
_MEMBER_NAME = re.compile(r"[^\x00-\x1f\x7f\\:]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What an archive may hold. bytes: all members together, uncompressed; ratio: uncompressed to compressed."""

    members: int
    bytes: int
    ratio: int
    methods: frozenset[int]


PT2_CAPS = Caps(members=20_000, bytes=8 << 30, ratio=1, methods=frozenset({zipfile.ZIP_STORED}))


class Archive:
    """An open zip whose directory has been found sound. Members are read whole, in chunks, CRC checked."""

    def __init__(self, file: zipfile.ZipFile, path: Path) -> None:
        self._file, self._path = file, path
        self.sizes: dict[str, int] = {info.filename: info.file_size for info in file.infolist()}

    def copy(self, name: str, writer: "Writer", target: str) -> None:
        """One stored member into another archive. Its checksum is taken once, by the writer, and compared here."""
        info = self._file.getinfo(name)
        if writer.add(target, info.file_size, self._stored(info)) != info.CRC:
            raise _damaged_member(name, "its bytes do not have the checksum that the archive's directory says")

    def _stored(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The bytes of a member that is not compressed; fewer than the directory says are refused."""
        left = info.file_size
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(30)
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise _damaged_member(info.filename, "it does not lie where the archive's directory says")
            file.seek(sum(struct.unpack("<HH", header[26:30])), 1)
            while left and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
        if left:
            raise _damaged_member(info.filename, "it is not as long as the archive's directory says")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of one member; refused as soon as they are more, fewer or other than the directory says."""
        left = self.sizes[name]
        try:
            with self._file.open(name) as member:
                while chunk := member.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        break
                    yield chunk
        except (*_DAMAGE, EOFError, zlib.error) as error:
            raise _damaged_member(name, f"it cannot be read: {error}") from error
        if left:
            raise _damaged_member(name, "it is not as long as the archive's directory says")

    def read(self, name: str, limit: int) -> bytes:
        """One member, at most `limit` bytes of it; a longer one is refused."""
        if self.sizes[name] > limit:
            raise Refusal(
                "too-large",
                f"member {quoted(name)} has {self.sizes[name]:,} bytes; at most {limit:,} are read",
                "Send a smaller file.",
            )
        return b"".join(self.chunks(name))


@contextmanager
def opened(path: Path, caps: Caps, what: str) -> Iterator[Archive]:
    """The archive at `path`, its directory within `caps`; `what` names the format for the error's reader."""
    bounded_directory(path, caps, what)
    try:
        file = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise _corrupt(what, str(error)) from error
    with file:
        infos = file.infolist()
        if infos and min(info.header_offset for info in infos) != 0:
            raise _corrupt(what, "it begins with something else")
        if len(infos) > caps.members:
            raise _too_many(f"{len(infos):,} members", f"{caps.members:,}")
        _sound_names([info.filename for info in infos])
        for info in infos:
            _sound_member(info, caps)
        total, stored = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
        if total > caps.bytes:
            raise Refusal(
                "too-large",
                f"the archive declares {total:,} bytes uncompressed; at most {caps.bytes:,} are read",
                "Send a smaller file, or part of it.",
            )
        if stored > path.stat().st_size:
            raise _corrupt(what, "its members overlap or lie beyond its end")
        yield Archive(file, path)


def _damaged_member(name: str, detail: str) -> Refusal:
    return Refusal("corrupt-archive", f"member {quoted(name)}: {detail}", "Make the file again, send it again.")


def _corrupt(what: str, detail: str) -> Refusal:
    return Refusal(
        "corrupt-archive",
        f"the file is not a whole zip archive, as {what} must be: {detail}",
        "It may be truncated: compare its size and digest with the original and send it again.",
    )


def bounded_directory(path: Path, caps: Caps, what: str) -> None:
    """Refuses a directory larger than the member cap allows, before zipfile reads all of it into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 22 - 0xFFFF))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        # the record must be the last thing there: a cut-off archive may end in a whole archive that it contained
        if at < 0 or len(tail) - at < 22 or at + 22 + struct.unpack("<H", tail[at + 20 : at + 22])[0] != len(tail):
            raise _corrupt(what, "the directory at its end is missing")
        directory: int = struct.unpack("<I", tail[at + 12 : at + 16])[0]
        if directory == 0xFFFFFFFF:
            directory = _zip64_directory(tail, at, file, what)
    allowed = caps.members * 640
    if directory > allowed:
        raise _too_many(f"a directory of {directory:,} bytes", f"{allowed:,} ({caps.members:,} members)")


def _too_many(found: str, most: str) -> Refusal:
    detail = f"the archive has {found}; at most {most} are read"
    return Refusal("too-many-members", detail, "Send an archive with fewer members.")


def _zip64_directory(tail: bytes, at: int, file: IO[bytes], what: str) -> int:
    locator = tail[max(0, at - 20) : at]
    if locator[:4] != b"PK\x06\x07":
        raise _corrupt(what, "the size of its directory is missing")
    file.seek(min(struct.unpack("<Q", locator[8:16])[0], 1 << 62))
    record = file.read(56)
    if len(record) < 56 or record[:4] != b"PK\x06\x06":
        raise _corrupt(what, "the size of its directory is missing")
    return int(struct.unpack("<Q", record[40:48])[0])


def _sound_names(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        parts = name.split("/")
        if not _MEMBER_NAME.fullmatch(name) or name.startswith("/") or ".." in parts or "." in parts:
            raise Refusal(
                "unsafe-member", f"member name {quoted(name)} is not a plain relative path", "Make the file again."
            )
        if name in seen:
            raise Refusal("duplicate-member", f"member {quoted(name)} occurs twice", "Make the file again.")
        seen.add(name)


def _sound_member(info: zipfile.ZipInfo, caps: Caps) -> None:
    name = quoted(info.filename)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Refusal("unsafe-member", f"member {name} is a link", "Send the files themselves.")
    if info.flag_bits & _ENCRYPTED:
        raise Refusal("encrypted-member", f"member {name} is encrypted", "Send the file without a password.")
    if info.compress_type not in caps.methods:
        allowed = " or ".join(sorted({0: "stored", 8: "deflated"}.get(method, "?") for method in caps.methods))
        raise Refusal(
            "unexpected-compression",
            f"member {name} is compressed by method {info.compress_type}; only {allowed} members are read",
            "Send the file as it was written, without packing it again.",
        )
    if info.file_size > max(info.compress_size, 1) * caps.ratio and info.file_size > CHUNK:
        raise Refusal(
            "archive-bomb",
            f"member {name} would grow from {info.compress_size:,} to {info.file_size:,} bytes;"
            f" at most {caps.ratio} times its size is read",
            "Send it uncompressed, as torch.export.save and numpy.savez write it.",
        )


class Writer:
    """A zip whose bytes depend on nothing but the members: stored, in the order given, dated 1980."""

    def __init__(self, path: Path, root: str) -> None:
        self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, size: int, chunks: Iterator[bytes], sink: Callable[[bytes], None] | None = None) -> int:
        """Writes one member of `size` bytes chunk by chunk and gives its CRC; `sink` sees each chunk on the way."""
        info = zipfile.ZipInfo(f"{self._root}/{name}", _EPOCH)
        info.create_system, info.external_attr, info.file_size = 3, 0o600 << 16, size
        with self._file.open(info, "w") as member:
            for chunk in chunks:
                if sink is not None:
                    sink(chunk)
                member.write(chunk)
        return info.CRC

    def add_bytes(self, name: str, content: bytes) -> None:
        """Writes one small member."""
        self.add(name, len(content), iter((content,)))
