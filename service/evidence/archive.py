"""Which files are in a stranger's zip, and is nothing else? Read in memory, with caps before anything is unpacked.

A zip can say things twice: in the table at its end and before each file, in what stands before or behind it, in the
rights of a file. Readers differ on which they believe, so the bytes are held against the ones that we would write.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence

from service.evidence.bundle import EPOCH, MODE
from service.evidence.statement import TWIN

MOST_MEMBERS = 20_000
MOST_BYTES = 1 << 30
MOST_RATIO = 2000
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
END = struct.Struct("<4s4H2LH")
VERSION, UNIX = 20, 3
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, OSError),
    *(ValueError, LookupError, OverflowError),
)
"""What zipfile raises on broken bytes: names that are no UTF-8 and places before the beginning are ValueErrors."""


class NotABundle(ValueError):
    """These bytes are no report's zip, or too much of one to be read."""


def unpacked(content: bytes) -> dict[str, bytes]:
    """The members of a zip, in memory. Raises NotABundle for what is too large, too many, or no zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check(members, len(content))
            return {member.filename: archive.read(member) for member in members}
    except NotABundle:
        raise
    except UNREADABLE as error:
        raise NotABundle(f"this is no zip that can be read: {error}") from error


def is_as_packed(content: bytes) -> bool:
    """Whether a zip that can be read has the very bytes that we write for its files, and not one more."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    made, table, place = [], [], 0
    for member in members:
        name = member.filename.encode()
        about = _about(member)
        head = about.FileHeader(zip64=False)
        data = content[place + len(head) : place + len(head) + member.compress_size]
        if not _is_whole(data, member):
            return False
        made += [head, data]
        table += [_row(about, name, place), name]
        place += len(head) + len(data)
    rows = b"".join(table)
    end = END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(rows), place, 0)
    return b"".join([*made, rows, end]) == content


def _about(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """What we would write of a file of this name, size and sum."""
    about = zipfile.ZipInfo(member.filename, EPOCH)
    about.compress_type, about.external_attr = member.compress_type, MODE
    about.CRC, about.file_size, about.compress_size = member.CRC, member.file_size, member.compress_size
    return about


def _row(about: zipfile.ZipInfo, name: bytes, place: int) -> bytes:
    """A file's row in the table at the end."""
    flags = 0 if about.filename.isascii() else 0x800
    year, month, day, *_ = EPOCH
    date = (year - 1980) << 9 | month << 5 | day
    return CENTRAL.pack(
        *(b"PK\1\2", VERSION, UNIX, VERSION, 0, flags, about.compress_type, 0, date),
        *(about.CRC, about.compress_size, about.file_size, len(name), 0, 0, 0, 0, about.external_attr, place),
    )


def _is_whole(data: bytes, member: zipfile.ZipInfo) -> bool:
    """Whether a file's bytes end where its stream does: nothing is hidden behind that."""
    if member.compress_type == zipfile.ZIP_STORED:
        return len(data) == member.file_size
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = stream.decompress(data, member.file_size + 1)
    except zlib.error:
        return False
    return stream.eof and not stream.unused_data and len(found) == member.file_size


def _check(members: Sequence[zipfile.ZipInfo], packed: int) -> None:
    if len(members) > MOST_MEMBERS:
        raise NotABundle(f"{len(members)} members; a report has {MOST_MEMBERS} at most")
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES or total > MOST_RATIO * max(packed, 1):
        raise NotABundle(f"{total} bytes unpacked from {packed}: more than a report may hold")
    names = {member.filename for member in members}
    if len(names) != len(members):
        raise NotABundle("two members have one name")
    if TWIN not in names:
        raise NotABundle(f"there is no {TWIN} in it; is this the zip of a compliance report?")
    odd = [member.filename for member in members if member.compress_type not in METHODS]
    if odd:
        raise NotABundle(f"{odd[0][:200]!r} is packed in a way that reports never are")
