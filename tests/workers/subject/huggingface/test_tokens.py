"""Does a text become the ids that the tokenizer's own library gives it, and nothing it could not be?"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from service.contracts.facts import ModelFacts
from tests.workers.subject.huggingface.folders import (
    VOCABULARY,
    brought,
    byte_pairs,
    edited,
    given,
    saved,
    token_facts,
    unigram,
    wordpiece,
)
from workers.subject.declared import agrees
from workers.subject.huggingface.tokens import Pieces
from workers.subject.refusal import Refusal

TEXTS = ["The film was good.", "the film was unlikely", "", "bad " * 40]
LIKE = {"bert": "BertForSequenceClassification", "gpt2": "GPT2LMHeadModel", "t5": "T5ForConditionalGeneration"}
MADE = {"bert": wordpiece, "gpt2": byte_pairs, "t5": unigram}
TASKS = {"bert": "classification", "gpt2": "next_token", "t5": "seq2seq"}


def facts_of(name: str, length: int = 10) -> ModelFacts:
    facts = token_facts(TASKS[name], kind="text")
    return facts.model_copy(update={"input": facts.input.model_copy(update={"shape": (length,)})})


def tokenizer_like(name: str, tmp_path: Path) -> tuple[Pieces, Any]:
    folder = saved(name, LIKE[name], tmp_path / "folder")
    rust = MADE[name](folder)
    _, loaded = brought(folder, tmp_path, facts_of(name))
    agrees(loaded, facts_of(name))
    assert isinstance(loaded.tokenizer, Pieces)
    return loaded.tokenizer, rust


@pytest.mark.parametrize("name", LIKE)
def test_ids_are_those_of_the_library_padded_on_the_right_and_cut(tmp_path, name):
    tokenizer, rust = tokenizer_like(name, tmp_path)
    rust.enable_truncation(10)
    ids, mask = tokenizer.encode(TEXTS, 10)
    assert (ids.dtype, ids.shape, mask.dtype, mask.shape) == (torch.int64, (4, 10), torch.int64, (4, 10))
    for row, text in enumerate(TEXTS):
        expected = rust.encode(text).ids
        assert ids[row].tolist() == expected + [0] * (10 - len(expected))
        assert mask[row].tolist() == [1] * len(expected) + [0] * (10 - len(expected))
    assert mask[3].all(), "a long text fills every place"


def test_the_end_of_a_text_that_is_cut_keeps_the_token_that_ends_it(tmp_path):
    tokenizer, _ = tokenizer_like("bert", tmp_path)
    ids, _ = tokenizer.encode(["bad " * 40], 6)
    assert (ids[0, 0], ids[0, -1]) == (2, 3)


def test_each_piece_knows_its_place_in_the_text(tmp_path):
    tokenizer, _ = tokenizer_like("bert", tmp_path)
    assert tokenizer.pieces("The unlikely film.", 10) == (
        ("[CLS]", 0, 0), ("the", 0, 3), ("un", 4, 6), ("##like", 6, 10), ("##ly", 10, 12), ("film", 13, 17),
        (".", 17, 18), ("[SEP]", 0, 0),
    )  # fmt: skip
    assert tokenizer.name == "WordPiece, 15 tokens"


def test_places_are_counted_in_characters_and_not_in_bytes(tmp_path):
    tokenizer, _ = tokenizer_like("gpt2", tmp_path)
    found = tokenizer.pieces("\N{GRINNING FACE}the", 10)
    assert found[-1] == ("the", 1, 4)


def test_what_pads_a_text_is_what_the_network_takes_for_padding(tmp_path):
    folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder", pad_token_id=7)
    byte_pairs(folder)
    _, loaded = brought(folder, tmp_path, facts_of("gpt2"))
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.encode(["the"], 10)[0][0, -1] == 7


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_no_thread_is_started(tmp_path):
    before = threads()
    tokenizer, _ = tokenizer_like("bert", tmp_path)
    tokenizer.encode(TEXTS * 50, 10)
    assert threads() == before


def test_a_text_model_answers_texts(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    wordpiece(folder)
    _, loaded = brought(folder, tmp_path, facts_of("bert"))
    assert loaded.tokenizer is not None
    output = loaded.model(*loaded.tokenizer.encode(TEXTS, 10))
    assert output.shape == (4, 3)
    assert not torch.equal(output[0], output[1])


def test_a_text_of_more_tokens_than_the_network_has_places_is_refused_with_their_number(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    wordpiece(folder)
    with pytest.raises(Refusal, match=r"texts of 33 tokens; the network has 32 places") as refused:
        brought(folder, tmp_path, facts_of("bert", 33))
    assert refused.value.code == "input-shape"


def test_a_text_without_room_for_what_is_added_to_it_is_refused(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    wordpiece(folder)
    _, loaded = brought(folder, tmp_path, facts_of("bert", 2))
    assert loaded.tokenizer is not None
    with pytest.raises(Refusal, match="no room for the 2 that the tokenizer adds"):
        loaded.tokenizer.encode(["a"], 2)


def test_a_tokenizer_of_more_tokens_than_embeddings_is_refused(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder", vocab_size=10)
    wordpiece(folder)
    with pytest.raises(Refusal, match="ids up to 14; the network has embeddings for 10") as refused:
        brought(folder, tmp_path, facts_of("bert"))
    assert refused.value.code == "tokenizer-ids"


def test_what_is_said_of_padding_on_the_left_and_of_length_becomes_a_note(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    wordpiece(folder)
    edited(folder, "tokenizer_config.json", padding_side="left", model_max_length=8)
    made, _ = brought(folder, tmp_path, facts_of("bert"))
    assert any("texts are padded on the right, and masked" in note for note in made.notes)
    assert any("texts of 10 tokens; tokenizer_config.json names 8" in note for note in made.notes)


def test_a_tokenizer_changes_the_identity_of_a_model_and_its_padding_settings_do_not(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    rust = wordpiece(folder)
    once, _ = brought(folder, tmp_path, facts_of("bert"))
    rust.enable_padding(length=64)
    rust.enable_truncation(64)
    rust.save(str(folder / "tokenizer.json"))
    assert brought(folder, tmp_path, facts_of("bert"))[0].digest == once.digest
    value = json.loads((folder / "tokenizer.json").read_text())
    value["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(value))
    assert brought(folder, tmp_path, facts_of("bert"))[0].digest != once.digest


def test_older_tokenizers_join_merges_by_a_space_and_leave_out_their_type(tmp_path):
    folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
    byte_pairs(folder)
    once, _ = brought(folder, tmp_path, facts_of("gpt2"))
    value = json.loads((folder / "tokenizer.json").read_text())
    value["model"]["merges"] = [" ".join(pair) for pair in value["model"]["merges"]]
    del value["model"]["type"]
    (folder / "tokenizer.json").write_text(json.dumps(value))
    assert brought(folder, tmp_path, facts_of("gpt2"))[0].digest == once.digest


def test_ids_alone_need_no_tokenizer(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    _, loaded = brought(folder, tmp_path, token_facts())
    assert loaded.tokenizer is None
    assert int(given("bert")[0].max()) < VOCABULARY
