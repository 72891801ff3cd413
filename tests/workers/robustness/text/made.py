"""Texts and networks whose attacks can be solved by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from service.contracts.base import digest_of
from tests.workers import subjects
from tests.workers.neighbourhoods.texts import PAD, Bag, size_of, token_facts, wordpiece
from workers.robustness.text.case import Case
from workers.robustness.text.parameters import TextParameters
from workers.subject.huggingface.tokens import Pieces
from workers.subject.subject import Subject

TOKENIZER = wordpiece()
LONG = "the film was good and the plot was slow but it is like that story of the end"


def id_of(word: str, tokenizer: Pieces = TOKENIZER) -> int:
    return int(tokenizer.encode([word], 10)[0][0, 1])


def worth(values: dict[str, float], classes: int = 2) -> Tensor:
    """What each id adds to class 0; nothing where not named."""
    made = torch.zeros(size_of(TOKENIZER), classes)
    for word, value in values.items():
        made[id_of(word), 0] = value
    return made


class Sum(Bag):
    """Class 0 while the words' worth adds up to more than a half."""

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        there = (ids != PAD if mask is None else mask.ne(0)).unsqueeze(-1)
        total = (self.worth(ids) * there).sum(1)
        return torch.stack([total[:, 0] - 0.5, torch.zeros(len(ids))], dim=1)


class Still(Bag):
    """One answer to everything."""

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return (self.worth(ids) * 0).sum(1) + torch.tensor([1.0, 0.0])


def reads(
    given: Sequence[str], network: nn.Module, labels: Sequence[int] | None = None, length: int = 40,
    tokenizer: Pieces = TOKENIZER,
) -> Subject:  # fmt: skip
    ids, mask = tokenizer.encode(given, length)
    facts = token_facts("text", length, size_of(tokenizer), network(ids[:1], mask[:1]).shape[1])
    made = subjects.subject(network, ids, None if labels is None else torch.tensor(labels), facts, further=(mask,))
    data = dataclasses.replace(
        made.examples["evaluation"], texts=tuple(given), digest=digest_of(repr(given).encode())
    )  # fmt: skip
    return dataclasses.replace(made, tokenizer=tokenizer, pad=PAD, examples={"evaluation": data})


def planted(given: Sequence[str] = (LONG,) * 2, labels: Sequence[int] | None = None, **values: float) -> Subject:
    """Decides for class 0 while the named words, worth what is given, add up to more than a half."""
    return reads(given, Sum(worth(values or {"good": 1.0})), labels)


def case(of: Subject, **parameters: object) -> Case:
    return Case.of(of, TextParameters.model_validate(parameters))
