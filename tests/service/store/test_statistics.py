"""What is SQLite told of tables that may still be empty?"""

import pytest
from sqlalchemy import text

from service.store.database import Database
from service.store.migrate import upgrade
from service.store.statistics import ROWS, ROWS_OF_A_PARTIAL_INDEX, statistic


@pytest.mark.parametrize(
    ("columns", "unique", "partial", "expected"),
    [
        (["id"], True, False, f"{ROWS} 1"),
        (["tenant", "created_at", "id"], False, False, f"{ROWS} {ROWS} 1 1"),
        (["audit_id"], False, False, f"{ROWS} 100"),
        (["tenant", "model_name", "metric"], False, False, f"{ROWS} {ROWS} 50000 2500"),
        (["tenant", "model_name"], True, True, f"{ROWS_OF_A_PARTIAL_INDEX} {ROWS_OF_A_PARTIAL_INDEX} 1"),
        ([None, "tenant"], False, False, f"{ROWS} 50000 50000"),
    ],
)
def test_it_is_told_how_many_rows_share_the_first_columns(
    columns: list[str | None], unique: bool, partial: bool, expected: str
) -> None:
    assert statistic(columns, unique=unique, partial=partial) == expected


def test_every_index_has_them_and_a_second_migration_changes_none(database: Database) -> None:
    if database.is_postgres:
        return  # keeps its own
    kept = text("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY idx")
    with database.engine.connect() as connection:
        first = connection.execute(kept).all()
        indexes = connection.scalars(text("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name")).all()
    upgrade(database.url)
    with database.engine.connect() as connection:
        assert connection.execute(kept).all() == first
    assert [row.idx for row in first] == indexes


def test_statistics_of_the_day_are_replaced(database: Database) -> None:
    if database.is_postgres:
        return
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE sqlite_stat1 SET stat = '3 3 3'"))
    upgrade(database.url)
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sqlite_stat1 WHERE stat = '3 3 3'")) == 0
