"""The demo's texts: sentences that come with Python and numpy, and a network that tells them apart."""

import csv
from pathlib import Path

import pytest

from lamina import demo_text
from lamina.demo_networks import NotLearned
from lamina.demo_text import AUDITED, CLASSES, LENGTH, sentences, train
from lamina.model_folder import packed
from workers.subject.huggingface import load, rewrite


def test_sentences_are_prose_of_both_kinds_none_twice() -> None:
    told = sentences()
    assert len(told) > 1000
    assert len({text for text, _ in told}) == len(told)
    assert [label for _, label in told].count(0) == len(told) // 2
    assert all("  " not in text and ">>>" not in text and text[-1] in ".!?" for text, _ in told)
    assert sentences() == told


@pytest.mark.slow
def test_the_trained_network_comes_in_as_a_folder_with_its_tokenizer(tmp_path: Path) -> None:
    epochs: list[tuple[int, int]] = []
    texts = train(tmp_path, lambda done, total: epochs.append((done, total)))
    assert epochs[-1] == (len(epochs), len(epochs))
    assert texts.accuracy >= demo_text.REQUIRED_ACCURACY
    assert len(texts.test) == demo_text.TEST_SENTENCES
    packed(tmp_path, tmp_path / "source.zip")
    rewrite(tmp_path / "source.zip", tmp_path / "canonical.hf", texts.model_facts())
    loaded = load(tmp_path / "canonical.hf")
    assert loaded.tokenizer is not None
    few = texts.test[:50]
    given = loaded.tokenizer.encode([text for text, _ in few], LENGTH)
    right = (loaded.model(*given).argmax(1) == given[0].new_tensor([label for _, label in few])).float().mean()
    assert float(right) >= 0.8
    texts.save_examples(tmp_path / "sentences.csv")
    with (tmp_path / "sentences.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["text"], CLASSES.index(row["about"])) for row in rows] == list(texts.test[:AUDITED])
    assert texts.dataset_facts().classes == CLASSES


@pytest.mark.slow
def test_a_network_that_did_not_learn_is_not_audited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo_text, "EPOCHS", 1)
    monkeypatch.setattr(demo_text, "REQUIRED_ACCURACY", 0.999)
    with pytest.raises(NotLearned, match=r"promises 0\.999"):
        train(tmp_path)
