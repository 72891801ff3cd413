"""Language models small enough to be read by hand, and what the lens is given of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lamina.zoo.family import Family
from tests.workers.subjects import subject
from workers.analyses.logit_lens.outcome import LensParameters
from workers.passes import asked as passes
from workers.subject.subject import Subject
from workers.sweep.ready import Prepared

TOKENS, WORDS = 3, 4


class Adds(nn.Module):
    """Adds a vector to the state of each token, and nothing that comes of attending to itself."""

    def __init__(self, vector: list[float]) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.tensor(vector, dtype=torch.float32), requires_grad=False)
        self.attention = Nothing()

    def forward(self, state: Tensor) -> Tensor:
        return state + self.vector + self.attention(state)


class Nothing(nn.Module):
    """An attention whose values are zeros."""

    def forward(self, state: Tensor) -> Tensor:
        return torch.softmax(state @ state.mT, -1) @ (0 * state)


class Decides(nn.Module):
    """Ids (N, 3) to logits of four tokens, (N, 3, 4): the state itself, to which each block adds.

    The state of a token begins as 1 for the token itself. After the blocks token 1, then token 2 is ahead.
    """

    def __init__(self, *vectors: list[float]) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(torch.eye(WORDS))
        self.blocks = nn.ModuleList(Adds(each) for each in vectors)
        self.head = nn.Linear(WORDS, WORDS, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(WORDS))

    def forward(self, ids: Tensor) -> Tensor:
        state = self.words(ids)
        for block in self.blocks:
            state = block(state)
        return self.head(state)


def of_family(family: Family, network: nn.Module, batch: int | None = None, examples: int = 4) -> Subject:
    """A network of the zoo with its examples."""
    first, *further = family.examples(examples)
    return subject(network, first, None, family.facts, batch, tuple(further))


def prepared(of: Subject, position: str = "next", examples: int = 4) -> Prepared:
    """What the lens is given."""
    precision = str(next(of.model.parameters()).dtype).removeprefix("torch.")
    asked = LensParameters.model_validate({"position": position, "examples": examples, "precision": precision}).asked
    return passes.prepared(of, asked)
