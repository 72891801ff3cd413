"""Folders as save_pretrained writes them: tiny random networks of every type and head, and tokenizers."""

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

import workers.subject.huggingface.models  # noqa: F401  # before transformers is imported by anything else
from service.contracts.facts import ModelFacts
from workers.subject.huggingface import load, rewrite
from workers.subject.huggingface.families import FAMILIES
from workers.subject.network import Loaded, Rewritten

importlib.import_module("transformers.utils.logging").disable_progress_bar()

VOCABULARY, LENGTH = 60, 10
_ENCODER = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "vocab_size": VOCABULARY, "max_position_embeddings": 32,
}  # fmt: skip
_LLAMA = {**_ENCODER, "num_key_value_heads": 1, "pad_token_id": 0}
SIZES: dict[str, dict[str, Any]] = {
    "bert": _ENCODER,
    "distilbert": {
        "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "vocab_size": VOCABULARY,
        "max_position_embeddings": 32,
    },
    "roberta": _ENCODER,
    "vit": {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 16,
        "patch_size": 8,
    },
    "resnet": {"embedding_size": 6, "hidden_sizes": [6, 8], "depths": [1, 2], "layer_type": "basic"},
    "gpt2": {
        "n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": VOCABULARY, "n_positions": 32, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0,
    },
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "sliding_window": 4},
    "qwen2": _LLAMA,
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocab_size": VOCABULARY},
}  # fmt: skip
HEADS = [(name, architecture) for name, family in FAMILIES.items() for architecture in family.heads]
LABELS = {"0": "calm", "1": "glad", "2": "sad"}


def stock(name: str, architecture: str, **changes: Any) -> nn.Module:
    """A network of transformers with random weights, spread out so that outputs differ."""
    torch.manual_seed(sum(map(ord, architecture)))
    configurations = importlib.import_module(f"transformers.models.{name}.configuration_{name}")
    classes = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    config = getattr(configurations, FAMILIES[name].config)(**{"num_labels": 3, **SIZES[name], **changes})
    network: nn.Module = getattr(classes, architecture)(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def saved(name: str, architecture: str, folder: Path, *, shard: str = "1GB", **changes: Any) -> Path:
    """A folder of save_pretrained."""
    network: Any = stock(name, architecture, **changes)
    network.save_pretrained(folder, max_shard_size=shard)
    return folder


def eager(name: str, architecture: str, folder: Path) -> nn.Module:
    """What transformers itself loads from the folder, its tensors where torch aligns them, not where the file does."""
    classes = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    network: nn.Module = getattr(classes, architecture).from_pretrained(folder, attn_implementation="eager")
    network = network.float().eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
    return network


def packed(folder: Path, target: Path, method: int = zipfile.ZIP_STORED, root: str = "") -> Path:
    """The folder as a customer's zip."""
    with zipfile.ZipFile(target, "w", method) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, root + path.name)
    return target


def brought(folder: Path, room: Path, facts: ModelFacts) -> tuple[Rewritten, Loaded]:
    """Through intake: zipped, rewritten, loaded."""
    made = rewrite(packed(folder, room / "source.zip"), room / "canonical.hf", facts)
    return made, load(room / "canonical.hf")


def edited(folder: Path, name: str, **changes: Any) -> None:
    """Changes keys of a JSON file of the folder; None takes a key out."""
    path = folder / name
    value = json.loads(path.read_text()) if path.exists() else {}
    value.update(changes)
    path.write_text(json.dumps({key: each for key, each in value.items() if each is not None}))


def token_facts(
    task: str = "classification", *, masked: bool = True, kind: str = "tokens", **changes: Any
) -> ModelFacts:
    """Ids, with their mask as a further input; or texts."""
    ids = {"kind": kind, "layout": "NT", "shape": [LENGTH], "bounds": {"low": [0], "high": [VOCABULARY - 1]}}
    mask = {"name": "mask", "input": {**ids, "bounds": {"low": [0], "high": [1]}}}
    classes = ["calm", "glad", "sad"] if task in ("classification", "sequence") else []
    further = [mask] if masked and kind == "tokens" else []
    facts = {"task": task, "input": ids, "further_inputs": further, "output": {"kind": "logits", "classes": classes}}
    return ModelFacts.model_validate({**facts, **changes})


