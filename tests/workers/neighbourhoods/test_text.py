"""What a network reads where units of a text are gone, by hand; and which texts have no neighbourhood."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.workers.neighbourhoods import texts
from workers.kind import AnalysisError
from workers.neighbourhoods.joined import Joined
from workers.neighbourhoods.removals import Removals
from workers.neighbourhoods.text import text
from workers.neighbourhoods.text_samples import TextNeighbourhood, TextSettings
from workers.neighbourhoods.words import units_of
from workers.subject.huggingface.tokens import Pieces
from workers.surrogate.explain import explain
from workers.surrogate.neighbourhood import Samples
from workers.surrogate.settings import Settings

GOOD = "The film was good, but the plot was not. Not good at all!"


def around(given: str, tokenizer: Pieces | None = None, length: int = 40, **settings) -> TextNeighbourhood:
    tokenizer = tokenizer or texts.wordpiece()
    case = texts.case_of([given], texts.random_bag(texts.size_of(tokenizer), 0), tokenizer, length)
    made = text(case, 0, TextSettings(**settings))
    assert isinstance(made, TextNeighbourhood)
    return made


def without(made: TextNeighbourhood, *names: str) -> Samples:
    z = np.array([[float(name not in names) for name in made.names]])
    return Samples(z=z, distances=np.zeros(1), drawn=z)


def refusal(given: str, length: int = 40, **settings) -> AnalysisError:
    with pytest.raises(AnalysisError) as refused:
        around(given, length=length, **settings)
    assert refused.value.remedy
    return refused.value


def encoded(tokenizer: Pieces, given: str, length: int = 40) -> list[list[int]]:
    return [each[0].tolist() for each in tokenizer.encode([given], length)]


# --- units


def test_a_word_is_a_feature_however_often_it_occurs():
    units = units_of("good, very good: GOOD_1!", "word", together=True)
    assert units.names == ("good", "very", "GOOD_1")
    assert units.places == (((0, 4), (11, 15)), ((6, 10),), ((17, 23),))


def test_each_occurrence_can_be_a_feature_of_its_own():
    units = units_of("good, very good", "word", together=False)
    assert units.names == ("good (1)", "very", "good (2)")
    assert units.places == (((0, 4),), ((6, 10),), ((11, 15),))


def test_a_sentence_ends_where_white_space_follows_its_mark():
    given = 'Version 3.11 is out. "Is it?" Yes… No!\nA line\n\n好。是的。'
    expected = ("Version 3.11 is out.", '"Is it?"', "Yes…", "No!", "A line", "好。", "是的。")
    assert units_of(given, "sentence", together=True).names == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Dr. Smith came. He left.", ("Dr. Smith came.", "He left.")),
        (
            "J. K. Rowling wrote. George W. Bush read, e.g. Fig. 3 vs. Fig. 4.",
            ("J. K. Rowling wrote.", "George W. Bush read, e.g. Fig. 3 vs. Fig. 4."),
        ),
        ("We chose plan B. Then we left, etc. It rained.", ("We chose plan B.", "Then we left, etc.", "It rained.")),
        ("Ask the Dr.\nHe knows.", ("Ask the Dr.", "He knows.")),
        ("No. I won't. Was it in the U.S. Army?", ("No.", "I won't.", "Was it in the U.S. Army?")),
    ],
)
def test_an_abbreviation_that_belongs_to_what_follows_ends_no_sentence(given, expected):
    assert units_of(given, "sentence", together=True).names == expected


@pytest.mark.parametrize("given", ["", "  ", "...", "Dr. No. Dr.  Yes", "a\nb \t", "\u00e9\u0301 \u0130_x\u200bz 1.5"])
def test_the_stretches_are_the_text(given):
    for unit in ("word", "sentence"):
        units = units_of(given, unit, together=True)
        assert "".join(each.text for each in units.stretches) == given
        assert all(given[each.start : each.end] == each.text for each in units.stretches)


# --- what the network reads


def test_what_is_taken_out_closes_up_and_what_separated_it_stays():
    made = around(GOOD)
    ids, mask = made.inputs(without(made, "good", "plot"))
    assert [ids[0].tolist(), mask[0].tolist()] == encoded(
        made.tokenizer, "The film was , but the  was not. Not  at all!"
    )


def test_a_mask_stands_where_something_is_taken_away():
    made = around(GOOD, together=False, mask="[MASK]")
    ids, mask = made.inputs(without(made, "good (2)", "at"))
    assert [ids[0].tolist(), mask[0].tolist()] == encoded(
        made.tokenizer, "The film was good, but the plot was not. Not [MASK] [MASK] all!"
    )


def test_a_mask_of_several_tokens_is_cut_where_the_model_has_no_room():
    made = around("good story that he in", mask="unbelievable", length=9)
    assert made.tokens is not None
    ids, _ = made.inputs(without(made, "good", "that"))
    assert ids[0].tolist() == encoded(made.tokenizer, "unbelievable story unbelievable he in", 9)[0]


def test_the_example_itself_is_what_the_model_was_given():
    for make in (texts.wordpiece, texts.byte_pairs, texts.unigram):
        for unit in ("word", "token", "sentence"):
            made = around(GOOD, make(), unit=unit)
            first = made.inputs(made.stream(0, paired=True).take(3).part(0, 1))
            assert all(torch.equal(ours, given) for ours, given in zip(first, made.example, strict=True))


@pytest.mark.parametrize("make", [texts.wordpiece, texts.byte_pairs, texts.unigram])
@pytest.mark.parametrize("mask", [None, "it"])
@pytest.mark.parametrize("unit", ["word", "sentence"])
def test_every_sample_is_read_as_its_text_is_tokenised(make, mask, unit):
    made = around(GOOD + " Well... he_she isn't 3.5 times as bad; is he?", make(), length=64, unit=unit, mask=mask)
    samples = made.stream(7, paired=False).take(60)
    written = made.units.texts(samples.z != 0, mask)
    expected = made.tokenizer.encode(written, 64)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(made.inputs(samples), expected, strict=True))


def test_a_tokenizer_that_takes_words_by_themselves_lets_tokens_close_up():
    closed = around(GOOD)
    assert (closed.as_json()["read"], closed.as_json()["compared"], closed.why) == ("tokens closed up", 33, "")


@pytest.mark.parametrize("make", [texts.byte_pairs, texts.unigram])
def test_words_whose_tokens_depend_on_what_is_before_are_joined_from_pairs(make):
    joined = around(GOOD, make())
    assert joined.as_json()["read"] == "tokens of pairs joined"
    assert re.fullmatch(r"closed up, [1-9][0-9]? of 33 samples have other tokens than their text", joined.why)


class Counting:
    """A tokenizer that reads every second word of a text otherwise: a word's token depends on how many are before."""

    name = "counting"

    def pieces(self, text: str, length: int) -> tuple[tuple[str, int, int], ...]:
        found = enumerate(re.finditer(r"\w+", text))
        return tuple((f"{each[0]}{at % 2}", *each.span()) for at, each in found)[:length]

    def encode(self, texts: Sequence[str], length: int) -> tuple[torch.Tensor, ...]:
        ids = torch.zeros(len(texts), length, dtype=torch.int64)
        for row, given in enumerate(texts):
            for at, (piece, _, _) in enumerate(self.pieces(given, length)):
                ids[row, at] = 1 + 2 * (ord(piece[0]) - ord("a")) + int(piece[-1])
        return ids, ids.ne(0).long()


