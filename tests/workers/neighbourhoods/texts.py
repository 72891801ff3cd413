"""Small networks that read texts, with tokenizers of three families, and ids without texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from service.contracts.facts import FurtherInput, ModelFacts
from tests.workers import subjects
from workers.passes.predicting import Asking, Predicting
from workers.subject.huggingface.tokens import Pieces
from workers.subject.network import Tokenizer

WORDS = [
    "a", "and", "bad", "boring", "but", "end", "film", "good", "great", "he", "in", "is", "it", "like", "never", "not",
    "of", "plot", "she", "slow", "story", "that", "the", "they", "this", "to", "very", "was", "well", "with",
]  # fmt: skip
PAD = 0


class Bag(nn.Module):
    """Sums what each of the ids that the mask keeps is worth, and answers by a curve of that sum."""

    def __init__(self, worth: Tensor) -> None:
        super().__init__()
        self.worth = nn.Embedding.from_pretrained(worth)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        there = (ids != PAD if mask is None else mask.ne(0)).unsqueeze(-1)
        return torch.tanh((self.worth(ids) * there).sum(1))


class InOrder(nn.Module):
    """Reads ids one after the other, so that their order counts."""

    def __init__(self, vocabulary: int, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 8)
        self.steps = nn.GRU(8, 8, batch_first=True)
        self.last = nn.Linear(8, classes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        found, _ = self.steps(self.embedding(ids))
        at = (mask.sum(1) - 1).clamp(min=0)
        answer: Tensor = self.last(found[torch.arange(len(ids)), at])
        return answer


def random_bag(vocabulary: int, seed: int, classes: int = 3) -> Bag:
    return Bag(torch.randn(vocabulary, classes, generator=torch.Generator().manual_seed(seed)) / 2)


def in_order(vocabulary: int, seed: int) -> InOrder:
    torch.manual_seed(seed)
    return InOrder(vocabulary).eval().requires_grad_(False)


def wordpiece(words: Sequence[str] = WORDS) -> Pieces:
    """As BERT's: every word and every mark by itself."""
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.,;!?'-_"]
    parts = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{each}" for each in letters[:36])]
    vocabulary = {each: at for at, each in enumerate(dict.fromkeys(parts))}
    made = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return Pieces(made, PAD, "WordPiece")


def byte_pairs(words: Sequence[str] = WORDS) -> Pieces:
    """As GPT-2's: a word holds the space before it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {each: at for at, each in enumerate(["<pad>", *letters])}
    merges = []
    for word in words:
        left = "Ġ"
        for letter in word:
            if left + letter not in vocabulary:
                vocabulary[left + letter] = len(vocabulary)
                merges.append((left, letter))
            left += letter
    made = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    made.add_special_tokens(["<pad>"])
    return Pieces(made, PAD, "BPE")


def unigram(words: Sequence[str] = WORDS) -> Pieces:
    """As T5's: spaces are part of pieces, runs of them one."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), *((f"▁{word}", -2.0) for word in words)]
    pieces += [(letter, -6.0) for letter in "abcdefghijklmnopqrstuvwxyz.,!?"]
    made = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.Replace(tokenizers.Regex(" {2,}"), " "), normalizers.Strip()])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return Pieces(made, PAD, "Unigram")


def size_of(tokenizer: Pieces) -> int:
    """How many ids it gives, at most."""
    return int(tokenizer.name.split()[1].replace(",", ""))


def token_facts(kind: str, length: int, vocabulary: int, classes: int, further: int = 0) -> ModelFacts:
    ids = {"kind": kind, "layout": "NT", "shape": [length], "bounds": {"low": [0], "high": [vocabulary - 1]}}
    names = [f"class {at}" for at in range(classes)]
    facts = ModelFacts.model_validate(
        {"task": "classification", "input": ids, "output": {"kind": "logits", "classes": names}}
    )
    mask = FurtherInput.model_validate({"name": "mask", "input": {**ids, "bounds": {"low": [0], "high": [1]}}})
    return facts.model_copy(update={"further_inputs": (mask,) * further})


def case_of(
    texts: Sequence[str], network: nn.Module, tokenizer: Tokenizer, length: int = 40,
    targets: tuple[str, ...] = ("class:class 0", "class:class 1"), scale: str = "probability",
) -> Predicting:  # fmt: skip
    """Texts as the child would have them."""
    ids, *further = tokenizer.encode(texts, length)
    vocabulary = max(1000, int(ids.max()) + 1)
    facts = token_facts("text", length, vocabulary, network(ids[:1], *(each[:1] for each in further)).shape[1])
    made = subjects.subject(network, ids, facts=facts, further=tuple(further))
    data = dataclasses.replace(made.examples["evaluation"], texts=tuple(texts))
    made = dataclasses.replace(made, tokenizer=tokenizer, examples={"evaluation": data}, pad=PAD)
    return Predicting.of(made, asking(len(texts), targets, scale))


def ids_case(ids: Tensor, network: nn.Module, *further: Tensor, pad: int | None = PAD, high: int = 99) -> Predicting:
    """Ids without texts."""
    classes = network(ids[:1], *(each[:1] for each in further)).shape[1]
    facts = token_facts("tokens", ids.shape[1], high + 1, classes, len(further))
    made = subjects.subject(network, ids, facts=facts, further=further)
    return Predicting.of(dataclasses.replace(made, pad=pad), asking(len(ids)))


class Tags(nn.Module):
    """Two classes at each position: the second where an id stands, (N, 2, T)."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        found = (ids == self.number).float()
        return torch.stack([mask - found, 3 * found], dim=1)


def tagging(given: str, tokenizer: Pieces, word: str, target: str, length: int = 40) -> Predicting:
    """A network asked of one text at which positions a word stands."""
    ids, mask = tokenizer.encode([given], length)
    facts = token_facts("text", length, 1000, 2, further=1).model_copy(update={"task": "sequence"})
    network = Tags(int(tokenizer.encode([word], length)[0][0, 1]))
    made = subjects.subject(network, ids, facts=facts, further=(mask,))
    data = dataclasses.replace(made.examples["evaluation"], texts=(given,))
    made = dataclasses.replace(made, tokenizer=tokenizer, examples={"evaluation": data}, pad=PAD)
    return Predicting.of(made, asking(1, (target,)))


def asking(
    examples: int, targets: tuple[str, ...] = ("class:class 0",), scale: str = "output", precision: str = "float32"
) -> Asking:
    return Asking(targets=targets, scale=scale, examples=examples, precision=precision)  # type: ignore[arg-type]  # literals
