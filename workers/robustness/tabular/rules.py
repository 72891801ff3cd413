"""Which changes of a row are legal? Each column's type, bounds, direction and step, and what columns keep to together.

Numbers move within a budget that counts in units of each column. Categories, truth values and one-hot groups move from
one legal value to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.contracts.facts import Column, InputFacts
from workers.attack.space import Space
from workers.kind import AnalysisError
from workers.neighbourhoods.columns import TableColumn, columns_of, listed
from workers.robustness.tabular.parameters import Relation, TabularParameters

Floats = NDArray[np.float64]

_NEAREST = 3
_QUANTILES = (0.05, 0.95)
_MOST_CODES = 200
"""Of a category whose values nobody declared: the most frequent in the background."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rules:
    """F inputs make C columns.

    names: of the inputs. columns: of one input, or several where one-hot. legal: by column the codes it may have, none
    for a number. low, high, unit: float64 (F,), raw. step: float64 (F,), 0 where any number will do. free, up, down:
    bool (F,): whether it may change, and whether only upwards or downwards. held: columns that no attack changes.
    relations: R of them, with weights float64 (R, F), bound float64 (R,), and equal, bool (R,). cost: float64 (C,).
    unit_name: of a number's change.
    """

    names: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    legal: tuple[tuple[float, ...], ...]
    low: Tensor
    high: Tensor
    unit: Tensor
    step: Tensor
    free: Tensor
    up: Tensor
    down: Tensor
    held: frozenset[str]
    relations: tuple[Relation, ...]
    weights: Tensor
    bound: Tensor
    equal: Tensor
    cost: Tensor
    most_categories: int
    unit_name: str
    notes: tuple[str, ...]

    @property
    def numbers(self) -> Tensor:
        """Bool (F,): the inputs that are numbers and may change."""
        own = torch.zeros(len(self.names), dtype=torch.bool)
        for column, codes in zip(self.columns, self.legal, strict=True):
            own[list(column.places)] = not codes
        return own & self.free

    @property
    def exchangeable(self) -> tuple[int, ...]:
        """The columns, by place, whose category an attack may change."""
        return tuple(
            at
            for at, (column, codes) in enumerate(zip(self.columns, self.legal, strict=True))
            if codes and column.name not in self.held
        )

    def space(self, x: Tensor) -> Space:
        """The numbers that each row may have, (n, F): bounds and directions, within a budget by units."""
        low, high = self.ends(x)
        return Space(
            norm="linf", low=low, high=high, unit=self.unit.to(x)[None], free=self.numbers.to(x.device)[None], along=()
        )

    def ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The lowest and highest legal number of each input of each row, (n, F) each."""
        up, down = self.up.to(x.device), self.down.to(x.device)
        low = torch.where(up, x, self.low.to(x).expand_as(x))
        high = torch.where(down, x, self.high.to(x).expand_as(x))
        return torch.minimum(low, x), torch.maximum(high, x)


def rules_of(
    facts: InputFacts, declared: Sequence[Column], parameters: TabularParameters, background: Floats
) -> Rules:  # fmt: skip
    """background: (rows, F), raw. Raises AnalysisError for names that no column has, and settings that do not fit."""
    features = [each for each in declared if each.role == "feature"]
    categories = (*parameters.categories, *(each.name for each in features if each.type in ("category", "boolean")))
    names = _names(facts, features)
    _refuse_unknown(names, parameters)
    columns = columns_of(facts, declared, tuple(dict.fromkeys(categories)), parameters.one_hot, whole=False)
    _refuse_directed_groups(parameters)
    legal = tuple(_codes(column, background) for column in columns)
    unit = _unit(background, parameters.unit)
    step, found = _steps(names, features, columns, legal, parameters, background)
    held = _held(columns, names, parameters, unit, legal)
    free = torch.tensor([not held_input for held_input in _of_inputs(columns, held, len(names))])
    made = Rules(
        names=names, columns=columns, legal=legal,
        low=_ends(facts.bounds.low, len(names)), high=_ends(facts.bounds.high, len(names)),
        unit=torch.where(unit > 0, unit, 1.0), step=step, free=free,
        up=_at(names, parameters.only_up), down=_at(names, parameters.only_down), held=frozenset(held),
        relations=parameters.relations, weights=_weights(names, parameters.relations),
        bound=torch.tensor([each.bound for each in parameters.relations], dtype=torch.float64),
        equal=torch.tensor([each.sense == "equal" for each in parameters.relations], dtype=torch.bool),
        cost=_costs(columns, names, parameters), most_categories=parameters.most_categories,
        unit_name="standard deviations" if parameters.unit == "std" else "ranges from the 5 % to the 95 % quantile",
        notes=_notes(columns, legal, unit, found),
    )  # fmt: skip
    if not bool(made.numbers.any()) and not (made.exchangeable and made.most_categories):
        raise AnalysisError(
            "nothing-to-change",
            "no column may change: all are immutable, constant in the background, or categories of which none may",
            remedy="Leave a column out of `immutable`, or give a background in which columns differ.",
        )
    return made


def _names(facts: InputFacts, features: Sequence[Column]) -> tuple[str, ...]:
    count = facts.shape[0] if facts.shape else 1
    if len(features) == count:
        return tuple(each.name for each in features)
    return facts.feature_names or tuple(f"column {place}" for place in range(count))


def _refuse_unknown(names: Sequence[str], parameters: TabularParameters) -> None:
    """Columns are named as the data name them; one-hot groups by any of their inputs."""
    given = {
        "immutable": parameters.immutable, "only_up": parameters.only_up, "only_down": parameters.only_down,
        "whole": parameters.whole, "categories": parameters.categories, "protected": parameters.protected,
        "steps_of": tuple(each.column for each in parameters.steps_of),
        "costs": tuple(each.column for each in parameters.costs),
        "one_hot": tuple(name for group in parameters.one_hot for name in group),
        "relations": tuple(name for each in parameters.relations for name in each.columns),
    }  # fmt: skip
    for setting, wanted in given.items():
        for name in wanted:
            if name not in names:
                near = get_close_matches(name, names, n=_NEAREST, cutoff=0.0)
                raise AnalysisError(
                    "columns",
                    f"{setting} names the column {name!r}, which the table does not have",
                    remedy=f"The nearest are {listed(near)}.",
                )


def _refuse_directed_groups(parameters: TabularParameters) -> None:
    directed = {*parameters.only_up, *parameters.only_down}
    wrong = sorted(name for group in parameters.one_hot for name in group if name in directed)
    if wrong:
        raise AnalysisError(
            "columns", f"{wrong[0]!r} is one of a one-hot group, which has no up or down",
            remedy="Leave it out of only_up and only_down; name the group immutable where it may not change.",
        )  # fmt: skip


def _codes(column: TableColumn, background: Floats) -> tuple[float, ...]:
    if column.labels is None:
        return ()
    if column.labels:
        return tuple(float(code) for code in range(len(column.labels)))
    values, counts = np.unique(column.read(background), return_counts=True)
    most = values[np.argsort(-counts, kind="stable")[:_MOST_CODES]]
    return tuple(sorted(most.tolist()))


def _unit(background: Floats, name: str) -> Tensor:
    """(F,), zero where all rows have one value."""
    if name == "std":
        made = background.std(axis=0)
    else:
        low, high = np.quantile(background, _QUANTILES, axis=0)
        made = high - low
    made = np.where(made > 1e-12 * np.maximum(1e-30, np.abs(background).max(axis=0)), made, 0.0)
    return torch.from_numpy(np.asarray(made, dtype=np.float64))


def _steps(
    names: Sequence[str], features: Sequence[Column], columns: Sequence[TableColumn],
    legal: Sequence[tuple[float, ...]], parameters: TabularParameters, background: Floats,
) -> tuple[Tensor, list[str]]:  # fmt: skip
    """(F,), and the columns that were found to be of whole numbers."""
    number = {names[column.places[0]] for column, codes in zip(columns, legal, strict=True) if not codes}
    whole = {*parameters.whole, *(each.name for each in features if each.type == "integer")}
    found = list[str]()
    if not features:
        even = (background % 1 == 0).all(axis=0)
        found = [name for name, each in zip(names, even, strict=True) if each and name in number - whole]
    wrong = sorted((whole | {each.column for each in parameters.steps_of}) - number)
    if wrong:
        raise AnalysisError(
            "columns", f"{wrong[0]!r} is a category: it has no steps and is no whole number",
            remedy="Leave it out of `whole` and `steps_of`, or out of `categories` and `one_hot`.",
        )  # fmt: skip
    step = dict.fromkeys((*whole, *found), 1.0) | {each.column: each.value for each in parameters.steps_of}
    return torch.tensor([step.get(name, 0.0) for name in names], dtype=torch.float64), found


def _held(
    columns: Sequence[TableColumn], names: Sequence[str], parameters: TabularParameters, unit: Tensor,
    legal: Sequence[tuple[float, ...]],
) -> set[str]:  # fmt: skip
    held = set[str]()
    for column, codes in zip(columns, legal, strict=True):
        own = {names[place] for place in column.places}
        still = not codes and not bool(unit[column.places[0]] > 0)
        if own & set(parameters.immutable) or still:
            held.add(column.name)
    return held


def _of_inputs(columns: Sequence[TableColumn], held: set[str], count: int) -> list[bool]:
    made = [False] * count
    for column in columns:
        for place in column.places:
            made[place] = column.name in held
    return made


def _ends(given: tuple[float, ...], count: int) -> Tensor:
    return torch.tensor(given, dtype=torch.float64).expand(count).clone()


def _at(names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    return torch.tensor([name in wanted for name in names], dtype=torch.bool)


def _weights(names: Sequence[str], relations: Sequence[Relation]) -> Tensor:
    made = torch.zeros(len(relations), len(names), dtype=torch.float64)
    for row, relation in enumerate(relations):
        for name, weight in zip(relation.columns, relation.weighed, strict=True):
            made[row, names.index(name)] = weight
    return made


def _costs(columns: Sequence[TableColumn], names: Sequence[str], parameters: TabularParameters) -> Tensor:
    given = {each.column: each.value for each in parameters.costs}
    return torch.tensor(
        [max(given.get(names[place], 1.0) for place in column.places) if any(names[p] in given for p in column.places)
         else 1.0 for column in columns],
        dtype=torch.float64,
    )  # fmt: skip


def _notes(
    columns: Sequence[TableColumn], legal: Sequence[tuple[float, ...]], unit: Tensor, found: Sequence[str]
) -> tuple[str, ...]:  # fmt: skip
    made = []
    still = [c.name for c, codes in zip(columns, legal, strict=True) if not codes and not bool(unit[c.places[0]] > 0)]
    if still:
        made.append(f"Constant in the background, and so without a unit to count in and left as they are: "
                    f"{listed(still)}.")  # fmt: skip
    if found:
        made.append(f"No columns are declared: these hold whole numbers alone and stay whole: {listed(found)}.")
    return tuple(made)
