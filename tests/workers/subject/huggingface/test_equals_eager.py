"""Does a folder come in with the numbers and the names that transformers itself gives it?"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from captum.attr import LayerConductance, LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn

from tests.workers.subject.huggingface.folders import (
    HEADS,
    LENGTH,
    VOCABULARY,
    answer,
    brought,
    eager,
    edited,
    facts_for,
    given,
    image_facts,
    packed,
    saved,
    stock,
    token_facts,
)  # fmt: skip
from workers.subject.declared import agrees
from workers.subject.huggingface import load, rewrite
from workers.subject.huggingface.config import Described
from workers.subject.huggingface.models import hollow
from workers.subject.inspection import inspect_model

pytestmark = pytest.mark.slow
BOUND = 3e-7


def difference(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).detach().abs().max())


@pytest.mark.parametrize(("name", "architecture"), HEADS, ids=[architecture for _, architecture in HEADS])
def test_every_type_and_head_gives_the_numbers_and_layers_of_the_stock_class(tmp_path, name, architecture):
    folder = saved(name, architecture, tmp_path / "folder", id2label={0: "calm", 1: "glad", 2: "sad"})
    facts = facts_for(name, architecture)
    made, loaded = brought(folder, tmp_path, facts)
    network = eager(name, architecture, folder)
    inputs = given(name, getattr(network.config, "pad_token_id", 0) or 0)
    expected = answer(name, architecture, network, inputs)
    assert difference(loaded.model(*inputs), expected) <= BOUND
    assert float(expected.std(0).max()) > 1e-3, "outputs that do not differ show nothing"
    assert [key for key, _ in loaded.model.named_modules()] == [key for key, _ in network.named_modules()]
    assert all(not tensor.requires_grad for tensor in loaded.model.parameters())
    assert not any(module.training for module in loaded.model.modules())
    agrees(loaded, facts)
    assert made.notes in ((), ("not read and not kept: 'generation_config.json'",))


def test_an_answer_does_not_depend_on_what_else_is_in_the_batch(tmp_path):
    for name, architecture in (("bert", "BertForSequenceClassification"), ("gpt2", "GPT2LMHeadModel")):
        folder = saved(name, architecture, tmp_path / name)
        _, loaded = brought(folder, tmp_path, facts_for(name, architecture))
        ids, mask = given(name)
        together = loaded.model(ids, mask)
        alone = torch.cat([loaded.model(ids[at : at + 1], mask[at : at + 1]) for at in range(3)])
        assert difference(alone, together) <= 1e-6, name


def test_padding_changes_nothing_of_a_next_token(tmp_path):
    folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
    _, loaded = brought(folder, tmp_path, token_facts("next_token"))
    ids, mask = given("gpt2")
    assert difference(loaded.model(ids, mask)[2:], loaded.model(ids[2:, :4], mask[2:, :4])) <= 1e-6


def test_without_a_mask_what_is_padding_is_left_out(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
    facts = token_facts(masked=False)
    _, loaded = brought(folder, tmp_path, facts)
    ids, mask = given("bert")
    assert len(loaded.inputs) == 1
    agrees(loaded, facts)
    assert torch.equal(loaded.model(ids), loaded.model(ids, mask))


def test_a_decoder_reads_the_ids_it_is_given(tmp_path):
    folder = saved("t5", "T5ForConditionalGeneration", tmp_path / "folder")
    ids = token_facts("seq2seq").input.model_dump(mode="json")
    mask = {"name": "mask", "input": {**ids, "bounds": {"low": [0], "high": [1]}}}
    decoder = {"name": "decoder", "input": {**ids, "shape": [3]}}
    facts = token_facts("seq2seq", further_inputs=[mask, decoder])
    _, loaded = brought(folder, tmp_path, facts)
    agrees(loaded, facts)
    inputs = (*given("t5"), torch.randint(3, VOCABULARY, (3, 3)))
    network = eager("t5", "T5ForConditionalGeneration", folder)
    expected = answer("t5", "T5ForConditionalGeneration", network, inputs)
    assert difference(loaded.model(*inputs), expected) <= BOUND


def test_a_network_is_the_same_however_its_folder_was_written(tmp_path):
    """One file or four, stored or deflated, at the top or in a folder, with or without what is not read."""
    facts = token_facts()
    digests = set()
    for at, (shard, method, root) in enumerate(
        [("1GB", zipfile.ZIP_STORED, ""), ("8KB", zipfile.ZIP_STORED, "mine/"), ("8KB", zipfile.ZIP_DEFLATED, "")]
    ):
        folder = saved("bert", "BertForSequenceClassification", tmp_path / str(at), shard=shard)
        assert len(list(folder.glob("*.safetensors"))) == (1 if at == 0 else 4)
        (folder / "README.md").write_text("about" * at)
        edited(folder, "config.json", _name_or_path=f"somewhere/{at}", hidden_dropout_prob=at / 10)
        source = packed(folder, tmp_path / "source.zip", method, root)
        digests.add(rewrite(source, tmp_path / "canonical.hf", facts).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(("dtype", "word"), [(torch.bfloat16, "bfloat16"), (torch.float16, "float16")])
def test_halved_weights_are_kept_as_float32_and_it_is_said(tmp_path, dtype, word):
    folder = tmp_path / "folder"
    stock("bert", "BertForSequenceClassification").to(dtype).save_pretrained(folder)
    made, loaded = brought(folder, tmp_path, token_facts())
    network = eager("bert", "BertForSequenceClassification", folder)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    inputs = given("bert")
    assert difference(loaded.model(*inputs), answer("bert", "BertForSequenceClassification", network, inputs)) <= BOUND
    assert made.notes == (f"weights are stored as {word}; they are kept as float32",)


def resaved(folder: Path, change: Any) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, metadata={"format": "pt"})


class TestTiedWeights:
    """A language model's output layer is its embedding, unless the file says otherwise."""

    def test_a_file_that_holds_both_alike_has_them_tied(self, tmp_path):
        folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
        once, _ = brought(folder, tmp_path, token_facts("next_token"))
        resaved(folder, lambda tensors: {**tensors, "lm_head.weight": tensors["transformer.wte.weight"].clone()})
        twice, loaded = brought(folder, tmp_path, token_facts("next_token"))
        assert twice.digest == once.digest
        assert loaded.model.get_parameter("lm_head.weight") is loaded.model.get_parameter("transformer.wte.weight")

    def test_a_file_that_holds_only_the_output_layer_has_them_tied(self, tmp_path):
        folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
        once, _ = brought(folder, tmp_path, token_facts("next_token"))
        names = {"transformer.wte.weight": "lm_head.weight"}
        resaved(folder, lambda tensors: {names.get(name, name): tensor for name, tensor in tensors.items()})
        assert brought(folder, tmp_path, token_facts("next_token"))[0].digest == once.digest

    def test_where_they_differ_both_are_kept_as_transformers_keeps_them(self, tmp_path):
        folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
        resaved(folder, lambda tensors: {**tensors, "lm_head.weight": tensors["transformer.wte.weight"] * 2})
        made, loaded = brought(folder, tmp_path, token_facts("next_token"))
        network = eager("gpt2", "GPT2LMHeadModel", folder)
        inputs = given("gpt2")
        assert difference(loaded.model(*inputs), answer("gpt2", "GPT2LMHeadModel", network, inputs)) <= BOUND
        assert any("are tied by the class, and differ here" in note for note in made.notes)

    def test_a_config_that_unties_them_wants_both(self, tmp_path):
        folder = saved("llama", "LlamaForCausalLM", tmp_path / "folder", tie_word_embeddings=False)
        _, loaded = brought(folder, tmp_path, token_facts("next_token"))
        assert loaded.model.get_parameter("lm_head.weight") is not loaded.model.get_parameter(
            "model.embed_tokens.weight"
        )

    def test_t5_of_the_later_kind_scales_nothing_and_has_an_output_layer_of_its_own(self, tmp_path):
        folder = saved("t5", "T5ForConditionalGeneration", tmp_path / "folder", feed_forward_proj="gated-gelu")
        edited(folder, "config.json", tie_word_embeddings=False, scale_decoder_outputs=None, is_gated_act=None)
        resaved(folder, lambda tensors: {**tensors, "lm_head.weight": tensors["shared.weight"].flip(0).contiguous()})
        _, loaded = brought(folder, tmp_path, token_facts("seq2seq"))
        network = eager("t5", "T5ForConditionalGeneration", folder)
        inputs = given("t5")
        expected = answer("t5", "T5ForConditionalGeneration", network, inputs)
        assert difference(loaded.model(*inputs), expected) <= BOUND


