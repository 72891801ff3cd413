"""Does the kind say what is true of networks whose robustness is known?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.contracts.section import Lines, Table
from tests.workers import subjects
from tests.workers.robustness.made import Linear, Number, asked, facts, margins, picture
from tests.workers.subjects import answer, context
from workers.analyses.robustness import KIND
from workers.attack.standing import Standing
from workers.kind import Cancelled
from workers.recheck.asking import Asking
from workers.recheck.recheck import recheck
from workers.robustness.compute import _written
from workers.robustness.parameters import RobustnessParameters
from workers.subject.subject import Subject

EPSILONS = [0.005, 0.01, 0.02, 0.05]


def refusal(of: Subject, **parameters: Any) -> str:
    reasons = KIND.applies(of, RobustnessParameters.model_validate(parameters))
    return "".join(reasons)


# --- the figures


def test_the_curve_of_a_linear_rule_is_that_of_its_margins() -> None:
    of = picture()
    made = asked(of, epsilons=EPSILONS).outcome
    assert made.clean.value == 1
    for at in made.curve:
        assert at.robust.count == int((margins(of) > at.epsilon).sum())
        assert at.robust.low <= at.robust.value <= at.robust.high


@pytest.mark.slow
def test_the_median_smallest_perturbation_of_a_linear_rule_is_within_one_per_cent() -> None:
    of = picture()
    for norm, times in (("linf", 1.0), ("l2", 4.0)):  # the dual norms of 16 ones
        made = asked(of, norm=norm, epsilons=[0.5], minimum="yes", minimum_steps=50).outcome.nearest
        truth = margins(of).double() * times
        assert made.median == pytest.approx(float(truth.quantile(0.5)), rel=0.01)
        assert made.low <= made.median <= made.high
        assert (made.n, made.censored, made.sought) == (40, 0, True)


def test_examples_that_hold_are_censored_and_a_median_beyond_the_budgets_is_not_told() -> None:
    made = asked(picture(), epsilons=[1e-4]).outcome
    assert made.nearest.median is None
    assert made.nearest.censored == 40
    assert not [each for each in KIND.measurements(made) if each.metric == "median_epsilon"]
    assert "is not told" in KIND.section(made).blocks[-1].text


def test_classes_are_told_apart() -> None:
    of = picture()
    made = asked(of, epsilons=[0.01]).outcome
    assert [each.name for each in made.by_class] == ["yes", "no"]
    labels = of.examples["evaluation"].labels
    for label, each in enumerate(made.by_class):
        assert each.robust[0].count == int(((labels == label) & (margins(of) > 0.01)).sum())


def test_a_targeted_attack_reaches_only_its_class_and_tells_success_not_accuracy() -> None:
    of = picture()
    made = asked(of, goal="class:no", epsilons=[0.01, 0.05]).outcome
    yes = of.examples["evaluation"].labels == 0
    assert made.clean.count == int(yes.sum())  # the others are "no" without an attack
    assert made.curve[0].broken.count == int((yes & (margins(of) <= 0.01)).sum())
    assert {"clean_accuracy", "robust_accuracy"}.isdisjoint(each.metric for each in KIND.measurements(made))


@pytest.mark.slow
def test_weak_attacks_are_shown_beside_and_never_look_stronger() -> None:
    made = asked(picture(), epsilons=EPSILONS, compare=["fgsm", "pgd"]).outcome
    assert [each.name for each in made.named] == ["fgsm", "pgd"]
    for named in made.named:
        assert all(weak.count >= at.robust.count for weak, at in zip(named.robust, made.curve, strict=True))


def test_what_each_attack_broke_first_adds_up_to_the_curve() -> None:
    made = asked(picture(), epsilons=EPSILONS, compare=["fgsm"], minimum="yes", minimum_steps=10).outcome
    for place, at in enumerate(made.curve):
        assert sum(each.broke[place] for each in made.ran) == made.clean.count - at.robust.count
    assert made.gradients == sum(each.gradients for each in made.ran) > 0


def test_labels_that_are_missing_give_agreement_and_say_so() -> None:
    of = picture()
    data = replace(of.examples["evaluation"], labels=None)
    made = asked(replace(of, examples={"evaluation": data}), epsilons=[0.01]).outcome
    assert made.judged == "predictions"
    assert any("no labels" in note for note in made.notes)
    assert "clean_accuracy" not in {each.metric for each in KIND.measurements(made)}


# --- other tasks


def test_the_largest_shift_of_a_linear_number_is_epsilon_times_its_dual_norm() -> None:
    weight = torch.tensor([1.0, -2.0, 0.5])
    inputs = torch.rand(30, 3, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    of = subjects.subject(Number(weight), inputs, None, facts((3,), "table", "NF", "regression"))
    made = asked(of, epsilons=[0.1, 0.2], tolerance=0.05).outcome
    spread = inputs.std(0, correction=0)
    for at in made.curve:
        assert at.shift.value == pytest.approx(float((weight * spread).abs().sum()) * at.epsilon, rel=1e-3)
        shift = float((weight * spread).abs().sum()) * at.epsilon
        assert at.robust.count == (0 if shift > 0.05 else 30)
    assert "largest_shift" in {each.metric for each in KIND.measurements(made)}


def test_an_anomaly_is_hidden_where_its_error_can_be_brought_down() -> None:
    class Halves(nn.Module):
        """Gives back half of its input: the error is mean((x / 2)²)."""

        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    inputs = torch.linspace(0.1, 0.9, 40)[:, None].expand(40, 4).contiguous()
    of = subjects.subject(Halves(), inputs, None, facts((4,), "table", "NF", "reconstruction"))
    spread = float(inputs[:, 0].std(correction=0))
    threshold = float((inputs[:, 0].double().square() / 4).quantile(0.5))
    edge = 2 * threshold**0.5
    made = asked(of, epsilons=[0.1, 1.0], quantile=0.5).outcome
    assert made.clean.count == 20
    for at in made.curve:
        held = int((inputs[:, 0].double() - at.epsilon * spread > edge + 1e-9).sum())
        assert at.robust.count == held


@pytest.mark.slow
def test_tokens_are_attacked_in_their_embedding_and_called_a_diagnosis() -> None:
    made = asked(subjects.speaks(), epsilons=[0.1, 1.0]).outcome
    assert made.embedded
    assert "diagnostic-only" in {each.code for each in made.findings}
    assert KIND.section(made).answer.startswith("Diagnostic only")
    assert made.again is None
    assert made.broken == "its next token changes"


def test_a_segmentation_is_refused_with_the_reason() -> None:
    network = nn.Conv2d(1, 2, 1)
    of = subjects.subject(
        network, torch.rand(4, 1, 4, 4), None,
        facts((1, 4, 4), "image", "NCHW", "segmentation", output={"kind": "logits", "classes": ["a", "b"]}),
    )  # fmt: skip
    assert "which of its many predictions" in refusal(of)


def test_of_two_inputs_the_first_is_attacked_and_the_other_stays() -> None:
    of = subjects.pairs()
    inside = replace(of.examples["evaluation"], inputs=of.examples["evaluation"].inputs.clamp(-1, 1))
    made = asked(replace(of, examples={"evaluation": inside}), epsilons=[0.1]).outcome
    assert any("the other inputs stay" in note for note in made.notes)


# --- bad input


def test_pixels_of_255_within_bounds_of_one_are_caught_by_name() -> None:
    of = picture()
    data = replace(of.examples["evaluation"], inputs=of.examples["evaluation"].inputs * 255)
    said = refusal(replace(of, examples={"evaluation": data}))
    assert "example 0 has" in said
    assert "element (0, 0, 0)" in said
    assert "0 to 255" in said


def test_a_model_wrong_everywhere_is_its_own_answer() -> None:
    of = picture()
    data = of.examples["evaluation"]
    assert data.labels is not None
    made = asked(replace(of, examples={"evaluation": replace(data, labels=1 - data.labels)}), checks="all").outcome
    assert made.clean.count == 0
    assert made.nearest is None
    assert "wrong-everywhere" in {each.code for each in made.findings}
    assert "wrong on all 40 examples" in KIND.section(made).answer


def test_labels_of_no_class_are_named() -> None:
    of = picture()
    labels = torch.full((40,), 7)
    data = replace(of.examples["evaluation"], labels=labels)
    assert "example 0 has 7" in refusal(replace(of, examples={"evaluation": data}))


@pytest.mark.slow
def test_few_examples_are_warned_of_with_their_interval() -> None:
    made = asked(picture(10), epsilons=[0.01]).outcome
    (few,) = (each for each in made.findings if each.code == "few-examples")
    assert "n = 10" in few.evidence
    assert "few-examples" not in {each.code for each in asked(picture(40), epsilons=[0.01]).outcome.findings}


def test_a_black_box_asked_for_gradients_is_refused_with_what_to_ask_instead() -> None:
    box = replace(picture(), black_box=True)
    for parameters in ({"compare": ["pgd"]}, {"minimum": "yes"}):
        said = refusal(box, **parameters)
        assert "need gradients" in said
        assert "outputs alone" in said
    assert "queries is 0" in refusal(box, queries=0)


def test_a_black_box_is_attacked_by_its_outputs_and_takes_no_gradient() -> None:
    of = replace(picture(12), black_box=True)
    made = asked(of, epsilons=[0.2], queries=200).outcome
    assert made.gradients == 0
    assert made.forwards > 0
    assert made.curve[0].robust.count == 0
    assert "outputs-alone" in {each.code for each in made.findings}


def test_a_graph_that_does_not_reach_the_input_is_told_and_attacked_as_a_black_box() -> None:
    class Cut(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    plain = picture(12)
    of = subjects.subject(
        Cut(torch.ones(16), -8.0), plain.examples["evaluation"].inputs, plain.examples["evaluation"].labels, plain.facts
    )
    made = asked(of, epsilons=[0.2], queries=200, compare=["auto"]).outcome
    assert made.blind
    assert made.gradients == 0
    assert "outputs-alone" in {each.code for each in made.findings}


def test_budgets_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="do not ascend"):
        RobustnessParameters(epsilons=(0.2, 0.1))


def test_a_class_that_is_not_there_is_named_with_those_that_are() -> None:
    assert "it has yes, no" in refusal(picture(), goal="class:maybe")


def test_a_column_that_never_changes_stays_and_is_told() -> None:
    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(2))
    inputs[:, 1] = 0.5
    network = Linear(torch.tensor([1.0, 5.0, 1.0]), -3.5)
    of = subjects.subject(network, inputs, network(inputs).argmax(1).detach(), facts((3,), "table", "NF"))
    made = asked(of, epsilons=[1.0])
    stored = made.computed.arrays
    assert bool((stored["made"][:, 1] == 0.5).all())
    assert any("1 of 3 features have the same value" in note for note in made.outcome.notes)


# --- what is stored


def test_every_stored_adversarial_is_confirmed_from_its_bytes_and_the_worst_are_shown() -> None:
    of = picture()
    made = asked(of, epsilons=EPSILONS)
    again = made.outcome.again
    assert again.n == again.confirmed == made.outcome.stored == made.outcome.stored_of > 0
    assert again.rounded is not None
    closest = [each.index for each in made.outcome.worst]
    assert closest == margins(of).argsort()[:2].tolist()
    assert [each.survives for each in made.outcome.worst] != [None, None]
    assert set(made.computed.pictures) == {"adversarials.png"}


def test_an_adversarial_that_is_spoilt_is_not_confirmed() -> None:
    of = picture()
    arrays = dict(asked(of, epsilons=[0.05]).computed.arrays)
    arrays["made"] = arrays["made"].clone()
    arrays["made"][0] = of.examples["evaluation"].inputs[int(arrays["index"][0])]
    found = recheck(Asking(of), _written(arrays, slice(None)), "linf")
    assert found.confirmed == found.n - 1


def test_a_random_network_fails_its_checks_and_says_so_first() -> None:
    class Noisy(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.randn(len(x), 2)

    plain = picture(12)
    of = subjects.subject(
        Noisy(torch.ones(16), -8.0), plain.examples["evaluation"].inputs, plain.examples["evaluation"].labels,
        plain.facts,
    )  # fmt: skip
    torch.manual_seed(0)
    made = asked(of, epsilons=[0.01], checks="quick").outcome
    assert "same answer twice" in {each.name for each in made.verdicts if each.verdict == "fail"}
    assert KIND.section(made).answer.startswith(("Probably too high", "Not to be relied on"))


def test_quick_checks_leave_out_those_that_attack_again() -> None:
    made = asked(picture(12), epsilons=[0.02], checks="quick").outcome
    left = {each.name for each in made.verdicts if each.verdict == "not run"}
    assert {"doubled budget", "black box"} <= left
    assert "same answer twice" not in left


# --- how it runs


def test_the_same_question_gives_the_same_bits_and_another_analysis_other_random_numbers() -> None:
    first, again = (asked(picture(12), epsilons=EPSILONS).computed.arrays for _ in range(2))
    assert all(torch.equal(each, again[name]) for name, each in first.items())


def test_it_stops_where_it_is_cancelled() -> None:
    stops = iter([False] * 5)
    with pytest.raises(Cancelled):
        answer(KIND, picture(), context(stop=lambda: next(stops, True)))


def test_controls_fail_where_the_engine_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_nothing(victim: Any, goal: Any, x: Tensor, space: Any, settings: Any, seeds: Any, *_: Any) -> Any:
        return Standing(victim, goal, x, space, settings).found()

    monkeypatch.setattr("workers.robustness.controls.attack", finds_nothing)
    runs = {each.name: each.passed for each in asked(picture(12), epsilons=[0.01]).controls}
    assert runs["a linear rule"] is False


def test_the_section_shows_the_curve_with_its_intervals_and_its_table() -> None:
    made = asked(picture(), epsilons=EPSILONS, compare=["fgsm"], checks="quick").outcome
    section = KIND.section(made)
    (curve,) = (each for each in section.blocks if isinstance(each, Lines))
    assert {point.series for point in curve.points} == {"all attacks", "fgsm alone"}
    assert len(curve.table.rows) == 1 + len(EPSILONS)
    titles = [each.title for each in section.blocks if isinstance(each, Table)]
    assert titles[0] == "May the attack be believed?"
    assert "at most" in section.answer
    assert "n = 40" in section.answer


@pytest.mark.slow
def test_a_network_that_takes_one_row_at_a_time_is_attacked_too() -> None:
    plain = picture(8)
    of = replace(plain, manifest=plain.manifest.model_copy(update={"batch": 1}))
    with_one = asked(of, epsilons=EPSILONS).outcome
    assert with_one.curve == asked(plain, epsilons=EPSILONS).outcome.curve


@pytest.mark.slow
def test_preprocessing_is_inside_the_attack() -> None:
    """Budgets are raw: halving what the network reads changes nothing where its weights are doubled."""
    of = picture()
    inputs, labels = of.examples["evaluation"].inputs, of.examples["evaluation"].labels
    scaled = facts((1, 4, 4), "image", "NCHW", preprocessing={"mean": [0.5], "std": [2.0]})
    other = subjects.subject(Linear(2 * torch.ones(16)), inputs, labels, scaled)
    assert asked(other, epsilons=EPSILONS).outcome.curve == asked(of, epsilons=EPSILONS).outcome.curve


def test_a_recurrent_network_is_attacked_and_its_parameters_come_back_as_they_were() -> None:
    of = subjects.series()
    inside = replace(of.examples["evaluation"], inputs=of.examples["evaluation"].inputs.clamp(-1, 1))
    of = replace(of, examples={"evaluation": inside})
    before = [each.requires_grad for each in of.model.parameters()]
    made = asked(of, epsilons=[0.5, 2.0]).outcome
    assert made.unit == "standard deviations"
    assert [each.requires_grad for each in of.model.parameters()] == before


def test_errors_of_the_network_are_not_hidden() -> None:
    class Broken(Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * float("nan")

    plain = picture(4)
    of = subjects.subject(
        Broken(torch.ones(16)), plain.examples["evaluation"].inputs, plain.examples["evaluation"].labels, plain.facts
    )
    assert "NaN" in refusal(of)
