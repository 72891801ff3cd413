"""How does a csv file become examples? UTF-8, one header line, strict quotes; every line and cell within its cap."""

import codecs
import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Protocol

from service.contracts.facts import DatasetFacts
from workers.subject.data.columns import planned
from workers.subject.data.found import Found, too_many
from workers.subject.data.limits import CELL_CHARACTERS, COLUMNS, LINE_BYTES
from workers.subject.data.rows import Rows, rows_per_block
from workers.subject.refusal import Refusal, quoted

DELIMITERS = (",", ";", "\t")
_NUMERIC = re.compile(r"[ +\-.0-9eE]+")
_AGAIN = 'Write it with Python: csv.writer(open("data.csv", "w", encoding="utf-8", newline="")).writerows(rows)'


class _Records(Protocol):
    """A csv reader, which the csv module does not name. line_num: lines read so far."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


def read(source: Path, facts: DatasetFacts) -> Found:
    """The declared columns of the csv file at `source`. Raises Refusal."""
    csv.field_size_limit(CELL_CHARACTERS)
    with source.open("rb") as file:
        lines = decoded_lines(file)
        first = next(lines, "")
        delimiter = facts.delimiter or _delimiter(first, facts)
        records = csv.reader(chain((first,), lines), delimiter=delimiter, strict=True)
        try:
            return _examples(records, facts)
        except csv.Error as error:
            raise _unreadable(str(error), records.line_num) from error


def decoded_lines(file: IO[bytes]) -> Iterator[str]:
    """The lines of a text file, ends kept, a byte order mark dropped. Refuses long lines, NUL and all but UTF-8."""
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > LINE_BYTES:
            raise Refusal(
                "line-too-long",
                f"line {number:,} has more than {LINE_BYTES:,} bytes",
                "End each line with a newline, and send fewer columns.",
            )
        if b"\x00" in line:
            raise Refusal("bad-text", f"line {number:,} holds a NUL byte, which no text does", _AGAIN)
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refusal(
                "not-utf8",
                f"line {number:,} is not UTF-8 at byte {error.start + 1} (0x{line[error.start]:02X})",
                'Save it as UTF-8: open(file, "w", encoding="utf-8"), in a spreadsheet "CSV UTF-8".',
            ) from error


def _delimiter(first: str, facts: DatasetFacts) -> str:
    """The delimiter under which the first line names the declared columns; else the most frequent one."""
    wanted = {each.name for each in facts.columns if each.role != "ignore"} or {
        *facts.input.feature_names, *([facts.labels_array] if facts.labels_array else []),
    }  # fmt: skip

    def named(delimiter: str) -> tuple[int, int]:
        try:
            header = next(csv.reader((first,), delimiter=delimiter, strict=True), [])
        except csv.Error:
            return (0, first.count(delimiter))
        return (len(wanted & set(header)), len(header))

    return max(DELIMITERS, key=named)


def _examples(records: _Records, facts: DatasetFacts) -> Found:
    header = next(records, [])
    if len(header) > COLUMNS:
        raise too_many("columns", len(header), COLUMNS, "Send only the columns that are needed.")
    if header and all(_NUMERIC.fullmatch(name) for name in header):
        raise Refusal(
            "no-header",
            f"the first line ({', '.join(quoted(name, 20) for name in header[:5])}) holds numbers, no column names",
            "Write the names of the columns into the first line.",
        )
    plan = planned(header, facts)
    starts = array("q")
    table = Rows(plan, facts, lambda row: f"line {starts[row]:,}")
    places = {column.name: header.index(column.name) for column in plan.read}
    block: list[list[str]] = []
    most, start = rows_per_block(len(header)), records.line_num + 1
    for record in records:
        if record:
            starts.append(start)
            block.append(_whole(record, header, start))
        start = records.line_num + 1
        if len(block) == most:
            table.add({name: [row[at] for row in block] for name, at in places.items()}, len(block))
            block = []
    if block:
        table.add({name: [row[at] for row in block] for name, at in places.items()}, len(block))
    return table.found("features")


def _whole(record: list[str], header: Sequence[str], line: int) -> list[str]:
    if len(record) != len(header):
        raise Refusal(
            "row-length",
            f"line {line:,} has {len(record):,} cells; the header names {len(header):,} columns",
            "Quote cells that hold the delimiter, or declare the delimiter of the file in facts.delimiter.",
        )
    return record


def _unreadable(said: str, line: int) -> Refusal:
    if "field limit" in said:
        return Refusal(
            "cell-too-long",
            f"a cell that ends at or after line {line:,} has more than {CELL_CHARACTERS:,} characters",
            "Close every quote that is opened, and shorten long texts.",
        )
    if "new-line character" in said:
        said = "a line ends in a carriage return alone"
    return Refusal("bad-csv", f"line {line:,} is not csv: {said}", _AGAIN)
