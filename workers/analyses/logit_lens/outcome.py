"""What is asked of a language model's blocks, and what is answered?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.contracts.base import WHOLE, Integer, LayerName, Parameters, Value
from service.contracts.outcome import Estimate, Outcome
from workers.attribution.outcome import Average
from workers.passes.asked import Asked

Names = Annotated[tuple[LayerName, ...], Field(max_length=2000, strict=False)]
_ABSENT = "zero"
"""The lens has no baseline; where the inputs are probed they are compared with this one."""


class LensParameters(Parameters):
    """Which position is read, after which blocks, over which examples."""

    position: Annotated[str, Field(pattern=r"^(next|[0-9]{1,9})$")] = Field(
        "next",
        description="Position read: next (after the last token of each text, or of the decoder's), or one from 0.",
    )
    layers: Names = Field((), description="Names of the blocks; empty for those found around the attentions.")
    best: Annotated[int, Field(ge=1, le=20), WHOLE] = Field(
        5, description="Tokens of the largest probability that are listed after each block."
    )
    examples: Annotated[int, Field(ge=1, le=100_000), WHOLE] = Field(
        64, description="Examples analysed, from the beginning of the evaluation data."
    )
    precision: Literal["float32", "float64"] = Field("float32", description="Floating-point type of the computation.")

    @property
    def asked(self) -> Asked:
        """Position and examples."""
        target = "next" if self.position == "next" else f"position:{self.position}"
        return Asked(target=target, scale="output", baseline=_ABSENT, examples=self.examples, precision=self.precision)


class Stage(Value):
    """What the head reads after one block."""

    key: LayerName
    depth: float = Field(description="Blocks that have run, over all blocks; 0 after the embedding.")
    probability: Average = Field(description="Of the finally predicted token.")
    rank: Average = Field(description="Of that token among all; 1 is the first.")
    divergence: Average = Field(description="KL(final, read here), nat.")
    first: Estimate = Field(description="Share of examples in which that token is the first here.")
    decided: Integer = Field(description="Examples in which it stays the first from here on, and not before.")


class Word(Value):
    """One token, with its text where it is known."""

    id: Integer
    text: Annotated[str, Field(max_length=64)]
    probability: float


class Said(Value):
    """What one example's state would say after one block."""

    key: LayerName
    words: Annotated[tuple[Word, ...], Field(max_length=20, strict=False)]


class Read(Value):
    """One example, block by block."""

    example: Integer = Field(description="Its place in the evaluation data, from 0.")
    final: Word
    stages: Annotated[tuple[Said, ...], Field(strict=False)]


class LensOutcome(Outcome):
    """What a language model would say after each of its blocks."""

    position: str
    precision: str
    examples: Integer
    available: Integer = Field(description="Examples in the evaluation data.")
    vocabulary: Integer
    tokens: Integer
    width: Integer = Field(description="Numbers in one token's state.")
    embedding: LayerName | None = Field(description="The layer whose state stands before the first block.")
    stages: Annotated[tuple[Stage, ...], Field(strict=False)]
    decided: Average = Field(description="Mean depth from which on the final token stays the first.")
    read: Annotated[tuple[Read, ...], Field(strict=False)]
