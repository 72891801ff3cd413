"""Which number a request means: every form on outputs of a few numbers, and every refusal with what would fit."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contracts.facts import ModelFacts
from tests.workers import subjects
from workers.kind import AnalysisError
from workers.passes.targets import TARGET, compared_input, network_of, target_of
from workers.subject.subject import Subject

VOCABULARY = 7


def tokens(length: int, high: int = VOCABULARY - 1) -> dict[str, Any]:
    return {"kind": "tokens", "layout": "NT", "shape": [length], "bounds": {"low": [0], "high": [high]}}


TABLE = {"kind": "table", "layout": "NF", "shape": [4], "bounds": {"low": [-1.0], "high": [1.0]}}
IMAGE = {"kind": "image", "layout": "NCHW", "shape": [1, 2, 2], "bounds": {"low": [0.0], "high": [1.0]}}


def of(
    task: str, first: dict[str, Any] = TABLE, classes: tuple[str, ...] = (), kind: str = "logits",
    further: dict[str, dict[str, Any]] | None = None, pad: int | None = None,
) -> Subject:  # fmt: skip
    """Somebody's model, of which only its facts matter here."""
    inputs = [{"name": name, "input": each} for name, each in (further or {}).items()]
    facts = {"task": task, "input": first, "further_inputs": inputs, "output": {"kind": kind, "classes": classes}}
    return dataclasses.replace(subjects.classifier(2), facts=ModelFacts.model_validate(facts), pad=pad)


def read(
    subject: Subject, asked: str, given: Tensor, x: tuple[Tensor, ...] = (), labels: Tensor | None = None,
    scale: str = "output",
) -> list[float]:  # fmt: skip
    """The target's numbers at the very output that it was made from."""
    target = target_of(subject, asked, scale, x or (torch.zeros(len(given), 4),), given, labels)
    target.check(given.shape, len(given))
    return target.select(given, len(given)).tolist()


def refusal(subject: Subject, asked: str, given: Tensor, x: tuple[Tensor, ...] = (), **more: Any) -> str:
    with pytest.raises(AnalysisError) as refused:
        read(subject, asked, given, x, **more)
    assert refused.value.remedy
    return str(refused.value)


LOGITS = torch.tensor([[1.0, 5.0, 2.0], [7.0, 3.0, 6.0]])
CLASSIFIER = of("classification", classes=("a", "b", "1"))


# --- classes, values, elements


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [("predicted", [5.0, 7.0]), ("class:a", [1.0, 7.0]), ("class:1", [2.0, 6.0]), ("element:1", [5.0, 3.0]),
     ("label", [2.0, 3.0])],
)  # fmt: skip
def test_a_class_is_its_logit(asked, numbers):
    assert read(CLASSIFIER, asked, LOGITS, labels=torch.tensor([2, 1])) == numbers


def test_a_probability_is_after_a_softmax_over_the_classes():
    expected = torch.softmax(LOGITS, 1)[:, 1].tolist()
    assert read(CLASSIFIER, "class:b", LOGITS, scale="probability") == pytest.approx(expected)


def test_what_is_a_probability_already_is_read_as_it_is():
    subject = of("classification", classes=("a", "b", "c"), kind="probabilities")
    assert read(subject, "class:b", LOGITS, scale="probability") == [5.0, 3.0]


@pytest.mark.parametrize("task", ["regression", "classification", "score", "policy", "reconstruction"])
def test_the_only_number_is_the_predicted_one_whatever_the_task(task):
    classes = ("a", "b") if task == "classification" else ()
    subject = of(task, classes=classes, kind="values")
    assert read(subject, "predicted", torch.tensor([[3.0], [4.0]])) == [3.0, 4.0]
    assert read(subject, "value", torch.tensor([3.0, 4.0])) == [3.0, 4.0]


def test_of_several_numbers_of_a_regression_none_is_the_predicted_one():
    said = refusal(of("regression", kind="values"), "predicted", LOGITS)
    assert "of a regression no number is the predicted one" in said
    assert "value is the only number" in refusal(of("regression", kind="values"), "value", LOGITS)


# --- sequences


STEPS = torch.tensor([[[1.0, 9.0], [8.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 7.0], [2.0, 1.0]]])
"""(2 examples, 3 positions, 2 classes)"""
TAGGER = of("sequence", tokens(3))
NAMED = of("sequence", tokens(3), classes=("noun", "verb"))
IDS = torch.tensor([[3, 4, 5], [3, 4, 0]])


def test_a_position_is_that_of_its_predicted_class():
    assert read(TAGGER, "position:1", STEPS, (IDS,)) == [8.0, 7.0]
    assert read(TAGGER, "position:1,0", STEPS, (IDS,)) == [8.0, 0.0]


