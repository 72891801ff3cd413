"""Equal seeds give our surrogate of a text and that of lime 0.2.0.1; where lime is wrong, both answers stand here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lime.lime_text import IndexedString, LimeTextExplainer

from tests.workers.neighbourhoods import texts
from workers.neighbourhoods.removals import Removals
from workers.neighbourhoods.text import text
from workers.neighbourhoods.text_samples import TextNeighbourhood, TextSettings
from workers.neighbourhoods.words import units_of
from workers.passes.predicting import Predicting
from workers.subject.huggingface.tokens import Pieces
from workers.surrogate.explain import explain
from workers.surrogate.settings import Settings

LENGTH, DRAWN = 48, 72
TOKENISED = "each sample tokenised"
LABELS = (0, 1, 2)
TARGETS = tuple(f"class:class {label}" for label in LABELS)
MAKES = (texts.wordpiece, texts.byte_pairs, texts.unigram)
BETWEEN = (" ", " ", " ", ", ", ". ", " - ", "  ", "\n", "; ", "'")


def drawn_text(draw: np.random.RandomState, words: int) -> str:
    """Some of the words many times, with all sorts of things between them."""
    parts = [f"{texts.WORDS[draw.randint(20)]}{BETWEEN[draw.randint(len(BETWEEN))]}" for _ in range(words)]
    return "".join(parts)[: 6 * words]


def theirs(
    case: Predicting, tokenizer: Pieces, given: str, *, seed: int, bow: bool, mask, samples, features, selection
):
    """lime's own explanation: its samples, its strings, each of them tokenised, and its regressions."""
    predict = case.at(0)
    explainer = LimeTextExplainer(
        feature_selection=selection, bow=bow, mask_string=mask, random_state=np.random.RandomState(seed)
    )
    return explainer.explain_instance(
        given, lambda strings: predict(tokenizer.encode(strings, LENGTH)), labels=LABELS, num_features=features,
        num_samples=samples,
    )  # fmt: skip


def known(lime, label: int, count: int) -> np.ndarray:
    found = np.zeros(count)
    for feature, value in lime.local_exp[label]:
        found[feature] = value
    return found


