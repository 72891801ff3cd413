"""What is told to the checker that shares nothing with the attack? The asker's own names, and units counted again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.contracts.facts import Column, InputFacts
from workers.recheck.constraints import Declared, Linear
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.rules import Floats

_FLAT = 1e-12


def declared_of(
    facts: InputFacts, columns: Sequence[Column], parameters: TabularParameters, background: Floats
) -> Declared:  # fmt: skip
    """background: (rows, F), raw."""
    features = [each for each in columns if each.role == "feature"]
    count = background.shape[1]
    names = tuple(each.name for each in features) or facts.feature_names or tuple(f"column {at}" for at in range(count))
    grouped = {name for group in parameters.one_hot for name in group}
    codes = {
        name: sorted(set(background[:, names.index(name)].tolist()))
        for name in parameters.categories if name not in grouped
    }  # fmt: skip
    for each in features:
        if each.type in ("category", "boolean") and each.name not in grouped:
            codes[each.name] = list(range(len(each.categories) if each.type == "category" else 2))
    steps = dict.fromkeys(parameters.whole, 1.0) | {each.name: 1.0 for each in features if each.type == "integer"}
    if not features:
        plain = [name for name in names if name not in codes and name not in grouped]
        steps |= {name: 1.0 for name in plain if (background[:, names.index(name)] % 1 == 0).all()}
    steps |= {each.column: each.value for each in parameters.steps_of}
    return Declared(
        names=names, low=np.broadcast_to(np.array(facts.bounds.low), count),
        high=np.broadcast_to(np.array(facts.bounds.high), count), unit=_units(background, parameters.unit),
        steps=steps, codes=codes, one_hot=parameters.one_hot, immutable=parameters.immutable,
        only_up=parameters.only_up, only_down=parameters.only_down,
        relations=tuple(
            Linear(weights=dict(zip(each.columns, each.weighed, strict=True)), sense=each.sense, bound=each.bound)
            for each in parameters.relations
        ),
        most_categories=parameters.most_categories,
    )  # fmt: skip


def _units(background: Floats, name: str) -> Floats:
    if name == "std":
        spread = np.sqrt(np.mean((background - background.mean(axis=0)) ** 2, axis=0))
    else:
        spread = np.subtract(*np.quantile(background, [0.95, 0.05], axis=0))
    flat = spread <= _FLAT * np.maximum(1e-30, np.abs(background).max(axis=0))
    return np.asarray(np.where(flat, 0.0, spread))