def test_with_class_names_the_classes_lie_second():
    turned = STEPS.transpose(1, 2).contiguous()
    assert read(NAMED, "position:0", turned, (IDS,)) == [9.0, 6.0]
    assert read(NAMED, "position:0,noun", turned, (IDS,)) == [1.0, 5.0]


def test_without_names_the_length_of_the_input_tells_where_the_positions_lie():
    turned = STEPS.transpose(1, 2).contiguous()  # (N, 2, 3): the ids are 3
    assert read(TAGGER, "position:2,1", turned, (IDS,)) == [4.0, 1.0]


def test_the_probability_at_a_position_is_over_its_classes():
    expected = torch.softmax(STEPS[:, 1], 1)[:, 0].tolist()
    assert read(TAGGER, "position:1,0", STEPS, (IDS,), scale="probability") == pytest.approx(expected)


def test_as_many_classes_as_positions_cannot_be_told_apart():
    assert "cannot be told apart" in refusal(TAGGER, "position:1", torch.zeros(2, 3, 3), (IDS,))


def test_one_number_for_each_position_needs_no_class():
    assert read(TAGGER, "position:2", LOGITS, (IDS,)) == [2.0, 6.0]
    assert "no classes" in refusal(TAGGER, "position:2,0", LOGITS, (IDS,))


def test_a_position_or_a_class_that_is_not_there_is_named_with_what_is():
    assert "no position 3; the output has 3, from 0 to 2" in refusal(TAGGER, "position:3", STEPS, (IDS,))
    assert "no class '2'; it has the numbers 0 to 1" in refusal(TAGGER, "position:0,2", STEPS, (IDS,))
    assert "it has noun, verb" in refusal(NAMED, "position:0,article", STEPS.transpose(1, 2), (IDS,))


def test_the_predicted_of_a_sequence_is_the_sum_over_real_positions_of_what_is_predicted_there():
    assert read(TAGGER, "predicted", STEPS, (IDS,)) == [9 + 8 + 4, 6 + 7 + 2]
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    masked = of("sequence", tokens(3), further={"mask": tokens(3, 1)})
    assert read(masked, "predicted", STEPS, (IDS, mask)) == [21, 13]
    padded = of("sequence", tokens(3), pad=0)
    assert read(padded, "predicted", STEPS, (IDS,)) == [21, 13]


# --- next tokens


def test_the_next_token_is_predicted_after_the_last_real_position():
    causal = of("next_token", tokens(3), further={"mask": tokens(3, 1)})
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert read(causal, "next", STEPS, (IDS, mask)) == [4.0, 7.0]
    assert read(causal, "next:0", STEPS, (IDS, mask)) == [3.0, 0.0]
    assert read(causal, "predicted", STEPS, (IDS, mask)) == [4.0, 7.0]


def test_padding_on_the_left_leaves_the_last_position_the_last():
    causal = of("next_token", tokens(3), further={"mask": tokens(3, 1)})
    assert read(causal, "next", STEPS, (IDS, torch.tensor([[0, 1, 1], [0, 0, 1]]))) == [4.0, 2.0]


def test_a_run_of_pad_ids_at_the_end_is_padding_where_the_pad_id_is_known():
    assert read(of("next_token", tokens(3), pad=0), "next", STEPS, (IDS,)) == [4.0, 7.0]
    assert read(of("next_token", tokens(3)), "next", STEPS, (IDS,)) == [4.0, 2.0]


def test_a_pad_id_inside_is_no_padding():
    ids = torch.tensor([[3, 0, 5], [0, 0, 4]])
    assert read(of("next_token", tokens(3), pad=0), "next", STEPS, (ids,)) == [4.0, 2.0]


def test_an_example_without_any_real_position_has_no_next_token():
    said = refusal(of("next_token", tokens(3), pad=0), "next", STEPS, (torch.tensor([[3, 4, 5], [0, 0, 0]]),))
    assert "example 1 has no position that is not padding" in said


def test_of_a_seq2seq_model_the_decoder_tells_the_last_position():
    both = of("seq2seq", tokens(3), further={"mask": tokens(3, 1), "summary": tokens(3)}, pad=0)
    mask, summary = torch.tensor([[1, 0, 0], [1, 0, 0]]), torch.tensor([[0, 5, 5], [0, 5, 0]])
    assert read(both, "next", STEPS, (IDS, mask, summary)) == [4.0, 7.0]


def test_a_model_that_gives_the_next_token_only_is_read_as_it_is():
    causal = of("next_token", tokens(3))
    assert read(causal, "next", LOGITS, (IDS,)) == [5.0, 7.0]
    assert read(causal, "next:2", LOGITS, (IDS,)) == [2.0, 6.0]


def test_a_next_token_where_there_is_none_is_refused():
    assert "only next_token and seq2seq" in refusal(CLASSIFIER, "next", LOGITS)
    causal = of("next_token", tokens(3))
    assert "no token 2; the model has 2" in refusal(causal, "next:2", STEPS, (IDS,))
    assert "no input of the model has as many" in refusal(causal, "next", torch.zeros(2, 5, 7), (IDS,))


