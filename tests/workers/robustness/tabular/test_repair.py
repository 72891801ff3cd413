"""Is whatever an attack proposes made legal, by the judgement of a checker that shares nothing with the repair?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from service.contracts.facts import Column, InputFacts
from workers.recheck.constraints import forbidden
from workers.robustness.tabular.declared import declared_of
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.repair import Repaired, obeys, repaired
from workers.robustness.tabular.rules import Rules, rules_of

ABC = ("a", "b", "c")


def rules(background: Tensor, names: tuple[str, ...] = ABC, low: float = -10, high: float = 10, **asked: Any) -> Rules:
    """Of columns that are numbers unless the parameters say otherwise."""
    facts = InputFacts.model_validate(
        {"kind": "table", "layout": "NF", "shape": [len(names)], "feature_names": list(names),
         "bounds": {"low": [low], "high": [high]}}
    )  # fmt: skip
    columns = tuple(Column(name=name) for name in names)
    return rules_of(facts, columns, TabularParameters.model_validate(asked), background.double().numpy())


SPREAD = torch.tensor([[-1.0, -1, -1], [1.0, 1, 1]])
"""A background in which each column has a standard deviation of 1."""


def test_numbers_stay_where_they_are_put_within_bounds():
    made = repaired(rules(SPREAD), torch.zeros(1, 3), torch.tensor([[0.3, -11.0, 11.0]]))
    assert made.tolist() == [[pytest.approx(0.3), -10.0, 10.0]]


def test_steps_go_towards_the_row_and_never_beyond_what_was_proposed():
    own = rules(SPREAD, whole=["a"], steps_of=[{"column": "b", "value": 0.25}])
    made = repaired(own, torch.zeros(2, 3), torch.tensor([[1.9, 0.49, 0.1], [-1.9, -0.51, 0.1]]))
    assert made.tolist() == [[1.0, 0.25, pytest.approx(0.1)], [-1.0, -0.5, pytest.approx(0.1)]]


def test_a_step_that_is_reached_but_for_rounding_is_taken():
    made = repaired(rules(SPREAD, whole=["a"]), torch.zeros(1, 3), torch.tensor([[0.999999, 0.0, 0.0]]))
    assert made[0, 0] == 1.0


def test_directions_and_immutable_columns_are_kept():
    own = rules(SPREAD, only_up=["a"], only_down=["b"], immutable=["c"])
    made = repaired(own, torch.zeros(2, 3), torch.tensor([[1.0, 1, 1], [-1.0, -1, -1]]))
    assert made.tolist() == [[1, 0, 0], [0, -1, 0]]


def test_a_relation_is_kept_by_the_nearest_point_on_it():
    own = rules(SPREAD, relations=[{"columns": ["a", "b"], "weights": [1, -1]}])  # a <= b
    made = repaired(own, torch.zeros(1, 3), torch.tensor([[1.0, -1.0, 0.5]]))
    assert made.tolist() == [[pytest.approx(0, abs=1e-5), pytest.approx(0, abs=1e-5), 0.5]]


def test_a_sum_stays_what_it_must_be():
    own = rules(SPREAD, relations=[{"columns": list(ABC), "sense": "equal", "bound": 3.0}])
    made = repaired(own, torch.ones(1, 3), torch.tensor([[2.0, 1.5, 1.0]]))
    assert made.tolist() == [[pytest.approx(1.5), pytest.approx(1.0), pytest.approx(0.5)]]


def test_where_no_repair_is_found_less_of_the_change_is_taken_and_counted():
    kept = {"columns": ["a", "b"], "weights": [1, -1], "bound": 2}
    own = rules(SPREAD, whole=["a"], immutable=["b"], relations=[kept])
    count = Repaired()
    made = repaired(own, torch.zeros(2, 3), torch.tensor([[4.0, 0, 0], [1.0, 0, 0]]), count)
    assert made[:, 0].tolist() == [2.0, 1.0]
    assert (count.proposed, count.rejected) == (2, 1)


def test_gradients_pass_through_rounding_and_relations():
    own = rules(SPREAD, whole=["a"], relations=[{"columns": ["b", "c"], "sense": "equal", "bound": 0.0}])
    made = torch.tensor([[1.6, 0.5, 0.25]], requires_grad=True)
    (repaired(own, torch.zeros(1, 3), made) * torch.tensor([1.0, 1.0, 0.0])).sum().backward()
    assert made.grad is not None
    assert made.grad[0].tolist() == [1.0, pytest.approx(0.5), pytest.approx(-0.5)]


def _drawn(draws: np.random.Generator) -> tuple[dict[str, Any], tuple[str, ...], np.ndarray[Any, Any]]:
    """Rules of numbers, a category, a group and relations that the rows keep to."""
    n = int(draws.integers(3, 8))
    names = (*(f"n{at}" for at in range(n)), "code", "x", "y", "z")
    scale = 10.0 ** draws.integers(-1, 3)
    rows = np.clip(draws.normal(size=(40, n)) * scale, -9 * scale, 9 * scale)
    steps = [{"column": "n0", "value": float(scale / 2)}] if draws.random() < 0.6 else []
    if steps:
        rows[:, 0] = np.round(rows[:, 0] / (scale / 2)) * (scale / 2)
    asked: dict[str, Any] = {"steps_of": steps, "categories": ["code"], "one_hot": [["x", "y", "z"]]}
    for rule in ("immutable", "only_up", "only_down"):
        if draws.random() < 0.4:
            asked[rule] = [f"n{int(draws.integers(1, n))}"]
    if set(asked.get("only_up", ())) & set(asked.get("only_down", ())):
        del asked["only_up"]
    relations: list[dict[str, Any]] = []
    for _ in range(int(draws.integers(0, 3))):
        weights = draws.normal(size=3)
        chosen = [f"n{at}" for at in draws.choice(n, 3, replace=False)]
        sums = rows[:, [int(name[1:]) for name in chosen]] @ weights
        relations.append(
            {"columns": chosen, "weights": weights.tolist(), "bound": float(sums.max() + draws.random() * scale)}
        )
    if draws.random() < 0.3:
        last, first = f"n{n - 1}", f"n{n - 2}"
        rows[:, n - 1] = -rows[:, n - 2]
        kept = [each for each in relations if last not in each["columns"]]
        relations = [*kept, {"columns": [first, last], "sense": "equal", "bound": 0.0}]
    asked["relations"] = relations
    codes, ones = draws.integers(0, 4, (40, 1)), np.eye(3)[draws.integers(0, 3, 40)]
    return asked, names, np.concatenate([rows, codes, ones], axis=1).astype(np.float32)


@pytest.mark.slow
def test_of_more_than_ten_thousand_drawn_proposals_every_repair_is_legal():
    draws = np.random.Generator(np.random.PCG64(3))
    judged = 0
    for _ in range(280):
        asked, names, rows = _drawn(draws)
        parameters = TabularParameters.model_validate(asked)
        background = rows.astype(np.float64)
        reach = float(np.abs(rows).max()) + 10
        own = rules(torch.from_numpy(rows), names, -reach, reach, **asked)
        facts = InputFacts.model_validate(
            {"kind": "table", "layout": "NF", "shape": [len(names)], "feature_names": list(names),
             "bounds": {"low": [-reach], "high": [reach]}}
        )  # fmt: skip
        told = declared_of(facts, tuple(Column(name=name) for name in names), parameters, background)
        x = torch.from_numpy(rows)
        epsilon = torch.from_numpy(draws.uniform(0.05, 3, len(rows)))
        moved = torch.from_numpy(draws.normal(size=rows.shape).astype(np.float32)) * 3 * own.unit.float()
        made = repaired(own, x, own.space(x).project(x, x + moved, epsilon.float()))
        verdicts = forbidden(told, rows, made.numpy(), epsilon.numpy())
        # relations that the rows themselves only just keep to are kept to as they are
        wrong = [why for at, why in enumerate(verdicts) if why and bool(obeys(own, x[at : at + 1]))]
        assert not wrong, wrong[0]
        judged += len(rows)
    assert judged > 10_000