class TestOlderFiles:
    """Names that checkpoints on people's disks have."""

    def test_tensors_named_gamma_and_beta_are_weight_and_bias(self, tmp_path):
        folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder")
        once, _ = brought(folder, tmp_path, token_facts())
        older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        resaved(
            folder,
            lambda tensors: {
                next((name.replace(new, old) for new, old in older.items() if new in name), name): tensor
                for name, tensor in tensors.items()
            },
        )
        assert brought(folder, tmp_path, token_facts())[0].digest == once.digest

    def test_a_checkpoint_without_the_prefix_of_its_head_has_it_added(self, tmp_path):
        folder = saved("gpt2", "GPT2LMHeadModel", tmp_path / "folder")
        once, _ = brought(folder, tmp_path, token_facts("next_token"))
        mask = torch.ones(1, 1, 32, 32, dtype=torch.uint8)
        resaved(
            folder,
            lambda tensors: {
                **{name.removeprefix("transformer."): tensor for name, tensor in tensors.items()},
                "h.0.attn.bias": mask,
            },
        )
        made, _ = brought(folder, tmp_path, token_facts("next_token"))
        assert made.digest == once.digest
        assert any("'h.0.attn.bias'" in note for note in made.notes)

    def test_a_config_by_general_names_describes_the_same_network(self, tmp_path):
        folder = saved("distilbert", "DistilBertForSequenceClassification", tmp_path / "folder")
        once, _ = brought(folder, tmp_path, token_facts())
        edited(folder, "config.json", dim=None, n_heads=None, hidden_size=16, num_attention_heads=2)
        assert brought(folder, tmp_path, token_facts())[0].digest == once.digest

    def test_rotary_places_are_scaled_as_older_configs_say(self, tmp_path):
        folder = saved("llama", "LlamaForCausalLM", tmp_path / "folder")
        edited(
            folder, "config.json", rope_parameters=None, rope_theta=500.0,
            rope_scaling={"type": "linear", "factor": 4.0},
        )  # fmt: skip
        _, loaded = brought(folder, tmp_path, token_facts("next_token"))
        network = eager("llama", "LlamaForCausalLM", folder)
        inputs = given("llama")
        assert difference(loaded.model(*inputs), answer("llama", "LlamaForCausalLM", network, inputs)) <= BOUND

    @pytest.mark.parametrize("kind", ["llama3", "yarn"])
    def test_rotary_places_of_every_kind_that_is_read(self, tmp_path, kind):
        scaling = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}
        if kind == "llama3":
            scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
        folder = saved("llama", "LlamaForCausalLM", tmp_path / "folder", rope_parameters=scaling)
        _, loaded = brought(folder, tmp_path, token_facts("next_token"))
        network = eager("llama", "LlamaForCausalLM", folder)
        inputs = given("llama")
        assert difference(loaded.model(*inputs), answer("llama", "LlamaForCausalLM", network, inputs)) <= BOUND


