"""What does the network read of a text of which some units are taken away?

As in lime 0.2.0.1 (`lime_text`): words are taken out, all that are equal at once, or a mask stands in their place;
distances are cosine distances between the rows of features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from workers.neighbourhoods.joined import Joined
from workers.neighbourhoods.removals import KERNEL_WIDTH, Removals
from workers.neighbourhoods.tokens import Closed, Ids
from workers.neighbourhoods.words import NONE, Unit, Units
from workers.subject.network import Tokenizer
from workers.surrogate.neighbourhood import Floats, Samples

_NAMED = 8
_WAYS = {Closed: "tokens closed up", Joined: "tokens of pairs joined", type(None): "each sample tokenised"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """What is taken away together, and what stands in its place.

    together: equal units are one feature; else each occurrence. mask: a text in the place of what is taken away; None
    takes it out. lime's `bow=True` is together and no mask, `bow=False` not together and the mask "UNKWORDZ".
    mask_id: the id in that place where there are ids and no text; None for the model's pad id, or 0 where it has none.
    """

    unit: Unit = "word"
    together: bool = True
    mask: str | None = None
    mask_id: int | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """For provenance."""
        return cast("dict[str, JsonValue]", asdict(self))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextNeighbourhood:
    """One example of a network that reads texts, units of it taken away.

    units: the text as far as it is read, with its K features; rest: the text behind. not_read: what would be features
    there, or are of no token. owner: (tokens,), the feature of each token of the example, NONE for all others.
    tokens: how samples become ids without their text; None where each is tokenised. why: what kept it from a simpler
    way. compared: samples that were put together and tokenised as well, to see whether both are the same.
    """

    units: Units
    rest: str
    not_read: tuple[str, ...]
    owner: Ids
    settings: TextSettings
    example: tuple[Tensor, ...]
    tokenizer: Tokenizer
    tokens: Closed | Joined | None
    compared: int = 0
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The units."""
        return self.units.names

    @property
    def kernel_width(self) -> float:
        """lime's, for a hundred times the cosine distance."""
        return KERNEL_WIDTH

    @property
    def binary(self) -> bool:
        """There or taken away."""
        return True

    @property
    def still(self) -> bool:
        """Whether each token of a sample stands where it does in the example, so that positions can be compared."""
        return self.tokens is not None and self.tokens.still

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the explanation must know."""
        if not self.not_read:
            return ()
        named = ", ".join(self.not_read[:_NAMED]) + (", \u2026" if len(self.not_read) > _NAMED else "")
        told = f"{len(self.not_read)} {self.settings.unit}s of the text are not among the {self._length} tokens"
        return (f"{told} that the model reads: {named}.",)

    def stream(self, seed: int, paired: bool) -> Removals:
        """lime's own samples for `RandomState(seed)` where not paired. seed: below 2**32."""
        return Removals(len(self.names), seed, paired=paired)

    def inputs(self, samples: Samples) -> tuple[Tensor, ...]:
        """Ids and what else the tokenizer gives; further inputs repeat."""
        shown = samples.z != 0
        if self.tokens is not None:
            given: Sequence[Tensor] = tuple(map(torch.from_numpy, self.tokens.rows(shown)))
        else:
            given = self.tokenizer.encode(self.units.texts(shown, self.settings.mask or None), self._length)
        further = (each.repeat(len(shown), *[1] * (each.ndim - 1)) for each in self.example[len(given) :])
        read = (each.to(own.device, own.dtype) for each, own in zip(given, self.example, strict=False))
        return (*read, *further)

    def shares(self, attribution: Tensor) -> Floats:
        """(K,): the sum over each feature of an attribution of the ids, (tokens, ...)."""
        each = attribution.detach().to("cpu", torch.float64).reshape(len(attribution), -1).sum(1).numpy()
        own = self.owner != NONE
        return np.asarray(np.bincount(self.owner[own], each[own], len(self.names)), dtype=np.float64)

    def as_json(self) -> dict[str, JsonValue]:
        """Units, how they are taken away, and how samples become ids."""
        made: dict[str, JsonValue] = {
            "kind": "text", "unit": self.settings.unit, "together": self.settings.together,
            "mask": self.settings.mask or None, "features": len(self.names), "not_read": len(self.not_read),
            "read": _WAYS[type(self.tokens)],
            "compared": self.compared,
        }  # fmt: skip
        return made | ({"why": self.why} if self.why else {})

    @property
    def _length(self) -> int:
        return self.example[0].shape[1]