def test_of_embedded_tokens_the_last_position_is_the_last_real_one_of_their_mask():
    embedded = {"kind": "series", "layout": "NTC", "shape": [3, 4], "bounds": {"low": [-1.0], "high": [1.0]}}
    x = torch.zeros(2, 3, 4)
    assert read(of("next_token", embedded), "next", STEPS, (x,)) == [4.0, 2.0]
    masked = of("next_token", embedded, further={"mask": tokens(3, 1)})
    assert read(masked, "next", STEPS, (x, torch.tensor([[1, 1, 1], [1, 1, 0]]))) == [4.0, 7.0]


# --- regions


PLACES = torch.tensor(
    [[[[5.0, 1.0], [1.0, 6.0]], [[2.0, 3.0], [4.0, 5.0]]], [[[0.0, 0.0], [0.0, 9.0]], [[1.0, 1.0], [1.0, 1.0]]]]
)
"""(2 examples, 2 classes, 2, 2): class 0 is assigned to two places of the first, one of the second."""  # fmt: skip
SEGMENTER = of("segmentation", IMAGE, classes=("sky", "sea"))


def test_a_region_is_the_sum_over_the_places_that_are_assigned_to_the_class():
    assert read(SEGMENTER, "region:sky", PLACES) == [11.0, 9.0]
    assert read(SEGMENTER, "region:sea", PLACES) == [7.0, 3.0]


def test_the_places_of_a_region_stay_as_they_were_at_the_example():
    target = target_of(SEGMENTER, "region:sky", "output", (torch.zeros(2, 1, 2, 2),), PLACES, None)
    assert target.select(torch.zeros_like(PLACES), 2).tolist() == [0.0, 0.0]
    assert target.select(-PLACES, 2).tolist() == [-11.0, -9.0]


def test_a_box_is_all_its_places_whatever_is_assigned_to_them():
    assert read(SEGMENTER, "region:sea,0,0,1,2", PLACES) == [5.0, 2.0]
    assert read(SEGMENTER, "region:sea,0,1,2,2", PLACES) == [8.0, 2.0]


def test_a_class_whose_name_looks_like_a_box_is_the_class():
    subject = of("segmentation", IMAGE, classes=("a,0,0,1,1", "a"))
    assert read(subject, "region:a,0,0,1,1", PLACES) == [11.0, 9.0]


@pytest.mark.parametrize("box", ["0,0,3,2", "1,0,1,2", "0,2,2,2"])
def test_a_box_that_is_not_on_the_map_is_refused(box):
    assert "is none of the output's places (2, 2)" in refusal(SEGMENTER, f"region:sea,{box}", PLACES)


def test_a_class_that_no_place_is_assigned_to_is_refused_with_those_that_are():
    said = refusal(SEGMENTER, "region:sea", torch.stack([PLACES[0, :1], PLACES[0, :1] - 1], 1)[:, :, 0])
    assert "no place of any of 1 examples to 'sea'; it assigns sky" in said


def test_one_logit_for_each_place_assigns_what_is_above_zero():
    subject = of("segmentation", IMAGE, classes=())
    lesion = torch.tensor([[[[1.0, -2.0], [3.0, -4.0]]]])
    assert read(subject, "region:0", lesion) == [4.0]
    assert read(subject, "predicted", lesion) == [4.0]
    assert "one value for each place" in refusal(of("segmentation", IMAGE, kind="values"), "region:0", lesion)


def test_the_predicted_of_a_segmentation_is_the_sum_over_places_of_what_is_predicted_there():
    assert read(SEGMENTER, "predicted", PLACES) == [5 + 3 + 4 + 6, 1 + 1 + 1 + 9]


def test_only_a_segmentation_has_regions():
    assert "a segmentation has regions" in refusal(CLASSIFIER, "region:a", LOGITS)


# --- errors, scores, actions


CODER = of("reconstruction", kind="values")


def test_an_error_needs_an_output_that_can_be_compared_with_the_input():
    x = (torch.tensor([[1.0, 2.0, 3.0, 4.0]]),)
    target = target_of(CODER, "error", "output", x, torch.zeros(1, 4), None)
    assert target.compares
    assert compared_input((torch.zeros(1, dtype=torch.int64), *x)) == 1
    fixed = target_of(CODER, "error:fixed", "output", x, torch.zeros(1, 4), None)
    assert (fixed.compares, fixed.select(torch.zeros(1, 4), 1).tolist()) == (False, [7.5])
    assert target_of(CODER, "predicted", "output", x, torch.zeros(1, 4), None).compares
    assert "cannot be compared number by number" in refusal(CODER, "error", torch.zeros(1, 3), x)
    assert "only a reconstruction" in refusal(CLASSIFIER, "error", LOGITS)