def image_facts(**changes: Any) -> ModelFacts:
    """Pictures of 16 x 16 in three channels, raw values of 0 to 1."""
    pixels = {"kind": "image", "layout": "NCHW", "shape": [3, 16, 16], "bounds": {"low": [0], "high": [1]}, **changes}
    output = {"kind": "logits", "classes": ["calm", "glad", "sad"]}
    return ModelFacts.model_validate({"task": "classification", "input": pixels, "output": output})


def facts_for(name: str, architecture: str) -> ModelFacts:
    """Facts that agree with a head."""
    family = FAMILIES[name]
    tasks = {"next_token": "next_token", "seq2seq": "seq2seq", "token_classification": "sequence"}
    return image_facts() if family.image else token_facts(tasks.get(family.heads[architecture], "classification"))


def given(name: str, pad: int = 0) -> tuple[Tensor, ...]:
    """Three examples: pictures, or ids and a mask whose rows end at different places."""
    torch.manual_seed(1)
    if FAMILIES[name].image:
        return (torch.randn(3, 3, 16, 16),)
    ids = torch.randint(3, VOCABULARY, (3, LENGTH))
    mask = (torch.arange(LENGTH) < torch.tensor([[LENGTH], [7], [4]])).long()
    return torch.where(mask == 1, ids, torch.full_like(ids, pad)), mask


def answer(name: str, architecture: str, network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """What the stock class says of them, in the form that intake gives it; `inputs` may end in decoder ids."""
    head = FAMILIES[name].heads[architecture]
    if FAMILIES[name].image:
        return network(pixel_values=inputs[0]).logits
    ids, mask, *decoder = inputs
    network.config.use_cache = False  # a cache lays out keys and values anew, and sums come out otherwise by a digit
    if head == "seq2seq":
        start = decoder[0] if decoder else torch.zeros(len(ids), 1, dtype=torch.long)
        return network(input_ids=ids, attention_mask=mask, decoder_input_ids=start).logits[:, -1]
    logits = network(input_ids=ids, attention_mask=mask).logits
    if head == "next_token":
        return logits[torch.arange(len(ids)), mask.sum(1) - 1]
    return logits.transpose(1, 2) if head == "token_classification" else logits


WORDS = ["the", "film", "was", "good", "bad", "un", "##like", "##ly", ".", "a", "b"]


def wordpiece(folder: Path) -> tokenizers.Tokenizer:
    """A tokenizer like BERT's, saved in the folder."""
    vocab = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    made = tokenizers.Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    made.save(str(folder / "tokenizer.json"))
    edited(folder, "tokenizer_config.json", pad_token="[PAD]", model_max_length=32)
    return made


def byte_pairs(folder: Path) -> tokenizers.Tokenizer:
    """A tokenizer like GPT-2's."""
    letters = ["<pad>", "<s>", "</s>", *"abdefghilmnostuw", "Ġ", "."]
    vocab = {letter: at for at, letter in enumerate([*letters, "th", "the", "Ġw", "oo", "Ġg", "oo"])}
    made = tokenizers.Tokenizer(models.BPE(vocab, [("t", "h"), ("th", "e"), ("Ġ", "w"), ("Ġ", "g"), ("o", "o")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    made.add_special_tokens(["<pad>", "<s>", "</s>"])
    made.save(str(folder / "tokenizer.json"))
    return made


def unigram(folder: Path) -> tokenizers.Tokenizer:
    """A tokenizer like T5's."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁the", -1.0), ("▁film", -2.0), ("▁", -3.0), ("s", -4.0)]
    made = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " "), normalizers.Strip()]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.save(str(folder / "tokenizer.json"))
    return made
