"""How does a folder go to a child and come back, when the child may have left anything in it?

Staged files must be copies: a hard link would hand the original to the child, a symbolic link its target.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

RESULTS, OUTPUT, JOB = "results", "output.txt", "job.json"
BLOCK_BYTES = 512
"""The unit of st_blocks (stat(2))."""


class UnsafeScratch(ValueError):
    """The folder holds something that must not be handed to a child, or a result is no plain file."""


def hand_over(scratch: Path, uid: int | None) -> int:
    """Make `scratch` the child's alone (mode 0700; its files chowned where `uid` is given). Returns its descriptor.

    Raises UnsafeScratch for a link, a device or a file with a second name; OSError where it cannot be opened.
    """
    folder = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name, parent, status in _walk(folder):
            kind = stat.S_IFMT(status.st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeScratch(f"{scratch}: {name!r} is neither file nor folder; stage copies")
            if kind == stat.S_IFREG and status.st_nlink != 1:
                raise UnsafeScratch(f"{scratch}: {name!r} has {status.st_nlink} names; stage a copy, not a hard link")
            if uid is not None:
                os.chown(name, uid, uid, dir_fd=parent, follow_symlinks=False)
        _make_results(folder, uid)
        os.fchmod(folder, 0o700)
        if uid is not None:
            os.fchown(folder, uid, uid)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _make_results(folder: int, uid: int | None) -> None:
    try:
        os.mkdir(RESULTS, 0o700, dir_fd=folder)
    except FileExistsError:
        return
    if uid is not None:
        os.chown(RESULTS, uid, uid, dir_fd=folder, follow_symlinks=False)


def _walk(folder: int) -> Iterator[tuple[str, int, os.stat_result]]:
    """(name, descriptor of the folder it lies in, status) of everything beneath; follows no link."""
    for name in sorted(os.listdir(folder)):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        yield name, folder, status
        if stat.S_ISDIR(status.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                yield from _walk(below)
            finally:
                os.close(below)


def used(folder: int, most_files: int) -> tuple[int, int]:
    """(files and folders, bytes) beneath; stops counting past `most_files`, so it costs no more than that.

    A sparse file counts as what its reader would get, since who keeps a result writes every byte of it.
    A folder that cannot be looked into counts as more than is allowed: nothing that is ours makes one.
    """
    files, size, waiting = 0, 0, [""]
    while waiting and files <= most_files:
        below = waiting.pop()
        try:
            opened = os.open(below or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            continue  # removed while we looked
        except OSError:
            return most_files + 1, size
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, opened)
            for entry in closing.enter_context(os.scandir(opened)):
                files += 1
                if files > most_files:
                    break
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    size += max(status.st_size, status.st_blocks * BLOCK_BYTES)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(f"{below}/{entry.name}" if below else entry.name)
    return files, size


def take_back(folder: int) -> None:
    """Give the folder itself back to this user; who cannot enter it needs no rights on what lies within.

    In constant time on purpose: a child may leave a million files, or folders a thousand deep.
    """
    os.fchown(folder, os.geteuid(), os.getegid())
    os.fchmod(folder, 0o700)


def open_result(scratch: Path, name: str) -> BinaryIO:
    """Open `results/<name>` for reading.

    Follows no symbolic link in any part, opens no pipe or device, takes no file with a second name: raises
    UnsafeScratch for those, FileNotFoundError where the child wrote none.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise UnsafeScratch(f"{name!r} is no name within results")
    folder = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in (RESULTS, *parts[:-1]):
            below = _open(part, os.O_RDONLY | os.O_DIRECTORY, folder)
            os.close(folder)
            folder = below
        file = _open(parts[-1], os.O_RDONLY | os.O_NONBLOCK, folder)
    finally:
        os.close(folder)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        raise UnsafeScratch(f"results/{name} is no plain file of one name")
    return os.fdopen(file, "rb")


def read_result(scratch: Path, name: str, *, limit: int) -> bytes:
    """Read `results/<name>` as `open_result` opens it; at most `limit` bytes, else UnsafeScratch."""
    with open_result(scratch, name) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnsafeScratch(f"results/{name} is larger than {limit} bytes")
    return content


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise UnsafeScratch(f"{name!r} in the results is a link or no plain file") from error
        raise
