"""How does the whole service run on one machine, as children of one process? Broker, database, API, scheduler, workers.

Every child ends with the supervisor, even when that is killed, because the kernel ends it. Starting is quick because
the broker starts while the database is migrated (only if it has to be), and nothing here imports torch, Flask or
SQLAlchemy.
"""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from lamina.embedded.devices import Device, WorkerPlacement, devices, place
from lamina.embedded.folder import Lock, private
from lamina.embedded.postgres import EmbeddedPostgres
from lamina.embedded.process import Process, StartError, last_lines, launcher, stop_all
from lamina.embedded.schema import is_current
from lamina.embedded.supervise import Backoff, Kept
from lamina.embedded.valkey import EmbeddedValkey
from lamina.embedded.variables import VARIABLES, others, told

SQLITE = "sqlite"
EMBEDDED_POSTGRES = "embedded-pg"
_MIGRATE_SECONDS = 300.0
_READY_SECONDS = 60.0
_API_STOP_SECONDS = 5.0
_WORKER_STOP_SECONDS = 10.0
_SCHEDULER_STOP_SECONDS = 5.0
_WATCH_SECONDS = 0.05
_PROBE_SECONDS = 2.0
_PRIVATE_UMASK = 0o077

Command = Callable[[str], Sequence[str]]


def command(role: str) -> list[str]:
    """The command line of one role: migrate, api, scheduler or worker."""
    return [sys.executable, "-m", "lamina", role]


