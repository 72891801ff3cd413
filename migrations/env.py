"""How do migrations reach a database? On the connection given, or on one to the URL of `-x url=` or of the settings."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection, text

import service.store.tables_compliance  # noqa: F401  # fills the metadata that autogenerate compares with, with .tables
from service.settings import Settings
from service.store.base import Base, UtcTime
from service.store.migrate import migration_engine

# Two processes that migrate at once queue here; the number means nothing else.
POSTGRES_LOCK = 4_702_111_234


def written(kind: str, item: Any, _autogenerate: AutogenContext) -> str | Literal[False]:
    """How a new migration names our own types: as what they are in the database, for our code may change."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, JSON):
        return "sa.JSON()"
    return False


def run(connection: Connection) -> None:
    """Migrate in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite changes a table by copying it
        render_item=written,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url") or Settings.from_environment().database_url
    engine = migration_engine(url)
    with engine.connect() as opened:
        run(opened)
    engine.dispose()
