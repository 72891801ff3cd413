"""Where paths begin: numbers in raw units, ids as vectors, masks nowhere."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.workers import subjects
from tests.workers.passes.test_targets import IMAGE, TABLE, of, tokens
from workers.kind import AnalysisError
from workers.passes.baselines import AVERAGED, BASELINE, baselines_of
from workers.passes.positions import ids_of
from workers.subject.subject import Examples, Subject
from workers.sweep.embedded import Average, Ids

IDS = torch.tensor([[3, 4, 5], [3, 4, 0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])


def data(*inputs: Tensor) -> Examples:
    first, *further = inputs
    return Examples(name="data", digest="sha256:" + "0" * 64, inputs=first, labels=None, further=tuple(further))


def starts(subject: Subject, baseline: str, *inputs: Tensor) -> tuple[Any, ...]:
    """Of all the data, as the network reads them."""
    given = data(*inputs)
    return baselines_of(subject, given, subject.arguments(given), baseline)


@pytest.mark.parametrize(
    ("baseline", "expected"), [("zero", 0.0), ("mean", 3.0), ("midpoint", 0.0), ("constant:0.5", 0.5)]
)
def test_numbers_begin_in_raw_units(baseline, expected):
    (start,) = starts(of("regression", TABLE), baseline, torch.tensor([[2.0] * 4, [4.0] * 4]))
    assert start.tolist() == [[expected] * 4]


def test_numbers_begin_as_the_network_reads_them():
    facts = {**IMAGE, "preprocessing": {"mean": [0.5], "std": [0.25]}}
    (start,) = starts(of("regression", facts), "zero", torch.ones(2, 1, 2, 2))
    assert start.flatten().tolist() == [-2.0] * 4


def test_each_input_begins_in_its_own_units():
    left, right = starts(subjects.pairs(), "midpoint", torch.ones(2, 6), torch.ones(2, 6))
    assert (left.unique().tolist(), right.unique().tolist()) == ([0.0], [0.0])


def test_ids_begin_at_zero_vectors_and_their_mask_stays():
    subject = of("next_token", tokens(3), further={"mask": tokens(3, 1)}, pad=0)
    ids, mask = starts(subject, "zero", IDS, MASK)
    assert isinstance(ids, Ids)
    assert (ids.origin, ids.low, ids.high, ids.pad) == ("zero", 0, 6, 0)
    assert torch.equal(ids.real, MASK.bool())
    assert torch.equal(mask, MASK)


@pytest.mark.parametrize(("pad", "expected"), [(None, 0), (4, 4)])
def test_ids_may_begin_at_the_pad_id_or_at_id_0(pad, expected):
    (ids,) = starts(of("next_token", tokens(3), pad=pad), "pad", IDS)
    assert ids.origin.tolist() == [[expected] * 3]


def test_ids_may_begin_at_the_average_over_the_first_examples():
    subject = of("next_token", tokens(3), further={"mask": tokens(3, 1)})
    many = IDS.repeat(AVERAGED, 1), MASK.repeat(AVERAGED, 1)
    ids, _ = baselines_of(subject, data(*many), (IDS, MASK), "mean")
    assert isinstance(ids.origin, Average)
    assert ids.origin.inputs[0].shape == (AVERAGED, 3)
    assert torch.equal(ids.origin.real, many[1][:AVERAGED].bool())


def test_a_switch_is_held_unless_there_is_nothing_else():
    both = of("classification", tokens(3), ("a", "b"), further={"segment": tokens(3, 1), "other": tokens(3)})
    assert ids_of(both, (IDS, MASK, IDS)) == (0, 2)
    assert ids_of(of("classification", tokens(3, 1), ("a", "b")), (MASK,)) == (0,)
    assert (
        ids_of(of("classification", TABLE, ("a", "b"), further={"mask": tokens(4, 1)}), (torch.ones(2, 4), MASK)) == ()
    )


def test_all_that_a_tokenizer_makes_but_the_mask_are_ids():
    text = of("classification", {**tokens(3), "kind": "text"}, ("a", "b"))
    assert ids_of(text, (IDS, MASK)) == (0,)
    ids, mask = starts(dataclasses.replace(text, pad=0), "zero", IDS, MASK)
    assert torch.equal(ids.real, MASK.bool())
    assert torch.equal(mask, MASK)


@pytest.mark.parametrize("baseline", ["midpoint", "constant:2"])
def test_between_embeddings_there_is_no_midpoint_and_no_constant(baseline):
    with pytest.raises(AnalysisError, match="between their embeddings there is no") as refused:
        starts(of("next_token", tokens(3)), baseline, IDS)
    assert '"pad"' in refused.value.remedy


def test_of_numbers_none_stands_for_padding():
    with pytest.raises(AnalysisError, match="none stands for padding"):
        starts(of("regression", TABLE), "pad", torch.ones(2, 4))


@pytest.mark.parametrize("form", ["zero", "mean", "midpoint", "pad", "constant:-1.5e-3", "constant:2"])
def test_every_form_is_of_the_grammar(form):
    assert BASELINE.fullmatch(form)


@pytest.mark.parametrize("form", ["", "constant:", "constant:x", "blur", "zero:1"])
def test_what_is_no_form_is_not(form):
    assert not BASELINE.fullmatch(form)
