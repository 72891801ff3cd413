"""Does the kind say of networks whose answers are known what follows by counting?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from service.contracts.section import Heat, Lines, Picture, Table
from tests.workers import subjects
from tests.workers.corruption import made
from tests.workers.lime.made import Reads, black
from tests.workers.subjects import Answer, answer, context, subject
from workers.analyses.corruption import KIND
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.summary import lost, mean, share
from workers.kind import AnalysisError, Cancelled
from workers.numerics.intervals import wilson
from workers.results import check_png
from workers.subject.subject import Subject


def codes(found: Answer) -> set[str]:
    return {each.code for each in found.outcome.findings}


def of_zoo(name: str, labels: Tensor | None = None) -> Subject:
    family = FAMILIES[name]
    given = family.examples(4)
    return subject(family.network(), given[0], labels, family.facts, batch=family.batch, further=given[1:])


def table_of(found: Answer, title: str) -> Table:
    blocks = KIND.section(found.outcome).blocks
    return next(each for each in blocks if isinstance(each, Table) and each.title.startswith(title))


# --- accuracy that follows by counting


def test_a_rule_of_brightness_loses_two_of_twenty_pictures_for_each_tenth_that_is_added():
    found = answer(KIND, made.grey_rule(), corruptions=["brightness"])
    assert found.outcome.clean.value == 1
    assert [each.value.value for each in found.outcome.cells] == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert [each.drop.value for each in found.outcome.cells] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    expected = wilson(18, 20)
    first = found.outcome.cells[0].value
    assert (first.low, first.high, first.n) == (expected.low, expected.high, 20)
    assert found.outcome.mean.value == pytest.approx(0.7)
    assert found.outcome.drop.value == pytest.approx(0.3)
    assert (found.outcome.worst.corruption, found.outcome.worst.severity) == ("brightness", 5)


def test_the_worst_corruption_is_told_by_class():
    found = answer(KIND, made.grey_rule(), corruptions=["brightness", "contrast"])
    dark, light = found.outcome.classes
    assert (dark.clean.value, dark.corrupted.value, dark.corrupted.n) == (1, 0, 10)
    assert (light.clean.value, light.corrupted.value) == (1, 1)


def test_contrast_and_blur_cost_nothing_where_every_picture_is_one_grey():
    found = answer(KIND, made.grey_rule(), corruptions=["contrast", "gaussian_blur", "pixelate"])
    assert all(each.drop.value == 0 for each in found.outcome.cells)
    assert "none costs more" in KIND.section(found.outcome).answer
    assert found.outcome.drop.low < 0 < found.outcome.drop.high


def test_severities_may_be_asked_for_in_any_order():
    found = answer(KIND, made.grey_rule(), corruptions=["brightness"], severities=[4, 2])
    assert [(each.severity, each.value.value) for each in found.outcome.cells] == [(2, 0.8), (4, 0.6)]


def test_measurements_are_one_point_for_each_cell_and_the_mean_drop():
    found = answer(KIND, made.grey_rule(), corruptions=["brightness"])
    points = {(each.metric, each.facets.get("severity")): each.value for each in KIND.measurements(found.outcome)}
    assert points["corruption_accuracy", "3"] == 0.7
    assert points["clean_accuracy", None] == 1
    assert points["corruption_drop", None] == pytest.approx(0.3)
    assert len(points) == 7


def test_the_blocks_of_examples_change_nothing():
    whole = answer(KIND, made.grey_rule(), corruptions=["brightness", "shot_noise", "fog"])
    parts = answer(KIND, made.grey_rule(), corruptions=["brightness", "shot_noise", "fog"], rows=3)
    assert whole.outcome == parts.outcome


# --- what is read


def test_without_labels_answers_are_held_against_the_clean_ones():
    found = answer(KIND, made.grey_rule(labels=False), corruptions=["brightness"])
    assert found.outcome.reading == "agreement"
    assert [each.value.value for each in found.outcome.cells] == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert "no-labels" in codes(found)
    assert "No label" in KIND.section(found.outcome).answer
    assert not found.outcome.classes


def test_one_logit_says_which_of_two_classes():
    x = made.greys()
    given = made.facts("classification", made.image((1, 8, 8)))
    of = subject(Reads(lambda x: x.flatten(1).mean(1, keepdim=True) - 0.5), x, (torch.arange(20) >= 10).long(), given)
    found = answer(KIND, of, corruptions=["brightness"])
    assert [each.value.value for each in found.outcome.cells] == [0.9, 0.8, 0.7, 0.6, 0.5]


def test_one_probability_says_which_of_two_classes():
    given = made.facts("classification", made.image((1, 8, 8)), kind="probabilities", unit="probability")
    of = subject(Reads(lambda x: x.flatten(1).mean(1)), made.greys(), (torch.arange(20) >= 10).long(), given)
    assert answer(KIND, of, corruptions=["brightness"]).outcome.cells[4].value.value == 0.5


def test_the_output_of_a_regression_shifts_by_what_is_added():
    given = made.facts("regression", made.image((1, 8, 8)), kind="values", unit="lux")
    x = torch.full((12, 1, 8, 8), 0.25)
    of = subject(Reads(lambda x: 10 * x.flatten(1).mean(1)), x, None, given)
    found = answer(KIND, of, corruptions=["brightness"])
    assert (found.outcome.reading, found.outcome.unit, found.outcome.clean.value) == ("shift", "lux", 0)
    assert [each.value.value for each in found.outcome.cells] == pytest.approx([1, 2, 3, 4, 5], rel=1e-5)
    assert "lux" in KIND.section(found.outcome).answer


def test_a_reconstruction_has_an_error_against_the_input_that_is_given():
    given = made.facts("reconstruction", made.image((1, 8, 8)), kind="values")
    of = subject(Reads(torch.zeros_like), torch.full((5, 1, 8, 8), 0.2), None, given)
    found = answer(KIND, of, corruptions=["brightness"])
    assert found.outcome.reading == "error"
    assert found.outcome.clean.value == pytest.approx(0.04)
    assert [each.value.value for each in found.outcome.cells] == pytest.approx([0.09, 0.16, 0.25, 0.36, 0.49], rel=1e-5)
    assert [each.drop.value for each in found.outcome.cells][4] == pytest.approx(0.45, rel=1e-5)


def test_an_action_is_held_against_the_clean_action_though_there_are_labels():
    of = made.grey_rule()
    of = dataclasses.replace(of, facts=of.facts.model_copy(update={"task": "policy"}))
    found = answer(KIND, of, corruptions=["brightness"])
    assert found.outcome.reading == "agreement"
    assert found.outcome.cells[4].value.value == 0.5
    assert "the labels say nothing" in next(e.meaning for e in found.outcome.findings if e.code == "no-labels")


def test_a_segmentation_agrees_place_by_place():
    """Left half dark, right half bright: brightening turns the places between over."""
    x = torch.full((6, 1, 8, 8), 0.3)
    x[..., 4:] = 0.8
    given = made.facts("segmentation", made.image((1, 8, 8)))
    of = subject(Reads(lambda x: torch.cat([torch.full_like(x, 0.5), x], dim=1)), x, None, given)
    found = answer(KIND, of, corruptions=["brightness"])
    assert [each.value.value for each in found.outcome.cells] == [1, 1, 0.5, 0.5, 0.5]
    assert found.outcome.unit == "share of places"


def test_texts_are_judged_and_shown():
    given = [made.LETTERS, "the plot was good", "not bad, not great!", "it was very boring"] * 8
    found = answer(KIND, made.reads_texts(given, torch.arange(32) % 3))
    assert found.outcome.reading == "accuracy"
    assert "without-effect" in codes(found)  # letter case, which this tokenizer does not see
    shown = table_of(found, "The first text")
    assert shown.rows[0][1].value == made.LETTERS
    assert len({row[1].value for row in shown.rows}) == len(shown.rows)


class Echo(nn.Module):
    """At every position the next token is the one that stands there."""

    def forward(self, ids: Tensor, _mask: Tensor) -> Tensor:
        return nn.functional.one_hot(ids, 400).float()


def test_a_next_token_is_read_at_the_last_token_of_the_edited_text():
    """Which is the tokenizer's own end, wherever edits move it to."""
    of = made.reads_texts([made.LETTERS, "the plot was good"])
    facts = of.facts.model_copy(
        update={"task": "next_token", "output": of.facts.output.model_copy(update={"classes": ()})}
    )
    found = answer(KIND, dataclasses.replace(of, model=Echo(), facts=facts))
    assert found.outcome.reading == "agreement"
    assert {each.value.value for each in found.outcome.cells} == {1.0}
    assert any(each.distance > 0.2 for each in found.outcome.cells)