class Stack:
    """The running service of one home folder. `with Stack(home) as stack:` is ready inside and stopped after."""

    def __init__(
        self,
        home: Path,
        *,
        database: str = SQLITE,
        broker: str | None = None,
        workers: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        gpus: Sequence[Device] | None = None,
        commands: Command = command,
        backoff: Backoff | None = None,
    ) -> None:
        """`database` is "sqlite", "embedded-pg" or an SQLAlchemy URL; `broker` a Celery URL (None: one of our own);
        `workers` are those without a GPU, beside one for each of `gpus` (None: those of this machine); port 0 takes a
        free one; `environment` adds settings for every child; `commands` gives the command line of a role.
        """
        self.home = home.absolute()
        self.host = host
        self.port = port
        self.failure: Exception | None = None
        self._database = database
        self._broker_url = broker
        self._placements = place(devices() if gpus is None else gpus, workers)
        self._environment = dict(environment or {})
        self._commands = commands
        self._backoff = backoff or Backoff()
        self._lock = Lock(self.home / "up.lock")
        self._broker = EmbeddedValkey(self.home / "broker", log=self._log("broker"))
        self._postgres = EmbeddedPostgres(self.home / "postgres", log=self._log("postgres"))
        self._cursor_key = self.home / "secrets" / "cursor_key"
        self._kept: dict[str, Kept] = {}
        self._tell: Callable[[str], None] = lambda _: None
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the API listens; known once started."""
        return f"http://{self.host}:{self.port}"

    def settings(self) -> dict[str, str]:
        """The LAMINA_* variables every child runs with; for a command run beside them, such as making a key.

        What this object was made with decides; then this process's own variables; then the places in the home folder.
        """
        decided = {
            "database_url": self._database_url(),
            "broker_url": self._broker_url or self._broker.celery_url,
            "host": self.host,
            "port": str(self.port),
        }
        places = {name: str(self.home / name) for name in ("blobs", "scratch")}
        places["cursor_key"] = str(self._cursor_key)
        return told(decided, places, os.environ) | self._environment

    def pids(self) -> dict[str, int]:
        """The process of every child, by name; one that waits to be started again is left out."""
        running = ((name, kept.process) for name, kept in self._kept.items())
        return {name: process.pid for name, process in running if process is not None and process.alive()}

    def restarts(self) -> dict[str, int]:
        """How often every child was started again, by name."""
        return {name: kept.restarts for name, kept in self._kept.items()}

    def start(self) -> None:
        """Start everything in order and return without waiting for the API (see `ready`).

        Raises `InUseError` when another supervisor runs on this home, `StartError` with the last log lines of what
        failed. Whatever was started is stopped again.
        """
        try:
            self._prepare()
            self._start_servers()
            for name, start in self._programs().items():
                self._keep(name, start)
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name="lamina-supervisor", daemon=True)
        self._watcher.start()

    def ready(self, deadline: float = _READY_SECONDS) -> None:
        """Wait until the API is ready. Raises `StartError` after `deadline` seconds, or what ended the stack."""
        self._await_ready(deadline, threading.Event())

    def stop(self) -> None:
        """Stop in order: no more requests, then the work, the scheduler, the broker and the database.

        Workers get SIGQUIT, on which they put back what they run, and 10 s; whoever is late is killed.
        """
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join()
        self._stop_children(["api"], _API_STOP_SECONDS, signal.SIGTERM)
        workers = [placement.name for placement in self._placements]
        self._stop_children(workers, _WORKER_STOP_SECONDS, signal.SIGQUIT)
        self._stop_children(["scheduler"], _SCHEDULER_STOP_SECONDS, signal.SIGTERM)
        if self._lock.held:
            self._broker.stop()
            self._postgres.stop()
        self._lock.release()

    def run_forever(
        self, on_ready: Callable[["Stack"], None] | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        """Start, tell where everything is, and stop in order on SIGINT, SIGTERM or SIGHUP. The main thread only.

        `on_ready` is called once the API answers (the first key is made there). Raises `GivenUpError` when a child
        cannot be kept alive, and what `start` and `ready` raise.
        """
        self._tell = say or _say
        asked = threading.Event()
        with _on_signals(asked):
            self._tell(f"Lamina starts in {self.home}")
            self.start()
            try:
                self._run(asked, on_ready)
            finally:
                self._tell("stopping")
                self.stop()
        if self.failure is not None:
            raise self.failure

    def __enter__(self) -> Self:
        self.start()
        try:
            self.ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, asked: threading.Event, on_ready: Callable[["Stack"], None] | None) -> None:
        if not self._await_ready(_READY_SECONDS, asked):
            return
        self._tell(f"API   {self.url}/v1")
        self._tell(f"docs  {self.url}/docs")
        self._tell(f"logs  {self.home / 'logs'}")
        if on_ready is not None:
            on_ready(self)
        while not asked.wait(_WATCH_SECONDS) and self.failure is None:
            pass

    def _await_ready(self, deadline: float, asked: threading.Event) -> bool:
        """Whether the API answered before we were asked to stop."""
        until = time.monotonic() + deadline
        while not self._answers():
            if self.failure is not None:
                raise self.failure
            if time.monotonic() > until:
                lines = last_lines(self._log("api"))
                raise StartError(f"the API was not ready in {deadline:g} s; the end of {self._log('api')}:\n{lines}")
            if asked.wait(_WATCH_SECONDS):
                return False
        return True

    def _prepare(self) -> None:
        # Root's workers give every sandboxed child a user of its own, and its database another: they pass through.
        self.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        self._lock.acquire()
        for name in ("logs", "secrets", "blobs"):
            private(self.home / name)
        if not self._cursor_key.exists():
            self._cursor_key.touch(mode=0o600)
            self._cursor_key.write_text(secrets.token_hex(32))
        if self.port == 0:
            self.port = _free_port(self.host)

    def _start_servers(self) -> None:
        if self._database == EMBEDDED_POSTGRES:
            self._keep("postgres", lambda: _started(self._postgres))
        migration = None if self._is_current() else self._program("migrate", umask=_PRIVATE_UMASK)
        try:
            if self._broker_url is None:
                self._keep("broker", lambda: _started(self._broker))
            status = 0 if migration is None else migration.wait(_MIGRATE_SECONDS)
        finally:
            if migration is not None:
                migration.kill()
        if status != 0:
            reason = f"did not end in {_MIGRATE_SECONDS:g} s" if status is None else f"ended with status {status}"
            log = self._log("migrate")
            raise StartError(f"`migrate` {reason}; the end of {log}:\n{last_lines(log)}")

    def _is_current(self) -> bool:
        return self._database == SQLITE and is_current(self.home / "lamina.db")

    def _programs(self) -> dict[str, Callable[[], Process]]:
        def start_worker(placement: WorkerPlacement) -> Callable[[], Process]:
            serves = {
                VARIABLES["queues"]: ",".join(placement.queues),
                VARIABLES["device"]: "cuda:0" if placement.env["CUDA_VISIBLE_DEVICES"] else "cpu",
            }
            return lambda: self._program("worker", placement.name, added={**placement.env, **serves})

        return {
            "api": lambda: self._program("api", umask=_PRIVATE_UMASK),
            "scheduler": lambda: self._program("scheduler", umask=_PRIVATE_UMASK),
            **{placement.name: start_worker(placement) for placement in self._placements},
        }

    def _program(
        self, role: str, name: str | None = None, *, added: Mapping[str, str] | None = None, umask: int | None = None
    ) -> Process:
        environment = {**others(os.environ), **self.settings(), **(added or {})}
        return launcher().start(self._commands(role), env=environment, log=self._log(name or role), umask=umask)

    def _keep(self, name: str, start: Callable[[], Process]) -> None:
        self._kept[name] = Kept(name, start, self._backoff, self._tell)
        self._kept[name].launch()

    def _watch(self) -> None:
        while not self._ending.wait(_WATCH_SECONDS):
            try:
                for kept in self._kept.values():
                    kept.tick()
            except Exception as error:  # noqa: BLE001 - kept for `ready` and `run_forever`, which raise it
                self.failure = error
                return

    def _stop_children(self, names: Sequence[str], deadline: float, by: int) -> None:
        found = (self._kept[name].process for name in names if name in self._kept)
        stop_all([process for process in found if process is not None], deadline, by)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _database_url(self) -> str:
        if self._database == SQLITE:
            return f"sqlite:///{self.home / 'lamina.db'}"
        return self._postgres.url() if self._database == EMBEDDED_POSTGRES else self._database

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"


def _started(server: EmbeddedValkey | EmbeddedPostgres) -> Process:
    server.start()
    if server.process is None:
        raise StartError(f"{type(server).__name__} ended while it was starting; see {server.log}")
    return server.process


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _on_signals(asked: threading.Event) -> Iterator[None]:
    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # A shell ignores it for what it starts with `&`, and so would a worker that is told to end as it begins.
    before[signal.SIGQUIT] = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
