"""The independent check of stored texts: what it confirms, and every way in which a claim can be false."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save

from tests.workers import subjects
from tests.workers.robustness.text.made import LONG, TOKENIZER, planted
from workers.analyses.robustness_text import KIND
from workers.recheck.stored import Unreadable
from workers.recheck.texts import recheck_texts, words_changed

BROKEN = LONG.replace("good", "bad")


def claim(
    text: str | None = BROKEN, *, ids_of: str | None = None, most: int = 1, tokens: int = 0, label: int = 0, **other
):
    ids = TOKENIZER.encode([ids_of if ids_of is not None else text or ""], 40)[0]
    made = {
        "index": torch.tensor([0]), "most": torch.tensor([most]), "tokens": torch.tensor([tokens], dtype=torch.uint8),
        "label": torch.tensor([label]), "ids": ids, **other,
    }  # fmt: skip
    if text is not None:
        made["text"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
        made["end"] = torch.tensor([len(text.encode())])
    return save({name: each for name, each in made.items() if each is not None})


def why(data: bytes, of=None) -> str | None:
    found = recheck_texts(of or planted(good=1.0), data)
    assert found.n == 1
    assert found.confirmed + len(found.refused) == 1
    return found.refused[0][1] if found.refused else None


def test_a_text_that_is_broken_by_one_word_is_confirmed():
    assert why(claim()) is None
    assert why(claim(tokens=1)) is None
    assert why(claim(label=-1)) is None  # the model's own decision


def test_a_text_that_the_model_decides_as_before_is_refused():
    assert "still decides for 0" in why(claim(LONG.replace("film", "plot")))
    assert "still decides for 0" in why(claim(LONG.replace("film", "plot"), label=-1))
    assert "still decides for 1" in why(claim(label=1))


def test_a_text_that_was_not_changed_is_refused():
    assert "itself" in why(claim(LONG))
    assert "itself" in why(claim(LONG.upper()))  # the tokenizer lowers it


def test_more_words_or_tokens_than_may_differ_are_refused():
    two = BROKEN.replace("film", "end")
    assert "2 words differ, where 1 may" in why(claim(two))
    assert "2 tokens differ, where 1 may" in why(claim(two, tokens=1))
    assert why(claim(two, most=2)) is None


def test_ids_that_are_not_those_of_the_text_are_refused():
    assert "other ids" in why(claim(BROKEN, ids_of=LONG.replace("good", "great")))


def test_an_output_that_is_not_finite_is_refused():
    of = planted(good=1.0)
    worth = of.model.worth.weight.detach().clone()
    worth[int(TOKENIZER.encode(["bad"], 10)[0][0, 1])] = torch.nan
    network = type(of.model)(worth)
    assert "not finite" in why(claim(), dataclasses.replace(of, model=network))


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(Unreadable, match="are due"):
        recheck_texts(planted(), claim(most=1, label=0, ids=None))
    with pytest.raises(Unreadable, match="1 examples"):
        recheck_texts(
            planted(), claim(label=0, index=torch.tensor([0]), most=1, ids=torch.zeros(2, 40, dtype=torch.int64))
        )


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ("a b c", "a b c", 0), ("a b c", "a x c", 1), ("good film", "go od film", 1), ("a b a b", "b a b", 1),
        ("a b c d", "d c b a", 3), ("", "a", 0), ("a", "", 1),
    ],
)  # fmt: skip
def test_words_changed_are_what_a_common_subsequence_leaves_out(before, after, count):
    assert words_changed(before, after) == count


def test_what_the_kind_stores_is_confirmed_and_says_what_was_stored():
    of = planted((LONG,) * 3, labels=[0, 0, 0], good=1.0)
    made = subjects.answer(KIND, of)
    arrays = made.computed.arrays
    n = len(arrays["broken_index"])
    assert n == made.outcome.rechecked == made.outcome.confirmed == 6
    ends = [0, *arrays["broken_end"].tolist()]
    whole = bytes(arrays["broken_text"].tolist())
    written = [whole[a:b].decode() for a, b in pairwise(ends)]
    assert torch.equal(TOKENIZER.encode(written, 40)[0], arrays["broken_ids"])
