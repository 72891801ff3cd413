"""Do attacks on tables find what is there to find, keep to every rule, and say what they found?"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.contracts.facts import Column
from tests.workers.robustness.tabular.tables import RULES, Linear, people, table
from tests.workers.subjects import Answer, answer, context
from workers.kind import AnalysisError, Cancelled
from workers.robustness.tabular.case import Case
from workers.robustness.tabular.kind import tabular_kind
from workers.robustness.tabular.parameters import TabularParameters
from workers.subject.subject import Subject

KIND = tabular_kind()
AB = ("a", "b")
SPREAD = torch.tensor([[-1.0, -1], [1.0, 1], [-1.0, 1], [1.0, -1]])
"""Each column has a standard deviation of 1."""
NUMBERS = tuple(Column(name=name) for name in AB)


def two(bias: float, rows: Tensor = SPREAD, **changes: Any) -> Subject:
    """yes where a + b + bias is above zero."""
    return table(Linear(torch.ones(2), bias), rows, AB, columns=NUMBERS, **changes)


def at(made: Answer) -> list[int]:
    return [int(each) for each in made.computed.arrays["at"].tolist()]


def test_a_linear_model_breaks_at_its_margin_over_the_sum_of_its_weights():
    rows = torch.tensor([[0.5, 0.5], [-0.5, 0.3], [-1.0, -1.0]])  # margins 1.0, 0.2 and 2.0; two units move the sum
    made = answer(KIND, two(0.0, rows, background=SPREAD), epsilons=[0.09, 0.11, 0.49, 0.51, 0.99, 1.01])
    assert at(made) == [3, 1, 5]


def test_budgets_count_the_unit_of_each_column():
    rows = torch.tensor([[0.0, 0.0]])
    network = Linear(torch.tensor([1.0, 0.01]), 0.99)
    background = SPREAD * torch.tensor([1.0, 100.0])
    made = answer(
        KIND, table(network, rows, AB, -1000.0, 1000.0, columns=NUMBERS, background=background),
        epsilons=[0.49, 0.5, 0.51],
    )  # fmt: skip
    assert at(made) == [1]


@pytest.mark.slow
def test_directions_take_half_of_what_could_move():
    rows = torch.tensor([[0.0, 0.0]])
    subject = two(0.5, rows, background=SPREAD)  # the sum must fall by 0.5
    assert at(answer(KIND, subject, epsilons=[0.26, 0.51])) == [0]
    assert at(answer(KIND, subject, epsilons=[0.26, 0.51], only_up=["a"])) == [1]
    assert at(answer(KIND, subject, epsilons=[0.26, 0.51], only_up=["a", "b"])) == [2]


def test_whole_numbers_need_a_whole_step():
    subject = two(0.5, torch.tensor([[0.0, 0.0]]), background=SPREAD)
    assert at(answer(KIND, subject, epsilons=[0.6, 1.01], whole=["a"], immutable=["b"])) == [1]


def test_a_model_of_what_may_not_change_holds():
    network = Linear(torch.tensor([1.0, 0.0]), 0.01)
    made = answer(KIND, table(network, SPREAD * 0.001, AB, columns=NUMBERS, background=SPREAD), immutable=["a"])
    assert at(made) == [4] * 4
    assert made.outcome.budgets[-1].success.value == 0


@pytest.mark.slow
def test_a_relation_can_keep_a_model_from_being_broken():
    rows = torch.tensor([[0.0, 0.0]])
    subject = two(0.6, rows, background=SPREAD)
    assert at(answer(KIND, subject)) == [2]
    kept = [{"columns": ["a", "b"], "sense": "equal", "bound": 0.0}]
    assert at(answer(KIND, subject, relations=kept)) == [4]


def test_attacks_move_along_a_relation():
    network = Linear(torch.tensor([1.0, -1.0]), 0.5)
    subject = table(network, torch.tensor([[0.0, 0.0]]), AB, columns=NUMBERS, background=SPREAD)
    kept = [{"columns": ["a", "b"], "sense": "equal", "bound": 0.0}]
    made = answer(KIND, subject, relations=kept, epsilons=[0.2, 0.3])
    assert at(made) == [1]
    assert float(made.computed.arrays["made"].sum()) == pytest.approx(0.0, abs=1e-6)


def test_a_category_alone_breaks_at_every_budget():
    network = Linear(torch.tensor([0.001, 1.0]), -0.5)
    columns = (Column(name="a"), Column(name="b", type="boolean"))
    rows = torch.tensor([[0.3, 1.0], [0.1, 0.0]])
    subject = table(network, rows, AB, columns=columns)
    assert at(answer(KIND, subject)) == [0, 0]
    assert at(answer(KIND, subject, most_categories=0)) == [4, 4]


def test_two_categories_together_are_found_where_two_may_change():
    class Both(nn.Module):
        """yes where both are 1, and sooner where one is."""

        def forward(self, x: Tensor) -> Tensor:
            second = x.sum(1) - 1.5
            return torch.stack([torch.zeros_like(second), second], dim=1)

    columns = tuple(Column(name=name, type="boolean") for name in AB)
    subject = table(Both(), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), AB, 0.0, 1.0, columns=columns)
    assert at(answer(KIND, subject, most_categories=1)) == [4, 0]
    assert at(answer(KIND, subject, most_categories=2)) == [0, 0]


def test_a_category_that_matters_only_together_with_a_number_is_found():
    class Together(nn.Module):
        """b alone changes nothing; with it, a counts ten times."""

        def forward(self, x: Tensor) -> Tensor:
            second = 0.5 + x[:, 0] * (1 + 9 * x[:, 1])
            return torch.stack([torch.zeros_like(second), second], dim=1)

    columns = (Column(name="a"), Column(name="b", type="boolean"))
    subject = table(Together(), torch.tensor([[0.0, 0.0]]), AB, columns=columns, background=SPREAD)
    assert at(answer(KIND, subject, epsilons=[0.04, 0.06, 0.6])) == [1]
    assert at(answer(KIND, subject, epsilons=[0.04, 0.06, 0.6], immutable=["b"])) == [2]


def test_columns_that_need_not_change_are_put_back():
    network = Linear(torch.tensor([1.0, 1e-4]), 0.2)
    subject = table(network, torch.tensor([[0.0, 0.0]]), AB, columns=NUMBERS, background=SPREAD)
    made = answer(KIND, subject, epsilons=[0.5])
    assert made.outcome.changed.value == 1
    assert made.computed.arrays["made"][0, 1] == 0.0


def test_costs_weigh_the_units_of_each_change():
    network = Linear(torch.tensor([1.0, 0.0]), 0.25)
    subject = table(network, torch.tensor([[0.0, 0.0]]), AB, columns=NUMBERS, background=SPREAD)
    plain = answer(KIND, subject, epsilons=[0.5]).outcome.cost.value
    dear = answer(KIND, subject, epsilons=[0.5], costs=[{"column": "a", "value": 8.0}]).outcome.cost.value
    assert dear == pytest.approx(8 * plain)
    assert 0.25 <= plain <= 0.5


def test_a_protected_column_is_changed_alone():
    network = Linear(torch.tensor([0.2, 1.0]), -0.5)
    columns = (Column(name="a"), Column(name="b", type="boolean"))
    subject = table(network, torch.tensor([[0.3, 1.0], [0.1, 0.0], [9.0, 0.0]]), AB, columns=columns)
    made = answer(KIND, subject, protected=["b"], immutable=["b"])
    (of,) = made.outcome.protected
    assert (of.column, of.flips.value, of.flips.n, of.values) == ("b", pytest.approx(2 / 3), 3, 3)
    assert "protected-flips" in {each.code for each in made.outcome.findings}


@pytest.mark.slow
def test_everything_stored_is_confirmed_and_every_rule_is_kept():
    made = answer(KIND, people(40), **RULES)
    outcome, x, rows = made.outcome, made.computed.arrays["original"], made.computed.arrays["made"]
    assert outcome.rechecked == outcome.confirmed == outcome.broken > 10
    assert torch.equal(rows[:, 0], x[:, 0])
    assert bool((rows[:, 3] >= x[:, 3]).all())
    assert bool((rows[:, 3] % 1 == 0).all())
    assert bool((rows[:, 4:7].sum(1) == 1).all())
    assert bool((rows[:, 2] <= rows[:, 1] + 1e-2).all())
    assert {each.passed for each in made.controls} == {True}


@pytest.mark.slow
def test_more_rules_never_make_a_table_easier_to_break_by_much():
    free, bound = (answer(KIND, people(40), **rules, queries=0).outcome for rules in ({}, RULES))
    assert bound.budgets[-1].kept.value >= free.budgets[-1].kept.value - 0.1


@pytest.mark.slow
def test_the_curve_never_rises():
    kept = [each.kept.value for each in answer(KIND, people(40), **RULES, queries=0).outcome.budgets]
    assert kept == sorted(kept, reverse=True)


@pytest.mark.slow
def test_a_black_box_is_searched_without_gradients():
    subject = people(12)
    blind = Subject(
        model=subject.model, facts=subject.facts, manifest=subject.manifest, digest=subject.digest,
        examples=subject.examples, device=subject.device, black_box=True,
    )  # fmt: skip
    made, seen = (answer(KIND, each, **RULES, queries=100) for each in (blind, people(12)))
    assert made.outcome.gradients == 0
    assert made.outcome.forwards > 0
    assert made.outcome.broken >= seen.outcome.broken - 2


@pytest.mark.slow
def test_a_row_is_attacked_alike_alone_and_among_others():
    many, few = (answer(KIND, people(12), examples=n, **RULES, neighbours=0, queries=50) for n in (12, 5))
    assert at(many)[:5] == at(few)


def test_numbers_count_as_broken_where_they_shift():
    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1, keepdim=True)

    regression = {"task": "regression", "output": {"kind": "values", "unit": "euro"}, "loss": "mse"}
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # outputs 1 and -1: a standard deviation of 1
    subject = table(Sum(), rows, AB, columns=NUMBERS, labels=torch.zeros(2).long(), background=SPREAD, **regression)
    made = answer(KIND, subject, shift=0.5, epsilons=[0.24, 0.26])
    assert at(made) == [1, 1]
    assert made.outcome.reading == "shift"
    assert made.outcome.tolerance == pytest.approx(0.5)


def test_one_output_is_two_classes():
    class One(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(x.sum(1, keepdim=True) + 0.5)

    output = {"kind": "probabilities", "classes": ["no", "yes"]}
    rows = torch.tensor([[0.0, 0.0], [-1.0, 0.0]])
    subject = table(
        One(), rows, AB, columns=NUMBERS, labels=torch.tensor([1, 0]), background=SPREAD, output=output,
        loss="binary_cross_entropy",
    )  # fmt: skip
    assert at(answer(KIND, subject, epsilons=[0.24, 0.26])) == [1, 1]


# --- what cannot be asked, and what is told


def test_rows_that_break_a_rule_are_named_and_set_aside():
    rows = torch.tensor([[0.2, 0.0], [0.0, 0.1], [0.1, 0.3]])
    kept = [{"columns": ["a", "b"], "weights": [1, -1]}]
    made = answer(KIND, two(5.0, rows, background=SPREAD), relations=kept)
    assert made.outcome.aside == 1
    assert made.outcome.examples == 2
    assert made.outcome.not_applicable[0].subject == "row 0"
    assert "at most 0" in made.outcome.not_applicable[0].because
    assert made.computed.arrays["index"].tolist() == [1, 2]


def test_a_rule_that_no_row_keeps_to_is_refused_with_the_row_and_the_rule():
    with pytest.raises(AnalysisError, match="row 0, because 1 a \\+ 1 b is 0") as refused:
        Case.of(
            two(5.0, torch.zeros(3, 2), background=SPREAD),
            TabularParameters.model_validate({"relations": [{"columns": ["a", "b"], "bound": -1.0}]}),
        )
    assert refused.value.code == "constraints"


def test_rows_that_break_a_rule_are_refused_where_that_is_asked():
    asked = {"relations": [{"columns": ["a", "b"], "weights": [1, -1]}], "broken_rules": "refuse"}
    rows = torch.tensor([[0.2, 0.0], [0.0, 0.1]])
    with pytest.raises(AnalysisError, match="1 of 2 rows"):
        Case.of(two(5.0, rows, background=SPREAD), TabularParameters.model_validate(asked))


@pytest.mark.parametrize("setting", ["immutable", "only_up", "only_down", "whole", "categories", "protected"])
def test_a_column_that_does_not_exist_is_refused_with_the_nearest(setting):
    reasons = KIND.applies(people(6), TabularParameters.model_validate({setting: ["incom"]}))
    assert "'incom'" in reasons[0]
    assert "'income'" in reasons[0]


def test_a_relation_or_cost_of_a_column_that_does_not_exist_is_refused():
    for asked in ({"relations": [{"columns": ["dept"]}]}, {"costs": [{"column": "dept", "value": 1.0}]}):
        assert "'debt'" in KIND.applies(people(6), TabularParameters.model_validate(asked))[0]


def test_contradicting_rules_are_refused():
    for asked, said in (
        ({"only_up": ["a"], "only_down": ["a"]}, "immutable"),
        ({"immutable": ["a", "a"]}, "twice"),
        ({"epsilons": [0.5, 0.1]}, "ascend"),
        ({"relations": [{"columns": ["a", "b"], "weights": [1]}]}, "weights"),
        ({"relations": [{"columns": ["a", "a"]}]}, "twice"),
    ):
        with pytest.raises(ValueError, match=said):
            TabularParameters.model_validate(asked)


def test_a_category_has_no_steps_and_a_group_no_direction():
    for asked in ({"whole": ["region"]}, {**RULES, "only_up": ["colour=red"]}):
        assert KIND.applies(people(6), TabularParameters.model_validate(asked))


def test_where_nothing_may_change_it_is_refused():
    reasons = KIND.applies(two(0.0), TabularParameters(immutable=AB))
    assert "no column may change" in reasons[0]


def test_images_are_refused():
    from tests.workers import subjects

    assert "no table" in KIND.applies(subjects.images(), TabularParameters())[0]


def test_labels_of_no_class_are_refused():
    reasons = KIND.applies(two(0.0, labels=torch.tensor([0, 1, 2, 0])), TabularParameters())
    assert "are of no class" in reasons[0]


def test_without_labels_decisions_are_held_against_the_models_own():
    subject = two(0.3)
    data = subject.examples["evaluation"]
    bare = type(data)(name="data", digest=data.digest, inputs=data.inputs, labels=None, columns=data.columns)
    subject = Subject(
        model=subject.model, facts=subject.facts, manifest=subject.manifest, digest=subject.digest,
        examples={"evaluation": bare}, device=subject.device,
    )  # fmt: skip
    made = answer(KIND, subject)
    assert made.outcome.reading == "agreement"
    assert "robust_accuracy" not in {each.metric for each in KIND.measurements(made.outcome)}
    assert "no-labels" in {each.code for each in made.outcome.findings}


def test_a_model_that_is_wrong_everywhere_has_nothing_to_break():
    made = answer(KIND, two(0.3, labels=1 - (SPREAD.sum(1) + 0.3 > 0).long()))
    assert made.outcome.clean.value == 0
    assert made.outcome.budgets[0].success is None
    assert "nothing to break" in KIND.section(made.outcome).answer
    assert made.outcome.findings[0].code == "wrong-everywhere"


def test_few_rows_are_told_with_their_interval():
    made = answer(KIND, two(0.3))
    finding = next(each for each in made.outcome.findings if each.code == "few-examples")
    assert "n = 4" in finding.evidence
    assert KIND.section(made.outcome).answer.startswith("With care, n = 4")


def test_it_stops_where_it_is_cancelled():
    with pytest.raises(Cancelled):
        answer(KIND, people(10), context(stop=lambda: True))


def test_an_adversarial_that_is_not_one_is_found_by_the_recheck():
    from workers.robustness.tabular.rechecked import rechecked

    case = Case.of(people(10), TabularParameters.model_validate(RULES))
    made = case.x.clone()
    made[0, 0] += 1.0
    found = rechecked(case, torch.tensor([0, 1, *[4] * 8]), made)
    assert (found.n, found.confirmed) == (2, 0)
    assert "'age' may not change" in found.refused[0][1]
    assert "still decides" in found.refused[1][1]