class Logits(nn.Module):
    """The stock class as captum can call it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixel_values=pixels).logits


LAYERS = {
    "vit": ("vit.layers.0.mlp.fc1", "vit.layers.1.attention.o_proj", "vit.layernorm"),
    "resnet": ("resnet.embedder.pooler", "resnet.encoder.stages.0.layers.0.layer.0.convolution"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "architecture"), [("vit", "ViTForImageClassification"), ("resnet", "ResNetForImageClassification")]
)
def test_what_captum_attributes_to_layers_equals_what_it_does_of_the_stock_class(tmp_path, name, architecture):
    folder = saved(name, architecture, tmp_path / "folder")
    _, loaded = brought(folder, tmp_path, image_facts())
    ours, stock_class = loaded.model, Logits(eager(name, architecture, folder))
    (pixels,) = given(name)
    pixels.requires_grad_()
    for layer in LAYERS[name]:
        for method in (LayerConductance, LayerGradientXActivation, LayerGradCam):
            if method is LayerGradCam and name == "vit" and layer != "vit.layernorm":
                continue
            arguments: dict[str, Any] = {"target": 1, **({"n_steps": 8} if method is LayerConductance else {})}
            found = method(ours, ours.get_submodule(layer)).attribute(pixels, **arguments)
            expected = method(stock_class, stock_class.network.get_submodule(layer)).attribute(pixels, **arguments)
            found, expected = (each[0] if isinstance(each, tuple) else each for each in (found, expected))
            assert difference(found, expected) <= BOUND, (layer, method.__name__)
            assert float(expected.detach().abs().max()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "architecture"), HEADS, ids=[architecture for _, architecture in HEADS])
def test_inspection_finds_layers_to_audit_in_every_type_and_head(tmp_path, name, architecture):
    folder = saved(name, architecture, tmp_path / "folder")
    packed(folder, tmp_path / "source.zip")
    manifest = inspect_model(tmp_path / "source.zip", tmp_path / "canonical.hf", facts_for(name, architecture))
    assert manifest.format == "huggingface"
    assert sum(layer.auditable == "auditable" for layer in manifest.layers) > len(manifest.layers) / 2


def test_a_network_is_built_without_memory_for_what_its_file_will_fill():
    """Else a child would hold two networks for a moment, and be ended for it."""
    described = Described(
        model_type="llama", architecture="LlamaForCausalLM", keys={"num_hidden_layers": 2}, outputs=None
    )
    network = hollow(described)
    parameters = list(network.parameters())
    assert sum(each.numel() for each in parameters) > 500_000_000
    assert sum(each.numel() for each in parameters if not each.is_meta) < 50_000
    assert all(not each.is_meta for each in network.buffers()), "buffers that no file holds need their numbers"


def test_the_canonical_form_holds_three_members_and_no_word_of_the_folder(tmp_path):
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "folder", id2label={0: "SECRET_WORD", 1: "B"})
    edited(folder, "config.json", _name_or_path="SECRET_WORD", task_specific_params={"SECRET_WORD": 1})
    resaved(folder, lambda tensors: tensors)
    brought(folder, tmp_path, token_facts())
    assert b"SECRET_WORD" not in (tmp_path / "canonical.hf").read_bytes()
    with zipfile.ZipFile(tmp_path / "canonical.hf") as file:
        assert file.namelist() == ["model/network.json", "model/model.safetensors"]
        network = json.loads(file.read("model/network.json"))
    assert set(network) == {"architecture", "inputs", "keys", "model_type", "outputs", "padding", "tied"}
    assert load(tmp_path / "canonical.hf").batch is None
    assert LENGTH < 32
