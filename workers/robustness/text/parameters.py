"""What may be asked of attacks on texts?"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from service.contracts.base import WHOLE, Parameters, Value

AttackName = Literal["swaps", "characters", "synonyms"]
EditName = Literal["swap", "drop", "insert", "homoglyph", "keyboard", "case", "whitespace"]
EDITS: tuple[EditName, ...] = ("swap", "drop", "insert", "homoglyph", "keyboard", "case", "whitespace")
_Word = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^\S(.*\S)?$")]


class Pair(Value):
    """Two words of which each may stand in the other's place."""

    one: _Word
    other: _Word


class TextParameters(Parameters):
    """Which texts, by which attacks, how far, and with how much effort."""

    examples: Annotated[int, Field(ge=1, le=10_000), WHOLE] = Field(
        30, description="Texts attacked, from the beginning of the evaluation data; as many as there are where fewer."
    )
    attacks: Annotated[tuple[AttackName, ...], Field(min_length=1, max_length=3, strict=False)] = Field(
        ("swaps", "characters", "synonyms"),
        description="Tokens swapped by the gradient, words misspelt, words replaced by `synonyms`; those that cannot be"
        " run are told with the reason.",
    )  # fmt: skip
    share: float = Field(
        0.15, gt=0, le=1, description="Of a text's words, or of its tokens, that may change at most; one always may."
    )
    edits: Annotated[tuple[EditName, ...], Field(min_length=1, max_length=7, strict=False)] = Field(
        EDITS, description="Ways to misspell a word; one edit in each word."
    )
    synonyms: Annotated[tuple[Pair, ...], Field(max_length=10_000, strict=False)] = Field(
        (),
        description="Pairs of words of which each may stand for the other; whether they mean the same is not checked.",
    )
    untouched: Annotated[tuple[_Word, ...], Field(max_length=10_000, strict=False)] = Field(
        (), description="Words that no attack may change, whatever their case."
    )
    untouched_ids: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**31), WHOLE], ...], Field(max_length=10_000, strict=False)
    ] = Field((), description="Where the model reads ids and no text: ids that are neither changed nor put in.")
    beam: Annotated[int, Field(ge=1, le=50), WHOLE] = Field(5, description="Texts that a search by swaps goes on with.")
    per_token: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(
        6, description="Tokens of the vocabulary that the gradient proposes for one place."
    )
    tries: Annotated[int, Field(ge=1, le=1000), WHOLE] = Field(
        24, description="Candidates that the model is asked about for one text of the beam, or for one word."
    )
    queries: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = Field(
        500, description="Most rows that one attack may send through the model for one text."
    )
    shown: Annotated[int, Field(ge=0, le=50), WHOLE] = Field(5, description="Texts shown before and after.")
    rows: Annotated[int, Field(ge=0, le=65_536), WHOLE] = Field(
        0, description="Rows in one forward pass; 0 for what one pass over the network's layers says."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the network.")

    @model_validator(mode="after")
    def _each_once(self) -> TextParameters:
        for name in ("attacks", "edits", "untouched_ids"):
            twice = [each for each, count in Counter(getattr(self, name)).items() if count > 1]
            if twice:
                raise ValueError(f"{name} names {twice[0]!r} twice: name each once")
        same = next((each.one for each in self.synonyms if each.one == each.other), None)
        if same is not None:
            raise ValueError(f"synonyms pair {same!r} with itself: give two words")
        return self
