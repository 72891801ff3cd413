"""How do JSON lines become examples? One strict JSON object per line: no name twice, no NaN, no depth, within caps."""

import json
from array import array
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from service.contracts.facts import Column, DatasetFacts
from workers.subject.data.columns import Plan, planned
from workers.subject.data.delimited import decoded_lines
from workers.subject.data.found import Found, too_many
from workers.subject.data.limits import COLUMNS
from workers.subject.data.rows import Rows, rows_per_block
from workers.subject.refusal import Refusal, quoted

_AGAIN = "Write one object per line: print(json.dumps(row, allow_nan=False), file=file)"
_DIGITS = 4000
"""Of a whole number: what Python converts by default (sys.get_int_max_str_digits) is a little more."""


def read(source: Path, facts: DatasetFacts) -> Found:
    """The declared members of the objects in the file at `source`, one per line. Raises Refusal.

    Where no columns are declared, the member `inputs_array` may be a list of numbers, nested as the declared shape.
    """
    numbers = array("q")
    table: Rows | None = None
    block: list[dict[str, Any]] = []
    listed: tuple[str, ...] = ()
    most = 1
    with source.open("rb") as file:
        for number, line in enumerate(decoded_lines(file), start=1):
            if not line.strip():
                continue
            row = _object(line, number)
            if table is None:
                plan, listed = _plan(row, facts)
                table = Rows(plan, facts, lambda at: f"line {numbers[at]:,}")
                most = rows_per_block(max(len(row), len(plan.read)))
            numbers.append(number)
            block.append(row)
            if len(block) == most:
                _add(table, block, listed)
                block = []
    if table is None:
        raise Refusal("empty-dataset", "the file holds no line", "Send at least one example.")
    if block:
        _add(table, block, listed)
    return table.found("features")


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer)
    except RecursionError as error:
        raise _bad(number, "it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise _bad(number, f"{error.msg} at character {error.colno}") from error
    except ValueError as error:
        raise _bad(number, str(error)) from error
    if not isinstance(value, dict):
        raise _bad(number, "it holds no object")
    if len(value) > COLUMNS:
        raise too_many(f"members in line {number:,}", len(value), COLUMNS, "Send only the members that are needed.")
    return value


def _bad(number: int, why: str) -> Refusal:
    return Refusal("bad-json", f"line {number:,} is not one whole JSON object: {why}", _AGAIN)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name in found if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"the name {quoted(twice)} occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _plan(first: dict[str, Any], facts: DatasetFacts) -> tuple[Plan, tuple[str, ...]]:
    """The columns, and the names given to the numbers of a list where the inputs are one."""
    if facts.columns or facts.input.kind == "text" or not isinstance(first.get(facts.inputs_array), list):
        optional = (each.name for each in facts.columns if each.name not in first and each.missing is not None)
        return planned([*first, *optional], facts), ()
    kind = "integer" if facts.input.kind == "tokens" else "number"
    names = tuple(f"{facts.inputs_array[:100]}[{at}]" for at in range(min(prod(facts.input.shape), COLUMNS + 1)))
    columns = [Column.model_validate({"name": name, "type": kind}) for name in names]
    if facts.labels_array is not None:
        columns.append(Column(name=facts.labels_array, role="label"))
    header = [*names, *(name for name in first if name != facts.inputs_array)]
    return planned(header, facts.model_copy(update={"columns": tuple(columns)})), names


def _add(table: Rows, block: list[dict[str, Any]], listed: tuple[str, ...]) -> None:
    cells: dict[str, list[object]] = {}
    if listed:
        shape, name = table.facts.input.shape, table.facts.inputs_array
        flat = [_flat(row.get(name), shape) for row in block]
        for at, numbers in enumerate(flat):
            if numbers is None:
                said = f"holds no list of numbers of the declared shape {list(shape)}"
                table.faults.add(table.count + at, name, said, code="input-shape", advice=_AGAIN)
        cells = dict(
            zip(listed, map(list, zip(*(each or [0] * len(listed) for each in flat), strict=True)), strict=True)
        )
    for column in table.plan.read:
        if column.name not in cells:
            cells[column.name] = [row.get(column.name) for row in block]
    table.add(cells, len(block))


def _flat(value: object, shape: Sequence[int]) -> list[object] | None:
    """The numbers of a nested list, or None where it is not of `shape`."""
    if not isinstance(value, list) or not shape or len(value) != shape[0]:
        return None
    if len(shape) == 1:
        return value
    parts = [_flat(each, shape[1:]) for each in value]
    return None if any(part is None for part in parts) else [number for part in parts for number in part or ()]
