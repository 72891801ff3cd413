"""How are the columns of a table drawn? Settled once from a background: training data where given, else the data
explained.

Statistics are those of lime 0.2.0.1. Constant columns are no features and are not drawn; missing numbers that a value
was declared for are a stratum of their own; NaN is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from sklearn.preprocessing import StandardScaler

from service.contracts.facts import Column
from workers.kind import AnalysisError
from workers.neighbourhoods.columns import (
    TableColumn,
    columns_of,
    listed,
    refuse_not_finite,
    refuse_not_one_hot,
)
from workers.neighbourhoods.discretise import Codes, Stacked, Strata, borders, of_number, of_values
from workers.neighbourhoods.table_streams import Scales
from workers.passes.asked import ROLE
from workers.passes.predicting import Predicting
from workers.subject.subject import Examples
from workers.surrogate.neighbourhood import Floats

Sampling = Literal["auto", "quartile", "decile", "entropy", "continuous"]

_ROLES = ("background", "training", ROLE)
"""Where the background comes from: the first that is given."""
_MOST_NUMBERS = 1 << 22
"""Of the background: 32 MiB. Of more, evenly spaced rows tell as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """How columns are drawn.

    sampling: in bins by quartiles, deciles or the entropy of labels, or continuous; auto: continuous, but in quartiles
    where cells are missing. around: where continuous numbers are centred, lime's `sample_around_instance`. columns: as
    declared of the dataset's file, where it is one. categories: names of further columns that are categories.
    one_hot: groups of inputs of which one is 1.
    """

    sampling: Sampling = "quartile"
    around: Literal["mean", "example"] = "mean"
    columns: tuple[Column, ...] = ()
    categories: tuple[str, ...] = ()
    one_hot: tuple[tuple[str, ...], ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        plain = asdict(self) | {
            "columns": [each.model_dump(mode="json") for each in self.columns],
            "categories": list(self.categories), "one_hot": [list(group) for group in self.one_hot],
        }  # fmt: skip
        return cast("dict[str, JsonValue]", plain)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableBackground:
    """What all examples share: the columns, and what the background says of each.

    position: which input the table is. role, examples, used: of the background, and how many of its rows were read.
    kept: the columns that are features. strata: by column; where continuous of categories alone. stacked: all of
    strata, in order. scales: where continuous. whole: whether the network reads whole numbers.
    """

    settings: TableSettings
    position: int
    role: str
    examples: int
    used: int
    columns: tuple[TableColumn, ...]
    kept: Codes
    strata: Mapping[int, Strata]
    stacked: Stacked | None
    scales: Scales | None
    whole: bool

    @classmethod
    def of(cls, case: Predicting, settings: TableSettings) -> TableBackground:
        """Made once for a case. Raises AnalysisError where there is no table, no column varies, or the data cannot be
        read as the settings say."""
        position = _table_input(case)
        role = next(each for each in _ROLES if each in case.subject.examples)
        data = case.subject.examples[role]
        whole = not case.x[position].is_floating_point()
        declared = settings.columns or _declared(case.subject.examples, role, position)
        columns = columns_of(
            case.subject.declared[position], declared, settings.categories, settings.one_hot, whole=whole
        )
        rows, labels = _rows(data, position)
        if settings.sampling == "auto":
            explained = case.raw[position].to("cpu", torch.float64).flatten(1).numpy()
            lacking = _missing(rows, columns) or _missing(explained, columns)
            settings = replace(settings, sampling="quartile" if lacking else "continuous")
        refuse_rows(rows, columns, settings, f"the {role} data")
        values = np.stack([column.read(rows) for column in columns], axis=1)
        varies = np.ptp(values, axis=0) > 0
        scales = _scales(columns, values) if settings.sampling == "continuous" else None
        if scales is not None:
            varies &= scales.category | (scales.deviation > 0)
        if not varies.any():
            raise AnalysisError(
                "background",
                f"every column is constant in the {role} data ({len(data.inputs)} examples): nothing can be drawn",
                remedy="Give data in which columns vary in the role training.",
            )
        strata = _strata(columns, values, settings, labels)
        return cls(
            settings=settings, position=position, role=role, examples=len(data.inputs), used=len(rows),
            columns=columns, kept=np.flatnonzero(varies), strata=strata,
            stacked=Stacked.of(tuple(strata.values())) if strata else None, scales=scales, whole=whole,
        )  # fmt: skip

    @property
    def left_out(self) -> tuple[str, ...]:
        """The constant columns."""
        kept = set(self.kept.tolist())
        return tuple(column.name for at, column in enumerate(self.columns) if at not in kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of an explanation must know, in sentences."""
        made = []
        if self.role == ROLE:
            made.append(
                f"Columns are drawn as they are in the {self.examples} examples of the evaluation data: no training"
                " data were given."
            )
        if self.used < self.examples:
            made.append(f"{self.used} evenly spaced rows of {self.examples} tell how columns are drawn.")
        if self.left_out:
            made.append(f"Constant in the {self.role} data, and so no features: {listed(self.left_out)}.")
        if self.whole:
            made.append("The network reads whole numbers: every column is a category.")
        return tuple(made)

    def as_json(self) -> dict[str, JsonValue]:
        """How columns are drawn, and from what."""
        made: dict[str, JsonValue] = {
            "sampling": self.settings.sampling, "background": self.role, "background_examples": self.examples,
            "background_rows_read": self.used, "columns": len(self.columns), "features": len(self.kept),
            "categories": sum(column.labels is not None for column in self.columns),
            "one_hot": sum(column.one_hot for column in self.columns),
        }  # fmt: skip
        return made | ({"around": self.settings.around} if self.scales is not None else {})


def refuse_rows(rows: Floats, columns: tuple[TableColumn, ...], settings: TableSettings, where: str) -> None:
    """Raises AnalysisError where raw rows (n, inputs) cannot be read as these columns. where: what they are of."""
    refuse_not_finite(rows, columns, where)
    refuse_not_one_hot(rows, columns, where)
    if settings.sampling != "continuous":
        return
    missing = _missing(rows, columns)
    if missing:
        raise AnalysisError(
            "missing-values",
            f"{where}: cells of {listed(missing)} are missing, and on a continuous scale none can be",
            remedy='Ask for sampling "quartile", where what is missing is a bin of its own.',
        )


def _missing(rows: Floats, columns: tuple[TableColumn, ...]) -> list[str]:
    """The columns of numbers of which some of the rows have none."""
    return [
        column.name
        for column in columns
        if column.labels is None and column.missing is not None and bool((column.read(rows) == column.missing).any())
    ]


def _declared(examples: Mapping[str, Examples], role: str, position: int) -> tuple[Column, ...]:
    """The columns as the background's file has them, or else that of the examples; a file of columns holds one input.

    Raises AnalysisError where both are declared and codes mean different things in them.
    """
    if position:
        return ()
    own, explained = examples[role].columns, examples[ROLE].columns
    if own and explained and [_read_as(each) for each in own] != [_read_as(each) for each in explained]:
        first = next(
            (one.name for one, other in zip(own, explained, strict=False) if _read_as(one) != _read_as(other)),
            "their number",
        )
        raise AnalysisError(
            "columns",
            f"the {role} data declare other columns than the {ROLE} data: they differ in {first!r}",
            remedy="Register both datasets with the same columns, categories in the same order.",
        )
    return own or explained


def _read_as(column: Column) -> tuple[object, ...]:
    return column.name, column.type, column.categories, column.missing


def _table_input(case: Predicting) -> int:
    for position, facts in enumerate(case.subject.declared):
        if facts.kind == "table":
            return position
    declared = ", ".join(f"{facts.kind} {facts.layout}" for facts in case.subject.declared)
    raise AnalysisError(
        "table",
        f"no input of the model is declared as a table; it reads {declared}",
        remedy="Declare the input as what it is, or ask for the LIME of its own kind.",
    )


def _rows(data: Examples, position: int) -> tuple[Floats, Codes | None]:
    """Raw rows (n, inputs) and labels (n,), evenly spaced where there are too many."""
    given = (data.inputs, *data.further)[position]
    step = max(1, -(-given.numel() // _MOST_NUMBERS))
    rows = given[::step].to("cpu", torch.float64).reshape(-1, given[0].numel()).numpy()
    return rows, None if data.labels is None else data.labels[::step].cpu().numpy()


def _scales(columns: tuple[TableColumn, ...], values: Floats) -> Scales:
    """As lime has them. values: (n, C). What varies by rounding alone scikit-learn's scaler takes for constant."""
    category = np.array([column.labels is not None for column in columns])
    fitted = StandardScaler(with_mean=False).fit(values)
    deviation = np.sqrt(fitted.var_)
    return Scales(
        mean=np.where(category, 0.0, fitted.mean_), scale=np.where(category, 1.0, fitted.scale_), category=category,
        deviation=np.where(deviation == fitted.scale_, deviation, 0.0),
    )  # fmt: skip


def _strata(
    columns: tuple[TableColumn, ...], values: Floats, settings: TableSettings, labels: Codes | None
) -> dict[int, Strata]:
    """values: (n, C). labels: (n,)."""
    if settings.sampling == "entropy" and labels is None:
        raise AnalysisError(
            "entropy",
            "bins by entropy part the labels, and the background has none",
            remedy='Give labelled data in the role training, or ask for sampling "quartile".',
        )
    made: dict[int, Strata] = {}
    for at, (column, own) in enumerate(zip(columns, values.T, strict=True)):
        known: NDArray[np.bool_] = own != column.missing if column.missing is not None else np.ones_like(own, np.bool_)
        if column.labels is not None or not known.any():
            made[at] = of_values(own)
        elif settings.sampling != "auto" and settings.sampling != "continuous":  # noqa: PLR1714  # so that types follow
            found = borders(own[known], settings.sampling, None if labels is None else labels[known])
            made[at] = of_number(own, column.name, found, column.missing)
    return made
