"""How do the rows of a table become examples? Block by block, so that memory is bounded and every fault has its row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from service.contracts.facts import Column, DatasetFacts
from workers.subject.data.cells import Cells, Faults, as_text, is_empty, label_codes, missing, numbers, texts
from workers.subject.data.columns import Plan
from workers.subject.data.found import NO_NUMBERS, Array, Found, room_for, too_many
from workers.subject.data.limits import DISTINCT_LABELS, EXAMPLES, TEXT_BYTES
from workers.subject.refusal import Refusal, quoted

BLOCK_CELLS = 1 << 19


def rows_per_block(columns: int) -> int:
    """How many rows are held as Python values at a time."""
    return max(1, min(1 << 12, BLOCK_CELLS // max(1, columns)))


@dataclass(slots=True)
class Rows:
    """The examples of a table, as far as it has been read. where: the words for a row, counted from 0."""

    plan: Plan
    facts: DatasetFacts
    where: Callable[[int], str]
    faults: Faults = field(init=False)
    count: int = 0
    _blocks: list[Array] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _text_bytes: int = 0
    _labels: list[Array] = field(default_factory=list)
    _distinct: dict[str, int] = field(default_factory=dict)
    _first_rows: dict[str, int] = field(default_factory=dict)
    _filled: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.faults = Faults(self.where)

    def add(self, cells: Mapping[str, Cells], rows: int) -> None:
        """The next `rows` rows: for each column that is read, its cells."""
        if self.count + rows > EXAMPLES:
            raise too_many("rows", self.count + rows, EXAMPLES)
        if self.plan.text is not None:
            self._add_texts(cells[self.plan.text.name])
        else:
            room_for(self.count + rows, len(self.plan.features))
            block = np.empty((rows, len(self.plan.features)))
            for at, column in enumerate(self.plan.features):
                block[:, at], empty = numbers(cells[column.name], column, self.faults, self.count)
                self._fill(column, empty)
            self._blocks.append(block)
        if self.plan.label is not None:
            self._labels.append(self._label_ids(cells[self.plan.label.name], self.plan.label))
        self.count += rows

    def _fill(self, column: Column, empty: int) -> None:
        if empty:
            self._filled[column.name] = self._filled.get(column.name, 0) + empty

    def _add_texts(self, cells: Cells) -> None:
        assert self.plan.text is not None  # the caller looked
        found = texts(cells, self.plan.text, self.faults, self.count)
        self._text_bytes += sum(len(text) if text.isascii() else len(text.encode()) for text in found)
        if self._text_bytes > TEXT_BYTES:
            raise Refusal(
                "too-large", f"the texts take more than {TEXT_BYTES:,} bytes as UTF-8", "Send a part of them."
            )
        self._texts += found

    def _label_ids(self, cells: Cells, column: Column) -> Array:
        """The labels as numbers of distinct labels, in the order of their first rows."""
        ids, empty = np.zeros(len(cells), dtype=np.int32), 0
        for at, cell in enumerate(cells):
            text = as_text(cell.item() if isinstance(cell, np.generic) else cell)
            if text is None or is_empty(text):
                if column.missing is None:
                    missing(self.faults, self.count + at, column)
                    continue
                text, empty = f"{column.missing:g}", empty + 1
            if text not in self._distinct:
                self._distinct[text] = len(self._distinct)
                self._first_rows[text] = self.count + at
                if len(self._distinct) > DISTINCT_LABELS:
                    raise too_many("different labels", len(self._distinct), DISTINCT_LABELS, "Check the label column.")
            ids[at] = self._distinct[text]
        self._fill(column, empty)
        return ids

    def found(self, what: str) -> Found:
        """All of it, once the last row is added; raises the refusal of what was wrong. what: the inputs' name."""
        self.faults.settle()
        if self.count == 0:
            raise Refusal("empty-dataset", "the file holds no row", "Send at least one example.")
        labels, note = None, ""
        if self.plan.label is not None:
            codes, note = label_codes(self._first_rows, self.plan.label, self.facts.classes, self.faults)
            labels = np.asarray(codes, dtype=np.int64)[np.concatenate(self._labels)]
        filled = [f"{count:,} empty cells of column {quoted(name)}" for name, count in self._filled.items()]
        notes = (
            *self.plan.notes,
            *([f"{', '.join(filled)[:2000]} became what was declared for them"] if filled else []),
            *([note] if note else []),
        )
        text = self.plan.text
        return Found(
            inputs=NO_NUMBERS if text else np.concatenate(self._blocks).reshape(self.count, *self.facts.input.shape),
            name=text.name if text else what,
            place=self._place,
            labels=labels,
            labels_name=self.plan.label.name if self.plan.label else "",
            texts=tuple(self._texts) if text else None,
            features=tuple(column.name for column in self.plan.features),
            decimal=True,
            notes=notes,
        )

    def _place(self, index: tuple[int, ...], value: object) -> str:
        at = int(np.ravel_multi_index(index[1:], self.facts.input.shape)) if index[1:] else 0
        return f"{self.where(index[0])}, column {quoted(self.plan.features[at].name)}: value {value}"
