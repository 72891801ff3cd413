"""What would an attack touch, and was any of it touched? Watched around every hostile file."""

import contextlib
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

MARKER = "lamina-hostile-marker"
"""What a payload creates to show that it ran. A bare name lies in the working folder, which is the child's scratch:
there the sandbox itself stops nothing, so the marker shows that foreign code ran even where it could do no harm."""
ROOT = Path(tempfile.gettempdir()) / f"lamina-hostile-{os.getpid()}"
OUTSIDE = ROOT / MARKER
"""The same marker for payloads that must name a whole path; any user may write there."""
SECRET = ROOT / "secret"
SECRET_TEXT = "the-broker-password-4f1c92"
"""What `SECRET` holds: nothing a child leaves or says may hold it. Any user may read the file."""
SECRET_VARIABLE, SECRET_VALUE = "LAMINA_HOSTILE_SECRET", "an-environment-secret-77ab30"
UNIX_SOCKET = ROOT / "socket"
PYTHON = f"open({MARKER!r}, 'w').close()"
"""A payload as one Python expression."""
SHELL = f"touch {MARKER}"
"""A payload as a shell command."""

_port: list[int] = []


def port() -> int:
    """The loopback TCP port at which a connection would be noticed; known while a case is built and run."""
    return _port[-1]


class Canary:
    """A secret, files with modes and times, two listening sockets and an environment; leaving it says what changed."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._before: dict[str, object] = {}

    def __enter__(self) -> Self:
        self._lay_out()
        self._listen()
        os.environ[SECRET_VARIABLE] = SECRET_VALUE
        self.arm()
        return self

    def arm(self) -> None:
        """Watch from here on, for instance once a case is built: exporting a network changes the environment."""
        self._before = self.seen()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            after = self.seen()
        finally:
            for each in self._sockets:
                each.close()
            _port.pop()
            os.environ.pop(SECRET_VARIABLE, None)
            shutil.rmtree(ROOT, ignore_errors=True)
        changed = {name: _difference(self._before[name], now) for name, now in after.items()}
        changed = {name: difference for name, difference in changed.items() if difference}
        assert not changed, f"an effect outside the child: {changed}"

    def seen(self) -> dict[str, object]:
        """Everything watched, as it is now."""
        watched = [*sorted(ROOT.rglob("*")), ROOT, Path(__file__), Path(os.__file__), Path("/etc/passwd")]
        return {
            "files": sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*")),
            "contents": {path.name: path.read_bytes() for path in ROOT.rglob("*") if path.is_file()},
            "status": {str(path): _status(path) for path in watched},
            "environment": dict(os.environ),
            "working folder": sorted(entry.name for entry in Path.cwd().iterdir() if MARKER in entry.name),
            "temporary folder": sorted(path.name for path in ROOT.parent.glob(f"{MARKER}*")),
            "connections": sum(_accepted(each) for each in self._sockets),
            "limits": os.getpriority(os.PRIO_PROCESS, 0),
        }

    def _lay_out(self) -> None:
        shutil.rmtree(ROOT, ignore_errors=True)
        ROOT.mkdir(mode=0o777)
        ROOT.chmod(0o777)
        for name, mode, text in (
            (SECRET.name, 0o644, SECRET_TEXT),
            ("plain", 0o666, "plain"),
            ("readonly", 0o444, "readonly"),
            ("program", 0o755, "#!/bin/sh\n"),
        ):
            (ROOT / name).write_text(text)
            (ROOT / name).chmod(mode)
            os.utime(ROOT / name, (1_000_000_000, 1_000_000_000))

    def _listen(self) -> None:
        tcp = socket.create_server(("127.0.0.1", 0))
        unix = socket.socket(socket.AF_UNIX)
        self._sockets = [tcp, unix]
        unix.bind(str(UNIX_SOCKET))
        UNIX_SOCKET.chmod(0o777)
        unix.listen()
        _port.append(tcp.getsockname()[1])
        for each in self._sockets:
            each.setblocking(False)


def _difference(before: object, after: object) -> object:
    """What to show of a change; only names of variables, for their values are nobody's business."""
    if before == after:
        return None
    if isinstance(before, dict) and isinstance(after, dict):
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return (before, after)


def _status(path: Path) -> tuple[int, ...]:
    found = path.lstat()
    # A socket's and a folder's times move with what we do ourselves; a folder's entries are listed instead.
    times = (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else ()
    return (found.st_mode, found.st_uid, found.st_gid, found.st_nlink if not path.is_dir() else 0, *times)


def _accepted(listening: socket.socket) -> int:
    with contextlib.suppress(BlockingIOError):
        connection, _ = listening.accept()
        connection.close()
        return 1
    return 0
