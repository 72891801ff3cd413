"""What does the outcome say of what all attacks found, row by row?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.kind import Computed, Context, Partial
from workers.numerics.determinism import seed_for
from workers.numerics.intervals import bootstrap, wilson
from workers.passes.asked import ROLE
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.fewer import by_units, changed
from workers.robustness.tabular.findings import findings
from workers.robustness.tabular.outcome import (
    Attack,
    Average,
    Before,
    Budget,
    OfColumn,
    Protected,
    Refused,
    Row,
    TabularOutcome,
)
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.rechecked import MOST_ASKED, rechecked
from workers.robustness.tabular.rules import Floats
from workers.robustness.tabular.told import rule, type_of
from workers.subject.subject import Subject

_MOST_COLUMNS, _MOST_ASIDE, _MOST_REFUSED = 1000, 1000, 100


def merge(
    subject: Subject, parameters: TabularParameters, partials: Sequence[Partial], context: Context
) -> Computed[TabularOutcome]:
    """The outcome, with what it rests on row by row."""
    (partial,) = partials
    case, values, arrays = Case.of(subject, parameters), partial.values, partial.arrays
    at, made, clean = arrays["at"], arrays["made"], arrays["clean"].bool()
    x = case.x.cpu()
    broken = (at >= 0) & (at < len(parameters.epsilons))
    moved, units = changed(case.rules, x, made)[broken], by_units(case.rules, x, made)[broken]
    costs = (units.abs() * case.rules.cost).sum(1).numpy()
    confirmed = rechecked(case, at, made)
    outcome = TabularOutcome(
        reading=case.judged.reading, unit_name=case.rules.unit_name, background=case.role, examples=len(case),
        available=len(subject.examples[ROLE].inputs), aside=len(case.aside), black_box=subject.black_box,
        tolerance=case.judged.tolerance, output_unit=subject.facts.output.unit,
        most_categories=min(parameters.most_categories, len(case.rules.exchangeable)),
        columns_changeable=_changeable(case),
        relations=tuple(each.said[:600] for each in parameters.relations),
        clean=Average.of(wilson(int(clean.sum()), len(case))), budgets=_budgets(parameters, at, clean),
        attacks=_attacks(values), broken=int(broken.sum()),
        changed=_median(moved.sum(1).double().numpy(), context), cost=_median(costs, context),
        columns=_columns(case, moved, units), protected=_protected(values, arrays),
        shown=_shown(case, at, made, broken.nonzero().flatten(), costs), proposed=_count(values, "proposed"),
        rejected=_count(values, "rejected"), rechecked=confirmed.n, confirmed=confirmed.confirmed,
        asked_again=min(confirmed.n, MOST_ASKED),
        refused=tuple(Refused(index=index, because=why) for index, why in confirmed.refused[:_MOST_REFUSED]),
        notes=(*case.rules.notes, *(note for note in case.attacked.notes if "other inputs" in note)),
        not_applicable=_aside(case),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    return Computed(outcome=outcome, arrays={name: each for name, each in arrays.items() if each.numel()})


def _changeable(case: Case) -> int:
    numbers = int(case.rules.numbers.sum())
    return numbers + (len(case.rules.exchangeable) if case.rules.most_categories else 0)


def _budgets(parameters: TabularParameters, at: Tensor, clean: Tensor) -> tuple[Budget, ...]:
    made = []
    for place, epsilon in enumerate(parameters.epsilons):
        kept = int((clean & (at > place)).sum())
        right = int(clean.sum())
        made.append(
            Budget(
                epsilon=epsilon, kept=Average.of(wilson(kept, len(at))),
                success=Average.of(wilson(right - kept, right)) if right else None,
            )
        )  # fmt: skip
    return tuple(made)


def _attacks(values: dict[str, Any]) -> tuple[Attack, ...]:
    return tuple(Attack.model_validate(each) for each in values["attacks"])


def _count(values: dict[str, Any], name: str) -> int:
    return int(values[name])


def _median(of: Floats, context: Context) -> Average | None:
    if not len(of):
        return None
    return Average.of(bootstrap(of, seed_for(context.digest, 0), lambda drawn: np.median(drawn, axis=-1)))


def _columns(case: Case, moved: Tensor, units: Tensor) -> tuple[OfColumn, ...]:
    made, rules, n = [], case.rules, len(moved)
    for at, (column, codes) in enumerate(zip(rules.columns, rules.legal, strict=True)):
        unit = None if codes or column.name in rules.held else float(rules.unit[column.places[0]])
        own = units[moved[:, at], at].abs()
        made.append(
            OfColumn(
                column=column.name[:600], type=type_of(rules, at), rule=rule(rules, at), unit=unit,
                changed=Average.of(wilson(int(moved[:, at].sum()), n)) if n else None,
                median_change=float(np.median(own.numpy())) * unit if unit is not None and len(own) else None,
            )
        )  # fmt: skip
    made.sort(key=lambda each: -(each.changed.value if each.changed else 0.0))
    return tuple(made[:_MOST_COLUMNS])


def _protected(values: dict[str, Any], arrays: dict[str, Tensor]) -> tuple[Protected, ...]:
    made = []
    for at, column in enumerate(values["protected"]):
        tried = arrays["tried"][at]
        rows = int((tried > 0).sum())
        flipped = int(arrays["flips"][at].sum())
        made.append(
            Protected(
                column=column, flips=Average.of(wilson(flipped, rows)) if rows else None, values=int(tried.sum()),
                rows=rows,
            )
        )  # fmt: skip
    return tuple(made)


def _shown(case: Case, at: Tensor, made: Tensor, broken: Tensor, costs: Floats) -> tuple[Row, ...]:
    """The rows that the smallest budgets break, of those the cheapest."""
    order = sorted(range(len(broken)), key=lambda k: (int(at[broken[k]]), float(costs[k]), k))
    chosen = order[: case.parameters.shown]
    if not chosen:
        return ()
    index = broken[torch.tensor(chosen)]
    with torch.no_grad():
        became = case.judged.said(case.victim(len(index)).outputs(made[index].to(case.x.device), index))
    return tuple(
        Row(
            index=int(case.kept[row]), epsilon=case.parameters.epsilons[int(at[row])],
            decided=_decided(case, case.judged.decided[row]), became=_decided(case, became[number]),
            cost=float(costs[chosen[number]]), cells=_cells(case, case.x[row].cpu(), made[row]),
        )
        for number, row in enumerate(index.tolist())
    )  # fmt: skip


def _decided(case: Case, of: Tensor) -> str:
    if case.judged.reading == "shift":
        return f"{float(of):.6g} {case.subject.facts.output.unit}"[:600]
    names, label = case.subject.facts.output.classes, int(of)
    return names[label] if label < len(names) else f"number {label}"


def _cells(case: Case, before: Tensor, after: Tensor) -> tuple[Before, ...]:
    rules = case.rules
    moved = changed(rules, before[None], after[None])[0]
    rows = torch.stack([before, after]).double().numpy()
    made = []
    for at in moved.nonzero().flatten().tolist():
        column = rules.columns[at]
        own = [column.worded(value).removeprefix(f"{column.name} = ")[:600] for value in column.read(rows).tolist()]
        made.append(Before(column=column.name[:600], before=own[0], after=own[1]))
    return tuple(made)


def _aside(case: Case) -> tuple[NotApplicable, ...]:
    return tuple(
        NotApplicable(subject=f"row {index}", because=f"it breaks a rule itself: {why}"[:4000])
        for index, why in case.aside[:_MOST_ASIDE]
    )
