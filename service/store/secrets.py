"""Where are the secrets that this service makes for itself? In a folder beside its data, readable by it alone."""

from pathlib import Path

from sqlalchemy.engine import make_url

from service.settings import Settings


def secrets_folder(settings: Settings) -> Path | None:
    """The folder `secrets` beside a SQLite file, or beside the scratch; None where the database is in memory."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return settings.scratch.parent / "secrets"
    if url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).parent / "secrets"
