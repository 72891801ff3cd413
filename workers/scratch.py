"""Where does a child work? In a folder made for it, filled with checked copies, and removed whatever it left in it.

A worker that is killed cannot remove anything: each folder is locked by its worker, and who finds one unlocked
removes it.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from uuid import UUID

from service.store.base import new_id
from service.store.blobs import BlobStore
from workers.staging import Staged

PREFIX = "child-"
"""Nothing else in the root is ours to sweep."""


class Scratch:
    """One child's folder, made before it and removed after it; what the child may change is reached by descriptor."""

    def __init__(self, root: Path) -> None:
        self.path = path = root / f"{PREFIX}{new_id()}"
        self._lock = _made(path)
        for folder in ("inputs", "results", "cancel"):
            (path / folder).mkdir()
        # Held from before the child exists: a child that puts a link in its place sends nobody anywhere.
        self._cancel = os.open(path / "cancel", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def lay_out(self, staged: Staged, tenant: UUID, blobs: BlobStore) -> None:
        """Write the job and fetch its files, each checked against its digest."""
        for name, digest in staged.files.items():
            blobs.fetch(tenant, digest, self.path / "inputs" / name)
        (self.path / "job.json").write_text(staged.job.model_dump_json())

    def drop(self, member: str) -> None:
        """Tell the child to leave one member out: a file of its name in `cancel`, looked for at each chunk end."""
        with contextlib.suppress(OSError):
            # Not to wait for the reader of a pipe that a weakly confined child may have put there.
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(member, flags, 0o644, dir_fd=self._cancel))

    def clear(self) -> None:
        """Remove the folder and all in it; once the child has ended."""
        os.close(self._cancel)
        remove(self.path)
        os.close(self._lock)


def sweep(root: Path) -> int:
    """Remove the folders of workers that died; how many there were. The folders of the living are locked."""
    swept = 0
    for path in sorted(root.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
                swept += 1
            finally:
                os.close(lock)
    return swept


def _made(path: Path) -> int:
    """A new folder, locked. A sweep may find it before the lock does: then it is made again."""
    while True:
        path.mkdir(parents=True)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a file system without locks: no sweep can lock there either
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)


def remove(path: Path) -> None:
    """Remove a folder whatever lies in it: a thousand folders in each other, or folders nobody may look into.

    Folders within are first moved up beside it, so that neither the stack nor the descriptors grow with the depth.
    What cannot be removed stays.
    """
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
            for entry in folder.iterdir():
                with contextlib.suppress(OSError):
                    if stat.S_ISDIR(entry.lstat().st_mode):
                        entry.chmod(0o700)  # a folder is moved by who may write in it
                        waiting.append(entry.rename(path.with_name(f"{path.name}-{new_id()}")))
                    else:
                        entry.unlink()
            folder.rmdir()
