"""Where are the bytes? In a folder (or object store) per tenant, each file named for the SHA-256 of what is in it."""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

CHUNK = 1 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class TooLarge(ValueError):
    """More bytes came than may be stored; what had come was thrown away."""


class BlobMissing(LookupError):
    """No bytes are kept under this digest for this tenant."""


class BlobDamaged(RuntimeError):
    """The bytes kept under a digest are not the bytes that were stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are safely kept: their digest (`sha256:` and 64 hexadecimal digits) and their size in bytes."""

    digest: str
    size: int


class BlobStore:
    """Bytes by digest, per tenant. A file appears under its name only when it is complete and on disk."""

    def __init__(self, root: str) -> None:
        """`root` is a folder or any fsspec URL."""
        self._files, self._root = cast("tuple[Any, str]", url_to_fs(root))
        self._local = isinstance(self._files, LocalFileSystem)

    def put(self, tenant: UUID, chunks: Iterable[bytes], *, most: int) -> Stored:
        """Keep the bytes of `chunks`. Raises TooLarge as soon as there are more than `most`."""
        with self._incoming(tenant) as (file, path):
            digest, size = hashlib.sha256(), 0
            for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise TooLarge(f"more than {most} bytes; send a smaller file or raise LAMINA_BLOB_BYTES")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            stored = Stored("sha256:" + digest.hexdigest(), size)
            self._keep(tenant, stored.digest, path)
        return stored

    def put_file(self, tenant: UUID, path: Path) -> Stored:
        """Keep a copy of a regular file; a link, a pipe or a device is refused with OSError.

        Whoever wrote the file may be hostile, so it is opened without following a link and never waited for.
        """
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{path} is not a regular file")
            return self.put(tenant, iter(lambda: file.read(CHUNK), b""), most=status.st_size)

    def open(self, tenant: UUID, digest: str) -> BinaryIO:
        """The bytes, to be read; the reader closes them. Raises BlobMissing."""
        try:
            return cast("BinaryIO", self._files.open(self._path(tenant, digest), "rb"))
        except FileNotFoundError as error:
            raise BlobMissing(f"no bytes are kept under {digest}; upload them again") from error

    def fetch(self, tenant: UUID, digest: str, target: Path) -> None:
        """Copy the bytes to `target` and check them on the way; a damaged copy is removed. Raises BlobDamaged."""
        found = hashlib.sha256()
        with self.open(tenant, digest) as source, target.open("wb") as copy:
            while chunk := source.read(CHUNK):
                found.update(chunk)
                copy.write(chunk)
        if "sha256:" + found.hexdigest() != digest:
            target.unlink()
            raise BlobDamaged(f"the bytes kept under {digest} are not those; restore them from a copy or upload again")

    def delete(self, tenant: UUID, digest: str) -> None:
        """Remove the bytes, if they are there. Only after the tombstone that says so was committed."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(tenant, digest))

    def _path(self, tenant: UUID, digest: str) -> str:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise ValueError(f"{digest[:100]!r} is not a digest: it takes sha256: and 64 hexadecimal digits")
        return f"{self._root}/{tenant}/{match[1][:2]}/{match[1]}"

    @contextlib.contextmanager
    def _incoming(self, tenant: UUID) -> Iterator[tuple[BinaryIO, Path]]:
        # Beside its final place if that is a folder here, so that the rename is atomic.
        folder = Path(self._root, str(tenant), "incoming") if self._local else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, tenant: UUID, digest: str, path: Path) -> None:
        final = self._path(tenant, digest)
        if not self._local:
            self._files.put_file(str(path), final)
            return
        Path(final).parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
        folder = os.open(Path(final).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the name, too, must outlive a power cut
        finally:
            os.close(folder)