def test_texts_whose_tokens_depend_on_more_are_tokenised_each():
    case = texts.case_of(["a b c d e f"], texts.random_bag(60, 0), Counting())
    made = text(case, 0, TextSettings())
    assert made.tokens is None
    assert made.as_json()["read"] == "each sample tokenised"
    assert re.fullmatch(r"closed up, \d+ of 33 samples have .*; joined from pairs, \d+ have", made.why)
    ids, mask = made.inputs(without(made, "b", "c"))
    assert [ids[0].tolist(), mask[0].tolist()] == encoded(made.tokenizer, "a   d e f")


def test_samples_with_a_token_of_two_words_are_tokenised_whole():
    made = around("a\u200bnd film is bad")  # the tokenizer drops what has no width, and reads "and"
    assert made.names == ("a", "nd", "film", "is", "bad")
    assert made.why == "the token 'and' is of more than one unit, or of what stands between units"
    assert isinstance(made.tokens, Joined)
    both = np.array([[True, True, False, True, True], [True, False, True, True, True]])
    assert made.tokens.apart(both) == 1
    samples = made.stream(2, paired=False).take(40)
    expected = made.tokenizer.encode(made.units.texts(samples.z != 0, None), 40)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(made.inputs(samples), expected, strict=True))


def test_a_token_is_taken_out_of_the_ids_themselves():
    made = around("the film, the unx", unit="token")
    assert made.names == ("the", "film", ",", "u", "n", "x")
    ids, mask = made.inputs(without(made, "the"))
    whole = made.example[0][0].tolist()
    left = [each for each in whole if each not in (whole[1], 0)]
    assert ids[0].tolist() == left + [0] * (40 - len(left))
    assert mask[0].sum() == len(left)


