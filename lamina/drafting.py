"""Which facts does a table file suggest? A draft for its owner to correct: types, bounds and classes."""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lamina.failure import Usage
from service.contracts.facts import Bounds, Column, DatasetFacts, InputFacts, ModelFacts

MOST_CATEGORIES = 50
_DELIMITERS = ",;\t"
_TRUTHS = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Facts as far as the file tells them, and what its owner must look at."""

    facts: DatasetFacts
    remarks: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What the cells of one column were."""

    name: str
    cells: int = 0
    empty: int = 0
    numeric: bool = True
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    distinct: set[str] = field(default_factory=set)

    def add(self, cell: str) -> None:
        """Take one cell into account."""
        self.cells += 1
        if not cell.strip():
            self.empty += 1
            return
        if len(self.distinct) <= MOST_CATEGORIES:
            self.distinct.add(cell)
        try:
            value = float(cell)
        except ValueError:
            self.numeric = self.whole = False
            return
        if not math.isfinite(value):
            self.numeric = self.whole = False
            return
        self.whole = self.whole and value.is_integer()
        self.low, self.high = min(self.low, value), max(self.high, value)

    @property
    def categorical(self) -> bool:
        """Whether its cells are a few words."""
        return not self.numeric and 0 < len(self.distinct) <= MOST_CATEGORIES


def draft(file: Path, *, label: str | None, model: ModelFacts | None) -> Draft:
    """Facts of a csv or jsonl table for the network that `model` describes. Raises Usage with what to change.

    Bounds and shape are the model's where it is given; else they are what the file holds, which is said.
    """
    columns = _columns(file)
    if label is not None and label not in {column.name for column in columns}:
        raise Usage(f"{file} has no column {label!r}; it has {', '.join(repr(column.name) for column in columns)}")
    features = [column for column in columns if column.name != label]
    remarks: list[str] = []
    if model is not None:
        features = _of_model(file, features, model, remarks)
        given = model.input
    else:
        given = _input(file, features, remarks)
    classes, declared_label = _label(label, columns, model, remarks)
    declared = [_feature(column, remarks) for column in features] + declared_label
    ignored = [column.name for column in columns if column.name not in {each.name for each in declared}]
    if ignored:
        remarks.append(f"not read: {', '.join(ignored)}")
    return Draft(facts=DatasetFacts(input=given, classes=classes, columns=tuple(declared)), remarks=tuple(remarks))


def _columns(file: Path) -> list[Seen]:
    rows = _jsonl(file) if file.suffix.lower() in (".jsonl", ".ndjson") else _csv(file)
    header = next(rows, [])
    columns = [Seen(name) for name in header]
    if not columns:
        raise Usage(f"{file} is empty; its first line must name the columns")
    number = 1
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise Usage(f"{file}, row {number}: {len(row)} cells for {len(columns)} columns")
        for column, cell in zip(columns, row, strict=True):
            column.add(cell)
    if number < 2:
        raise Usage(f"{file} has a header and no rows")
    return columns


def _csv(file: Path) -> Iterator[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            yield from csv.reader(lines, delimiter=delimiter, strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Usage(f"{file} is no csv file in UTF-8: {error}") from error


def _jsonl(file: Path) -> Iterator[list[str]]:
    names: list[str] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise Usage(f"{file}, line {number} is no JSON: {error}") from error
            if not isinstance(row, dict) or (names and set(row) != set(names)):
                raise Usage(f"{file}, line {number} is no object with the members of the first line")
            if not names:
                names = list(row)
                yield names
            yield ["" if row[name] is None else _text(row[name]) for name in names]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _of_model(file: Path, features: list[Seen], model: ModelFacts, remarks: list[str]) -> list[Seen]:
    """The columns that feed the network, in its order."""
    by_name = {column.name: column for column in features}
    names: Sequence[str] = model.input.feature_names
    if names:
        missing = [name for name in names if name not in by_name]
        if missing:
            raise Usage(f"{file} lacks the model's features {', '.join(map(repr, missing))}")
        return [by_name[name] for name in names]
    if len(features) != model.input.channels:
        raise Usage(
            f"{file} has {len(features)} columns besides the label and the model reads {model.input.channels} features;"
            " name them in the model's facts (input.feature_names), or take the others out of the file"
        )
    remarks.append("the features are taken in the order of the file; check that the model was trained in that order")
    return features


def _input(file: Path, features: list[Seen], remarks: list[str]) -> InputFacts:
    low = tuple(0.0 if not column.numeric else column.low for column in features)
    high = tuple(float(max(len(column.distinct) - 1, 1)) if not column.numeric else column.high for column in features)
    high = tuple(top if top > bottom else bottom + 1 for bottom, top in zip(low, high, strict=True))
    remarks.append(f"bounds are the lowest and highest cells of {file.name}: replace them by the legal ones")
    return InputFacts(
        kind="table",
        layout="NF",
        shape=(len(features),),
        bounds=Bounds(low=low, high=high),
        feature_names=tuple(column.name for column in features),
    )


def _label(
    label: str | None, columns: list[Seen], model: ModelFacts | None, remarks: list[str]
) -> tuple[tuple[str, ...], list[Column]]:
    if label is None:
        return (), []
    (column,) = [each for each in columns if each.name == label]
    classes = model.output.classes if model is not None else ()
    if column.numeric and (model is None or classes):
        if column.whole:
            return classes, [Column(name=label, role="label", type="integer")]
        return (), [Column(name=label, role="label", type="number")]
    if column.numeric:
        return (), [Column(name=label, role="label", type="number")]
    if not column.categorical:
        raise Usage(f"the label {label!r} holds more than {MOST_CATEGORIES} different words")
    if not classes:
        classes = tuple(sorted(column.distinct))
        remarks.append(f"classes are in alphabetical order, {', '.join(classes)}: put them in the model's order")
    strange = sorted(column.distinct - set(classes))
    if strange:
        raise Usage(f"the label {label!r} holds {', '.join(map(repr, strange[:5]))}, which the model's classes lack")
    return classes, [Column(name=label, role="label", type="category", categories=classes)]


def _feature(column: Seen, remarks: list[str]) -> Column:
    if column.empty:
        remarks.append(
            f"{column.name!r} has {column.empty} empty cells of {column.cells}: declare what they become (missing)"
        )
    if column.numeric:
        return Column(name=column.name, type="integer" if column.whole else "number")
    if {cell.lower() for cell in column.distinct} <= _TRUTHS:
        return Column(name=column.name, type="boolean")
    if column.categorical:
        remarks.append(f"{column.name!r} is a category; put its values in the order of the codes 0, 1, ... in training")
        return Column(name=column.name, type="category", categories=tuple(sorted(column.distinct)))
    raise Usage(
        f"column {column.name!r} holds more than {MOST_CATEGORIES} different words, which no number stands for;"
        " take it out of the file, or leave it out of the model's feature_names"
    )
