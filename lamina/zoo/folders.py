"""Which families come as a Hugging Face folder? Small networks of transformers' own classes with random weights."""

import importlib
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lamina.zoo.family import Family, facts, image, tokens

_VOCABULARY, _LENGTH = 30, 6
_ENCODER = {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "vocab_size": _VOCABULARY, "max_position_embeddings": 16, "pad_token_id": 0,
}  # fmt: skip
_SPREAD = 0.2
"""Added to random weights, so that outputs of untrained networks differ."""

Head = Literal["classes", "next"]


class Stock(nn.Module):
    """A class of transformers as a network of tensors: (ids, mask, decoder ids) or (pixels,) to its logits.

    Its layers have the names that they have in the class. head: "next" reads the last token's logits.
    """

    def __init__(self, stock: Any, names: tuple[str, ...], head: Head) -> None:
        super().__init__()
        self._stock, self._names, self._head = (stock,), names, head
        for name, child in stock.named_children():
            self.add_module(name, child)

    @property
    def stock(self) -> Any:
        """The object of transformers."""
        return self._stock[0]

    def forward(self, *given: Tensor) -> Tensor:
        logits: Tensor = self.stock(**dict(zip(self._names, given, strict=True))).logits
        if self._head == "classes":
            return logits
        if "decoder_input_ids" in self._names:
            return logits[:, -1]
        last = given[1].sum(1) - 1
        return logits[torch.arange(len(last)), last]


def write_folder(network: Stock, folder: Path) -> Path:
    """What save_pretrained writes, as the zip that a customer sends."""
    saved, target = folder / "saved", folder / "folder.zip"
    network.stock.save_pretrained(saved)
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(saved.iterdir()):
            file.write(path, path.name)
    return target


def _made(kind: str, config: str, architecture: str, names: tuple[str, ...], head: Head, **sizes: Any) -> Stock:
    importlib.import_module("workers.subject.huggingface.models")  # hides from transformers what it must not look for
    importlib.import_module("transformers.utils.logging").disable_progress_bar()
    configuration = getattr(importlib.import_module(f"transformers.models.{kind}.configuration_{kind}"), config)
    made = getattr(importlib.import_module(f"transformers.models.{kind}.modeling_{kind}"), architecture)
    stock = made._from_config(configuration(num_labels=3, **sizes), attn_implementation="eager")
    with torch.no_grad():
        for parameter in stock.parameters():
            parameter.add_(_SPREAD * torch.randn_like(parameter))
    return Stock(stock.float().eval(), names, head)


_READ = ("input_ids", "attention_mask")
_IDS = tokens(_LENGTH, _VOCABULARY)
_MASK = {**tokens(_LENGTH, 2), "unit": "read"}
_PICTURE = image(3, 8, 8)


def _classifier(name: str, title: str, make: Callable[[], nn.Module]) -> Family:
    return Family(name=name, title=title, make=make, facts=facts("classification", _IDS, further={"mask": _MASK}))


FOLDERS: dict[str, Family] = {
    each.name: each
    for each in (
        Family(name="resnet", title="ResNetForImageClassification", facts=facts("classification", _PICTURE),
               make=partial(_made, "resnet", "ResNetConfig", "ResNetForImageClassification", ("pixel_values",),
                            "classes", embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")),
        Family(name="vit", title="ViTForImageClassification", facts=facts("classification", _PICTURE),
               make=partial(_made, "vit", "ViTConfig", "ViTForImageClassification", ("pixel_values",), "classes",
                            hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
                            image_size=8, patch_size=4)),
        _classifier("bert", "BertForSequenceClassification",
                    partial(_made, "bert", "BertConfig", "BertForSequenceClassification", _READ, "classes",
                            **_ENCODER)),
        _classifier("roberta", "RobertaForSequenceClassification",
                    partial(_made, "roberta", "RobertaConfig", "RobertaForSequenceClassification", _READ, "classes",
                            **_ENCODER)),
        _classifier("distilbert", "DistilBertForSequenceClassification",
                    partial(_made, "distilbert", "DistilBertConfig", "DistilBertForSequenceClassification", _READ,
                            "classes", dim=8, n_layers=2, n_heads=2, hidden_dim=12, vocab_size=_VOCABULARY,
                            max_position_embeddings=16)),
        Family(name="gpt", title="GPT2LMHeadModel, next token",
               facts=facts("next_token", _IDS, further={"mask": _MASK}),
               make=partial(_made, "gpt2", "GPT2Config", "GPT2LMHeadModel", _READ, "next", n_embd=8, n_layer=2,
                            n_head=2, vocab_size=_VOCABULARY, n_positions=16, bos_token_id=1, eos_token_id=2,
                            pad_token_id=0)),
        Family(name="llama", title="LlamaForCausalLM, next token",
               facts=facts("next_token", _IDS, further={"mask": _MASK}),
               make=partial(_made, "llama", "LlamaConfig", "LlamaForCausalLM", _READ, "next",
                            **{**_ENCODER, "num_key_value_heads": 1})),
        Family(name="t5", title="T5ForConditionalGeneration, next token",
               facts=facts("seq2seq", _IDS, further={"mask": _MASK, "summary": tokens(4, _VOCABULARY)}),
               make=partial(_made, "t5", "T5Config", "T5ForConditionalGeneration", (*_READ, "decoder_input_ids"),
                            "next", d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2, vocab_size=_VOCABULARY)),
    )
}  # fmt: skip
