"""Which units of a text can be taken away, and how do samples become ids without being tokenised?

A text longer than the model reads is explained as far as it is read: what is behind moves up into no sample, but for
the rest of a word of which a part is read.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workers.kind import AnalysisError
from workers.neighbourhoods.ids import IdsNeighbourhood, ids
from workers.neighbourhoods.joined import Joined
from workers.neighbourhoods.text_samples import TextNeighbourhood, TextSettings
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
from workers.neighbourhoods.words import NONE, Units, tokens_of, units_of
from workers.passes.asked import ROLE
from workers.passes.predicting import Predicting
from workers.subject.network import Tokenizer
from workers.sweep.target import Target

_LEAST = 2


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
