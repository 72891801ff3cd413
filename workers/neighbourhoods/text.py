"""What does the network read of a text of which some units are taken away?

As in lime 0.2.0.1 (`lime_text`): words are taken out, all that are equal at once, or a mask stands in their place;
distances are cosine distances between the rows of features. A text longer than the model reads is explained as far as
it is read: what is behind moves up into no sample, but for the rest of a word of which a part is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from workers.kind import AnalysisError
from workers.neighbourhoods.ids import IdsNeighbourhood, ids
from workers.neighbourhoods.joined import Joined
from workers.neighbourhoods.removals import KERNEL_WIDTH, Removals
from workers.neighbourhoods.tokens import (
    MOST_TOKENS,
    Closed,
    Ids,
    closed,
    compared,
    differing,
    ends_of,
    parts_of,
    same,
)
from workers.neighbourhoods.words import NONE, Unit, Units, tokens_of, units_of
from workers.passes.asked import ROLE
from workers.passes.predicting import Predicting
from workers.subject.network import Tokenizer
from workers.surrogate.neighbourhood import Floats, Samples
from workers.sweep.target import Target

_LEAST = 2
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


def text(case: Predicting, index: int, settings: TextSettings) -> TextNeighbourhood | IdsNeighbourhood:
    """The neighbourhood of example `index`: of its text, or of its ids where the model is given nothing else.

    Raises AnalysisError where there is neither, or fewer than 2 features; and where a target reads a position of the
    output, and tokens do not stay at theirs.
    """
    subject = case.subject
    if subject.facts.input.kind == "tokens":
        return ids(case, index, settings.mask_id)
    texts = subject.examples[ROLE].texts
    if subject.facts.input.kind != "text" or subject.tokenizer is None or texts is None:
        raise AnalysisError(
            "text",
            f"the model reads {subject.facts.input.kind} and no text or ids",
            remedy="Ask for the LIME of its own kind of input.",
        )
    row = tuple(each[index : index + 1] for each in case.x)
    made = (_of_tokens if settings.unit == "token" else _of_words)(texts[index], row, subject.tokenizer, settings)
    if len(made.names) >= _LEAST:
        _refuse_moving(case, made)
        return made
    unread = f"; {len(made.not_read)} are not read" if made.not_read else ""
    raise AnalysisError(
        "text",
        f"the text of example {index} has {len(made.names)} different {settings.unit}s that the model reads{unread};"
        f" a surrogate needs {_LEAST}",
        remedy='Leave that example out, or ask for unit "token".' if texts[index].strip() else "Leave it out.",
    )


def _of_words(whole: str, row: tuple[Tensor, ...], tokenizer: Tokenizer, settings: TextSettings) -> TextNeighbourhood:
    assert settings.unit != "token"
    length, mask = row[0].shape[1], settings.mask or None
    every = units_of(whole, settings.unit, together=settings.together)
    read = tokenizer.pieces(whole, length)
    until = max((end for _, _, end in read), default=0)
    cut = Units(tuple(each for each in every.stretches if each.start < until), every.names)
    shown = "".join(each.text for each in cut.stretches)
    pieces = tokenizer.pieces(shown, MOST_TOKENS)
    part, _, why = parts_of(cut, pieces)
    along, held, _ = parts_of(cut, read)
    units = cut.only(held)
    known = set(units.names)

    given = tokenizer.encode([shown], length)
    _refuse_other(same(given, row))
    tokens: Closed | Joined | None = None
    count, wanted = 0, len(units.names) >= _LEAST and len(given) <= 2
    if wanted:
        numbers, pad = tokenizer.encode([shown], len(pieces))[0][0].numpy(), _pad(tokenizer, length)
        ends = ends_of(tokenizer, pieces)
        simple = closed(numbers, part, _owner(units, part), _mask(tokenizer, mask), ends=ends, length=length, pad=pad)
        tokens, count, why = _quickest(tokenizer, units, mask, simple, numbers, why)
    return TextNeighbourhood(
        units=units, rest=whole[len(shown) :], not_read=tuple(each for each in every.names if each not in known),
        owner=_along(_owner(units, along), length), settings=settings, example=row, tokenizer=tokenizer,
        tokens=tokens, compared=count, why=why if wanted else f"the tokenizer gives {len(given)} inputs",
    )  # fmt: skip


def _quickest(
    tokenizer: Tokenizer, units: Units, mask: str | None, simple: Closed, numbers: Ids, why: str
) -> tuple[Closed | Joined | None, int, str]:
    """The simplest way that gives the tokens of all samples compared, how many those are, and what is against a simpler
    one. why: what is against `simple` already."""
    shown = compared(len(units.names))
    expected = tokenizer.encode(units.texts(shown, mask), simple.length)
    wrong = 0 if why else differing(simple.rows(shown), expected)
    if not (why or wrong):
        return simple, len(shown), ""
    why = why or f"closed up, {wrong} of {len(shown)} samples have other tokens than their text"
    pairs = Joined.of(
        tokenizer, units, mask, head=numbers[: simple.head], tail=numbers[len(numbers) - simple.tail :],
        length=simple.length, pad=simple.pad,
    )  # fmt: skip
    whole = pairs.apart(shown)
    if whole > len(shown) // 2:
        return None, len(shown), f"{why}; joined from pairs, {whole} have tokens of two units together"
    wrong = differing(pairs.rows(shown), expected)
    if wrong:
        return None, len(shown), f"{why}; joined from pairs, {wrong} have"
    return pairs, len(shown), why


def _of_tokens(whole: str, row: tuple[Tensor, ...], tokenizer: Tokenizer, settings: TextSettings) -> TextNeighbourhood:
    length, mask = row[0].shape[1], _mask(tokenizer, settings.mask or None)
    pieces, every = tokenizer.pieces(whole, length), tokenizer.pieces(whole, MOST_TOKENS)
    head, tail = ends_of(tokenizer, pieces)
    own = slice(head, len(pieces) - tail)
    numbers = row[0][0, : len(pieces)].cpu().to(torch.int64).numpy()
    units = tokens_of(whole, pieces[own], numbers[own].tolist(), together=settings.together)
    owner, part = np.full(len(pieces), NONE), np.full(len(pieces), NONE)
    owner[own] = [each.feature for each in units.stretches if each.feature != NONE]
    part[own] = np.arange(len(pieces))[own]
    tokens = closed(
        numbers, part, owner, mask, ends=(head, tail), length=length, pad=_pad(tokenizer, length)
    )  # fmt: skip
    everything = np.ones((1, len(units.names)), dtype=np.bool_)
    _refuse_other(same(tuple(map(torch.from_numpy, tokens.rows(everything))), row))
    return TextNeighbourhood(
        units=units, rest="", not_read=tuple(piece for piece, _, _ in every[len(pieces) - tail : len(every) - tail]),
        owner=_along(owner, length), settings=settings, example=row, tokenizer=tokenizer, tokens=tokens,
    )  # fmt: skip


def _owner(units: Units, part: Ids) -> Ids:
    """The feature of each token, from the stretch it is of."""
    feature = np.array([*(each.feature for each in units.stretches), NONE])
    return np.asarray(feature[part])


def _along(owner: Ids, length: int) -> Ids:
    """With the padding behind."""
    return np.concatenate([owner, np.full(length - len(owner), NONE)])


def _mask(tokenizer: Tokenizer, mask: str | None) -> Ids:
    """The ids of a mask as it stands alone; none where nothing stands in the place of what is taken away."""
    pieces = () if mask is None else tokenizer.pieces(mask, MOST_TOKENS)
    if mask is None or not pieces:
        return np.empty(0, dtype=np.int64)
    head, tail = ends_of(tokenizer, pieces)
    found = tokenizer.encode([mask], len(pieces) + 1)[0][0].numpy()
    return np.asarray(found[head : len(pieces) - tail])


def _pad(tokenizer: Tokenizer, length: int) -> int:
    """What stands behind a text that is shorter than the model reads."""
    return int(tokenizer.encode([""], length)[0][0, -1])


def _refuse_moving(case: Predicting, made: TextNeighbourhood) -> None:
    """A position of the output is that of a token: where others are taken out before it, another one is read there."""
    task = case.subject.facts.task
    if task == "seq2seq" or made.still:  # its positions are those of the decoder
        return
    if any(_of_positions(target, task) for target in case.targets):
        raise AnalysisError(
            "text",
            "a target reads positions of the output, and what is behind a unit that is taken out of the text moves to"
            " other positions",
            remedy='Ask for unit "token" with a mask of one token, as mask "[MASK]", so that each stays where it is.',
        )


def _of_positions(target: Target, task: str) -> bool:
    """Whether it reads some of several positions; (N, C) has one place for a class, and what has more has positions."""
    if target.index is None or target.scale not in ("logit", "probability"):
        return False
    return task == "sequence" or target.places or target.index.shape[1] > 1


def _refuse_other(agrees: bool) -> None:
    if not agrees:
        raise AnalysisError(
            "text",
            "the tokens of the text, as far as the model reads it, are not the ids that the model is given",
            remedy="Shorten the text to what the model reads, or register the dataset again.",
        )
