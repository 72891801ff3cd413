"""Where is each tensor of the folder's safetensors files, and is every number of it one?

A file stored in the archive as it is, is read where it lies; a deflated one is unpacked first, to a file that has no
name, since a child of the sandbox can remove none. Nothing is held whole: tensors pass through in chunks, as float32.
"""

import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

import torch

from workers.subject.archive import CHUNK, Archive
from workers.subject.huggingface.archive import Folder
from workers.subject.refusal import Refusal, quoted
from workers.subject.safetensors_header import HEADER_BYTES, Stored, laid_out

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
_ITEM = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}
_LOCAL_HEADER = 30
TENSORS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One tensor of a file: its bytes lie in the open file `file` (a descriptor) from `start` on."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: int
    start: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Its bytes as they are."""
        left, at = self.size, self.start
        while left:
            chunk = os.pread(self.file, min(CHUNK, left), at)
            if not chunk:
                raise Refusal(
                    "corrupt-archive", f"tensor {quoted(self.name)} is cut off", "Make the file again, send it again."
                )
            yield chunk
            left, at = left - len(chunk), at + len(chunk)

    def numbers(self) -> Iterator[bytes]:
        """Its numbers as float32, or int64 if it holds those; little-endian. Raises Refusal where one is not finite."""
        dtype, rest = _DTYPES[self.dtype], b""
        for chunk in self.chunks():
            whole = bytearray(rest + chunk)
            cut = len(whole) - len(whole) % _ITEM[self.dtype]
            rest = bytes(whole[cut:])
            if not cut:
                continue
            tensor = torch.frombuffer(whole, dtype=dtype, count=cut // _ITEM[self.dtype])
            if dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
                raise Refusal(
                    "weights-not-finite",
                    f"tensor {quoted(self.name)} holds NaN or infinite numbers",
                    "The model has diverged or is damaged: train it again, or send an earlier checkpoint.",
                )
            yield (
                tensor.numpy().tobytes() if dtype in (torch.float32, torch.int64) else tensor.float().numpy().tobytes()
            )

    def digest(self) -> bytes:
        """Equal tensors of equal dtype, equal digests."""
        digest = sha256(self.dtype.encode())
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.digest()


@contextmanager
def weights_of(archive: Archive, source: Path, folder: Folder, beside: Path) -> Iterator[dict[str, Weight]]:
    """Every tensor of every shard by its name in the file, while it is open; deflated shards are unpacked to `beside`.

    Raises Refusal where a header does not describe its file, a name occurs twice, or the index says otherwise.
    """
    with ExitStack() as opened:
        found: dict[str, Weight] = {}
        for shard in folder.shards:
            member = folder.path(shard)
            file, start = _plain(archive, source, member, beside, opened)
            for name, stored in _tensors(file, start, archive.sizes[member], shard).items():
                _placed(name, shard, found, folder)
                found[name] = Weight(
                    name=name,
                    dtype=stored.dtype,
                    shape=stored.shape,
                    file=file,
                    start=start + stored.start,
                    size=stored.bytes,
                )
        if folder.placed is not None and (missing := sorted(set(folder.placed) - set(found))):
            raise Refusal(
                "bad-index",
                f"the index places tensor {quoted(missing[0])}, which is in none of the files",
                "Save the model again with save_pretrained.",
            )
        if len(found) > TENSORS:
            raise Refusal(
                "too-large", f"the files hold {len(found):,} tensors; {TENSORS:,} are read", "Send a smaller model."
            )
        yield found


def _placed(name: str, shard: str, found: dict[str, Weight], folder: Folder) -> None:
    if name in found:
        raise Refusal(
            "duplicate-tensor",
            f"tensor {quoted(name)} is in two of the files",
            "Save the model again with save_pretrained.",
        )
    if folder.placed is not None and folder.placed.get(name) != shard:
        raise Refusal(
            "bad-index",
            f"tensor {quoted(name)} is in {quoted(shard)}; the index says {quoted(folder.placed.get(name))}",
            "Save the model again with save_pretrained.",
        )


def _plain(archive: Archive, source: Path, member: str, beside: Path, opened: ExitStack) -> tuple[int, int]:
    """Where the bytes of a member lie as they are: an open file and the place in it. Each is read whole once."""
    with zipfile.ZipFile(source) as file:
        info = file.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED:
        unpacked = opened.enter_context(_nameless(beside))
        for chunk in archive.chunks(member):
            unpacked.write(chunk)
        return unpacked.fileno(), 0
    for _ in archive.chunks(member):
        pass  # whole, and of the checksum that the archive says
    raw = opened.enter_context(source.open("rb", buffering=0))
    name, extra = struct.unpack("<HH", os.pread(raw.fileno(), _LOCAL_HEADER, info.header_offset)[26:])
    return raw.fileno(), info.header_offset + _LOCAL_HEADER + name + extra


def _nameless(folder: Path) -> IO[bytes]:
    """A file that is gone when it is closed; one with a name, which the scratch takes along, where there is no such."""
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b", buffering=0)
    except OSError:
        return tempfile.NamedTemporaryFile(dir=folder, delete=False, buffering=0)  # the caller closes it


def _tensors(file: int, start: int, size: int, shard: str) -> dict[str, Stored]:
    """The header of one safetensors file; places of tensors are counted from the start of that file."""
    length = int.from_bytes(os.pread(file, 8, start), "little")
    if size < 8 or not 2 <= length <= min(HEADER_BYTES, size - 8):
        raise Refusal(
            "bad-safetensors",
            f"{quoted(shard)} claims a header of {length:,} bytes; it has {size:,}, and {HEADER_BYTES:,} are read",
            "Save the model again with save_pretrained, and send the files whole.",
        )
    return laid_out(os.pread(file, length, start + 8), size)
