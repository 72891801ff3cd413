"""Attacks on texts whose least edits are known by hand, and what they must not do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from tests.workers import subjects
from tests.workers.neighbourhoods import texts
from tests.workers.robustness.text import made
from tests.workers.robustness.text.made import LONG, case, id_of, planted, reads
from workers.analyses.robustness_text import KIND
from workers.kind import Cancelled
from workers.recheck.recheck import Rechecked
from workers.results import check_png
from workers.robustness.text import controls
from workers.robustness.text.found import Found
from workers.robustness.text.misspelt import misspelt
from workers.robustness.text.parameters import EDITS, TextParameters
from workers.robustness.text.search import attacked
from workers.robustness.text.swaps import ids_of, rows_of, survives, text_of
from workers.robustness.text.words import _Search

SWAPS, CHARACTERS, SYNONYMS = {"attacks": ["swaps"]}, {"attacks": ["characters"]}, {"attacks": ["synonyms"]}


def found(of, attack: str, index: int = 0, **parameters):
    made_of = case(of, **parameters)
    return attacked(made_of, made_of.victim(64), index, attack, 7, lambda: None)[0]


def answer(of, **parameters):
    return subjects.answer(KIND, of, **parameters)


def codes(outcome) -> set[str]:
    return {each.code for each in outcome.findings}


# --- tokens swapped by the gradient


def test_the_one_word_that_decides_is_swapped_and_no_other():
    of = found(planted(good=1.0), "swaps", **SWAPS)
    assert [(each.before, each.place) for each in of.changes] == [("good", 4)]
    assert of.decided == 1


def test_the_gradient_proposes_the_token_that_weighs_most_against_the_decision():
    of = found(planted(good=1.0, bad=-9.0), "swaps", per_token=1, tries=1, **SWAPS)
    assert [each.after for each in of.changes] == ["bad"]
    assert (of.forwards, of.gradients, of.proposed) == (2, 1, 1)  # one with its gradient, one candidate


def test_the_gradient_tells_every_swap_exactly_where_the_model_is_linear():
    weights = torch.randn(texts.size_of(made.TOKENIZER), 2, generator=torch.Generator().manual_seed(1))
    of = case(reads([LONG], made.Sum(weights)))
    (slope,) = of.victim(64).gradients(of.own(0), 0)
    own, victim, at = of.x[0][0], of.victim(64), 5
    tokens = torch.arange(5, len(weights))
    rows = own.repeat(len(tokens), 1)
    rows[:, at] = tokens
    fall = victim.answers(of.own(0), 0).margin - victim.answers(of.with_ids(rows, 0), 0).margin
    told = (slope.table[own[at]] - slope.table[tokens]) @ slope.by[0, at]
    assert torch.allclose(told.double(), fall, atol=1e-5)


def test_with_enough_tries_one_swap_finds_whatever_all_swaps_would():
    size = texts.size_of(made.TOKENIZER)
    given = [" ".join(made.LONG.split()[at : at + 6]) for at in range(12)]
    of = reads(given, texts.in_order(size, 3))
    outcomes = {
        index: found(of, "swaps", index, tries=1000, per_token=100, queries=100_000, **SWAPS).broken
        for index in range(len(given))
    }
    for index, broken in outcomes.items():
        each = case(of)
        form = each.vocabulary.form
        own = each.x[0][index]
        wanted = [
            ((at, token),)
            for at, _ in each.open_places(index)
            for token in (form == form[own[at]]).nonzero().flatten().tolist()
            if token != own[at] and survives(each, index, ((at, token),))
        ]
        answers = each.victim(64).answers(rows_of(each, index, wanted), index)
        assert broken == bool(answers.broken.any())
    assert any(outcomes.values())


def test_two_words_that_each_suffice_are_both_swapped_within_the_share():
    assert len(found(planted(good=1.0, slow=1.0), "swaps", share=0.15, **SWAPS).changes) == 2


def test_no_more_tokens_change_than_the_share_allows():
    of = found(planted(good=1.0, slow=1.0), "swaps", share=0.1, **SWAPS)  # 18 tokens: one
    assert (of.of, of.most, of.broken) == (18, 1, False)


def test_every_candidate_is_tokenised_as_what_was_proposed():
    for tokenizer in (texts.wordpiece(), texts.byte_pairs(), texts.unigram()):
        of = reads([LONG, "a good Film!"], texts.random_bag(texts.size_of(tokenizer), 0), tokenizer=tokenizer)
        for index in range(2):
            each = found(of, "swaps", index, share=0.5, **SWAPS)
            assert each.broken
            again = tokenizer.encode([each.text], 40)[0][0].tolist()
            assert again == list(each.ids)
            own = of.examples["evaluation"].inputs[index].tolist()
            assert sum(a != b for a, b in zip(own, again, strict=True)) == len(each.changes)


def test_a_swap_that_the_tokenizer_reads_otherwise_does_not_survive():
    of = case(reads(["good x"], made.Sum(made.worth({"good": 1.0}))))
    letter, word = id_of("x"), id_of("a")
    assert survives(of, 0, ((2, word),))
    parts = case(reads(["goodx"], made.Sum(made.worth({"good": 1.0}))))  # good ##x is one word: "ax" is a ##x
    assert text_of(parts, 0, ((1, word),)) == "ax"
    assert survives(parts, 0, ((1, word),))
    assert not survives(parts, 0, ((1, id_of("in")), (2, letter)))  # "inx" is never in x


def test_added_tokens_padding_and_untouched_words_are_never_touched():
    of = case(planted(), untouched=["GOOD"])
    places = [at for at, _ in of.open_places(0)]
    ids = of.x[0][0].tolist()
    assert 0 not in places
    assert max(places) == ids.index(3) - 1  # the last before [SEP]
    assert ids.index(id_of("good")) not in places
    assert not found(planted(), "swaps", untouched=["good"], **SWAPS).broken
    form = of.vocabulary.form
    assert form[[0, 1, 2, 3, 4]].tolist() == [-1] * 5


def test_ids_without_texts_are_swapped_within_their_bounds_and_never_for_padding():
    of = subjects.speaks()
    made_of = case(of, untouched_ids=[3])
    assert made_of.attacks == ("swaps",)
    assert set(made_of.unread) == {"characters", "synonyms"}
    outcome = answer(of, untouched_ids=[3]).outcome
    assert outcome.confirmed == outcome.rechecked > 0
    for each in outcome.shown:
        assert all(change.after != "id 3" and change.before != "id 3" for change in each.changes)


def test_the_next_token_is_read_after_the_last_one():
    outcome = answer(subjects.speaks()).outcome
    assert outcome.reading == "last"
    assert not outcome.labelled


def test_a_text_of_which_no_token_is_left_has_no_next_token_and_is_no_success():
    class Next(nn.Module):
        def __init__(self, vocabulary):
            super().__init__()
            self.after = nn.Embedding.from_pretrained(torch.eye(vocabulary).roll(1, 0))

        def forward(self, ids, mask):
            return self.after(ids) * mask.unsqueeze(-1)

    tokenizer = texts.byte_pairs()
    size = texts.size_of(tokenizer)
    ids, mask = tokenizer.encode(["good", "", "a good film"], 8)
    facts = texts.token_facts("text", 8, size, 2, further=1).model_copy(update={"task": "next_token"})
    facts = facts.model_copy(update={"output": facts.output.model_copy(update={"classes": ()})})
    of = subjects.subject(Next(size), ids, None, facts, further=(mask,))
    data = dataclasses.replace(of.examples["evaluation"], texts=("good", "", "a good film"))
    of = dataclasses.replace(of, tokenizer=tokenizer, pad=0, examples={"evaluation": data})
    outcome = answer(of).outcome
    assert (outcome.reading, outcome.aside, outcome.examples) == ("last", 1, 2)
    assert outcome.confirmed == outcome.rechecked
    assert outcome.kept.value == 0
    swapped = next(each for each in outcome.attacks if each.name == "swaps")
    assert swapped.success.value == 1


# --- words misspelt and replaced


def test_a_misspelt_word_that_decides_is_found_by_deletion_alone():
    of = found(planted(good=1.0), "characters", **CHARACTERS)
    assert [each.before for each in of.changes] == ["good"]
    assert of.gradients == 0
    assert of.forwards <= 1 + 18 + 24


def test_changes_that_are_not_needed_are_taken_back():
    of = case(planted(good=1.0))
    search = _Search(of, of.victim(64), 0)
    assert search.fewer({1: "flim", 3: "godo", 6: "polt"}, 1, 100) == ({3: "godo"}, 1)
    assert search.fewer({1: "flim", 3: "godo"}, 1, 1) == ({1: "flim", 3: "godo"}, 1)  # no room for questions


def test_a_candidate_that_the_model_reads_alike_is_rejected_unasked():
    of = found(planted(good=1.0), "characters", edits=["case"], **CHARACTERS)  # the tokenizer lowers all letters
    assert not of.broken
    assert of.rejected == of.proposed > 0
    assert of.forwards == 1 + 18  # the text, and each word deleted


def test_synonyms_stand_for_each_other_in_both_directions_with_their_capital():
    pairs = [{"one": "good", "other": "great"}]
    of = found(planted(good=1.0), "synonyms", synonyms=pairs, **SYNONYMS)
    assert of.text == LONG.replace("good", "great")
    back = found(planted([LONG.replace("good", "Great")], great=1.0), "synonyms", synonyms=pairs, **SYNONYMS)
    assert back.text == LONG.replace("good", "Good")


def test_synonyms_of_words_that_no_text_holds_are_told_and_not_counted_as_failed():
    outcome = answer(planted(good=1.0), synonyms=[{"one": "cat", "other": "dog"}]).outcome
    assert "synonyms" not in {each.name for each in outcome.attacks}
    assert any(each.subject == "synonyms" and "no text" in each.because for each in outcome.not_applicable)


def test_queries_never_exceed_what_is_allowed():
    for attack in ("swaps", "characters"):
        for limit in (1, 7, 20, 60):
            of = found(planted(good=1.0, slow=1.0), attack, attacks=[attack], queries=limit, share=0.5)
            assert of.forwards <= limit


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_makes_other_spellings_none_twice(edit):
    given = misspelt("Good", [edit], 100, np.random.default_rng(0))
    assert given
    assert "Good" not in given
    assert len(set(given)) == len(given)


def test_edits_by_hand():
    def of(edit, word):
        return set(misspelt(word, [edit], 100, np.random.default_rng(0)))

    assert of("swap", "abb") == {"bab"}
    assert of("drop", "ab") == {"a", "b"}
    assert of("drop", "a") == set()
    assert of("whitespace", "abc") == {"a bc", "ab c"}
    assert of("keyboard", "Q") == {"W"}
    assert of("homoglyph", "xz") == {"\u0445z"}
    assert of("case", "ab") == {"AB", "Ab"}
    assert len(of("insert", "a")) == 51  # 26 before, 26 behind, aa twice


# --- what is told


def test_a_constant_model_is_never_broken():
    outcome = answer(reads([LONG] * 3, made.Still(made.worth({})))).outcome
    assert outcome.success.value == 0
    assert outcome.kept.value == 1
    assert outcome.rechecked == 0


def test_the_outcome_counts_texts_edits_and_words():
    given = answer(planted((LONG,) * 4, labels=[0, 0, 0, 1], good=1.0))
    outcome = given.outcome
    assert tuple(given.computed.pictures) == outcome.pictures
    assert len(outcome.pictures) == 6
    for png in given.computed.pictures.values():
        check_png(png)
    assert outcome.clean.value == 0.75
    assert outcome.kept.value == 0
    assert (outcome.success.value, outcome.success.n) == (1.0, 3)
    swaps, characters = outcome.attacks
    assert swaps.share.value == characters.share.value == pytest.approx(1 / 18)
    assert outcome.fragile[0].model_dump() == {"word": "good", "broken": 3, "texts": 3}
    assert outcome.confirmed == outcome.rechecked == 6
    assert "Meaning is not verified" in KIND.section(outcome).answer
    assert {"few-examples"} <= codes(outcome)


def test_labels_missing_are_the_models_own_decisions_and_it_is_said():
    outcome = answer(planted(good=1.0)).outcome
    assert outcome.clean.value == 1
    assert "no-labels" in codes(outcome)
    assert not any(each.metric == "robust_accuracy" for each in KIND.measurements(outcome))


def test_a_model_wrong_everywhere_is_told():
    outcome = answer(planted(labels=[1, 1], good=1.0)).outcome
    assert outcome.success is None
    assert "wrong-everywhere" in codes(outcome)
    assert "nothing to break" in KIND.section(outcome).answer


def test_edits_that_are_drawn_and_do_as_well_are_told():
    outcome = answer(planted(("good",) * 3, good=1.0), **CHARACTERS).outcome
    assert "chance-does-as-well" in codes(outcome)
    assert "chance-does-as-well" not in codes(answer(planted((LONG,) * 3, good=1.0)).outcome)


def test_empty_texts_are_set_aside_and_one_word_may_always_change():
    outcome = answer(planted(("", "  ?! ", "good", LONG), good=1.0)).outcome
    assert outcome.aside == 2
    assert outcome.examples == 2
    assert [each.subject for each in outcome.not_applicable if "example" in each.subject] == ["example 0", "example 1"]
    assert "short-texts" in codes(outcome)
    assert outcome.kept.value == 0


def test_only_empty_texts_are_refused_with_what_to_do():
    (reason,) = KIND.applies(planted(("", "?"), good=1.0), KIND.parameters())
    assert "no word" in reason


def test_what_lies_behind_the_limit_is_not_changed():
    of = reads([f"{LONG} good boring"], made.Sum(made.worth({"good": 1.0})), length=12)
    outcome = answer(of).outcome
    assert "texts-at-the-limit" in codes(outcome)
    assert outcome.shown[0].after.endswith("boring")
    assert len(case(of).words(0)) == 10


def test_unknown_characters_are_attacked_around_and_told():
    outcome = answer(planted(("漢字 \U0001f600 good " + LONG.replace("good", "boring"),), good=1.0)).outcome
    assert outcome.kept.value == 0
    assert outcome.confirmed == outcome.rechecked
    words = answer(planted(good=1.0), edits=["homoglyph"], **CHARACTERS).outcome
    assert words.unknown == 2
    assert "unknown-characters" in codes(words)


def test_texts_that_are_not_those_of_the_ids_are_refused():
    of = planted()
    data = dataclasses.replace(of.examples["evaluation"], texts=("another text", LONG))
    (reason,) = KIND.applies(dataclasses.replace(of, examples={"evaluation": data}), KIND.parameters())
    assert "other ids" in reason


def test_labels_of_no_class_are_refused():
    (reason,) = KIND.applies(planted(labels=[0, 2]), KIND.parameters())
    assert "example 1 has 2" in reason


def test_tables_are_refused():
    (reason,) = KIND.applies(subjects.classifier(), KIND.parameters())
    assert "no text" in reason


def test_a_black_box_is_misspelt_and_not_swapped():
    of = dataclasses.replace(planted(good=1.0), black_box=True)
    outcome = answer(of).outcome
    assert [each.name for each in outcome.attacks] == ["characters"]
    assert outcome.gradients == 0
    assert "gradients" in next(each.because for each in outcome.not_applicable if each.subject == "swaps")


def test_a_model_whose_output_is_not_finite_for_a_text_sets_it_aside():
    class Fails(made.Sum):
        def forward(self, ids, mask=None):
            given = super().forward(ids, mask)
            return torch.where((ids == id_of("boring")).any(1, keepdim=True), torch.nan, given)

    outcome = answer(reads([LONG, LONG + " boring"], Fails(made.worth({"good": 1.0})))).outcome
    assert outcome.aside == 1
    assert "finite" in outcome.not_applicable[-1].because


def test_one_batch_size_gives_the_same_answer_as_any():
    class Four(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, ids, mask):
            assert len(ids) == 4
            return self.inner(ids, mask)

    free = planted((LONG,) * 3, good=1.0, slow=0.3)
    manifest = free.manifest.model_copy(update={"batch": 4})
    fixed = dataclasses.replace(free, model=Four(free.model), manifest=manifest)
    assert answer(fixed).outcome.attacks == answer(free).outcome.attacks


def test_an_example_is_attacked_alike_alone_and_among_others():
    alone = answer(planted((LONG,), good=0.4, slow=0.4)).outcome
    among = answer(planted((LONG, "a good film", "he is slow"), good=0.4, slow=0.4)).outcome
    assert alone.shown[0].changes == next(each for each in among.shown if each.index == 0).changes


def test_it_can_be_cancelled_between_texts():
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(Cancelled):
        subjects.answer(KIND, planted((LONG,) * 3), subjects.context(stop=stop))


def test_a_pair_of_one_word_is_refused():
    with pytest.raises(ValueError, match="with itself"):
        TextParameters.model_validate({"synonyms": [{"one": "good", "other": "good"}]})


# --- controls


def test_controls_pass_on_tokenizers_of_three_families():
    for tokenizer in (texts.wordpiece(), texts.byte_pairs(), texts.unigram()):
        of = reads(
            [LONG, "it was a Film, like that!"], texts.random_bag(texts.size_of(tokenizer), 0), tokenizer=tokenizer
        )
        for which in controls.RUNS:
            assert controls.run(which, of, TextParameters(), subjects.context()).passed is True, which


def test_each_control_fails_where_what_it_guards_is_broken(monkeypatch):
    def finds_nothing(of, _victim, index, attack, _seed, _told):
        return Found.none(of, index, attack), False

    def breaks_all(of, _victim, index, attack, _seed, _told):
        return dataclasses.replace(Found.none(of, index, attack), decided=1), True

    def confirms_all(_subject, _data, *, position):
        return Rechecked(n=2, confirmed=2, refused=())

    def passed(which):
        return controls.run(which, planted(), TextParameters(), subjects.context()).passed

    assert [passed(which) for which in controls.RUNS] == [True] * 3
    monkeypatch.setattr(controls, "attacked", finds_nothing)
    assert passed(controls.PLANTED) is False
    monkeypatch.setattr(controls, "attacked", breaks_all)
    assert passed(controls.PLANTED) is False
    assert passed(controls.CONSTANT) is False
    monkeypatch.setattr(controls, "recheck_texts", confirms_all)
    assert passed(controls.UNCHANGED) is False


def test_ids_with_swaps_leave_the_example_as_it_is():
    of = case(planted())
    own = of.x[0].clone()
    assert int(ids_of(of, 0, ((1, 7),))[1]) == 7
    assert torch.equal(of.x[0], own)