@pytest.mark.parametrize("name", ["unet", "autoencoder", "policy", "discriminator", "exit_cond", "video", "siamese"])
def test_other_families_are_answered_and_pass_their_controls(name):
    found = answer(KIND, of_zoo(name))
    assert all(each.passed is not False for each in found.controls), found.controls
    assert KIND.section(found.outcome).answer


def test_a_black_box_is_answered_as_any_other():
    plain, boxed = (answer(KIND, of, corruptions=["fog"]) for of in (made.grey_rule(), black(made.grey_rule())))
    assert plain.outcome == boxed.outcome


# --- doubts and refusals


def test_a_corruption_that_costs_more_than_the_alarm_is_a_finding():
    found = answer(KIND, made.grey_rule(40 * 2), corruptions=["brightness"])
    assert "corruption-harms" in codes(found)
    quiet = answer(KIND, made.grey_rule(80), corruptions=["brightness"], alarm=0.9)
    assert "corruption-harms" not in codes(quiet)


def test_few_examples_are_told_with_their_interval():
    found = answer(KIND, made.grey_rule(), corruptions=["fog"])
    finding = next(each for each in found.outcome.findings if each.code == "few-examples")
    assert "n = 20" in finding.evidence
    assert "few-examples" not in codes(answer(KIND, made.grey_rule(30), corruptions=["fog"]))


