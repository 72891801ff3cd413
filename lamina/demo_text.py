"""Which texts does the demo explain? Sentences that every machine has which runs it: is one about a language or arrays?

The language is Python, in the words of its reference manual, which comes with the interpreter; arrays are numpy's, in
the words of its functions. A small transformer is trained on both and saved as a Hugging Face folder.
"""

from __future__ import annotations

import csv
import json
import pydoc_data.topics
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

from lamina.demo_networks import NotLearned, OnEpoch
from service.contracts.facts import Bounds, Column, DatasetFacts, InputFacts, ModelFacts, OutputFacts

NAME, CLASSES = "sentences-transformer", ("language", "arrays")
LENGTH = 32
"""Tokens the network reads of a sentence."""
SEED, BATCH, EPOCHS, REQUIRED_ACCURACY = 7, 32, 5, 0.85
TEST_SENTENCES, AUDITED = 300, 40
_WORDS, _LEAST, _MOST = 1200, 6, 24
"""The size of the vocabulary in words; how many words a sentence may have."""
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SENTENCE = re.compile(r"[A-Z][^.!?*`=<>|{}\[\]\\_]+[.!?](?=\s|$)")

Sentence = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A trained network in its folder, and sentences that it was not trained on, with their classes."""

    folder: Path
    accuracy: float
    test: tuple[Sentence, ...]

    def model_facts(self) -> ModelFacts:
        """What its owner declares."""
        return ModelFacts(
            task="classification",
            input=_input(json.loads((self.folder / "config.json").read_text())["vocab_size"]),
            output=OutputFacts(kind="logits", classes=CLASSES),
            accuracy=self.accuracy,
            role="Says whether a sentence is about a programming language or about arrays of numbers.",
        )

    def dataset_facts(self) -> DatasetFacts:
        """What its owner declares of the test sentences."""
        columns = (
            Column(name="text", role="text", type="text"),
            Column(name="about", role="label", type="category", categories=CLASSES),
        )
        return DatasetFacts(input=self.model_facts().input, classes=CLASSES, columns=columns, example_names="sentence")

    def save_examples(self, path: Path) -> None:
        """Some of the test sentences as a table."""
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["text", "about"])
            table.writerows([text, CLASSES[label]] for text, label in self.test[:AUDITED])


def train(folder: Path, on_epoch: OnEpoch | None = None) -> Texts:
    """Trains the network and saves it with its tokenizer in `folder`. Same seed, same numbers on the same machine.

    Raises `NotLearned` below the accuracy that the demo promises.
    """
    tell = on_epoch or (lambda _done, _total: None)
    told = sentences()
    test, training = told[:TEST_SENTENCES], told[TEST_SENTENCES:]
    tokenizer = _tokenizer(text for text, _ in training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = _network(tokenizer.get_vocab_size())
        _train(network, tokenizer, training, tell)
    network.eval()
    accuracy = _accuracy(network, tokenizer, test)
    if accuracy < REQUIRED_ACCURACY:
        raise NotLearned(f"{NAME} reached a test accuracy of {accuracy:.3f}; the demo promises {REQUIRED_ACCURACY}")
    network.save_pretrained(folder)  # type: ignore[operator]  # a method of transformers' own modules
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"pad_token": "[PAD]", "model_max_length": LENGTH}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Texts(folder=folder, accuracy=accuracy, test=tuple(test))


def sentences() -> list[Sentence]:
    """As many of each class, none twice, in a fixed order."""
    manual = _sentences(pydoc_data.topics.topics.values())
    functions = (getattr(np, name) for name in sorted(dir(np)) if not name.startswith("_"))
    methods = (getattr(np.ndarray, name) for name in sorted(dir(np.ndarray)) if not name.startswith("_"))
    numeric = _sentences(str(each.__doc__) for each in (*functions, *methods) if each.__doc__)
    draw = random.Random(SEED)
    drawn = [draw.sample(found, min(len(manual), len(numeric))) for found in (manual, numeric)]
    return [(text, label) for pair in zip(*drawn, strict=True) for label, text in enumerate(pair)]


def _sentences(texts: Iterable[str]) -> list[str]:
    found = dict.fromkeys(" ".join(each.split()) for text in texts for each in _plain(text))
    return [each for each in found if _LEAST <= len(each.split()) <= _MOST]


def _plain(text: str) -> Iterator[str]:
    """The sentences of the paragraphs that are prose; headings, signatures and examples are none."""
    for paragraph in re.split(r"\n\s*\n", text):
        if "---" not in paragraph and ">>>" not in paragraph:
            yield from _SENTENCE.findall(paragraph)


def _tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Words that occur often, and single letters for all others."""
    split = pre_tokenizers.BertPreTokenizer()
    lower = normalizers.BertNormalizer(lowercase=True)
    counted = Counter(word for text in texts for word, _ in split.pre_tokenize_str(lower.normalize_str(text)))
    letters = sorted({letter for word in counted for letter in word})
    often = [word for word, _ in sorted(counted.items(), key=lambda each: (-each[1], each[0]))][:_WORDS]
    pieces = dict.fromkeys((*_SPECIAL, *letters, *(f"##{letter}" for letter in letters), *often))
    made = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))  # noqa: S106  # a word's place, no secret
    made.normalizer = lower
    made.pre_tokenizer = split
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(list(_SPECIAL))
    return made


def _network(vocabulary: int) -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # of saving; the demo has its own
    names = dict(enumerate(CLASSES))
    config = DistilBertConfig(
        vocab_size=vocabulary, dim=48, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=LENGTH,
        pad_token_id=0, id2label=names, label2id={name: index for index, name in names.items()},
    )  # fmt: skip
    return DistilBertForSequenceClassification(config)


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, (n, LENGTH) each."""
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    read = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return torch.tensor([each.ids for each in read]), torch.tensor([each.attention_mask for each in read])


def _train(network: nn.Module, tokenizer: Tokenizer, training: list[Sentence], tell: OnEpoch) -> None:
    ids, mask = _encoded(tokenizer, (text for text, _ in training))
    labels = torch.tensor([label for _, label in training])
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    network.train()
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(labels)).chunk(-(-len(labels) // BATCH)):
            loss = nn.functional.cross_entropy(network(ids[chosen], mask[chosen]).logits, labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
            optimiser.step()
        tell(epoch + 1, EPOCHS)


def _accuracy(network: nn.Module, tokenizer: Tokenizer, test: list[Sentence]) -> float:
    ids, mask = _encoded(tokenizer, (text for text, _ in test))
    with torch.no_grad():
        predicted = network(ids, mask).logits.argmax(1)
    return float((predicted == torch.tensor([label for _, label in test])).float().mean())


def _input(vocabulary: int) -> InputFacts:
    bounds = Bounds(low=(0.0,), high=(float(vocabulary - 1),))
    return InputFacts(kind="text", layout="NT", shape=(LENGTH,), bounds=bounds)
