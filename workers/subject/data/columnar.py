"""How does a Parquet file become examples? Its footer is checked first; columns are decoded in batches, on one thread.

Only flat columns of numbers, truths and text are read. The parser is native code: this runs in the sandboxed child.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from service.contracts.facts import DatasetFacts
from workers.subject.data.arrow import pa, parquet
from workers.subject.data.cells import Cells
from workers.subject.data.columns import Plan, planned
from workers.subject.data.found import Array, Found, room_for, too_many
from workers.subject.data.limits import (
    CANONICAL_BYTES,
    COLUMNS,
    EXAMPLES,
    PARQUET_BATCH,
    PARQUET_FOOTER,
    PARQUET_GROUPS,
)
from workers.subject.data.rows import Rows, rows_per_block
from workers.subject.refusal import Refusal, quoted, without_paths

_AGAIN = 'Write it again with flat columns: pyarrow.parquet.write_table(table, "data.parquet")'
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError, UnicodeError, OverflowError)

_DTYPES = {
    "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "u1", "uint16": "<u2", "uint32": "<u4",
    "uint64": "<u8", "halffloat": "<f2", "float": "<f4", "double": "<f8",
}  # fmt: skip


def read(source: Path, facts: DatasetFacts) -> Found:
    """The declared columns of the Parquet file at `source`. Raises Refusal."""
    _footer(source)
    try:
        with _opened(source, []) as file:
            plan = _plan(file, facts)
            schema = file.schema_arrow
        worded = [each.name for each in plan.read if _is_text(schema.field(each.name).type)]
        # as dictionaries: a long text that a page repeats a million times is then held once
        with _opened(source, worded) as file:
            return _examples(file, plan, facts)
    except _DAMAGE as error:
        raise Refusal(
            "bad-parquet",
            f"the file cannot be read as Parquet: {_words(error)}",
            f"It may be damaged: compare its size and digest with the original. {_AGAIN}",
        ) from error


def _opened(source: Path, worded: list[str]) -> Any:
    return parquet.ParquetFile(
        source,
        read_dictionary=worded,
        pre_buffer=False,
        memory_map=False,
        thrift_string_size_limit=PARQUET_FOOTER,
        thrift_container_size_limit=COLUMNS * PARQUET_GROUPS,
        arrow_extensions_enabled=False,
        page_checksum_verification=True,
    )


def _words(error: Exception) -> str:
    return quoted(without_paths(str(error)).partition("\n")[0], 300)


def _footer(source: Path) -> None:
    """Refuses a file whose end is no footer of sane size, before the native parser sees any of it."""
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - 8))
        end = file.read()
    length = int.from_bytes(end[:4], "little")
    if len(end) < 8 or end[4:] != b"PAR1" or length > size - 12:
        raise Refusal(
            "bad-parquet",
            "the file begins as Parquet and does not end as it must, with a footer",
            "It may be truncated: compare its size and digest with the original and send it again.",
        )
    if length > PARQUET_FOOTER:
        raise Refusal("too-large", f"the footer has {length:,} bytes; at most {PARQUET_FOOTER:,} are read", _AGAIN)


def _plan(file: Any, facts: DatasetFacts) -> Plan:
    """The columns to read, once the footer's own numbers are found to be within the caps."""
    claimed = file.metadata
    if not 0 <= claimed.num_rows <= EXAMPLES:
        raise too_many("rows", claimed.num_rows, EXAMPLES)
    if claimed.num_columns > COLUMNS:
        raise too_many("columns", claimed.num_columns, COLUMNS, "Send only the columns that are needed.")
    if claimed.num_row_groups > PARQUET_GROUPS:
        raise too_many("row groups", claimed.num_row_groups, PARQUET_GROUPS, _AGAIN)
    schema = file.schema_arrow
    plan = planned(list(schema.names), facts)
    for column in plan.read:
        if not _flat(schema.field(column.name).type):
            raise Refusal(
                "column-type",
                f"column {quoted(column.name)} holds {quoted(str(schema.field(column.name).type))}; numbers, text and"
                " truths are read",
                f"Convert it, give each number its own column. {_AGAIN}",
            )
    if plan.text is None:
        room_for(claimed.num_rows, len(plan.features))
    _uncompressed(claimed)
    return plan


def _examples(file: Any, plan: Plan, facts: DatasetFacts) -> Found:
    claimed, names = file.metadata, [column.name for column in plan.read]
    table = Rows(plan, facts, lambda row: f"row {row + 1:,}")
    for batch in _batches(file, plan, names):
        if table.count + batch.num_rows > claimed.num_rows:
            break
        table.add({name: _cells(batch.column(at)) for at, name in enumerate(names)}, batch.num_rows)
    if table.count != claimed.num_rows:
        raise Refusal("bad-parquet", f"the footer claims {claimed.num_rows:,} rows; the columns hold others", _AGAIN)
    return table.found("features")


def _uncompressed(claimed: Any) -> None:
    """Refuses too many bytes by row groups: pyarrow ends the process where one column's damaged statistics are read."""
    total = sum(max(0, claimed.row_group(group).total_byte_size) for group in range(claimed.num_row_groups))
    if total > CANONICAL_BYTES:
        raise Refusal(
            "too-large",
            f"the file takes {total:,} bytes uncompressed; at most {CANONICAL_BYTES:,} are read",
            "Send a part of the rows, or the columns that are needed.",
        )


def _batches(file: Any, plan: Plan, names: list[str]) -> Iterator[Any]:
    rows = min(PARQUET_BATCH, rows_per_block(len(names)) if plan.text is None else PARQUET_BATCH)
    for group in range(file.metadata.num_row_groups):
        yield from file.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)


def _flat(kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)
    return numeric or _is_text(kind)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _cells(column: Any) -> Cells:
    """Numbers as float64 with NaN for null; everything else as Python values, text that repeats as one object."""
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        values = column.dictionary.to_pylist()
        return [None if at is None else _among(values, at) for at in column.indices.to_pylist()]
    if types.is_boolean(kind) or not (types.is_integer(kind) or types.is_floating(kind)):
        found: list[object] = column.to_pylist()
        return found
    return _numbers(column)


def _among(values: list[object], at: int) -> object:
    if not 0 <= at < len(values):
        raise Refusal("bad-parquet", "a dictionary of the file has fewer values than its rows refer to", _AGAIN)
    return values[at]


def _numbers(column: Any) -> Array:
    """A column of numbers from its buffers: pyarrow's own conversion looks for pandas first."""
    valid, content = column.buffers()
    dtype = np.dtype(_DTYPES[str(column.type)])
    values = np.zeros(0, dtype)
    if len(column):
        values = np.frombuffer(content, dtype, count=len(column), offset=column.offset * dtype.itemsize)
    numbers = values.astype(np.float64)
    if column.null_count:
        bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
        numbers[bits[column.offset : column.offset + len(column)] == 0] = np.nan
    return numbers