def test_a_model_that_is_wrong_everywhere_is_told_first():
    of = made.grey_rule()
    data = dataclasses.replace(of.examples["evaluation"], labels=1 - of.examples["evaluation"].labels)
    found = answer(KIND, dataclasses.replace(of, examples={"evaluation": data}), corruptions=["fog"])
    assert "worse-than-chance" in codes(found)
    assert KIND.section(found.outcome).answer.startswith("Not to be relied on")


def test_labels_of_no_class_are_refused():
    of = made.grey_rule()
    data = dataclasses.replace(of.examples["evaluation"], labels=torch.full((20,), 7))
    (reason,) = KIND.applies(dataclasses.replace(of, examples={"evaluation": data}), CorruptionParameters())
    assert "20 of 20 labels are of no class" in reason


def logs(x: Tensor) -> Tensor:
    """Not finite where a pixel is brighter than 0.95."""
    return (0.95 - x.flatten(1).amax(1, keepdim=True)).log() + torch.tensor([0.0, 1.0])


def test_answers_that_are_not_finite_count_as_wrong_and_are_told():
    x = made.greys()[:18]
    of = subject(Reads(logs), x, torch.ones(18).long(), made.facts("classification", made.image((1, 8, 8))))
    found = answer(KIND, of, corruptions=["brightness"])
    assert [each.not_finite for each in found.outcome.cells] == [1, 3, 5, 7, 9]
    assert [each.value.value for each in found.outcome.cells] == pytest.approx(
        [17 / 18, 15 / 18, 13 / 18, 11 / 18, 0.5]
    )
    assert "not-finite" in codes(found)


def test_numbers_that_are_not_finite_are_in_no_mean_and_are_named():
    given = made.facts("regression", made.image((1, 8, 8)), kind="values")
    of = subject(Reads(lambda x: logs(x)[:, 0]), made.greys()[:18], None, given)
    found = answer(KIND, of, corruptions=["brightness"])
    assert {each.value.n for each in found.outcome.cells} == {9}
    assert found.outcome.not_applicable[-1].subject == "9 examples"
    assert all(np.isfinite(each.value.value) for each in found.outcome.cells)


def test_a_model_that_is_never_finite_is_refused():
    of = subject(Reads(lambda x: x.flatten(1)[:, :2] / 0), made.greys(), None, made.grey_rule().facts)
    (reason,) = KIND.applies(of, CorruptionParameters())
    assert "NaN or infinity" in reason