@pytest.mark.parametrize("seed", range(DRAWN))
def test_the_same_seed_gives_lime_s_coefficients_intercept_fit_and_features(seed):
    draw = np.random.RandomState(500 + seed)
    tokenizer, bow = MAKES[seed % 3](), bool(seed // 3 % 2)
    given = drawn_text(draw, int(draw.randint(4, 18)))
    network = (texts.random_bag, texts.in_order)[draw.randint(2)](texts.size_of(tokenizer), seed)
    case = texts.case_of([given], network, tokenizer, LENGTH, TARGETS)
    mask = None if bow else ("UNKWORDZ", "it")[draw.randint(2)]
    asking = {
        "samples": int(draw.randint(40, 120)), "features": int((2, 4, 8, 100)[draw.randint(4)]),
        "selection": ("auto", "auto", "highest_weights", "lasso_path", "none")[draw.randint(5)],
    }  # fmt: skip
    around = text(case, 0, TextSettings(together=bow, mask=mask))
    ours = explain(around, case.at(0), Settings(paired=False, rows=37, **asking), seed)
    lime = theirs(case, tokenizer, given, seed=seed, bow=bow, mask=mask, **asking)
    assert isinstance(around, TextNeighbourhood)
    assert around.not_read == ()
    ways = {0: ("tokens closed up",), 1: ("tokens of pairs joined",), 2: ("tokens of pairs joined", TOKENISED)}
    assert around.as_json()["read"] in ways[seed % 3]
    for label, mine in zip(LABELS, ours.labels, strict=True):
        expected = known(lime, label, len(around.names))
        scale = np.abs(expected).max()
        assert scale > 0
        assert set(mine.chosen) == {feature for feature, _ in lime.local_exp[label]}
        assert np.abs(mine.coefficients - expected).max() <= 1e-5 * scale
        assert mine.intercept == pytest.approx(lime.intercept[label], abs=1e-5 * scale)
    assert ours.labels[-1].r2 == pytest.approx(lime.score, abs=1e-5)


def test_lime_gives_the_score_of_the_last_label_for_all_and_ours_each_its_own():
    given = "the film was good but the plot was not very good"
    tokenizer = texts.wordpiece()
    case = texts.case_of([given], texts.random_bag(texts.size_of(tokenizer), 3), tokenizer, LENGTH, TARGETS)
    asking = {"samples": 200, "features": 3, "selection": "auto"}
    lime = theirs(case, tokenizer, given, seed=1, bow=True, mask=None, **asking)
    ours = explain(text(case, 0, TextSettings()), case.at(0), Settings(paired=False, **asking), 1).labels
    scores = [each.r2 for each in ours]
    assert isinstance(lime.score, float)
    assert lime.score == pytest.approx(scores[2], abs=1e-6)
    assert abs(lime.score - scores[0]) > 1e-3
    assert lime.local_pred[0] == pytest.approx(ours[2].local, abs=1e-6)
    assert abs(lime.local_pred[0] - ours[0].local) > 1e-3


def test_lime_lets_text_that_the_model_does_not_read_into_its_samples():
    """A word behind the model's length has weight in lime: it is read wherever others are gone. Not in the example."""
    given = "good film and bad plot but great story in the end"
    tokenizer = texts.wordpiece()
    worth = torch.zeros(texts.size_of(tokenizer), 3)
    worth[tokenizer.encode(["great"], LENGTH)[0][0, 1], 0] = 2.0
    case = texts.case_of([given], texts.Bag(worth), tokenizer, 7, TARGETS, "output")
    predict = case.at(0)
    lime = LimeTextExplainer(random_state=np.random.RandomState(0)).explain_instance(
        given, lambda strings: predict(tokenizer.encode(strings, 7)), labels=(0,), num_features=1, num_samples=400
    )
    ours = text(case, 0, TextSettings())
    assert lime.as_list(0)[0][0] == "great"
    assert lime.as_list(0)[0][1] > 0.1
    assert "great" in ours.not_read
    assert not explain(ours, predict, Settings(samples=400), 0).labels[0].coefficients.any()


@pytest.mark.parametrize("bow", [True, False])
def test_units_and_what_is_left_of_them_are_lime_s(bow):
    draw = np.random.RandomState(3)
    for given in [drawn_text(draw, 30), "  Ünïcode, “quoted”; a_b 3.5\n\n", "x", "'tis"]:
        lime = IndexedString(given, bow=bow)
        ours = units_of(given, "word", together=bow)
        count = lime.num_words()
        assert len(ours.names) == count
        assert [lime.word(at) for at in range(count)] == [given[slice(*places[0])] for places in ours.places]
        for at in range(count):
            starts = np.atleast_1d(lime.string_position(at)).tolist()
            assert [start for start, _ in ours.places[at]] == starts
        for _ in range(20):
            shown = draw.rand(1, count) < 0.5
            expected = lime.inverse_removing(np.flatnonzero(~shown[0]).tolist())
            assert ours.texts(shown, None if bow else "UNKWORDZ") == [expected]


@pytest.mark.parametrize("features", [1, 2, 9, 120])
def test_samples_are_lime_s_bit_for_bit(features):
    given = " ".join(f"w{at}" for at in range(features))
    seen = []
    explainer = LimeTextExplainer(random_state=np.random.RandomState(8))
    inside = explainer._LimeTextExplainer__data_labels_distances  # what draws, before anything is fitted
    data, _, distances = inside(IndexedString(given), lambda strings: seen.extend(strings) or np.zeros((200, 1)), 200)
    ours = Removals(features, 8, paired=False).take(200)
    assert np.array_equal(ours.z, data)
    assert np.abs(ours.distances - distances).max() < 1e-12 * 100
    assert units_of(given, "word", together=True).texts(ours.z != 0, None) == seen
