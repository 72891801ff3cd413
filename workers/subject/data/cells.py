"""What does a cell say? Strictly one number, category, truth or text by its column's type, or why not."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.contracts.facts import Column
from workers.subject.data.found import Array
from workers.subject.data.limits import CELL_CHARACTERS, FAULTS, NUMBER_CHARACTERS
from workers.subject.data.values import listed
from workers.subject.refusal import Refusal, quoted

Cells = Sequence[object] | Array
"""The cells of one column: text, JSON values or None; or numbers as float64 with NaN where there is none."""

# No possessive groups: Python 3.11.2, which Debian 12 has, lets `(?:e[0-9]++)?+` match a lone e.
_NUMBER = r"[ \t]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*"
_ONE = re.compile(_NUMBER)
_ALL = re.compile(rf"(?:{_NUMBER}\n)*")
_TRUTHS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "yes": 1.0, "no": 0.0}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_EXACT = 2.0**53
WHAT = {
    "number": "a number such as 12.5",
    "integer": "a whole number",
    "boolean": "true, false, yes, no, 1 or 0",
    "text": "text",
}


@dataclass(slots=True)
class Faults:
    """What is wrong in a table, row and column named. where: the words for a row, from its place in the file.

    columns: whether its column is named too.
    """

    where: Callable[[int], str]
    columns: bool = True
    found: list[tuple[int, str]] = field(default_factory=list)
    code: str = "bad-cell"
    advice: str = "Correct these cells, or declare in facts.columns what the column holds."

    def add(self, row: int, column: str, said: str, *, code: str = "bad-cell", advice: str = "") -> None:
        """One fault; reading stops at the cap."""
        if not self.found:
            self.code, self.advice = code, advice or self.advice
        of_column = f", column {quoted(column)}" if self.columns else ""
        self.found.append((row, f"{self.where(row)}{of_column}: {said}"))
        if len(self.found) >= FAULTS:
            raise self.refusal(stopped=True)

    def refusal(self, *, stopped: bool = False) -> Refusal:
        """All of them."""
        words = [said for _, said in sorted(self.found, key=lambda each: each[0])]
        return listed(self.code, words, len(words), self.advice, more="at least " if stopped else "")

    def settle(self) -> None:
        """Raises the refusal if anything was wrong."""
        if self.found:
            raise self.refusal()


def shown(cell: object) -> str:
    """A cell as a fault shows it."""
    return "a list" if isinstance(cell, list) else "an object" if isinstance(cell, dict) else quoted(cell, 60)


def is_empty(cell: object) -> bool:
    """Whether a cell holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip(" \t"))


def numbers(cells: Cells, column: Column, faults: Faults, first_row: int) -> tuple[Array, int]:
    """The cells of a feature as float64, and how many were empty; what cannot be read goes to `faults`."""
    if column.type in ("number", "integer") and (quick := _quickly(cells)) is not None:
        values = quick
    elif column.type == "category":
        values = _categories(cells, column, faults, first_row)
    else:
        values = _slowly(cells, column, faults, first_row)
    if column.type == "integer":
        _whole(values, column, faults, first_row)
    elif column.type == "boolean" and isinstance(cells, np.ndarray):
        _truths(values, column, faults, first_row)
    empty = np.isnan(values)
    count = int(np.count_nonzero(empty))
    if count:
        if column.missing is None:
            for row in np.flatnonzero(empty).tolist():
                if is_empty(cells[row]) or isinstance(cells, np.ndarray):
                    missing(faults, first_row + row, column)
        else:
            values = np.where(empty, column.missing, values)
    return values, count


def missing(faults: Faults, row: int, column: Column) -> None:
    """The fault of an empty cell that nothing was declared for."""
    faults.add(
        row,
        column.name,
        "the cell is empty",
        code="missing-value",
        advice='Fill it, leave the row out, or declare in facts.columns what an empty cell becomes ("missing").',
    )


def _quickly(cells: Cells) -> Array | None:
    """A whole block of decimal numbers at once; None where any cell is something else."""
    if isinstance(cells, np.ndarray):
        return cells
    try:
        text = "\n".join(cells) + "\n"  # type: ignore[arg-type]  # cells that are no text raise, and are read one by one
    except TypeError:
        return None
    longest = max(map(len, cells), default=0)  # type: ignore[arg-type]  # all text here
    if longest > NUMBER_CHARACTERS or text.count("\n") != len(cells) or not _ALL.fullmatch(text):
        return None
    values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))  # type: ignore[arg-type]  # all text here
    return values if np.isfinite(values).all() else None


def _slowly(cells: Cells, column: Column, faults: Faults, first_row: int) -> Array:
    values = np.full(len(cells), np.nan)
    read = _truth if column.type == "boolean" else _number
    for at, cell in enumerate(cells):
        if is_empty(cell):
            continue
        value = read(cell)
        if value is None:
            comma = isinstance(cell, str) and cell.count(",") == 1 and _ONE.fullmatch(cell.replace(",", "."))
            hint = "; a decimal comma is not read" if comma else ""
            faults.add(first_row + at, column.name, f"{shown(cell)} is not {WHAT[column.type]}{hint}")
        else:
            values[at] = value
    return values


