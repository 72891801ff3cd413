"""Who may see all tenants? Work, the schedule and key look-up: they start here, and requests never do."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session, sessionmaker

from service.store.database import Database


@contextmanager
def system_session(database: Database) -> Iterator[Session]:
    """One transaction over every tenant's rows. import-linter keeps request code away from this module."""
    with sessionmaker(database.engine, expire_on_commit=False)() as session, session.begin():
        yield session
