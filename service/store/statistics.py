"""What does SQLite take the tables for when it chooses how to read them? For large ones of a single tenant.

Every statement of a request says whose rows it is about, so without statistics SQLite holds any index that begins with
the tenant for as good as the one on what is asked: with a million points it read all of a tenant's to find an audit's.
Measured statistics would be those of the day they were taken, often of an empty table, and each connection keeps what
it read first. These are the same everywhere and always (https://www.sqlite.org/queryplanner-ng.html, section 4, calls
for that), so a plan that a test has seen is the plan that is used. PostgreSQL keeps its own.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text

ROWS = 1_000_000
"""Of every table."""
ROWS_OF_A_PARTIAL_INDEX = ROWS // 100
_DISTINCT = {"tenant": 1, "id": ROWS, "key": ROWS, "digest": ROWS, "size": ROWS}
_DISTINCT_BY_ENDING = {"_at": ROWS, "_id": 10_000, "_key": 10_000, "_digest": 10_000}
_DISTINCT_OTHERWISE = 20


def plant(connection: Connection) -> None:
    """Give a SQLite database these statistics, in place of any it has."""
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes their table where there is none, and reads no other
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    rows = [{"tbl": table, "idx": index, "stat": stat} for table, index, stat in _statistics(connection)]
    if rows:
        connection.execute(text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # this connection uses them now; others when they open


def _statistics(connection: Connection) -> Iterator[tuple[str, str, str]]:
    indexes = (
        'SELECT t.name, i.name, i."unique", i.partial FROM sqlite_schema t, pragma_index_list(t.name) i'
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, i.name"
    )
    for table, index, unique, partial in connection.exec_driver_sql(indexes).all():
        columns = connection.exec_driver_sql("SELECT name FROM pragma_index_info(?)", (index,)).scalars().all()
        yield table, index, statistic(columns, unique=bool(unique), partial=bool(partial))


def statistic(columns: Sequence[str | None], *, unique: bool, partial: bool) -> str:
    """The rows of an index, and of those how many share the first column, the first two and so on; as ANALYZE writes.

    None stands for an expression.
    """
    rows = ROWS_OF_A_PARTIAL_INDEX if partial else ROWS
    numbers, distinct = [rows], 1
    for column in columns:
        distinct *= _distinct(column or "")
        numbers.append(max(1, rows // distinct))
    if unique:
        numbers[-1] = 1
    return " ".join(map(str, numbers))


def _distinct(column: str) -> int:
    if column in _DISTINCT:
        return _DISTINCT[column]
    return next((many for end, many in _DISTINCT_BY_ENDING.items() if column.endswith(end)), _DISTINCT_OTHERWISE)
