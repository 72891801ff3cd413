"""Who may see all tenants? Work, the schedule and key look-up: they start here, and requests never do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, event
from sqlalchemy.orm import Session

from service.store.database import Database, begin_seeing


class SystemSession(Session):
    """A session over every tenant's rows."""


@event.listens_for(SystemSession, "after_begin")
def _past_row_level_security(_session: Session, _transaction: Any, connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        begin_seeing(connection, None)


@contextmanager
def system_session(database: Database, *, writes: bool = True) -> Iterator[SystemSession]:
    """One transaction over every tenant's rows. import-linter keeps request code away from this module."""
    bind = database.engine if writes else database.reads
    # Not by a sessionmaker, which makes a class; that takes as long as what is asked.
    with SystemSession(bind, expire_on_commit=False) as session, session.begin():
        yield session


def look_up(database: Database, statement: Select[Any], values: Mapping[str, Any]) -> Row[Any] | None:
    """The row of columns that a statement finds among every tenant's, or None; without the cost of a session."""
    with database.reads.begin() as connection:
        if database.is_postgres:
            begin_seeing(connection, None)
        return connection.execute(statement, values).one_or_none()
