"""How is each token of a vocabulary written in a text, and which are never written there?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.kind import AnalysisError
from workers.subject.huggingface.tokens import Pieces
from workers.subject.network import Tokenizer

_FORMS = ("##", "Ġ", "▁")
"""How tokens begin that go on with a word (WordPiece), or begin one (byte pairs, SentencePiece)."""


_SHORT = 32
"""Tokens that one sign has at most, with those that are added."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """written: by id how a token reads, empty where it is never put into a text. form: int64 (V,), tokens of one form
    can take each other's place; -1 of those that no text is given."""

    written: tuple[str, ...]
    form: Tensor

    def __len__(self) -> int:
        """How many ids."""
        return len(self.written)


def listed(tokenizer: Tokenizer) -> bool:
    """Whether its tokens can be listed."""
    return isinstance(tokenizer, Pieces)


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """Raises AnalysisError where the tokens of a tokenizer cannot be listed.

    Added tokens (those that mark beginning, end, padding, what is unknown) have no form: they stay what they are.
    """
    if not isinstance(tokenizer, Pieces):
        raise AnalysisError("vocabulary", f"the tokens of a tokenizer of the type {type(tokenizer).__name__} cannot be"
                            " listed", remedy="Ask for characters or synonyms.")  # fmt: skip
    rust = tokenizer._rust  # the only way to its list of tokens: its public methods begin from a text
    added = rust.get_added_tokens_decoder()
    known = {at: token for token, at in rust.get_vocab(with_added_tokens=True).items()}
    written, form = [""] * (max(known, default=-1) + 1), [-1] * (max(known, default=-1) + 1)
    for at, token in known.items():
        mark = next((number for number, each in enumerate(_FORMS) if token.startswith(each)), len(_FORMS))
        plain = rust.decode([at], skip_special_tokens=False).strip()
        plain = plain.removeprefix(_FORMS[mark]).strip() if mark < len(_FORMS) else plain
        if at in added or not plain or "\ufffd" in plain or _a_byte(tokenizer, token, plain):
            continue
        written[at], form[at] = plain, mark
    return Vocabulary(tuple(written), torch.tensor(form, dtype=torch.int64))


def _a_byte(tokenizer: Tokenizer, token: str, plain: str) -> bool:
    """Whether a token of one sign is part of a letter: written alone, the sign is read as other tokens."""
    return len(plain) == 1 and token == plain and all(piece != token for piece, _, _ in tokenizer.pieces(plain, _SHORT))