# --- texts over the model's length


LONG = "good film and bad plot but great story in the end"


def test_what_the_model_does_not_read_is_no_feature_and_moves_up_into_no_sample():
    made = around(LONG, length=7)
    assert made.names == ("good", "film", "and", "bad", "plot")
    assert made.not_read == ("but", "great", "story", "in", "the", "end")
    assert made.notes == (
        "6 words of the text are not among the 7 tokens that the model reads: but, great, story, in, the, end.",
    )
    assert made.rest == " but great story in the end"
    ids, mask = made.inputs(without(made, "good", "film"))
    assert [ids[0].tolist(), mask[0].tolist()] == encoded(made.tokenizer, "and bad plot", 7)


def test_a_word_that_is_read_in_part_is_a_feature():
    made = around("good film unbelievable plot", length=7)
    assert made.names == ("good", "film", "unbelievable")
    assert made.not_read == ("plot",)
    ids, _ = made.inputs(without(made, "good", "film"))
    assert ids[0].tolist() == encoded(made.tokenizer, "unbelievable", 7)[0]


def test_tokens_behind_the_models_length_are_told():
    made = around(LONG, length=7, unit="token")
    assert made.names == ("good", "film", "and", "bad", "plot")
    assert made.not_read == ("but", "great", "story", "in", "the", "end")


# --- positions


POSITIONED = ["predicted", "position:4,class 1"]


@pytest.mark.parametrize("target", POSITIONED)
@pytest.mark.parametrize("settings", [{}, {"mask": "[MASK] [MASK]"}, {"unit": "token"}])
def test_a_target_at_a_position_is_refused_where_tokens_move(target, settings):
    """Closed up, "great" stands at position 4 in few samples, and another word was told to matter most."""
    case = texts.tagging("the film was great and good but slow", texts.wordpiece(), "great", target)
    with pytest.raises(AnalysisError, match="moves to other positions") as refused:
        text(case, 0, TextSettings(**settings))
    assert 'mask "[MASK]"' in refused.value.remedy


@pytest.mark.parametrize("target", POSITIONED)
@pytest.mark.parametrize("settings", [{}, {"unit": "token"}, {"unit": "token", "together": False}])
def test_a_target_at_a_position_is_explained_where_a_mask_keeps_each_token_in_its_place(target, settings):
    case = texts.tagging("the film was great and good but slow", texts.wordpiece(), "great", target)
    made = text(case, 0, TextSettings(mask="[MASK]", **settings))
    assert made.still
    (local,) = explain(made, case.at(0), Settings(features=1), 0).labels
    assert [made.names[at] for at in local.chosen] == ["great"]
    assert local.coefficients[local.chosen[0]] == pytest.approx(3, abs=0.1)
    assert local.verdict == "readable"


def test_a_word_of_several_tokens_does_not_stay_under_a_mask_of_one():
    case = texts.tagging("the unbelievable film was great", texts.wordpiece(), "great", "predicted")
    with pytest.raises(AnalysisError, match="moves to other positions"):
        text(case, 0, TextSettings(mask="[MASK]"))


# --- samples


def test_paired_samples_mirror_one_another_and_do_not_depend_on_blocks():
    whole = Removals(9, 5, paired=True).take(101)
    stream = Removals(9, 5, paired=True)
    parts = [stream.take(count).z for count in (1, 2, 0, 7, 30, 61)]
    assert np.array_equal(np.concatenate(parts), whole.z)
    assert np.array_equal(whole.z[1::2], 1 - whole.z[2::2])
    assert whole.z[0].all()


def test_every_size_of_what_is_taken_away_is_as_likely():
    left = Removals(5, 0, paired=True).take(8001).z[1:].sum(axis=1).astype(int)
    counts = np.bincount(left, minlength=6)
    assert counts[[0, 5]].tolist() == [0, 0]
    assert np.abs(counts[1:5] - 2000).max() < 5 * np.sqrt(2 * 2000)


def test_the_distance_is_a_hundred_times_the_cosine_distance():
    stream = Removals(4, 1, paired=False).take(50)
    left = stream.z.sum(axis=1)
    assert stream.distances[0] == 0
    assert stream.distances[left == 1].tolist() == [50.0] * int((left == 1).sum())
    assert stream.distances[left == 0].tolist() == [100.0] * int((left == 0).sum())


