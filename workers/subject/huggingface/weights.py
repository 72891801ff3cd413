"""Where is each tensor of the folder's safetensors files, and is every number of it one?

A file stored in the archive as it is, is read where it lies; a deflated one is written out beside the canonical form
first. Nothing is held whole: tensors pass through in chunks, as float32.
"""

import os
import shutil
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

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
    """One tensor of a file: its bytes lie in `path` from `start` on."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Its bytes as they are."""
        left, at = self.size, self.start
        with self.path.open("rb") as file:
            while left:
                chunk = os.pread(file.fileno(), min(CHUNK, left), at)
                if not chunk:
                    raise Refusal("corrupt-archive", f"tensor {quoted(self.name)} is cut off", "Send the file again.")
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


def weights_of(archive: Archive, source: Path, folder: Folder, room: Path) -> dict[str, Weight]:
    """Every tensor of every shard by its name in the file; `room` is a folder for shards that are deflated.

    Raises Refusal where a header does not describe its file, a name occurs twice, or the index says otherwise.
    """
    found: dict[str, Weight] = {}
    for at, shard in enumerate(folder.shards):
        path, start = _plain(archive, source, folder.path(shard), room / str(at))
        for name, stored in _tensors(path, start, archive.sizes[folder.path(shard)], shard).items():
            if name in found:
                raise Refusal(
                    "duplicate-tensor", f"tensor {quoted(name)} is in two of the files", "Save the model again."
                )
            if folder.placed is not None and folder.placed.get(name) != shard:
                raise Refusal(
                    "bad-index",
                    f"tensor {quoted(name)} is in {quoted(shard)}; the index says {quoted(folder.placed.get(name))}",
                    "Save the model again with save_pretrained.",
                )
            found[name] = Weight(
                name=name,
                dtype=stored.dtype,
                shape=stored.shape,
                path=path,
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
    return found


def _plain(archive: Archive, source: Path, member: str, room: Path) -> tuple[Path, int]:
    """Where the bytes of a member lie as they are: in the archive, or written out to `room`. Read once either way."""
    with zipfile.ZipFile(source) as file:
        info = file.getinfo(member)
    if info.compress_type == zipfile.ZIP_STORED:
        for _ in archive.chunks(member):
            pass  # whole, and of the checksum that the archive says
        with source.open("rb") as raw:
            raw.seek(info.header_offset)
            name, extra = struct.unpack("<HH", raw.read(_LOCAL_HEADER)[26:])
        return source, info.header_offset + _LOCAL_HEADER + name + extra
    if shutil.disk_usage(room.parent).free < archive.sizes[member]:
        raise Refusal("too-large", f"there is no room to unpack {quoted(member)}", "Send a zip that stores its files.")
    with room.open("wb") as unpacked:
        for chunk in archive.chunks(member):
            unpacked.write(chunk)
    return room, 0


def _tensors(path: Path, start: int, size: int, shard: str) -> dict[str, Stored]:
    """The header of one safetensors file; places of tensors are counted from the start of that file."""
    with path.open("rb") as file:
        length = int.from_bytes(os.pread(file.fileno(), 8, start), "little")
        if size < 8 or not 2 <= length <= min(HEADER_BYTES, size - 8):
            raise Refusal(
                "bad-safetensors",
                f"{quoted(shard)} claims a header of {length:,} bytes; it has {size:,}, and {HEADER_BYTES:,} are read",
                "Save the model again with save_pretrained, and send the files whole.",
            )
        text = os.pread(file.fileno(), length, start + 8)
    return laid_out(text, size)
