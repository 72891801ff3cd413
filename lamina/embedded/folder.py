"""Where may a server keep its socket, its data and its lock, so that nobody else reaches or shares them?"""

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

LONGEST_SOCKET_PATH = 100
"""Bytes. `sun_path` holds 108 on Linux and 104 on macOS, with the closing zero (unix(7))."""


class InUseError(Exception):
    """Another process holds this folder; the text names it."""


class NotPrivateError(Exception):
    """A folder that must be ours alone is not; the text says what is wrong with it."""


def private(path: Path, owner: int | None = None) -> Path:
    """Make `path` a folder only its owner may enter, and check that it is one. `owner` (a uid) needs root.

    Raises `NotPrivateError` when it is a link, belongs to another user or is open to others and not ours to close.
    """
    expected = os.geteuid() if owner is None else owner
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    else:
        os.chown(path, expected, -1)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivateError(f"{path} is not a folder (or is a link): move it away or choose another place")
    if found.st_uid != expected:
        raise NotPrivateError(f"{path} belongs to user {found.st_uid}, not {expected}: remove it or choose another")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def socket_folder(data: Path, name: str, owner: int | None = None) -> Path:
    """A private folder short enough for the socket `name`: `data` itself, else one in the temporary folder.

    The same `data` always gives the same folder, so that a server restarted keeps its address.
    """
    data = data.absolute()
    if _fits(data / name):
        return data
    short = f"lamina-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    places = [Path(tempfile.gettempdir()) / short, Path("/tmp") / short]  # noqa: S108 - checked to be ours just below
    for place in places:
        if _fits(place / name):
            return private(place, owner)
    raise NotPrivateError(f"no folder is short enough for the socket {name}: set TMPDIR to a short one")


def first_closed_parent(path: Path) -> Path | None:
    """The outermost parent folder of `path` that other users may not pass through, if any."""
    parents = reversed(path.absolute().parents)
    return next((parent for parent in parents if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH), None)


class Lock:
    """Held by one process at a time and let go by the kernel when that process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take it and write our pid into it; raises `InUseError` with the holder's pid. Twice is as good as once."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            message = f"{self.path.parent} is in use by process {holder}: stop it or choose another folder"
            raise InUseError(message) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let it go; the file stays, because removing it would let two processes hold two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
