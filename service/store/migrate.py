"""Which revision is a database at, and how does it get to the newest? With Alembic and the scripts in the wheel."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

from service.store.database import open_engine
from service.store.statistics import plant


class MigrationBroken(RuntimeError):
    """A migration left rows that point nowhere; nothing of it was committed."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, all or nothing; a SQLite file is made if it is not there."""
    database = make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).parent.mkdir(parents=True, exist_ok=True)
    with _migrating(url) as settings:
        command.upgrade(settings, revision)


def downgrade(url: str, revision: str) -> None:
    """Take a database back to a revision; `base` removes everything."""
    with _migrating(url) as settings:
        command.downgrade(settings, revision)


def check(url: str) -> None:
    """Raise alembic's CommandError if the models and the database differ."""
    with _migrating(url) as settings:
        command.check(settings)


def current(url: str) -> str | None:
    """The revision a database is at; None before the first migration."""
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(writes=False) as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str:
    """The newest revision this version knows."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None, "the wheel ships at least one migration"
    return revision


def at_head(url: str) -> bool:
    """Whether a database has the tables this version works with."""
    return current(url) == head()


def config() -> Config:
    """Alembic's settings for the scripts of this installation."""
    specification = find_spec("migrations")
    assert specification is not None, "the wheel ships its migrations"
    assert specification.origin is not None, "migrations is a plain package"
    return Config(Path(specification.origin).with_name("alembic.ini"))


def migration_engine(url: str) -> Engine:
    """An engine on which a SQLite table may be replaced by its copy without its foreign keys taking offence."""
    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _ignore_foreign_keys)
    return engine


def new(reason: str) -> None:
    """Write a migration from what the models have and the newest revision has not, numbered one up; for developers."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/new.db"
        upgrade(url)
        with _migrating(url) as settings:
            command.revision(settings, reason, autogenerate=True, rev_id=f"{int(head()) + 1:04d}")


def _ignore_foreign_keys(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys=OFF")


@contextmanager
def _migrating(url: str) -> Iterator[Config]:
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            settings = config()
            settings.attributes["connection"] = connection
            yield settings
            _check_references(connection)
            if connection.dialect.name == "sqlite":
                plant(connection)
    finally:
        engine.dispose()


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise MigrationBroken(f"{len(broken)} rows point nowhere, the first in table {broken[0][0]}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "new":
        sys.exit('use: python -m service.store.migrate new "what changes"')
    new(sys.argv[2])