def test_corruptions_of_another_input_alone_are_refused():
    reasons = KIND.applies(made.grey_rule(), CorruptionParameters(corruptions=("drift",)))
    assert "not a corruption of input of kind image" in reasons[0]


@pytest.mark.parametrize("asked", [{"corruptions": ["fog", "fog"]}, {"severities": [1, 1]}, {"severities": [6]}])
def test_parameters_that_contradict_themselves_are_refused(asked: dict[str, Any]):
    with pytest.raises(ValueError, match=r"names one twice|less than or equal"):
        CorruptionParameters.model_validate(asked)


def test_it_stops_once_it_is_cancelled():
    of, asked = made.grey_rule(), CorruptionParameters(rows=5)
    calls = iter(range(100))
    within = context(stop=lambda: next(calls) >= 3)
    (part,) = KIND.plan(of, asked, within)
    with pytest.raises(Cancelled):
        KIND.compute(of, part, asked, within)
    assert next(calls) <= 6


def test_rows_are_bounded_by_memory():
    of, asked = made.grey_rule(), CorruptionParameters()
    (wide,), (narrow,) = (KIND.plan(of, asked, context(memory_bytes=each)) for each in (1 << 28, 1 << 14))
    assert wide.plan["rows"] > narrow.plan["rows"] >= 1
    with pytest.raises(AnalysisError):
        KIND.compute(of, wide, CorruptionParameters(corruptions=("drift",)), context())


# --- intervals


def test_a_paired_drop_is_that_of_agresti_and_min():
    clean = np.array([1.0] * 50)
    corrupted = np.array([0.0] * 10 + [1.0] * 40)
    found = lost(clean, corrupted)
    b, c, n = 10.5, 0.5, 52
    half = 1.959963984540054 * np.sqrt(b + c - (b - c) ** 2 / n) / n
    assert found.value == 0.2
    assert found.low == pytest.approx((b - c) / n - half)
    assert found.high == pytest.approx((b - c) / n + half)


def test_no_interval_shrinks_to_a_point_where_examples_agree():
    same = lost(np.ones(5), np.ones(5))
    assert same.low < 0 < same.high
    assert share(np.full(5, 0.5)).low < 0.5 < share(np.full(5, 0.5)).high
    assert mean(np.array([2.0]), 0).low is None


def test_intervals_hold_their_value_and_stay_within_what_can_be():
    for seed in range(200):
        draws = np.random.default_rng(seed)
        n = int(draws.integers(1, 12))
        for found, least in (
            (share(draws.random(n).round(1)), 0),
            (lost(draws.random(n).round(), draws.random(n).round()), -1),
        ):
            assert least <= found.low <= found.value <= found.high <= 1


def test_paired_intervals_hold_the_truth_about_as_often_as_they_say():
    draws, held = np.random.default_rng(0), 0
    for _ in range(600):
        clean, corrupted = draws.random(60) < 0.9, draws.random(60) < 0.7
        found = lost(clean.astype(float), corrupted.astype(float))
        held += found.low <= 0.2 <= found.high
    assert 0.92 <= held / 600 <= 0.99


# --- the report


def test_the_section_has_its_figures_each_with_its_table():
    found = answer(KIND, subjects.images())
    section = KIND.section(found.outcome)
    heat = next(each for each in section.blocks if isinstance(each, Heat))
    assert (len(heat.rows), heat.columns) == (16, ("1", "2", "3", "4", "5"))
    assert len(heat.table.rows) == 80
    lines = next(each for each in section.blocks if isinstance(each, Lines))
    assert {each.series for each in lines.points} == {"noise", "blur", "weather-like", "digital", "geometric"}
    picture = next(each for each in section.blocks if isinstance(each, Picture))
    assert "severity 3" in picture.title
    check_png(found.computed.pictures[picture.artifact])
    assert any("cannot be compared" in each for each in section.limits)


def test_arrays_hold_every_value_of_every_example():
    found = answer(KIND, made.grey_rule(), corruptions=["brightness"])
    values = found.computed.arrays["value/brightness"]
    assert values.shape == (5, 20)
    assert values.mean(1).tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert found.computed.arrays["finite/brightness"].dtype == torch.uint8
