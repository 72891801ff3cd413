"""What are the columns of a table: numbers, categories, or groups of inputs of which one is 1?

A category reaches the network as its code, one input; inputs that say together which value holds (one-hot) are one
column, whose code is which of them is 1. A network that reads whole numbers has no other columns than categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from service.contracts.facts import Column, InputFacts
from workers.kind import AnalysisError
from workers.neighbourhoods.discretise import worded
from workers.surrogate.neighbourhood import Floats

_TRUTHS = ("false", "true")
_JOINTS = " _-=:./[("
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One column, of one input or, where it is one-hot, of several.

    places: of its inputs. labels: of its codes from 0, where it is a category; None for a number. missing: the number
    that stands for an empty cell, where one was declared.
    """

    name: str
    places: tuple[int, ...]
    labels: tuple[str, ...] | None
    missing: float | None = None

    @property
    def one_hot(self) -> bool:
        """Whether several inputs make it."""
        return len(self.places) > 1

    def read(self, rows: Floats) -> Floats:
        """(n,): its numbers, or codes, in rows (n, inputs)."""
        if self.one_hot:
            return np.asarray(rows[:, self.places].argmax(axis=1), dtype=np.float64)
        return np.asarray(rows[:, self.places[0]])

    def write(self, rows: Floats, values: Floats) -> None:
        """Into rows (n, inputs). values: (n,)."""
        if self.one_hot:
            rows[:, self.places] = values[:, None] == np.arange(len(self.places))
        else:
            rows[:, self.places[0]] = values

    def worded(self, value: float) -> str:
        """A number of it as people read it: age = 44, colour = red."""
        if self.labels and value % 1 == 0 and 0 <= value < len(self.labels):
            return f"{self.name} = {self.labels[int(value)]}"
        return f"{self.name} = {worded(value)}" + (" (missing)" if value == self.missing else "")


def columns_of(
    facts: InputFacts,
    declared: Sequence[Column],
    categories: Sequence[str],
    one_hot: Sequence[Sequence[str]],
    *,
    whole: bool,
) -> tuple[TableColumn, ...]:
    """In the order of the inputs, a group where its first input is.

    declared: of the dataset's file, where it is one. categories, one_hot: names of inputs. whole: whether the network
    reads whole numbers. Raises AnalysisError where names do not fit.
    """
    features = [each for each in declared if each.role == "feature"]
    names = _names(facts, features)
    owner = _groups(names, categories, one_hot)
    made, known = list[TableColumn](), set[int]()
    for place, name in enumerate(names):
        group = owner.get(name)
        if group is None:
            category = whole or name in categories
            made.append(_column(name, place, features[place] if features else None, category=category))
        elif group not in known:
            known.add(group)
            made.append(_one_hot(one_hot[group], names))
    return tuple(made)


def refuse_not_finite(rows: Floats, columns: Sequence[TableColumn], where: str) -> None:
    """Raises AnalysisError with the names of the columns. rows: (n, inputs). where: what the rows are of."""
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=0))
    if len(wrong):
        found = [each.name for each in columns if set(each.places) & set(wrong.tolist())]
        raise AnalysisError(
            "missing-values",
            f"{where}: NaN or infinity stands in {listed(found)}",
            remedy="Fill these cells, or declare in facts.columns what an empty cell becomes.",
        )


def refuse_not_one_hot(rows: Floats, columns: Sequence[TableColumn], where: str) -> None:
    """Raises AnalysisError where not one input of a group is 1 and the others 0. rows: (n, inputs)."""
    for column in columns:
        if not column.one_hot:
            continue
        own = rows[:, column.places]
        wrong = np.flatnonzero(~(((own == 0) | (own == 1)).all(axis=1) & (own.sum(axis=1) == 1)))
        if len(wrong):
            raise AnalysisError(
                "one-hot",
                f"{where}: of the inputs {column.name!r} stands for, {len(wrong)} of {len(rows)} rows do not have"
                " exactly one 1 and else 0",
                remedy="Leave the group out of one_hot, or name all inputs of it.",
            )


def listed(names: Sequence[str]) -> str:
    """The first of them."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(each) for each in names[:_NAMED]) + more


def _names(facts: InputFacts, features: Sequence[Column]) -> tuple[str, ...]:
    count = prod(facts.shape)
    if features and len(features) != count:
        raise AnalysisError(
            "columns",
            f"{len(features)} columns are declared as features, and an example has {count} numbers",
            remedy="Declare a column for each number that the network reads.",
        )
    if features:
        return tuple(each.name for each in features)
    if len(facts.feature_names) == count:
        return facts.feature_names
    return tuple(f"column {place}" for place in range(count))


def _groups(names: Sequence[str], categories: Sequence[str], one_hot: Sequence[Sequence[str]]) -> dict[str, int]:
    """The group of each input that is in one."""
    owner: dict[str, int] = {}
    given = [*categories, *(name for group in one_hot for name in group)]
    unknown = [name for name in given if name not in set(names)]
    if unknown:
        raise AnalysisError(
            "columns",
            f"the table has no {listed(unknown)}; it has {listed(names)}",
            remedy="Name columns as the dataset's facts do.",
        )
    for number, group in enumerate(one_hot):
        if len(group) < 2 or any(name in owner for name in group) or len(set(group)) < len(group):
            raise AnalysisError(
                "columns",
                f"{listed(group)} is no group of inputs of which one is 1",
                remedy="Name at least two inputs in each group of one_hot, and each in one group once.",
            )
        owner.update(dict.fromkeys(group, number))
    return owner


def _column(name: str, place: int, declared: Column | None, *, category: bool) -> TableColumn:
    if declared is None:
        return TableColumn(name=name, places=(place,), labels=() if category else None)
    labels = {"category": declared.categories, "boolean": _TRUTHS}.get(declared.type, () if category else None)
    return TableColumn(name=name, places=(place,), labels=labels, missing=declared.missing)


def _one_hot(group: Sequence[str], names: Sequence[str]) -> TableColumn:
    """`colour=red`, `colour=blue` is the column colour with the labels red and blue."""
    lowest, highest = min(group), max(group)  # what these two begin with alike, all do
    alike = next((at for at, pair in enumerate(zip(lowest, highest, strict=False)) if pair[0] != pair[1]), len(lowest))
    prefix = lowest[:alike]
    prefix = prefix[: max((prefix.rfind(joint) for joint in _JOINTS), default=-1) + 1]
    name = prefix.rstrip(_JOINTS)
    labels = tuple(each[len(prefix) :].rstrip("])") for each in group) if name else tuple(group)
    return TableColumn(
        name=name or " or ".join(group), places=tuple(names.index(each) for each in group), labels=labels
    )
