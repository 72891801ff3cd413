"""Does the reader say what is wrong with a folder, and what of it is not used?"""

import contextlib
import itertools
import json
import zipfile
from pathlib import Path

import pytest

from service.contracts.facts import Bounds, Preprocessing
from tests.workers.subject.huggingface.folders import (
    brought,
    edited,
    image_facts,
    packed,
    saved,
    token_facts,
)
from workers.subject.huggingface import rewrite
from workers.subject.huggingface.archive import looks_like
from workers.subject.huggingface.families import FAMILIES
from workers.subject.huggingface.strict import read_object
from workers.subject.magic import format_of
from workers.subject.refusal import Refusal

LABELS = {0: "calm", 1: "glad", 2: "sad"}


@pytest.fixture
def bert(tmp_path) -> Path:
    return saved(
        "bert", "BertForSequenceClassification", tmp_path / "folder", id2label={0: "calm", 1: "glad", 2: "sad"}
    )


@pytest.mark.parametrize(
    ("names", "is_one"),
    [
        (["config.json", "model.safetensors"], True),
        (["mine/config.json", "mine/model-00001-of-00002.safetensors"], True),
        (["__MACOSX/x", "mine/config.json", "mine/model.safetensors"], True),
        (["config.json", "mine/model.safetensors"], False),
        (["a/b/config.json", "a/b/model.safetensors"], False),
        (["config.json", "pytorch_model.bin"], False),
        (["model.safetensors"], False),
        ([], False),
    ],
)
def test_a_folder_is_told_by_a_config_beside_weights(names, is_one):
    assert looks_like(names) is is_one


def test_the_format_is_told_from_the_zip(tmp_path, bert):
    assert format_of(packed(bert, tmp_path / "source.zip")) == "huggingface"


def test_what_is_not_needed_is_left_out_and_said(tmp_path, bert):
    for name in ("README.md", "vocab.txt", "special_tokens_map.json", ".gitattributes", "merges.txt"):
        (bert / name).write_text("x")
    made, _ = brought(bert, tmp_path, token_facts())
    (note,) = made.notes
    assert note == (
        "not read and not kept: '.gitattributes', 'README.md', 'merges.txt', 'special_tokens_map.json', 'vocab.txt'"
    )


def test_keys_that_nothing_reads_are_named(tmp_path, bert):
    edited(bert, "config.json", zeal=3, trust_remote_code=True, _attn_implementation="flash_attention_2")
    made, _ = brought(bert, tmp_path, token_facts())
    assert made.notes == (
        "config.json: the choice of an attention implementation is dropped; attention is computed eagerly",
        "config.json: keys that a network of type bert does not read are dropped: 'trust_remote_code', 'zeal'",
    )


def test_classes_of_other_names_than_declared_are_named(tmp_path, bert):
    edited(bert, "config.json", id2label={"0": "calm", "1": "sad", "2": "glad"}, label2id=None)
    made, _ = brought(bert, tmp_path, token_facts())
    (note,) = made.notes
    assert note.startswith("2 of 3 classes are called otherwise in config.json: class 1 is 'glad' in facts.output")
    assert note.endswith("and 'sad' in id2label")


def test_a_task_that_the_head_is_not_for_is_named(tmp_path, bert):
    made, _ = brought(bert, tmp_path, token_facts("next_token"))
    assert made.notes == ("facts.task declares next_token; config.json names BertForSequenceClassification",)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"model_type": "yolos"}, "model-type", "model_type is 'yolos'; read are bert, distilbert,"),
        ({"architectures": ["BertModel"]}, "architecture", "of type bert are read BertForSequenceClassification,"),
        ({"hidden_act": "swiglu"}, "config-key", "hidden_act is 'swiglu'; it must be one of gelu,"),
        ({"num_attention_heads": 3}, "config-key", "hidden size (16) is not a multiple"),
        ({"num_hidden_layers": 3}, "missing-tensor", "'bert.encoder.layer.2."),
        ({"num_hidden_layers": 1}, "unknown-tensor", "'bert.encoder.layer.1."),
        ({"hidden_size": 18}, "tensor-shape", "config.json describes [60, 18]"),
        ({"id2label": {"0": "a", "2": "b"}}, "config-key", "numbered from 0 to 1 without a gap"),
        ({"id2label": {"0": "a", "1": "b"}}, "tensor-shape", "'classifier."),
        ({"is_decoder": True}, "config-key", "is_decoder is True; it must be False"),
        ({"position_embedding_type": "relative_key"}, "config-key", "it must be 'absolute'"),
        ({"auto_map": {"AutoModel": "x.Y"}}, "custom-code", "never run"),
        ({"quantization_config": {"bits": 4}}, "quantized", "quantised weights"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_describes_no_such_network_is_refused_by_its_key(tmp_path, bert, changes, code, says):
    edited(bert, "config.json", **changes)
    with pytest.raises(Refusal) as refused:
        brought(bert, tmp_path, token_facts())
    assert refused.value.code == code
    assert says in refused.value.detail
    assert refused.value.remedy


def test_a_classifier_that_finds_its_token_by_the_padding_must_know_the_padding(tmp_path):
    folder = saved("llama", "LlamaForSequenceClassification", tmp_path / "folder")
    edited(folder, "config.json", pad_token_id=None)
    with pytest.raises(Refusal, match="pad_token_id is missing"):
        brought(folder, tmp_path, token_facts())


def test_nothing_is_left_beside_the_canonical_form(tmp_path, bert):
    packed(bert, tmp_path / "source.zip", zipfile.ZIP_DEFLATED)
    (tmp_path / "results").mkdir()
    rewrite(tmp_path / "source.zip", tmp_path / "results" / "canonical.hf", token_facts())
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["canonical.hf"]


MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.5, 0.2]


