"""How is a row of a table corrupted, whole numbers left whole and categories categories?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.contracts.facts import Column, InputFacts
from workers.corruption.cells import TABLE, ColumnFacts, Floats, Row
from workers.corruption.source import Numbers
from workers.corruption.spec import Corruption
from workers.kind import AnalysisError
from workers.neighbourhoods.columns import TableColumn, columns_of, refuse_not_finite, refuse_not_one_hot
from workers.subject.subject import Examples, Subject

ROLES = ("background", "training", "evaluation")
"""Where the background comes from: the first of these that is there."""

_MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """categories: names of columns that are categories. one_hot: groups of columns of which one is 1."""

    categories: tuple[str, ...]
    one_hot: tuple[tuple[str, ...], ...]


def tables(
    subject: Subject, raw: tuple[Tensor, ...], position: int, dtype: torch.dtype, settings: TableSettings
) -> Numbers:
    """The source of input number `position`. Raises AnalysisError where columns do not fit or values are not finite."""
    facts, whole = subject.declared[position], not raw[position].is_floating_point()
    role = next(each for each in ROLES if each in subject.examples)
    declared = _declared(subject, position)
    columns = columns_of(facts, declared, settings.categories, settings.one_hot, whole=whole)
    background = _numbers(_given(subject.examples[role], position))
    background = background[np.linspace(0, len(background) - 1, min(len(background), _MOST_ROWS)).round().astype(int)]
    rows = _numbers(raw[position])
    for name, each in ((f"the {role} data", background), ("the evaluation data", rows)):
        refuse_not_finite(each, columns, name)
        refuse_not_one_hot(each, columns, name)
    of_columns = tuple(_facts(column, background, facts, declared) for column in columns)
    scale = np.array([1.0 if each.category or each.deviation == 0 else each.deviation for each in of_columns])
    own = np.stack([column.read(rows) for column in columns], axis=1)

    def one(index: int, corruption: Corruption, strength: float, draws: torch.Generator) -> tuple[Tensor, float]:
        made: Row = corruption.apply(Row(own[index], of_columns), strength, draws)
        changed = rows[index : index + 1].copy()
        moved = made.values != own[index]
        for at in np.flatnonzero(moved):
            columns[at].write(changed, made.values[at : at + 1])
        away = np.where([each.category for each in of_columns], moved, (made.values - own[index]) / scale)
        return torch.from_numpy(changed[0]).reshape(raw[position].shape[1:]), float(np.sqrt(np.mean(away**2)))

    return Numbers(
        subject=subject, raw=raw, position=position, dtype=dtype, corruptions=TABLE, one=one,
        unit="root mean square over columns, standard deviations; 1 for another category",
        notes=_notes(subject.examples[role], role, declared, of_columns),
    )  # fmt: skip


def _declared(subject: Subject, position: int) -> tuple[Column, ...]:
    """The columns of a dataset's file, which are those of the first input."""
    found = (subject.examples[role].columns for role in ("evaluation", *ROLES) if role in subject.examples)
    return next((each for each in found if each), ()) if position == 0 else ()


def _given(data: Examples, position: int) -> Tensor:
    return (data.inputs, *data.further)[position]


def _numbers(raw: Tensor) -> Floats:
    """(rows, numbers)."""
    return np.asarray(raw.double().cpu().flatten(1).numpy())


def _facts(column: TableColumn, background: Floats, facts: InputFacts, declared: Sequence[Column]) -> ColumnFacts:
    observed = column.read(background)
    category = column.labels is not None
    types = {each.name: each.type for each in declared}
    whole = types[column.name] == "integer" if column.name in types else bool((observed % 1 == 0).all())
    values, counts = np.unique(observed, return_counts=True)
    mean = float(observed.mean())
    common = float(values[counts.argmax()])
    fill = column.missing if column.missing is not None else common if category else round(mean) if whole else mean
    place = column.places[0]
    low, high = (bound[place if len(bound) > 1 else 0] for bound in (facts.bounds.low, facts.bounds.high))
    return ColumnFacts(
        name=column.name, observed=observed, fill=float(fill), deviation=0.0 if category else float(observed.std()),
        category=category, whole=whole, low=low, high=high,
    )  # fmt: skip


def _notes(
    data: Examples, role: str, declared: Sequence[Column], columns: Sequence[ColumnFacts]
) -> tuple[str, ...]:  # fmt: skip
    made = [f"Means, standard deviations and other rows are those of {len(data.inputs)} examples of the {role} data."]
    if not declared:
        made.append(
            "No columns are declared: columns that hold whole numbers alone stay whole, and all others are numbers."
        )
    still = [each.name for each in columns if not each.category and each.deviation == 0]
    if still:
        made.append(f"{len(still)} columns are constant in these data and get no noise: {', '.join(still[:5])}.")
    return tuple(made)


def refuse_other_tables(facts: InputFacts) -> None:
    """Raises AnalysisError where a table has more axes than one of features."""
    if len(facts.shape) > 1:
        raise AnalysisError(
            "table-layout",
            f"a table of the layout {facts.layout} has more axes than its features",
            remedy="Declare the input as a series or an image, or flatten it.",
        )