def test_an_image_may_be_compared_with_its_flat_reconstruction():
    subject = of("reconstruction", IMAGE, kind="values")
    image = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert read(subject, "error:fixed", torch.zeros(1, 4), (image,)) == [3.5]


def test_a_score_of_patches_is_their_sum():
    assert read(of("score"), "score", PLACES[:, :1]) == [13.0, 9.0]
    assert read(of("score"), "predicted", PLACES[:, :1]) == [13.0, 9.0]
    assert read(of("generation", kind="values"), "score", PLACES[:, :1]) == [13.0, 9.0]
    assert "it is no score" in refusal(CLASSIFIER, "score", LOGITS)
    assert "score for the sum" in _remedy(of("generation", kind="values"), "predicted", PLACES)


def _remedy(subject: Subject, asked: str, given: Tensor) -> str:
    with pytest.raises(AnalysisError) as refused:
        read(subject, asked, given)
    return str(refused.value.remedy)


def test_an_action_is_the_largest_or_the_one_that_is_named():
    policy = of("policy", classes=("left", "right", "stay"))
    assert read(policy, "action", LOGITS) == [5.0, 7.0]
    assert read(policy, "predicted", LOGITS) == [5.0, 7.0]
    assert read(policy, "action:stay", LOGITS) == [2.0, 6.0]
    assert read(of("policy"), "action:0", LOGITS) == [1.0, 7.0]
    assert "only a policy has actions" in refusal(CLASSIFIER, "action", LOGITS)
    assert "no choice between actions" in refusal(of("policy"), "action", STEPS)


@pytest.mark.parametrize("asked", ["error", "score"])
def test_what_is_no_class_has_no_probability(asked):
    task = {"error": "reconstruction", "score": "score"}[asked]
    given = torch.zeros(2, 4)
    assert "has no probability" in refusal(of(task), asked, given, scale="probability")


# --- other outputs


def test_another_output_is_found_by_name_and_by_place():
    both = dataclasses.replace(of("policy"), outputs=("policy", "value"))
    model, at = network_of(both, "output:value/predicted")
    assert (at, type(model).__name__) == (1, "Whole")
    assert network_of(both, "output:0/action")[1] == 0
    assert network_of(both, "predicted") == (both.model, 0)
    with pytest.raises(AnalysisError, match="no output 'worth'; it has policy, value"):
        network_of(both, "output:worth/predicted")
    with pytest.raises(AnalysisError, match="no output '2'"):
        network_of(both, "output:2/predicted")
    assert network_of(of("policy"), "output:0/predicted")[1] == 0


def test_a_target_of_another_output_reads_that():
    target = target_of(of("policy"), "output:value/value", "output", (), torch.tensor([[3.0]]), None, output=1)
    assert target.select([LOGITS, torch.tensor([[4.0], [5.0]])], 2).tolist() == [4.0, 5.0]


def test_a_class_name_may_hold_a_stroke():
    subject = of("classification", classes=("a/b", "output:x/y", "c"))
    assert read(subject, "class:a/b", LOGITS) == [1.0, 7.0]
    assert read(subject, "class:output:x/y", LOGITS) == [5.0, 3.0]
    assert network_of(subject, "class:a/b") == (subject.model, 0)


# --- the grammar


FORMS = (
    "predicted", "label", "value", "score", "class:NAME", "element:0,3,3", "position:2", "position:2,NAME", "next",
    "next:17", "region:NAME", "region:NAME,0,0,8,8", "error", "error:fixed", "action", "action:NAME",
    "output:NAME/predicted", "output:1/value",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_of_the_grammar(form):
    assert TARGET.fullmatch(form)


@pytest.mark.parametrize(
    "form",
    ["", "class:", "element:", "element:a", "position:", "position:x", "next:x", "error:moving", "output:/value",
     "output:a/", "predicted\n", "class:a\x00", "region:", "highest"],
)  # fmt: skip
def test_what_is_no_form_is_not(form):
    assert not re.compile(TARGET.pattern.replace("$", r"\Z")).fullmatch(form)


def test_the_page_names_every_form():
    page = (Path(__file__).parents[3] / "docs" / "targets.md").read_text(encoding="utf-8")
    for form in ("predicted", "label", "value", "score", "class:NAME", "element:", "position:", "next", "region:",
                 "error", "error:fixed", "action", "output:"):  # fmt: skip
        assert f"`{form}" in page, form


def test_a_label_of_no_class_is_told_with_its_example():
    with pytest.raises(AnalysisError, match="1 of 2 labels are of no class: example 1 has 99") as refused:
        read(CLASSIFIER, "label", LOGITS, labels=torch.tensor([2, 99]))
    assert "correct the labels" in str(refused.value.remedy)