class TestPreprocessor:
    """What preprocessor_config.json says is compared with what was declared, in raw units."""

    def notes(self, tmp_path: Path, facts, **says: object) -> list[str]:
        folder = saved("resnet", "ResNetForImageClassification", tmp_path / "folder")
        values = {"do_resize": True, "size": {"height": 16, "width": 16}, "resample": 3, "do_rescale": True,
                  "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD}  # fmt: skip
        edited(folder, "preprocessor_config.json", **{**values, **says}, image_processor_type="ViTImageProcessor")
        return list(brought(folder, tmp_path, facts)[0].notes)

    def declared(self, top: float, mean: list[float], std: list[float]):
        return image_facts(
            bounds=Bounds(low=(0.0,), high=(top,)).model_dump(),
            preprocessing=Preprocessing(mean=tuple(mean), std=tuple(std)).model_dump(),
        )

    @pytest.mark.parametrize("top", [1.0, 255.0])
    def test_the_same_numbers_need_no_note_in_either_unit(self, tmp_path, top):
        mean, std = ([value * top for value in values] for values in (MEAN, STD))
        assert self.notes(tmp_path, self.declared(top, mean, std)) == []

    def test_other_means_are_shown_in_the_declared_unit(self, tmp_path):
        (note,) = self.notes(tmp_path, self.declared(255.0, MEAN, [value * 255 for value in STD]))
        assert "preprocessing.mean [127.5, 102, 76.5] for raw values of 0 to 255" in note
        assert "declares [0.5, 0.4, 0.3]" in note

    def test_another_size_is_shown_with_its_filter(self, tmp_path):
        (note,) = self.notes(tmp_path, self.declared(1.0, MEAN, STD), size={"shortest_edge": 224})
        assert note == (
            "preprocessor_config.json brings images to 224 x 224 by bicubic; facts.input.shape declares 16 x 16"
        )

    def test_bounds_of_another_unit_are_not_compared(self, tmp_path):
        facts = image_facts(bounds={"low": [-1], "high": [1]})
        (note,) = self.notes(tmp_path, facts)
        assert "is not compared with bounds of -1 to 1" in note

    def test_without_normalisation_none_is_expected(self, tmp_path):
        assert self.notes(tmp_path, self.declared(1.0, [0.0], [1.0]), do_normalize=False) == []


def test_equal_values_of_a_config_give_equal_networks_however_they_are_written(tmp_path, bert):
    """Keys in another order, defaults spelt out: the digest is of the network."""
    digests = set()
    value = json.loads((bert / "config.json").read_text())
    spelt = {**value, "layer_norm_eps": 1e-12, "type_vocab_size": 2.0}
    for written in (value, dict(reversed(value.items())), spelt, {key: each for key, each in value.items() if each}):
        (bert / "config.json").write_text(json.dumps(written))
        digests.add(brought(bert, tmp_path, token_facts())[0].digest)
    assert len(digests) == 1


def test_no_family_lets_a_key_through_that_decides_what_code_runs():
    never = {"auto_map", "_attn_implementation", "attn_implementation", "quantization_config", "torch_dtype", "dtype",
             "trust_remote_code", "architectures", "model_type", "name_or_path", "_name_or_path"}  # fmt: skip
    for family in FAMILIES.values():
        assert not never & set(family.keys)
        assert not [key for key in family.keys if key.startswith("_") or key.endswith("_path")]


def test_every_text_of_json_is_read_as_one_value_or_refused():
    """Every text of up to five of these parts: read as json reads it, or refused; nothing else is raised."""
    read = set()
    for length in range(1, 6):
        for parts in itertools.product(("{", "}", '"a":', '"b":', "1", "[]", ","), repeat=length):
            text = "".join(parts)
            with contextlib.suppress(Refusal):
                assert read_object(text.encode(), "x.json") == json.loads(text)
                read.add(text)
    assert read == {"{}", *(f'{{"{name}":{value}}}' for name in "ab" for value in ("1", "11", "[]", "{}"))}


def test_a_name_that_occurs_twice_is_shown():
    with pytest.raises(Refusal, match="the name 'b' occurs twice in one object"):
        read_object(b'{"a": {"b": 1, "c": 2, "\\u0062": 3}}', "x.json")
