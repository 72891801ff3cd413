"""How does a text become ids, with the tokenizer of a canonical form? One text at a time, in this thread alone.

The Rust library starts threads only for lists of texts, and a child of the sandbox must not depend on them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import tokenizers
import torch
from torch import Tensor

from workers.subject.refusal import Refusal, without_paths

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The `Tokenizer` of a network: ids, and a mask of what is text and what padding; right-padded, cut to length."""

    _rust: tokenizers.Tokenizer
    _pad: int
    _kind: str

    @property
    def name(self) -> str:
        """The algorithm and how many tokens it knows."""
        return f"{self._kind}, {self._rust.get_vocab_size(with_added_tokens=True):,} tokens"

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """Ids and mask, each int64 of shape (N, length); the mask is 1 where a token stands and 0 where padding does.

        Raises Refusal with code text-length where `length` has no room for the tokens that every text is given.
        """
        ids = torch.full((len(texts), length), self._pad, dtype=torch.int64)
        mask = torch.zeros((len(texts), length), dtype=torch.int64)
        for row, text in enumerate(texts):
            found = self._encoded(text, length).ids
            ids[row, : len(found)] = torch.tensor(found, dtype=torch.int64)
            mask[row, : len(found)] = 1
        return ids, mask

    def pieces(self, text: str, length: int) -> tuple[tuple[str, int, int], ...]:
        """Each token of `text`, without padding, and the characters (start, end) it stands for; equal if added."""
        found = self._encoded(text, length)
        return tuple((token, start, end) for token, (start, end) in zip(found.tokens, found.offsets, strict=True))

    def _encoded(self, text: str, length: int) -> tokenizers.Encoding:
        added = self._rust.num_special_tokens_to_add(is_pair=False)
        if length <= added:
            raise Refusal(
                "text-length",
                f"a text of {length} tokens has no room for the {added} that the tokenizer adds to each",
                "Declare a longer facts.input.shape.",
            )
        self._rust.enable_truncation(max_length=length)
        return guarded(lambda: self._rust.encode(text))


def pieces_of(content: str, pad: int, vocabulary: int) -> Pieces:
    """The tokenizer of a tokenizer.json that was checked. Raises Refusal where the library cannot take it."""
    rust = guarded(lambda: tokenizers.Tokenizer.from_str(content))
    rust.no_padding()
    rust.no_truncation()
    known = rust.get_vocab(with_added_tokens=True)
    if max(known.values(), default=0) >= vocabulary:
        raise Refusal(
            "tokenizer-ids",
            f"tokenizer.json gives ids up to {max(known.values()):,}; the network has embeddings for {vocabulary:,}",
            "Send the tokenizer that belongs to these weights.",
        )
    return Pieces(rust, pad, type(rust.model).__name__)


def guarded(act: Callable[[], T]) -> T:
    """What `act` gives; whatever the Rust library raises becomes a Refusal, its panics (no Exception) included."""
    try:
        return act()
    except (MemoryError, Refusal, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # pyo3's PanicException derives from BaseException
        words = " ".join(without_paths(str(error)).split())[:500]
        said = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)
        raise Refusal(
            "tokenizer",
            f"tokenizer.json cannot be used by the library that wrote it: {said}",
            "Save the tokenizer again with tokenizer.save_pretrained(folder).",
        ) from error
