"""Which columns of a table are features, labels or texts? Settled from the declared facts and the file's own names."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from service.contracts.facts import Column, DatasetFacts
from workers.subject.data.found import room_for, too_many
from workers.subject.data.limits import COLUMNS
from workers.subject.refusal import Refusal, quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The columns to read, features in the order of the network's features; unread: the others of the file."""

    features: tuple[Column, ...]
    label: Column | None
    text: Column | None
    unread: tuple[str, ...]

    @property
    def read(self) -> tuple[Column, ...]:
        """All columns that are read."""
        return (*self.features, *(each for each in (self.label, self.text) if each is not None))

    @property
    def notes(self) -> tuple[str, ...]:
        """Which columns nobody asked for."""
        return (f"not read: {', '.join(quoted(name) for name in self.unread)[:1000]}",) if self.unread else ()


def planned(header: Sequence[str], facts: DatasetFacts) -> Plan:
    """Which of the columns named in `header` are read, and as what. Raises Refusal where one is missing.

    Where no columns are declared, all but `labels_array` are numbers: in the order of the declared feature names, else
    in that of the file.
    """
    if len(header) > COLUMNS:
        raise too_many("columns", len(header), COLUMNS, "Send only the columns that are needed.")
    if facts.further_inputs and facts.input.kind != "text":
        raise Refusal(
            "further-inputs",
            f"{len(facts.further_inputs)} further inputs are declared; a table holds one input",
            "Send the inputs as named arrays: numpy.savez or safetensors.numpy.save_file.",
        )
    wanted = facts.columns or _assumed(header, facts)
    plan = Plan(
        features=tuple(each for each in wanted if each.role == "feature"),
        label=next((each for each in wanted if each.role == "label"), None),
        text=next((each for each in wanted if each.role == "text"), None),
        unread=tuple(dict.fromkeys(name for name in header if name not in {each.name for each in wanted})),
    )
    for column in plan.read:
        if header.count(column.name) != 1:
            raise _not_one(column, header, facts)
    if plan.text is None:
        _fits(plan, facts)
    return plan


def _assumed(header: Sequence[str], facts: DatasetFacts) -> tuple[Column, ...]:
    label = () if facts.labels_array is None else (Column(name=facts.labels_array, role="label"),)
    if facts.input.kind == "text":
        return (Column(name=facts.inputs_array, role="text"), *label)
    names = facts.input.feature_names or [name for name in header if name != facts.labels_array]
    unusable = next((name for name in names if not 1 <= len(name) <= 128 or not name.isprintable()), None)
    if unusable is not None:
        raise Refusal(
            "column-name",
            f"column {quoted(unusable)} cannot be a feature: a name has 1 to 128 printable characters",
            "Name the columns in the first line, and declare in facts.columns which of them are read.",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise Refusal("duplicate-column", f"two columns are named {quoted(twice)}", "Give every column its own name.")
    return (*(Column(name=name) for name in names), *label)


def _not_one(column: Column, header: Sequence[str], facts: DatasetFacts) -> Refusal:
    if column.name in header:
        return Refusal(
            "duplicate-column", f"two columns are named {quoted(column.name)}", "Give every column its own name."
        )
    shown = ", ".join(quoted(name, 40) for name in header[:12]) + (", ..." if len(header) > 12 else "")
    close = difflib.get_close_matches(column.name, [name[:256] for name in header[:1000]], n=1)
    hint = f"; did you mean {quoted(close[0])}?" if close else ""
    optional = (
        " Where there are no labels, register it with labels_array null."
        if not facts.columns and column.role == "label"
        else ""
    )
    return Refusal(
        "missing-column",
        f"the file has no column {quoted(column.name)}, which is to be the {column.role}{hint} It has {shown}"
        if hint
        else f"the file has no column {quoted(column.name)}, which is to be the {column.role}; it has {shown}",
        "Name the columns as the file does, in facts.columns or facts.input.feature_names." + optional,
    )


def _fits(plan: Plan, facts: DatasetFacts) -> None:
    values = prod(facts.input.shape)
    if len(plan.features) != values:
        named = ", ".join(quoted(each.name, 40) for each in plan.features[:12])
        raise Refusal(
            "input-shape",
            f"facts.input.shape declares {list(facts.input.shape)}, that is {values} numbers per example; the table has"
            f" {len(plan.features)} feature columns ({named}{', ...' if len(plan.features) > 12 else ''})",
            "Declare in facts.columns which columns are features, or register the dataset with its real shape.",
        )
    room_for(1, values)
