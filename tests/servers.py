"""Which servers do the tests share? One Valkey and one PostgreSQL a session, started when first asked for."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lamina.embedded.postgres import EmbeddedPostgres
from lamina.embedded.valkey import EmbeddedValkey
from tests.emptying import emptied, schema_of

Prepare = Callable[[str], None]


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A folder whose name leaves room for a socket and which every user may pass through; removed at the end.

    pytest's own temporary folders are closed to the user that root runs PostgreSQL as.
    """
    folder = Path(tempfile.mkdtemp(prefix="lamina-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey of its own."""
    with short_directory() as folder, EmbeddedValkey(folder / "valkey") as server:
        yield server


@contextlib.contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own that does not wait for the disk."""
    with short_directory() as folder, EmbeddedPostgres(folder / "postgres", durable=False) as server:
        yield server


class Servers:
    """The servers of one test session; each starts when it is first asked for, and all stop at the end."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._valkey: EmbeddedValkey | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._templates: dict[Prepare, str] = {}
        self._made: dict[str, tuple[Prepare, str]] = {}
        self._emptied: dict[Prepare, list[str]] = {}
        self._numbers = itertools.count(1)
        self._owner = os.getpid()

    def valkey(self) -> EmbeddedValkey:
        """The session's Valkey; a test that leaves keys behind flushes it."""
        if self._valkey is None:
            self._valkey = self._stack.enter_context(valkey())
        return self._valkey

    def postgres(self) -> EmbeddedPostgres:
        """The session's PostgreSQL."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(postgres())
        return self._postgres

    def fresh_database(self, prepare: Prepare | None = None) -> str:
        """The URL of a database without a row, with the tables that `prepare(url)` makes; that is run once and copied.

        `prepare` must close its connections, because PostgreSQL copies no database that is in use.
        """
        server = self.postgres()
        if prepare is None:
            return server.create_database(f"test_{next(self._numbers)}")
        if self._emptied.get(prepare):
            return self._emptied[prepare].pop()
        made = server.create_database(f"test_{next(self._numbers)}", self._template(prepare))
        self._made[made] = prepare, schema_of(made)
        return made

    def drop(self, url: str) -> None:
        """Take back a database that `fresh_database` gave: it is emptied for the next, or removed."""
        prepare, schema = self._made.get(url, (None, ""))
        if prepare is not None and emptied(url, schema):
            self._emptied.setdefault(prepare, []).append(url)
        else:
            self._made.pop(url, None)
            self.postgres().drop_database(url.partition("?")[0].rpartition("/")[2])

    def close(self) -> None:
        """Stop what was started."""
        if self._owner == os.getpid():  # not in a forked copy of the test process
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _template(self, prepare: Prepare) -> str:
        if prepare not in self._templates:
            name = f"template_{next(self._numbers)}"
            prepare(self.postgres().create_database(name))
            self._templates[prepare] = name
        return self._templates[prepare]