# --- truth


def test_the_two_words_that_a_model_reads_are_found():
    tokenizer = texts.wordpiece()
    worth = torch.zeros(texts.size_of(tokenizer), 2)
    ids = {word: encoded(tokenizer, word)[0][1] for word in ("good", "boring")}
    worth[ids["good"], 0], worth[ids["boring"], 0] = 0.6, -0.9
    given = " ".join([*texts.WORDS, *texts.WORDS[5:20]])
    case = texts.case_of([given], texts.Bag(worth), tokenizer, 64, ("class:class 0",), "output")
    made = text(case, 0, TextSettings())
    found = explain(made, case.at(0), Settings(samples=1000, features=6), 11).labels[0]
    assert {made.names[at] for at in found.chosen[:2]} == {"good", "boring"}
    assert found.coefficients[made.names.index("good")] > 0.2
    assert found.coefficients[made.names.index("boring")] < -0.3
    assert found.verdict == "readable"


def test_an_attribution_of_the_ids_is_summed_over_each_word():
    made = around("good unx, good", texts.wordpiece())
    pieces = [piece for piece, _, _ in made.tokenizer.pieces("good unx, good", 40)]
    values = torch.zeros(40, 2)
    values[: len(pieces), 0] = torch.arange(len(pieces)) + 1.0
    shares = dict(zip(made.names, made.shares(values).tolist(), strict=True))
    at = {piece: place + 1.0 for place, piece in enumerate(pieces)}
    assert shares["good"] == 2.0 + len(pieces) - 1
    assert shares["unx"] == sum(value for piece, value in at.items() if piece in ("u", "##n", "##x"))


# --- ids without a text


def test_positions_of_ids_are_masked_where_they_stand():
    ids = torch.tensor([[5, 6, 5, 7, 0, 0]])
    case = texts.ids_case(ids, texts.random_bag(100, 1))
    made = text(case, 0, TextSettings())
    assert made.names == ("position 0: id 5", "position 1: id 6", "position 2: id 5", "position 3: id 7")
    z = np.array([[1.0, 0.0, 1.0, 0.0]])
    (given,) = made.inputs(Samples(z=z, distances=np.zeros(1), drawn=z))
    assert given.tolist() == [[5, 0, 5, 0, 0, 0]]
    assert made.shares(torch.arange(6.0)).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_another_id_can_stand_for_what_is_masked_and_the_attention_stays():
    ids, mask = torch.tensor([[5, 4, 5, 7]]), torch.tensor([[1, 1, 1, 0]])
    case = texts.ids_case(ids, texts.random_bag(100, 1), mask)
    made = text(case, 0, TextSettings(mask_id=4))
    assert made.names == ("position 0: id 5", "position 2: id 5")
    z = np.array([[0.0, 1.0], [0.0, 0.0]])
    given, attended = made.inputs(Samples(z=z, distances=np.zeros(2), drawn=z))
    assert given.tolist() == [[4, 4, 5, 7], [4, 4, 4, 7]]
    assert attended.tolist() == mask.tolist() * 2


def test_ids_that_cannot_be_masked_are_refused():
    network = texts.random_bag(100, 1)
    with pytest.raises(AnalysisError, match=r"the id 100, .*, is none of the declared 0 to 99"):
        text(texts.ids_case(torch.tensor([[5, 6]]), network), 0, TextSettings(mask_id=100))
    with pytest.raises(AnalysisError, match="1 positions that hold another id than padding"):
        text(texts.ids_case(torch.tensor([[5, 0, 0]]), network), 0, TextSettings())


# --- what has no neighbourhood


@pytest.mark.parametrize("given", ["", "   ", "...", "good", "good good, good"])
def test_texts_of_fewer_than_two_units_are_refused(given):
    assert "a surrogate needs 2" in str(refusal(given))


def test_a_text_of_which_one_word_is_read_says_how_many_are_not():
    assert "has 1 different words that the model reads; 2 are not read" in str(refusal("good film plot", length=3))


def test_a_model_of_tables_has_no_text():
    from tests.workers import subjects
    from workers.passes.predicting import Predicting

    case = Predicting.of(subjects.classifier(), texts.asking(2))
    with pytest.raises(AnalysisError, match="reads table and no text or ids"):
        text(case, 0, TextSettings())


def test_equal_neighbourhoods_say_the_same_of_themselves():
    assert around(GOOD).as_json() == around(GOOD).as_json()
    assert around(GOOD).as_json() != around(GOOD, together=False).as_json()
