"""Is a database called current only when it is?"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lamina.embedded.schema import is_current, newest_revision

FIRST = '"""First."""\nrevision: str = "0001"\ndown_revision: str | None = None\n'
SECOND = "revision = '0002'\ndown_revision = '0001'\n"


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    folder = tmp_path / "versions"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_first.py").write_text(FIRST)
    (folder / "0002_second.py").write_text(SECOND)
    return folder


def database(folder: Path, *revisions: str) -> Path:
    path = folder / "lamina.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [(revision,) for revision in revisions])
        connection.commit()
    return path


def test_the_newest_revision_is_the_one_no_other_follows(versions: Path) -> None:
    assert newest_revision(versions) == "0002"


@pytest.mark.parametrize(
    "third",
    [
        "revision = '0003'\ndown_revision = '0001'\n",  # a second head
        "revision = '0003'\ndown_revision = ('0001', '0002')\n",  # a merge, which is not read here
        "identifier = '0003'\n",
    ],
)
def test_a_history_that_is_not_a_plain_line_has_no_newest_revision(third: str, versions: Path) -> None:
    (versions / "0003_third.py").write_text(third)
    assert newest_revision(versions) is None


@pytest.mark.parametrize(
    ("revisions", "expected"), [(["0002"], True), (["0001"], False), ([], False), (["0001", "0002"], False)]
)
def test_a_database_is_current_at_the_newest_revision_alone(
    revisions: list[str], expected: bool, versions: Path, tmp_path: Path
) -> None:
    assert is_current(database(tmp_path, *revisions), versions) is expected


def test_a_database_that_is_not_there_or_not_ours_is_not_current(versions: Path, tmp_path: Path) -> None:
    assert not is_current(tmp_path / "absent.db", versions)
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "text.db").write_text("no database at all, but long enough to be read as one" * 20)
    assert not is_current(tmp_path / "text.db", versions)
    assert not is_current(database(tmp_path, "0002"), tmp_path / "no versions")
