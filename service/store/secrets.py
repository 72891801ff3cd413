"""Where are the secrets that this service makes for itself? In a folder beside its data, readable by it alone."""

import secrets
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


def secret_of(settings: Settings) -> str:
    """The secret that signs cursors and links, and that webhooks' secrets are derived from.

    It is the setting, or one made once and kept beside the data, readable by us alone. Several processes on one
    database need the same secret: on Postgres set LAMINA_CURSOR_KEY.
    """
    if settings.cursor_key:
        return settings.cursor_key
    folder = secrets_folder(settings)
    if folder is None:
        return secrets.token_hex(32)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "cursor_key"
    made = folder / f"cursor_key.{secrets.token_hex(8)}"
    if not kept.exists():
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        try:
            kept.hardlink_to(made)  # atomic: of several processes starting together, one wins and all read it
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return kept.read_text().strip()
