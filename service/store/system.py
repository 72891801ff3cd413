"""Who may see all tenants? Work, the schedule and key look-up: they start here, and requests never do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.orm import Session, sessionmaker

from service.store.database import Database


class SystemSession(Session):
    """A session over every tenant's rows."""


@event.listens_for(SystemSession, "after_begin")
def _past_row_level_security(_session: Session, _transaction: Any, connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('app.system', 'on', true)"))


@contextmanager
def system_session(database: Database, *, writes: bool = True) -> Iterator[SystemSession]:
    """One transaction over every tenant's rows. import-linter keeps request code away from this module."""
    bind = database.engine if writes else database.reads
    with sessionmaker(bind, class_=SystemSession, expire_on_commit=False)() as session, session.begin():
        yield session
