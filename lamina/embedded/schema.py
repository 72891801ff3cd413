"""Does a SQLite database already have this version's tables? Asked without Alembic, which takes a second to say so.

A "no" costs a migration that finds nothing to do; a wrong "yes" would be told by the API, which is not ready then.
"""

import importlib.util
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_REVISION = re.compile(r"^revision\b[^=\n]*=\s*[\"'](?P<name>\w+)[\"']", re.MULTILINE)
_FOLLOWS = re.compile(r"^down_revision\b[^=\n]*=\s*(?:None|[\"'](?P<name>\w+)[\"'])\s*$", re.MULTILINE)


def is_current(database: Path, versions: Path | None = None) -> bool:
    """Whether the database is at the newest of the migrations in `versions` (None: those of this installation)."""
    folder = versions or _shipped()
    newest = None if folder is None else newest_revision(folder)
    if newest is None or not database.exists():
        return False
    try:
        # Never made by this: it may not exist any more, and an empty file would look like a broken database.
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]
    except sqlite3.Error:
        return False


def newest_revision(versions: Path) -> str | None:
    """The revision no other follows; None when there is none, or when a file is not of the plain form read here."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for file in versions.glob("*.py"):
        if file.name == "__init__.py":
            continue
        text = file.read_text()
        revision, follows = _REVISION.search(text), _FOLLOWS.search(text)
        if revision is None or follows is None:
            return None
        revisions.add(revision["name"])
        followed.add(follows["name"])
    newest = revisions - followed
    return newest.pop() if len(newest) == 1 else None


def _shipped() -> Path | None:
    specification = importlib.util.find_spec("migrations")
    places = None if specification is None else specification.submodule_search_locations
    return Path(places[0]) / "versions" if places else None