def _number(cell: object) -> float | None:
    if isinstance(cell, str):
        value = float(cell) if len(cell) <= NUMBER_CHARACTERS and _ONE.fullmatch(cell) else np.nan
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        value = float(cell) if abs(cell) < 2**63 or isinstance(cell, float) else np.nan
    else:
        return None
    return value if np.isfinite(value) else None


def _truth(cell: object) -> float | None:
    if isinstance(cell, str):
        return _TRUTHS.get(cell.strip(" \t").lower()) if len(cell) < NUMBER_CHARACTERS else None
    return float(cell) if isinstance(cell, bool | int | float) and cell in (0, 1) else None


def _truths(values: Array, column: Column, faults: Faults, first_row: int) -> None:
    for row in np.flatnonzero(~np.isnan(values) & (values != 0) & (values != 1)):
        faults.add(first_row + int(row), column.name, f"{values[row]:g} is not {WHAT['boolean']}")


def _whole(values: Array, column: Column, faults: Faults, first_row: int) -> None:
    known = ~np.isnan(values)
    wrong = known & ((values != np.rint(values)) | (np.abs(values) > _EXACT))
    for row in np.flatnonzero(wrong):
        faults.add(first_row + int(row), column.name, f"{values[row]!r} is not a whole number of at most 2^53")


def _categories(cells: Cells, column: Column, faults: Faults, first_row: int) -> Array:
    codes = {name: float(code) for code, name in enumerate(column.categories)}
    values = np.full(len(cells), np.nan)
    for at, cell in enumerate(cells):
        text = as_text(cell)
        if text is not None and text in codes:
            values[at] = codes[text]
        elif not is_empty(text):
            known = ", ".join(quoted(name, 30) for name in column.categories[:6])
            more = ", ..." if len(column.categories) > 6 else ""
            faults.add(first_row + at, column.name, f"{shown(cell)} is none of the categories {known}{more}")
    return values


def as_text(cell: object) -> str | None:
    """A cell that names a category or a class: text as it stands, whole numbers without a point, true and false."""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell) if abs(cell) < 2**63 else shown(cell)
    if isinstance(cell, float):
        return (
            None
            if np.isnan(cell)
            else str(int(cell))
            if cell.is_integer() and abs(cell) < _EXACT
            else repr(float(cell))
        )
    return cell if isinstance(cell, str) or cell is None else shown(cell)


def texts(cells: Cells, column: Column, faults: Faults, first_row: int) -> list[str]:
    """The cells of a text column; characters that no report may hold are faults."""
    found, sound = list[str](), set[str]()  # a text that was found sound is not read again, however often it comes
    for at, cell in enumerate(cells):
        if isinstance(cell, str) and cell in sound:
            found.append(cell)
        elif is_empty(cell) and column.missing is None:
            missing(faults, first_row + at, column)
        elif cell is not None and not isinstance(cell, str):
            faults.add(first_row + at, column.name, f"{shown(cell)} is not text")
        elif cell is not None and len(cell) > CELL_CHARACTERS:
            faults.add(first_row + at, column.name, f"{len(cell):,} characters; at most {CELL_CHARACTERS:,} are read")
        elif cell is not None and (wrong := _UNPRINTABLE.search(cell)):
            said = f"character {wrong.start() + 1} is the control or broken character U+{ord(wrong.group()):04X}"
            faults.add(
                first_row + at, column.name, said, advice="Remove control characters other than tab and line ends."
            )
        else:
            found.append(cell or "")
            sound.add(cell or "")
    return found


def label_codes(
    distinct: Mapping[str, int], column: Column, classes: Sequence[str], faults: Faults
) -> tuple[list[int], str]:
    """The code of each distinct label, in their order, and how they were read. distinct: label to its first row.

    Class names come before positions: where classes are named "1" and "2", a cell 1 is the first class.
    """
    if column.type == "category":
        codes = {name: code for code, name in enumerate(column.categories)}
    elif column.type == "boolean":
        codes = {text: int(_TRUTHS[text.strip().lower()]) for text in distinct if text.strip().lower() in _TRUTHS}
    else:
        codes = {name: code for code, name in enumerate(classes)}
    if all(text in codes for text in distinct):
        other = [text for text in distinct if text.strip().isdigit() and len(text) < 10 and int(text) != codes[text]]
        note = f"labels such as {quoted(other[0])} were read as class names, not as positions from 0" if other else ""
        return [codes[text] for text in distinct], note
    if column.type in ("category", "boolean") or any(text in codes for text in distinct):
        wanted = "one of the categories" if column.type == "category" else "one of the declared classes"
        wanted = WHAT["boolean"] if column.type == "boolean" else wanted
        for text, row in distinct.items():
            if text not in codes:
                faults.add(row, column.name, f"label {quoted(text, 60)} is not {wanted}", code="labels-range")
        raise faults.refusal()
    most = len(classes) - 1 if classes else 2**31
    found = []
    for text, row in distinct.items():
        value = _number(text)
        if value is None or value != int(value) or not 0 <= value <= most:
            known = ", ".join(quoted(name, 30) for name in classes[:6]) + (", ..." if len(classes) > 6 else "")
            said = f"one of the classes ({known}) or of the numbers 0 to {most}" if classes else "a whole number from 0"
            faults.add(
                row, column.name, f"label {quoted(text, 60)} is not {said}", code="labels-range",
                advice="Write the class names as declared in facts.classes, or number them from 0 in that order.",
            )  # fmt: skip
        else:
            found.append(int(value))
    faults.settle()
    return found, ""
