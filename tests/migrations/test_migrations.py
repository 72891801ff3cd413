"""Do the tables go up, down and up again on both databases, match the models, and carry their rows along?"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from service.store import migrate
from service.store.base import Base, Owned
from service.store.database import open_engine
from service.store.tables import Measurement
from service.store.tables_compliance import Verdict
from tests.migrations.populated import AT_0001, AT_0002


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def contents(url: str, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return {
                table: [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]
                for table in names
            }
    finally:
        engine.dispose()


def test_up_down_and_up_again(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    assert not migrate.at_head(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    assert migrate.at_head(empty_url)
    assert tables(empty_url) == set(Base.metadata.tables) | {"alembic_version"}
    migrate.downgrade(empty_url, "base")
    assert migrate.current(empty_url) is None
    assert tables(empty_url) == {"alembic_version"}
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.at_head(empty_url)


def test_every_single_revision_goes_down_and_up(empty_url: str) -> None:
    scripts = ScriptDirectory.from_config(migrate.config())
    for script in reversed(list(scripts.walk_revisions())):
        migrate.upgrade(empty_url, script.revision)
        migrate.downgrade(empty_url, script.down_revision or "base")
        migrate.upgrade(empty_url, script.revision)


def test_the_models_and_the_migrated_tables_are_the_same(database_url: str) -> None:
    migrate.check(database_url)


def fill(url: str, rows: dict[str, str]) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        for statement in rows.values():
            connection.exec_driver_sql(statement if engine.dialect.name == "postgresql" else plain_uuids(statement))
    engine.dispose()


def test_an_old_database_with_a_row_in_every_table_keeps_them_all(empty_url: str) -> None:
    migrate.upgrade(empty_url, "0001")
    fill(empty_url, AT_0001)
    migrate.upgrade(empty_url, "0002")
    fill(empty_url, AT_0002)
    before = contents(empty_url, AT_0001 | AT_0002)
    assert {table: len(rows) for table, rows in before.items()} == dict.fromkeys(AT_0001 | AT_0002, 1)
    migrate.upgrade(empty_url)
    after = contents(empty_url, before)
    for table, (row,) in before.items():
        assert {column: after[table][0][column] for column in row} == row, table
    engine = open_engine(empty_url)
    with engine.connect() as connection:
        assert connection.scalar(select(Measurement.value)) == 0.30000000000000004
        assert connection.scalar(select(Verdict.value)) == 0.30000000000000004
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM event",
        "UPDATE event SET action = 'never'",
        "UPDATE event SET detail = '{\"a\": 1}'",
        "UPDATE event SET created_at = 1, chain_number = 0",
    ],
)
def test_the_log_refuses_to_be_changed(empty_url: str, change: str) -> None:
    migrate.upgrade(empty_url)
    fill(empty_url, AT_0001)
    engine = open_engine(empty_url)
    try:
        with pytest.raises(DBAPIError, match="the log is kept: no event is"), engine.begin() as connection:
            connection.exec_driver_sql(change)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE event SET chain_number = 0, leaf_hash = 'a', chain_hash = 'b'")
        with pytest.raises(DBAPIError, match="no event is changed"), engine.begin() as connection:
            connection.exec_driver_sql("UPDATE event SET chain_hash = 'c'")
    finally:
        engine.dispose()


def plain_uuids(statement: str) -> str:
    """SQLite keeps a UUID as 32 hexadecimal digits."""
    return re.sub(
        r"'([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})'", r"'\1\2\3\4\5'", statement
    )


def test_the_frozen_rows_fill_every_table() -> None:
    assert set(AT_0001 | AT_0002) == set(Base.metadata.tables)


@pytest.mark.stack
def test_every_tenants_table_has_its_policies(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        if engine.dialect.name != "postgresql":
            return  # SQLite has no policies; the session's filter is all there is
        with engine.connect() as connection:
            found = connection.execute(
                text("SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public'")
            ).all()
            enabled = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relrowsecurity")))
    finally:
        engine.dispose()
    owned = {m.local_table.name for m in Base.registry.mappers if issubclass(m.class_, Owned)} | {"tenant"}  # type: ignore[attr-defined]
    assert {tuple(row) for row in found} == {(table, name) for table in owned for name in ("own_rows", "system_rows")}
    assert enabled == owned


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_connection: object) -> None:
        raise migrate.MigrationBroken("rows point nowhere")

    monkeypatch.setattr(migrate, "_check_references", broken)
    with pytest.raises(migrate.MigrationBroken):
        migrate.upgrade(empty_url)
    assert tables(empty_url) == set()


def test_a_new_migration_is_numbered_one_up_and_empty_when_nothing_differs(tmp_path: Path) -> None:
    # On a copy: the command writes beside the migrations it found.
    copy = tmp_path / "migrations"
    source = Path(migrate.config().config_file_name or "").parent
    for path in [*source.glob("*.*"), *source.glob("versions/*.py")]:
        target = copy / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "service.store.migrate", "new", "add slots"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(source.parent)},
        check=True,
        timeout=240,
        capture_output=True,
    )
    (made,) = copy.glob(f"versions/{int(migrate.head()) + 1:04d}_add_slots.py")
    script = made.read_text()
    assert f"down_revision = {migrate.head()!r}" in script
    assert "pass" in script
