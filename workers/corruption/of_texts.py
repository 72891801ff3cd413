"""What does a network read of a misspelt text? What its own tokenizer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.corruption.source import Rows
from workers.corruption.spec import Corruption
from workers.corruption.words import TEXT
from workers.kind import AnalysisError
from workers.subject.network import Tokenizer
from workers.subject.subject import Examples, Subject


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Texts:
    """The texts of a subject. x: what the network reads of them as they are, (N, ...) for each input."""

    texts: tuple[str, ...]
    tokenizer: Tokenizer
    x: tuple[Tensor, ...]
    corruptions: tuple[Corruption, ...] = TEXT
    skipped: tuple[NotApplicable, ...] = ()
    notes: tuple[str, ...] = ("Meaning is not verified: an edit may make another word.",)
    unit: str = "share of ids that differ"

    def rows(self, corruption: Corruption, severity: int, index: Sequence[int], digest: str) -> Rows:
        """See Source. What behind an edit moves to another position counts as different."""
        strength = corruption.at(severity)
        made = [corruption.apply(self.texts[at], strength, corruption.draws(digest, at)) for at in index]
        given = self.tokenizer.encode(made, self.x[0].shape[1])
        own = [each[list(index)] for each in self.x]
        x = tuple(
            given[at].to(each.device, each.dtype) if at < len(given) else each for at, each in enumerate(own)
        )  # fmt: skip
        return Rows(x, (x[0] != own[0]).double().mean(1).cpu())

    def shown(self, corruption: Corruption, severity: int, index: int, digest: str) -> str:
        """The corrupted text of one example."""
        made: str = corruption.apply(self.texts[index], corruption.at(severity), corruption.draws(digest, index))
        return made


def texts(subject: Subject, data: Examples, x: tuple[Tensor, ...]) -> Texts:
    """Raises AnalysisError where there is no tokenizer or no text, or the ids are not those of the texts."""
    if subject.tokenizer is None or data.texts is None:
        raise AnalysisError(
            "text",
            "the model's tokenizer, or the texts of the evaluation data, are not known: ids cannot be misspelt",
            remedy="Submit the model as a folder with its tokenizer, and the data with their texts.",
        )
    kept = data.texts[: len(x[0])]
    given = subject.tokenizer.encode(kept, x[0].shape[1])
    wrong = (given[0].to(x[0].device) != x[0]).any(1)
    if bool(wrong.any()):
        raise AnalysisError(
            "text",
            f"{int(wrong.sum())} of {len(kept)} texts have other ids than the model is given; the first is example"
            f" {int(torch.nonzero(wrong)[0])}",
            remedy="Register the dataset again with this model's tokenizer.",
        )
    return Texts(texts=tuple(kept), tokenizer=subject.tokenizer, x=x)
